/* Certificates and keys, and how TLS is spoken with them. */
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "net/tls_impl.h"

enum {
    FILE_SIZE_MAX = 1 << 20,
    KEY_ROOM = 64 * 1024, /* so that the buffer of a key does not move */
    DATE_SIZE = 32
};

/* Forward secrecy and authenticated encryption; what HTTP/2 allows of TLS 1.2
 * (RFC 9113 9.2.2).  TLS 1.3 has nothing else. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

static const unsigned char SESSION_ID[] = "modeld";

/* As md_fail, with OpenSSL's reason. */
static md_status fail(const md_openssl_lib *lib, md_error *err,
                      const char *option, const char *path,
                      const char *expected)
{
    const unsigned long e = lib->ERR_peek_error();
    const char *why = e ? lib->ERR_reason_error_string(e) : NULL;

    if (e && ERR_GET_REASON(e) == ERR_R_MALLOC_FAILURE)
        return md_fail(err, MD_NOMEM, "%s '%s': out of memory", option, path);
    return md_fail(err, MD_INVALID, "%s '%s': %s, %s expected", option, path,
                   why ? why : "unreadable", expected);
}

/* ---- files ---- */

/* Read `path` into buf, and a BIO over it. */
static md_status open_file(const md_openssl_lib *lib, BIO **bio, md_buf *buf,
                           const char *option, const char *path, md_error *err)
{
    md_status s = md_buf_reserve(buf, KEY_ROOM, err);

    if (s == MD_OK)
        s = md_file_read(buf, path, err);
    if (s != MD_OK)
        return md_wrap(err, s, "%s: ", option);
    lib->ERR_clear_error();
    *bio = lib->BIO_new_mem_buf(buf->data, (int)buf->size);
    return *bio ? MD_OK : md_fail_nomem(err, buf->size);
}

static void close_file(const md_openssl_lib *lib, BIO *bio, md_buf *buf)
{
    lib->BIO_free(bio);
    if (buf->data)
        explicit_bzero(buf->data, buf->cap);
    md_buf_release(buf);
}

/* Is that the end of a file, and no fault? */
static bool is_end(const md_openssl_lib *lib)
{
    const unsigned long e = lib->ERR_peek_error();

    return ERR_GET_LIB(e) == ERR_LIB_PEM &&
           ERR_GET_REASON(e) == PEM_R_NO_START_LINE;
}

/* Call fn with each certificate, number i. */
typedef md_status visit_fn(md_tls_context *x, X509 *cert, size_t i,
                           const char *path, md_error *err);

static md_status each_cert(md_tls_context *x, const char *option,
                           const char *path, visit_fn *fn, md_error *err)
{
    const md_openssl_lib *lib = &x->lib;
    BIO *bio = NULL;
    md_status s;
    md_buf buf;
    size_t n = 0;

    md_buf_init(&buf, x->alloc, FILE_SIZE_MAX);
    s = open_file(lib, &bio, &buf, option, path, err);
    while (s == MD_OK) {
        X509 *cert = lib->PEM_read_bio_X509(bio, NULL, NULL, NULL);

        if (!cert)
            break;
        s = fn(x, cert, n++, path, err);
        lib->X509_free(cert);
    }
    if (s == MD_OK && (n == 0 || !is_end(lib)))
        s = fail(lib, err, option, path, "certificates in PEM");
    close_file(lib, bio, &buf);
    return s;
}

/* ---- the server's certificate ---- */

static md_status fail_time(const md_openssl_lib *lib, md_error *err,
                           const char *path, const char *what,
                           const ASN1_TIME *at)
{
    char date[DATE_SIZE] = "an unknown date";
    struct tm tm;

    if (lib->ASN1_TIME_to_tm(at, &tm) == 1)
        (void)strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S UTC", &tm);
    return md_fail(err, MD_INVALID,
                   "tls_cert '%s': certificate %s %s, a valid one expected",
                   path, what, date);
}

static md_status use_cert(md_tls_context *x, X509 *cert, size_t i,
                          const char *path, md_error *err)
{
    const md_openssl_lib *lib = &x->lib;
    const ASN1_TIME *begin = lib->X509_get0_notBefore(cert);
    const ASN1_TIME *end = lib->X509_get0_notAfter(cert);

    if (lib->X509_cmp_current_time(end) < 0)
        return fail_time(lib, err, path, "expired on", end);
    if (lib->X509_cmp_current_time(begin) > 0)
        return fail_time(lib, err, path, "is not valid before", begin);
    if (i == 0 ? lib->SSL_CTX_use_certificate(x->ssl, cert) != 1
               : lib->SSL_CTX_ctrl(x->ssl, SSL_CTRL_CHAIN_CERT, 1, cert) != 1)
        return fail(lib, err, "tls_cert", path,
                    "a certificate that OpenSSL accepts");
    return MD_OK;
}

/* Asked for when a key is encrypted. */
static int no_passphrase(char *to, int size, int writes, void *asked)
{
    (void)writes;
    if (size > 0)
        to[0] = '\0';
    *(bool *)asked = true;
    return -1;
}

static md_status use_key(md_tls_context *x, const md_tls_files *files,
                         md_error *err)
{
    const md_openssl_lib *lib = &x->lib;
    EVP_PKEY *key = NULL;
    BIO *bio = NULL;
    bool asked = false;
    md_status s;
    md_buf buf;

    md_buf_init(&buf, x->alloc, FILE_SIZE_MAX);
    s = open_file(lib, &bio, &buf, "tls_key", files->key, err);
    if (s == MD_OK) {
        key = lib->PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &asked);
        if (asked)
            s = md_fail(err, MD_INVALID,
                        "tls_key '%s': key is encrypted, one without a "
                        "passphrase expected",
                        files->key);
        else if (!key)
            s = fail(lib, err, "tls_key", files->key, "a private key in PEM");
    }
    /* The certificate is there already.  The first call compares the two, the
     * second sees that a key of another kind has none. */
    if (s == MD_OK && (lib->SSL_CTX_use_PrivateKey(x->ssl, key) != 1 ||
                       lib->SSL_CTX_check_private_key(x->ssl) != 1))
        s = md_fail(err, MD_INVALID,
                    "tls_key '%s': key of another certificate given, that of "
                    "'%s' expected",
                    files->key, files->cert);
    lib->EVP_PKEY_free(key);
    close_file(lib, bio, &buf);
    return s;
}

/* ---- clients ---- */

static md_status use_client_ca(md_tls_context *x, X509 *cert, size_t i,
                               const char *path, md_error *err)
{
    const md_openssl_lib *lib = &x->lib;

    (void)i;
    if (lib->X509_STORE_add_cert(lib->SSL_CTX_get_cert_store(x->ssl), cert) !=
            1 ||
        lib->SSL_CTX_add_client_CA(x->ssl, cert) != 1)
        return fail(lib, err, "tls_client_ca", path,
                    "a certificate that OpenSSL accepts");
    return MD_OK;
}

/* The protocol that is spoken inside: HTTP/2 rather than HTTP/1.1; what a
 * client without this extension speaks is seen by its first bytes. */
static int select_protocol(SSL *ssl, const unsigned char **out,
                           unsigned char *out_size, const unsigned char *in,
                           unsigned in_size, void *ctx)
{
    static const unsigned char ours[] = "\x02h2\x08http/1.1";
    const md_tls_context *x = ctx;
    unsigned char *chosen = NULL;

    (void)ssl;
    if (x->lib.SSL_select_next_proto(&chosen, out_size, ours, sizeof(ours) - 1,
                                     in, in_size) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301 3.2 */
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* ---- life ---- */

static bool configure(md_tls_context *x)
{
    const md_openssl_lib *lib = &x->lib;

    /* A piece that does not fit is sent in part and again from where it then
     * lies; buffers are kept while something is in them only. */
    lib->SSL_CTX_ctrl(x->ssl, SSL_CTRL_MODE,
                      SSL_MODE_ENABLE_PARTIAL_WRITE |
                          SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                          SSL_MODE_RELEASE_BUFFERS,
                      NULL);
    /* Tickets are all that is remembered of a session, and that by the client:
     * a cache would be memory that clients fill. */
    lib->SSL_CTX_ctrl(x->ssl, SSL_CTRL_SET_SESS_CACHE_MODE, SSL_SESS_CACHE_OFF,
                      NULL);
    lib->SSL_CTX_set_options(
        x->ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                    SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                    SSL_OP_IGNORE_UNEXPECTED_EOF);
    lib->SSL_CTX_set_alpn_select_cb(x->ssl, select_protocol, x);
    return lib->SSL_CTX_ctrl(x->ssl, SSL_CTRL_SET_MIN_PROTO_VERSION,
                             TLS1_2_VERSION, NULL) == 1 &&
           lib->SSL_CTX_set_cipher_list(x->ssl, CIPHERS) == 1 &&
           lib->SSL_CTX_set_session_id_context(x->ssl, SESSION_ID,
                                               sizeof(SESSION_ID) - 1) == 1;
}

md_status md_tls_context_new(md_tls_context **out, const md_tls_files *files,
                             const md_alloc *alloc, md_error *err)
{
    md_tls_context *x = md_calloc(alloc, 1, sizeof(*x));
    md_status s;

    if (!x)
        return md_fail_nomem(err, sizeof(*x));
    x->alloc = alloc;
    x->n_refs = 1;
    MD_GOTO(md_openssl_lib_load(&x->lib, MD_OPENSSL_SONAME, err));
    x->lib.ERR_clear_error();
    x->ssl = x->lib.SSL_CTX_new(x->lib.TLS_server_method());
    if (!x->ssl || !configure(x)) {
        s = md_fail(err, MD_UNAVAILABLE, "tls: OpenSSL cannot be set up");
        goto out;
    }
    MD_GOTO(each_cert(x, "tls_cert", files->cert, use_cert, err));
    MD_GOTO(use_key(x, files, err));
    if (files->client_ca) {
        MD_GOTO(each_cert(x, "tls_client_ca", files->client_ca, use_client_ca,
                          err));
        x->lib.SSL_CTX_set_verify(
            x->ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    *out = x;
out:
    if (s != MD_OK)
        md_tls_context_unref(x);
    return s;
}

void md_tls_context_unref(md_tls_context *x)
{
    if (!x || --x->n_refs > 0)
        return;
    if (x->ssl)
        x->lib.SSL_CTX_free(x->ssl);
    md_free(x->alloc, x);
}
