#include "net/tls.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>

#include "net/tls_impl.h"

enum {
    RECORD_SIZE = 16 * 1024 /* the largest that TLS has */
};

struct md_tls {
    md_tls_context *context;
    SSL *ssl;
    int fd;
    bool begun;      /* bytes of the peer have been seen */
    bool plain_http; /* and are no TLS */
    bool over;       /* nothing can be sent or read any more */
    bool said_goodbye;
    char why[96];
};

static const md_openssl_lib *lib_of(const md_tls *t)
{
    return &t->context->lib;
}

md_tls *md_tls_new(md_tls_context *x, int fd)
{
    md_tls *t = md_calloc(x->alloc, 1, sizeof(*t));

    if (!t)
        return NULL;
    t->context = x;
    x->n_refs++;
    t->fd = fd;
    t->ssl = x->lib.SSL_new(x->ssl);
    if (!t->ssl || x->lib.SSL_set_fd(t->ssl, fd) != 1) {
        md_tls_free(t);
        return NULL;
    }
    x->lib.SSL_set_accept_state(t->ssl);
    return t;
}

void md_tls_free(md_tls *t)
{
    md_tls_context *x;

    if (!t)
        return;
    x = t->context;
    x->lib.SSL_free(t->ssl);
    md_free(x->alloc, t);
    md_tls_context_unref(x);
}

static void set_why(md_tls *t, const char *text)
{
    const size_t n = strlen(text);
    const size_t size = n < sizeof(t->why) ? n : sizeof(t->why) - 1;

    memcpy(t->why, text, size);
    t->why[size] = '\0';
}

/* The reason of a failure; the certificate's, when it is that. */
static void explain(md_tls *t, int code)
{
    const md_openssl_lib *lib = lib_of(t);
    const unsigned long e = lib->ERR_peek_error();
    const long verified = lib->SSL_get_verify_result(t->ssl);
    const char *text = e ? lib->ERR_reason_error_string(e) : NULL;

    if (e && ERR_GET_REASON(e) == SSL_R_CERTIFICATE_VERIFY_FAILED &&
        verified != X509_V_OK)
        text = lib->X509_verify_cert_error_string(verified);
    if (!text)
        text =
            code == SSL_ERROR_SYSCALL ? "connection is lost" : "unknown reason";
    set_why(t, text);
}

/* What the return value `rc` of a call means. */
static md_tls_result result_of(md_tls *t, int rc)
{
    const int code = lib_of(t)->SSL_get_error(t->ssl, rc);

    switch (code) {
    case SSL_ERROR_NONE:
        return MD_TLS_OK;
    case SSL_ERROR_WANT_READ:
        return MD_TLS_WANTS_READ;
    case SSL_ERROR_WANT_WRITE:
        return MD_TLS_WANTS_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return MD_TLS_CLOSED;
    default:
        explain(t, code);
        t->over = true;
        return MD_TLS_FAILED;
    }
}

/* Look at the first byte, which is 22 in TLS and a letter in HTTP. */
static md_tls_result look(md_tls *t)
{
    unsigned char first;
    ssize_t n;

    do {
        n = recv(t->fd, &first, 1, MSG_PEEK);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return MD_TLS_WANTS_READ;
    if (n <= 0) {
        t->over = true;
        return MD_TLS_CLOSED;
    }
    t->begun = true;
    t->plain_http = first >= 'A' && first <= 'Z';
    if (!t->plain_http)
        return MD_TLS_OK;
    t->over = true;
    set_why(t, "HTTP without TLS");
    return MD_TLS_FAILED;
}

md_tls_result md_tls_handshake(md_tls *t)
{
    if (!t->begun) {
        const md_tls_result r = look(t);

        if (r != MD_TLS_OK)
            return r;
    }
    lib_of(t)->ERR_clear_error();
    return result_of(t, lib_of(t)->SSL_do_handshake(t->ssl));
}

bool md_tls_is_plain_http(const md_tls *t)
{
    return t->plain_http;
}

const char *md_tls_why(const md_tls *t)
{
    return t->why;
}

md_tls_result md_tls_read(md_tls *t, void *to, size_t size, size_t *n)
{
    md_tls_result r = MD_TLS_OK;

    *n = 0;
    while (r == MD_TLS_OK && *n < size) {
        const size_t room = size - *n;
        int rc;

        lib_of(t)->ERR_clear_error();
        rc = lib_of(t)->SSL_read(t->ssl, (char *)to + *n,
                                 room > INT_MAX ? INT_MAX : (int)room);
        if (rc > 0)
            *n += (size_t)rc;
        else
            r = result_of(t, rc);
    }
    if (r == MD_TLS_CLOSED || r == MD_TLS_FAILED)
        t->over = true;
    return r;
}

bool md_tls_has_more(const md_tls *t)
{
    return t->over || lib_of(t)->SSL_pending(t->ssl) > 0;
}

/* The first bytes of all pieces, as many as a record takes. */
static size_t join(char *to, const struct iovec *iov, size_t n)
{
    size_t size = 0;

    for (size_t i = 0; i < n && size < RECORD_SIZE; i++) {
        const size_t room = RECORD_SIZE - size;
        const size_t more = iov[i].iov_len < room ? iov[i].iov_len : room;

        memcpy(to + size, iov[i].iov_base, more);
        size += more;
    }
    return size;
}

md_tls_result md_tls_write(md_tls *t, const struct iovec *iov, size_t n,
                           size_t *sent)
{
    char joined[RECORD_SIZE];
    const void *from = iov[0].iov_base;
    size_t size = iov[0].iov_len;
    int rc;

    *sent = 0;
    /* A head and a short body are one record, not two. */
    if (n > 1 && size < RECORD_SIZE) {
        size = join(joined, iov, n);
        from = joined;
    }
    if (t->said_goodbye)
        return MD_TLS_FAILED;
    lib_of(t)->ERR_clear_error();
    rc = lib_of(t)->SSL_write(t->ssl, from,
                              size > INT_MAX ? INT_MAX : (int)size);
    if (rc <= 0)
        return result_of(t, rc);
    *sent = (size_t)rc;
    return MD_TLS_OK;
}

void md_tls_goodbye(md_tls *t)
{
    if (t->said_goodbye)
        return;
    t->said_goodbye = true;
    lib_of(t)->ERR_clear_error();
    (void)lib_of(t)->SSL_shutdown(t->ssl);
}
