#include "support/test.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/openssl_lib.h"
#include "net/tls.h"
#include "support/fail_alloc.h"
#include "support/temp.h"

enum {
    BIG_SIZE = 1 << 20,
    PATH_SIZE = MD_TEMP_SIZE * 2,
    TURNS_MAX = 1000000 /* of a handshake or transfer that would not end */
};

/* A key and a certificate for it, from `from` to `to` seconds from now. */
static void write_pair(const md_temp *t, const char *cert, const char *key,
                       long from, long to)
{
    char path[PATH_SIZE];
    EVP_PKEY *pair = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_NAME *name = X509_get_subject_name(x);
    FILE *f;

    assert_non_null(pair);
    X509_set_version(x, 2);
    X509_gmtime_adj(X509_getm_notBefore(x), from);
    X509_gmtime_adj(X509_getm_notAfter(x), to);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(x, name);
    X509_set_pubkey(x, pair);
    assert_true(X509_sign(x, pair, EVP_sha256()) > 0);
    f = fopen(md_temp_path(path, t, cert), "w");
    assert_int_equal(PEM_write_X509(f, x), 1);
    fclose(f);
    f = fopen(md_temp_path(path, t, key), "w");
    assert_int_equal(PEM_write_PrivateKey(f, pair, NULL, NULL, 0, NULL, NULL),
                     1);
    fclose(f);
    X509_free(x);
    EVP_PKEY_free(pair);
}

/* ---- files ---- */

static md_status load(md_tls_context **x, const md_temp *t, const char *cert,
                      const char *key, const char *ca, const md_alloc *alloc,
                      md_error *err)
{
    char paths[3][PATH_SIZE];
    const md_tls_files files = { md_temp_path(paths[0], t, cert),
                                 md_temp_path(paths[1], t, key),
                                 ca ? md_temp_path(paths[2], t, ca) : NULL };

    return md_tls_context_new(x, &files, alloc, err);
}

static void test_tls__wrong_files_are_refused(void **state)
{
    static const struct {
        const char *cert, *key, *ca;
        md_status want;
        const char *text;
    } cases[] = {
        { "none", "a.key", NULL, MD_NOT_FOUND, "tls_cert: cannot open" },
        { "a.pem", "none", NULL, MD_NOT_FOUND, "tls_key: cannot open" },
        { "a.pem", "a.key", "none", MD_NOT_FOUND, "tls_client_ca: cannot" },
        { "empty", "a.key", NULL, MD_INVALID, "certificates in PEM expected" },
        { "text", "a.key", NULL, MD_INVALID, "no start line" },
        { "cut", "a.key", NULL, MD_INVALID, "tls_cert" },
        { "tail", "a.key", NULL, MD_INVALID, "tls_cert" },
        { "a.pem", "empty", NULL, MD_INVALID, "a private key in PEM expected" },
        { "a.pem", "a.pem", NULL, MD_INVALID, "a private key in PEM expected" },
        { "a.pem", "b.key", NULL, MD_INVALID, "key of another certificate" },
        { "a.pem", "a.key", "text", MD_INVALID, "tls_client_ca" },
        { "old.pem", "old.key", NULL, MD_INVALID, "certificate expired on " },
        { "new.pem", "new.key", NULL, MD_INVALID, "is not valid before " },
        { "large", "a.key", NULL, MD_TOO_LARGE, "tls_cert" },
    };
    static char large[2 << 20];
    char pem[4096];
    char path[PATH_SIZE];
    md_temp t;
    size_t n;
    FILE *f;

    (void)state;
    md_temp_make(&t);
    write_pair(&t, "a.pem", "a.key", -60, 3600);
    write_pair(&t, "b.pem", "b.key", -60, 3600);
    write_pair(&t, "old.pem", "old.key", -3600, -60);
    write_pair(&t, "new.pem", "new.key", 3600, 7200);
    f = fopen(md_temp_path(path, &t, "a.pem"), "r");
    n = fread(pem, 1, sizeof(pem), f);
    fclose(f);
    md_temp_write(&t, "empty", "", 0);
    md_temp_write(&t, "text", "hello\n", 6);
    md_temp_write(&t, "cut", pem, n / 2);
    memcpy(pem + n, "-----BEGIN CERTIFICATE-----\nMA==\n", 33);
    md_temp_write(&t, "tail", pem, n + 33);
    memset(large, 'a', sizeof(large));
    md_temp_write(&t, "large", large, sizeof(large));
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        md_tls_context *x = NULL;

        assert_md_fails(load(&x, &t, cases[i].cert, cases[i].key, cases[i].ca,
                             md_alloc_default(), &err),
                        cases[i].want, &err, cases[i].text);
        assert_null(x);
    }
    md_temp_remove(&t);
}

static void test_tls__out_of_memory(void **state)
{
    md_tls_context *x = NULL;
    fail_alloc f;
    md_temp t;
    int n = 0;

    (void)state;
    md_temp_make(&t);
    write_pair(&t, "a.pem", "a.key", -60, 3600);
    fail_alloc_init(&f);
    for (; !x; n++) {
        md_error err = MD_ERROR_INIT;
        md_status s;

        fail_alloc_arm(&f, n);
        s = load(&x, &t, "a.pem", "a.key", "a.pem", &f.alloc, &err);
        if (fail_alloc_disarm(&f))
            assert_int_equal(s, MD_NOMEM);
        else
            assert_md_ok(s, &err);
    }
    assert_true(n > 3);
    md_tls_context_unref(x);
    assert_int_equal(f.n_live, 0);
    md_temp_remove(&t);
}

static void test_tls__a_missing_library_is_named(void **state)
{
    md_openssl_lib lib;
    md_error err = MD_ERROR_INIT;

    (void)state;
    assert_md_fails(md_openssl_lib_load(&lib, "libssl_none.so.3", &err),
                    MD_UNAVAILABLE, &err, "libssl_none.so.3: cannot open");
    assert_md_fails(md_openssl_lib_load(&lib, "libc.so.6", &err),
                    MD_UNAVAILABLE, &err, "apt-get install libssl3");
}

/* ---- connections ---- */

typedef struct fixture {
    md_temp temp;
    md_tls_context *context;
    md_tls *tls;
    int fds[2]; /* the server's, which does not block, and the client's */
    SSL_CTX *client_context;
    SSL *client;
    pthread_t thread;
    char *sent; /* BIG_SIZE; by the client, and back to it */
    char *back;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    md_error err = MD_ERROR_INIT;

    signal(SIGPIPE, SIG_IGN);
    md_temp_make(&f->temp);
    write_pair(&f->temp, "a.pem", "a.key", -60, 3600);
    assert_md_ok(load(&f->context, &f->temp, "a.pem", "a.key", NULL,
                      md_alloc_default(), &err),
                 &err);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, f->fds), 0);
    f->tls = md_tls_new(f->context, f->fds[0]);
    assert_non_null(f->tls);
    f->sent = malloc(BIG_SIZE);
    f->back = malloc(BIG_SIZE);
    for (size_t i = 0; i < BIG_SIZE; i++)
        f->sent[i] = (char)(i * 2654435761u >> 24);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    md_tls_free(f->tls);
    md_tls_context_unref(f->context);
    SSL_free(f->client);
    SSL_CTX_free(f->client_context);
    close(f->fds[0]);
    if (f->fds[1] >= 0)
        close(f->fds[1]);
    md_temp_remove(&f->temp);
    free(f->sent);
    free(f->back);
    free(f);
    return 0;
}

static void make_nonblocking(int fd)
{
    const int size = 4096;

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)),
                     0);
    assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
}

/* The client, blocking, on a thread: sends all, reads it back. */
static void *run_client(void *arg)
{
    fixture *f = arg;
    size_t n = 0;

    if (SSL_connect(f->client) != 1 ||
        SSL_write(f->client, f->sent, BIG_SIZE) != BIG_SIZE)
        return NULL;
    while (n < BIG_SIZE) {
        int rc = SSL_read(f->client, f->back + n, (int)(BIG_SIZE - n));

        if (rc <= 0)
            return NULL;
        n += (size_t)rc;
    }
    /* Then the end must come, as one. */
    if (SSL_read(f->client, f->back, 1) > 0 ||
        SSL_get_error(f->client, 0) != SSL_ERROR_ZERO_RETURN)
        return NULL;
    return f;
}

static void start_client(fixture *f)
{
    f->client_context = SSL_CTX_new(TLS_client_method());
    f->client = SSL_new(f->client_context);
    SSL_set_fd(f->client, f->fds[1]);
    make_nonblocking(f->fds[0]);
    assert_int_equal(pthread_create(&f->thread, NULL, run_client, f), 0);
}

static void shake(md_tls *t)
{
    md_tls_result r = MD_TLS_WANTS_READ;

    for (int i = 0; i < TURNS_MAX && r != MD_TLS_OK; i++) {
        r = md_tls_handshake(t);
        assert_true(r == MD_TLS_OK || r == MD_TLS_WANTS_READ ||
                    r == MD_TLS_WANTS_WRITE);
        if (r != MD_TLS_OK)
            usleep(10);
    }
    assert_int_equal(r, MD_TLS_OK);
}

/* Everything in odd pieces, both ways, through small socket buffers; heads and
 * bodies as one write. */
static void test_tls__reads_and_writes_in_pieces(void **state)
{
    fixture *f = *state;
    char *got = malloc(BIG_SIZE);
    size_t n = 0;
    void *ok = NULL;

    start_client(f);
    shake(f->tls);
    for (int i = 0; i < TURNS_MAX && n < BIG_SIZE; i++) {
        const size_t room = 1 + (size_t)(i * 977) % 40000;
        size_t more;
        const md_tls_result r = md_tls_read(
            f->tls, got + n, room < BIG_SIZE - n ? room : BIG_SIZE - n, &more);

        assert_true(r == MD_TLS_OK || r == MD_TLS_WANTS_READ);
        assert_true(r == MD_TLS_OK || !md_tls_has_more(f->tls));
        n += more;
        if (more == 0)
            usleep(10);
    }
    assert_int_equal(n, BIG_SIZE);
    assert_memory_equal(got, f->sent, BIG_SIZE);
    n = 0;
    for (int i = 0; i < TURNS_MAX && n < BIG_SIZE; i++) {
        const size_t left = BIG_SIZE - n;
        const size_t head = left < 100 ? left : 100;
        const struct iovec iov[] = { { got + n, head },
                                     { got + n + head, left - head } };
        size_t more;
        const md_tls_result r = md_tls_write(f->tls, iov, 2, &more);

        assert_true(r == MD_TLS_OK || r == MD_TLS_WANTS_WRITE);
        n += more;
        if (more == 0)
            usleep(10);
    }
    assert_int_equal(n, BIG_SIZE);
    md_tls_goodbye(f->tls);
    pthread_join(f->thread, &ok);
    assert_non_null(ok);
    assert_memory_equal(f->back + 1, f->sent + 1, BIG_SIZE - 1);
    free(got);
}

static void test_tls__a_context_lives_as_long_as_its_connections(void **state)
{
    fixture *f = *state;

    md_tls_context_unref(f->context);
    f->context = NULL;
    start_client(f);
    shake(f->tls);
    pthread_cancel(f->thread);
    pthread_join(f->thread, NULL);
}

static md_tls_result shake_with(fixture *f, const char *bytes, size_t size)
{
    md_tls_result r;

    make_nonblocking(f->fds[0]);
    assert_int_equal(md_tls_handshake(f->tls), MD_TLS_WANTS_READ);
    assert_int_equal(write(f->fds[1], bytes, size), size);
    r = md_tls_handshake(f->tls);
    return r;
}

static void test_tls__garbage_fails(void **state)
{
    fixture *f = *state;
    static const char junk[] = "\x16\x03\x01\x00\x05\x01\xff\xff\xff\x03";

    assert_int_equal(shake_with(f, junk, sizeof(junk) - 1), MD_TLS_FAILED);
    assert_false(md_tls_is_plain_http(f->tls));
    assert_true(strlen(md_tls_why(f->tls)) > 5);
    assert_true(md_tls_has_more(f->tls));
}

static void test_tls__plain_http_is_seen(void **state)
{
    fixture *f = *state;

    assert_int_equal(shake_with(f, "PRI *", 5), MD_TLS_FAILED);
    assert_true(md_tls_is_plain_http(f->tls));
    assert_string_equal(md_tls_why(f->tls), "HTTP without TLS");
}

static void test_tls__a_peer_that_goes_is_seen(void **state)
{
    fixture *f = *state;

    make_nonblocking(f->fds[0]);
    close(f->fds[1]);
    f->fds[1] = -1;
    assert_int_equal(md_tls_handshake(f->tls), MD_TLS_CLOSED);
    md_tls_goodbye(f->tls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tls__wrong_files_are_refused),
        cmocka_unit_test(test_tls__out_of_memory),
        cmocka_unit_test(test_tls__a_missing_library_is_named),
        cmocka_unit_test_setup_teardown(test_tls__reads_and_writes_in_pieces,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_tls__a_context_lives_as_long_as_its_connections, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(test_tls__garbage_fails, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_tls__plain_http_is_seen, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_tls__a_peer_that_goes_is_seen,
                                        set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
