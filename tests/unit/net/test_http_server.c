#include "support/test.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "net/http_server.h"
#include "support/http_client.h"

#define HOST "Host: test\r\n"

enum {
    BIG_SIZE = 8 << 20 /* more than socket buffers take */
};

/* A server on its own thread.  Requests for /hold wait in `held` until the
 * test takes them; one for /stop keeps the loop itself until `stopped` is
 * false; all others are answered by the loop's thread. */
typedef struct fixture {
    md_http_server *srv;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    md_http_request *held;
    bool stopped;
} fixture;

static char big[BIG_SIZE];

static void answer(md_http_request *req)
{
    md_slice path = md_http_request_path(req);
    md_slice body = md_http_request_body(req);

    if (md_slice_eq(path, "/big")) {
        md_http_reply_static(req, (md_slice){ big, sizeof(big) });
    } else if (md_slice_eq(path, "/missing")) {
        md_http_reply_status(req, 404);
    } else {
        md_http_reply_field(req, "Content-Type", "text/plain", NULL);
        md_buf_append(md_http_reply_body(req), body.data, body.size, NULL);
        assert_non_null(md_arena_alloc(md_http_request_arena(req), 100000));
    }
    md_http_request_finish(req);
}

/* Let the loop wait (true), or go on. */
static void set_stopped(fixture *f, bool stopped)
{
    pthread_mutex_lock(&f->lock);
    f->stopped = stopped;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

static void await_stopped(fixture *f, bool want)
{
    pthread_mutex_lock(&f->lock);
    while (f->stopped != want)
        pthread_cond_wait(&f->changed, &f->lock);
    pthread_mutex_unlock(&f->lock);
}

static void handle(void *ctx, md_http_request *req)
{
    fixture *f = ctx;

    if (md_slice_eq(md_http_request_path(req), "/stop")) {
        set_stopped(f, true);
        await_stopped(f, false);
    }
    if (!md_slice_eq(md_http_request_path(req), "/hold")) {
        answer(req);
        return;
    }
    pthread_mutex_lock(&f->lock);
    assert_null(f->held);
    f->held = req;
    pthread_cond_signal(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

/* The held request; now it is the caller's. */
static md_http_request *take_held(fixture *f)
{
    md_http_request *req;

    pthread_mutex_lock(&f->lock);
    while (!f->held)
        pthread_cond_wait(&f->changed, &f->lock);
    req = f->held;
    f->held = NULL;
    pthread_mutex_unlock(&f->lock);
    return req;
}

static void *run(void *arg)
{
    fixture *f = arg;
    md_error err = MD_ERROR_INIT;

    return md_http_server_run(f->srv, &err) == MD_OK ? f : NULL;
}

static md_http_server_opts default_opts(void)
{
    md_http_server_opts o = MD_HTTP_SERVER_OPTS_INIT;

    o.listen = "127.0.0.1:0";
    return o;
}

static void start(fixture *f, md_http_server_opts opts)
{
    md_error err = MD_ERROR_INIT;

    memset(f, 0, sizeof(*f));
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->changed, NULL);
    opts.handle = handle;
    opts.ctx = f;
    assert_md_ok(md_http_server_new(&f->srv, &opts, md_alloc_default(), &err),
                 &err);
    assert_int_equal(pthread_create(&f->thread, NULL, run, f), 0);
}

static void join(fixture *f)
{
    void *ok = NULL;

    pthread_join(f->thread, &ok);
    assert_non_null(ok);
    md_http_server_free(f->srv);
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->lock);
}

static void stop(fixture *f)
{
    md_http_server_drain(f->srv);
    join(f);
}

static uint64_t stat_of(const _Atomic uint64_t *counter)
{
    return atomic_load(counter);
}

/* Wait for another thread to bring a counter to `want`. */
static void await_stat(const _Atomic uint64_t *counter, uint64_t want)
{
    for (int i = 0; i < 10000 && stat_of(counter) != want; i++)
        usleep(1000);
    assert_int_equal(stat_of(counter), want);
}

static void expect_body(http_client *c, int status, const char *body)
{
    http_reply r;

    http_receive(c, &r, false);
    assert_int_equal(r.status, status);
    assert_string_equal(r.body, body);
    http_reply_release(&r);
}

static void await_close(http_client *c)
{
    assert_true(http_is_closed(c));
    http_close(c);
}

/* ---- exchanges ---- */

static void test_http_server__keeps_alive(void **state)
{
    fixture f;
    http_client c;
    const md_http_stats *stats;

    (void)state;
    start(&f, default_opts());
    stats = md_http_server_stats(f.srv);
    http_connect(&c, md_http_server_address(f.srv));
    for (int i = 0; i < 3; i++) {
        http_send_text(&c, "POST /a HTTP/1.1\r\n" HOST
                           "Content-Length: 5\r\n\r\nhello");
        expect_body(&c, 200, "hello");
    }
    http_send_text(&c, "GET /missing HTTP/1.1\r\n" HOST
                       "Connection: close\r\n\r\n");
    expect_body(&c, 404, "");
    await_close(&c);
    assert_int_equal(stat_of(&stats->requests), 4);
    assert_int_equal(stat_of(&stats->accepted), 1);
    await_stat(&stats->n_open, 0);
    assert_true(stat_of(&stats->received_bytes) > 150);
    assert_true(stat_of(&stats->sent_bytes) > 150);
    stop(&f);
}

static void test_http_server__head_and_fields(void **state)
{
    fixture f;
    http_reply r;

    (void)state;
    start(&f, default_opts());
    http_exchange(md_http_server_address(f.srv),
                  "HEAD /big HTTP/1.1\r\n" HOST "\r\n", &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(http_field(&r, "content-length"), "8388608");
    assert_non_null(http_field(&r, "date"));
    http_reply_release(&r);
    http_exchange(md_http_server_address(f.srv), "GET / HTTP/1.0\r\n\r\n", &r);
    assert_string_equal(http_field(&r, "connection"), "close");
    assert_string_equal(http_field(&r, "content-type"), "text/plain");
    http_reply_release(&r);
    stop(&f);
}

static void test_http_server__pipelining(void **state)
{
    fixture f;
    http_client c;

    (void)state;
    start(&f, default_opts());
    http_connect(&c, md_http_server_address(f.srv));
    http_send_text(
        &c, "POST /1 HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\na"
            "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nb"
            "POST /3 HTTP/1.1\r\n" HOST
            "Transfer-Encoding: chunked\r\n\r\n1\r\nc\r\n0\r\n\r\nGET /");
    expect_body(&c, 200, "a");
    {
        md_http_request *req = take_held(&f);

        /* the third one must not have been started */
        assert_int_equal(stat_of(&md_http_server_stats(f.srv)->requests), 2);
        answer(req);
    }
    expect_body(&c, 200, "b");
    expect_body(&c, 200, "c");
    http_send_text(&c, "4 HTTP/1.1\r\n" HOST "\r\n");
    expect_body(&c, 200, "");
    http_close(&c);
    stop(&f);
}

/* Bytes that come while a request is held stay in the kernel until it is
 * answered, and then are read. */
static void test_http_server__second_request_while_busy(void **state)
{
    fixture f;
    http_client c;

    (void)state;
    start(&f, default_opts());
    http_connect(&c, md_http_server_address(f.srv));
    http_send_text(&c, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    {
        md_http_request *req = take_held(&f);

        http_send_text(&c, "POST /2 HTTP/1.1\r\n" HOST
                           "Content-Length: 2\r\n\r\nhi");
        usleep(20000);
        answer(req);
    }
    expect_body(&c, 200, "");
    expect_body(&c, 200, "hi");
    http_close(&c);
    stop(&f);
}

static void test_http_server__continue(void **state)
{
    fixture f;
    http_client c;
    http_reply r;

    (void)state;
    start(&f, default_opts());
    http_connect(&c, md_http_server_address(f.srv));
    http_send_text(&c, "POST / HTTP/1.1\r\n" HOST
                       "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    http_receive(&c, &r, true);
    assert_int_equal(r.status, 100);
    http_reply_release(&r);
    http_send_text(&c, "hi");
    expect_body(&c, 200, "hi");
    /* the body is there already: no 100 */
    http_send_text(&c, "POST / HTTP/1.1\r\n" HOST
                       "Content-Length: 2\r\nExpect: 100-continue\r\n\r\nho");
    expect_body(&c, 200, "ho");
    /* too large: the final answer in place of 100 */
    http_send_text(&c, "POST / HTTP/1.1\r\n" HOST "Content-Length: 9999999999"
                       "\r\nExpect: 100-continue\r\n\r\n");
    http_receive(&c, &r, false);
    assert_int_equal(r.status, 413);
    http_reply_release(&r);
    await_close(&c);
    stop(&f);
}

static void test_http_server__refuses_and_closes(void **state)
{
    fixture f;
    http_client c;

    (void)state;
    start(&f, default_opts());
    http_connect(&c, md_http_server_address(f.srv));
    http_send_text(&c, "GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n");
    expect_body(&c, 400, "{\"error\":\"host is missing\"}");
    await_close(&c);
    assert_int_equal(stat_of(&md_http_server_stats(f.srv)->rejected), 1);
    assert_int_equal(stat_of(&md_http_server_stats(f.srv)->requests), 0);
    stop(&f);
}

/* The client still sends when the server has refused: the answer must get
 * through all the same. */
static void test_http_server__refusal_survives_unread_bytes(void **state)
{
    static char junk[256 * 1024];
    fixture f;
    http_client c;
    http_reply r;

    (void)state;
    start(&f, default_opts());
    http_connect(&c, md_http_server_address(f.srv));
    http_send_text(&c, "POST / HTTP/1.1\r\n" HOST
                       "Content-Length: 9999999999\r\n\r\n");
    http_send(&c, junk, sizeof(junk));
    http_receive(&c, &r, false);
    assert_int_equal(r.status, 413);
    http_reply_release(&r);
    http_close(&c);
    stop(&f);
}

/* A client that sends its whole body before it looks for an answer, as
 * Python's http.client does, is told what is wrong with it. */
static void test_http_server__refusal_of_a_large_body(void **state)
{
    md_http_server_opts o = default_opts();
    fixture f;
    http_client c;

    (void)state;
    o.limits.body_size_max = 1000;
    start(&f, o);
    http_connect(&c, md_http_server_address(f.srv));
    http_send_text(&c, "POST / HTTP/1.1\r\n" HOST
                       "Content-Length: 67108864\r\n\r\n");
    for (int i = 0; i < (64 << 20) / BIG_SIZE; i++)
        http_send(&c, big, BIG_SIZE);
    expect_body(&c, 413,
                "{\"error\":\"body is larger than the limit of 1000 bytes\"}");
    await_close(&c);
    stop(&f);
}

static void test_http_server__large_bodies(void **state)
{
    fixture f;
    http_client c;
    http_reply r;
    char *data = test_malloc(1000000);

    (void)state;
    for (int i = 0; i < 1000000; i++)
        data[i] = (char)('a' + i % 23);
    start(&f, default_opts());
    http_call(md_http_server_address(f.srv), "POST", "/", "text/plain", data,
              1000000, &r);
    assert_int_equal(r.body_size, 1000000);
    assert_memory_equal(r.body, data, 1000000);
    http_reply_release(&r);
    /* a reply that the socket takes piece by piece */
    http_connect(&c, md_http_server_address(f.srv));
    http_send_text(&c, "GET /big HTTP/1.1\r\n" HOST "\r\n");
    usleep(20000);
    for (size_t got = 0; got < BIG_SIZE;) {
        ssize_t n = recv(c.fd, data, 1000000, 0);

        assert_true(n > 0);
        got += (size_t)n;
    }
    http_close(&c);
    test_free(data);
    stop(&f);
}

static void test_http_server__accessors(void **state)
{
    fixture f;
    http_client c;
    md_http_request *req;

    (void)state;
    start(&f, default_opts());
    http_connect(&c, md_http_server_address(f.srv));
    http_send_text(&c, "PUT /hold?a=b HTTP/1.1\r\n" HOST
                       "X-A: y\r\nContent-Length: 1\r\n\r\nz");
    req = take_held(&f);
    assert_true(md_slice_eq(md_http_request_method(req), "PUT"));
    assert_true(md_slice_eq(md_http_request_query(req), "a=b"));
    assert_true(md_slice_eq(md_http_request_field(req, "x-a"), "y"));
    assert_null(md_http_request_field(req, "x-b").data);
    assert_true(md_slice_eq(md_http_request_body(req), "z"));
    assert_int_equal(strncmp(md_http_request_peer(req), "127.0.0.1:", 10), 0);
    assert_int_equal(md_http_reply_status_get(req), 200);
    md_http_reply_status(req, 503);
    assert_int_equal(md_http_reply_status_get(req), 503);
    assert_int_equal(md_http_reply_field(req, "X", "a\r\nb", NULL), MD_INVALID);
    md_buf_puts(md_http_reply_body(req), "gone", NULL);
    md_http_reply_reset(req);
    md_http_request_finish(req);
    expect_body(&c, 503, "");
    http_close(&c);
    stop(&f);
}

/* ---- clients that go away, or never come to the point ---- */

static void test_http_server__client_gone_before_the_answer(void **state)
{
    const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
    fixture f;
    http_client c;
    md_http_request *req;
    http_reply r;

    (void)state;
    start(&f, default_opts());
    http_connect(&c, md_http_server_address(f.srv));
    http_send_text(&c, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    req = take_held(&f);
    assert_false(md_http_request_is_gone(req));
    setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    http_close(&c);
    await_stat(&md_http_server_stats(f.srv)->abandoned, 1);
    assert_true(md_http_request_is_gone(req));
    assert_true(md_slice_eq(md_http_request_path(req), "/hold"));
    answer(req); /* dropped; the server goes on */
    http_exchange(md_http_server_address(f.srv),
                  "GET / HTTP/1.1\r\n" HOST "\r\n", &r);
    assert_int_equal(r.status, 200);
    http_reply_release(&r);
    stop(&f);
}

/* Who shuts down only the sending side still gets the answer. */
static void test_http_server__half_closed_client(void **state)
{
    fixture f;
    http_client c;

    (void)state;
    start(&f, default_opts());
    http_connect(&c, md_http_server_address(f.srv));
    http_send_text(&c, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    shutdown(c.fd, SHUT_WR);
    {
        md_http_request *req = take_held(&f);

        usleep(10000);
        answer(req);
    }
    expect_body(&c, 200, "");
    await_close(&c);
    stop(&f);
}

static void test_http_server__slow_clients(void **state)
{
    static const struct {
        const char *text;
        int status; /* 0: closed without a word */
    } cases[] = {
        { "", 0 },
        { "GE", 408 },
        { "GET / HTTP/1.1\r\nHost:", 408 },
        { "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhel", 408 },
        { "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1",
          408 },
    };
    md_http_server_opts o = default_opts();
    fixture f;

    (void)state;
    o.head_timeout_ms = 40;
    o.body_timeout_ms = 40;
    start(&f, o);
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        http_client c;
        http_reply r;

        http_connect(&c, md_http_server_address(f.srv));
        http_send_text(&c, cases[i].text);
        if (cases[i].status) {
            http_receive(&c, &r, false);
            assert_int_equal(r.status, cases[i].status);
            assert_string_equal(http_field(&r, "connection"), "close");
            http_reply_release(&r);
        }
        await_close(&c);
    }
    assert_int_equal(stat_of(&md_http_server_stats(f.srv)->timeouts),
                     MD_COUNT(cases));
    stop(&f);
}

/* A byte now and then does not push the deadline of the head away. */
static void test_http_server__dripping_client(void **state)
{
    md_http_server_opts o = default_opts();
    fixture f;
    http_client c;
    http_reply r;

    (void)state;
    o.head_timeout_ms = 60;
    start(&f, o);
    http_connect(&c, md_http_server_address(f.srv));
    for (int i = 0; i < 200; i++) {
        if (send(c.fd, "G", 1, MSG_NOSIGNAL | MSG_DONTWAIT) != 1 ||
            stat_of(&md_http_server_stats(f.srv)->timeouts))
            break;
        usleep(5000);
    }
    await_stat(&md_http_server_stats(f.srv)->timeouts, 1);
    http_receive(&c, &r, false);
    assert_int_equal(r.status, 408);
    http_reply_release(&r);
    http_close(&c);
    stop(&f);
}

static void test_http_server__client_that_does_not_read(void **state)
{
    md_http_server_opts o = default_opts();
    fixture f;
    http_client c;

    (void)state;
    o.write_timeout_ms = 40;
    start(&f, o);
    http_connect(&c, md_http_server_address(f.srv));
    http_send_text(&c, "GET /big HTTP/1.1\r\n" HOST "\r\n");
    await_stat(&md_http_server_stats(f.srv)->timeouts, 1);
    await_stat(&md_http_server_stats(f.srv)->n_open, 0);
    http_close(&c);
    stop(&f);
}

static void test_http_server__idle_connections_close(void **state)
{
    md_http_server_opts o = default_opts();
    fixture f;
    http_client c;

    (void)state;
    o.idle_timeout_ms = 30;
    start(&f, o);
    http_connect(&c, md_http_server_address(f.srv));
    http_send_text(&c, "GET / HTTP/1.1\r\n" HOST "\r\n");
    expect_body(&c, 200, "");
    await_close(&c);
    assert_int_equal(stat_of(&md_http_server_stats(f.srv)->timeouts), 0);
    stop(&f);
}

/* ---- limits of connections ---- */

static void test_http_server__idle_ones_make_room(void **state)
{
    md_http_server_opts o = default_opts();
    fixture f;
    http_client c[3];

    (void)state;
    o.n_conns_max = 2;
    start(&f, o);
    for (int i = 0; i < 3; i++) {
        http_connect(&c[i], md_http_server_address(f.srv));
        http_send_text(&c[i], "GET / HTTP/1.1\r\n" HOST "\r\n");
        expect_body(&c[i], 200, "");
    }
    await_close(&c[0]); /* idle for longest */
    assert_int_equal(stat_of(&md_http_server_stats(f.srv)->evicted), 1);
    http_send_text(&c[1], "GET / HTTP/1.1\r\n" HOST "\r\n");
    expect_body(&c[1], 200, "");
    http_close(&c[1]);
    http_close(&c[2]);
    stop(&f);
}

static void get(http_client *c, const char *path, int status)
{
    char text[64];

    (void)snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\n" HOST "\r\n", path);
    http_send_text(c, text);
    expect_body(c, status, "");
}

/* Who has asked again, but was not heard yet, is not idle. */
static void test_http_server__idle_ones_are_asked_before(void **state)
{
    md_http_server_opts o = default_opts();
    const md_http_stats *stats;
    fixture f;
    http_client oldest;
    http_client older;
    http_client stopper;
    http_client late;

    (void)state;
    o.n_conns_max = 3;
    start(&f, o);
    stats = md_http_server_stats(f.srv);
    http_connect(&oldest, md_http_server_address(f.srv));
    get(&oldest, "/missing", 404);
    http_connect(&older, md_http_server_address(f.srv));
    get(&older, "/missing", 404);
    http_connect(&stopper, md_http_server_address(f.srv));
    http_send_text(&stopper, "GET /stop HTTP/1.1\r\n" HOST "\r\n");
    await_stopped(&f, true);
    /* both at once for the loop, the new one first */
    http_connect(&late, md_http_server_address(f.srv));
    http_send_text(&oldest, "GET / HTTP/1.1\r\n" HOST "\r\n");
    set_stopped(&f, false);
    expect_body(&oldest, 200, "");
    await_close(&older);
    get(&late, "/missing", 404);
    expect_body(&stopper, 200, "");
    assert_int_equal(stat_of(&stats->evicted), 1);
    http_close(&oldest);
    http_close(&stopper);
    http_close(&late);
    stop(&f);
}

static void test_http_server__waits_when_all_are_busy(void **state)
{
    md_http_server_opts o = default_opts();
    fixture f;
    http_client held;
    http_client next;
    md_http_request *req;

    (void)state;
    o.n_conns_max = 1;
    start(&f, o);
    http_connect(&held, md_http_server_address(f.srv));
    http_send_text(&held, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    req = take_held(&f);
    http_connect(&next, md_http_server_address(f.srv));
    http_send_text(&next, "GET / HTTP/1.1\r\n" HOST "\r\n");
    usleep(20000);
    assert_int_equal(stat_of(&md_http_server_stats(f.srv)->accepted), 1);
    answer(req);
    expect_body(&held, 200, "");
    await_close(&held); /* idle now, so it makes room */
    expect_body(&next, 200, "");
    http_close(&next);
    stop(&f);
}

static void test_http_server__out_of_descriptors(void **state)
{
    struct rlimit saved;
    struct rlimit low;
    fixture f;
    http_client c;
    int used;

    (void)state;
    start(&f, default_opts());
    http_connect(&c, md_http_server_address(f.srv));
    getrlimit(RLIMIT_NOFILE, &saved);
    low = saved;
    used = dup(c.fd); /* the next free number; the server needs it */
    close(used);
    await_stat(&md_http_server_stats(f.srv)->accepted, 1);
    {
        http_client second;

        used = socket(AF_INET, SOCK_STREAM, 0);
        close(used);
        http_connect(&second, md_http_server_address(f.srv));
        await_stat(&md_http_server_stats(f.srv)->accepted, 2);
        http_close(&second);
        await_stat(&md_http_server_stats(f.srv)->n_open, 1);
        low.rlim_cur = (rlim_t)used + 1;
        setrlimit(RLIMIT_NOFILE, &low);
        http_connect(&second, md_http_server_address(f.srv));
        http_send_text(&second, "GET / HTTP/1.1\r\n" HOST "\r\n");
        while (stat_of(&md_http_server_stats(f.srv)->accept_failures) == 0)
            usleep(1000);
        setrlimit(RLIMIT_NOFILE, &saved);
        expect_body(&second, 200, ""); /* accepted at the next try */
        http_close(&second);
    }
    http_close(&c);
    stop(&f);
}

/* ---- draining ---- */

/* ---- the log ---- */

static char lines[4096];

static void keep_line(void *ctx, const char *line, size_t n)
{
    (void)ctx;
    if (strlen(lines) + n < sizeof(lines))
        strncat(lines, line, n);
}

/* Who is refused before there is a request leaves a line as well. */
static void test_http_server__logs_what_it_refuses(void **state)
{
    static const struct {
        const char *text;
        const char *line; /* what follows the peer */
    } cases[] = {
        { "GET / HTTP/1.1\r\nX y\r\n",
          " status=400 error=\"field line has no colon\"\n" },
        { "PUT / HTTP/1.1\r\n" HOST "Content-Length: 99999999999\r\n\r\n",
          " status=413 error=\"body is larger than the limit of "
          "67108864 bytes\"\n" },
        { "GET / HT", " status=408 error=\"request did not come in time\"\n" },
    };
    md_http_server_opts o = default_opts();
    md_error err = MD_ERROR_INIT;
    fixture f;

    (void)state;
    o.head_timeout_ms = 50;
    assert_md_ok(md_log_set_levels("info", &err), &err);
    md_log_set_sink(keep_line, NULL);
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        char peer[64];
        http_reply r;
        const char *at;

        lines[0] = '\0';
        start(&f, o);
        http_exchange(md_http_server_address(f.srv), cases[i].text, &r);
        stop(&f);
        http_reply_release(&r);
        at = strstr(lines, "level=info tag=net.http msg=\"request refused\" "
                           "peer=127.0.0.1:");
        assert_non_null(at);
        assert_int_equal(sscanf(strstr(at, "peer="), "peer=%63s", peer), 1);
        assert_string_equal(strstr(at, peer) + strlen(peer), cases[i].line);
    }
    md_log_set_sink(NULL, NULL);
    assert_md_ok(md_log_set_levels("error", &err), &err);
}

/* A body of `size` bytes to `path`, as far as the server takes it. */
static void send_body(http_client *c, const char *path, size_t size)
{
    char head[128];

    (void)snprintf(head, sizeof(head),
                   "POST %s HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n",
                   path, size);
    http_send_text(c, head);
    while (size > 0) {
        ssize_t n =
            send(c->fd, big, size < BIG_SIZE ? size : BIG_SIZE, MSG_NOSIGNAL);

        if (n <= 0)
            return; /* refused, and the rest is not read */
        size -= (size_t)n;
    }
}

static void await_full(const md_http_server *srv, bool want)
{
    for (int i = 0; i < 10000 && md_http_server_is_full(srv) != want; i++)
        usleep(1000);
    assert_int_equal(md_http_server_is_full(srv), want);
}

static void test_http_server__bodies_share_a_limit(void **state)
{
    md_http_server_opts o = default_opts();
    md_error err = MD_ERROR_INIT;
    const md_http_stats *stats;
    md_http_request *held;
    fixture f;
    http_client a;
    http_client b;

    (void)state;
    o.buffers_size_max = 6 << 20;
    start(&f, o);
    stats = md_http_server_stats(f.srv);
    http_connect(&a, md_http_server_address(f.srv));
    send_body(&a, "/hold", 3 << 20);
    held = take_held(&f);
    assert_in_range(stat_of(&stats->buffered_bytes), 3 << 20, 6 << 20);
    assert_false(md_http_server_is_full(f.srv));
    http_connect(&b, md_http_server_address(f.srv));
    send_body(&b, "/", 4 << 20);
    expect_body(&b, 503,
                "{\"error\":\"requests and replies of all connections are "
                "larger than the limit\"}");
    http_close(&b);
    await_stat(&stats->rejected, 1);
    await_stat(&stats->n_open, 1);
    /* who needs little is served */
    http_connect(&b, md_http_server_address(f.srv));
    http_send_text(&b, "GET /missing HTTP/1.1\r\n" HOST "\r\n");
    expect_body(&b, 404, "");
    /* and others when the first one is done */
    md_http_request_finish(held);
    expect_body(&a, 200, "");
    send_body(&b, "/missing", 3 << 20);
    expect_body(&b, 404, "");
    /* a reply counts, too, from when it is handed back */
    http_send_text(&a, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    held = take_held(&f);
    assert_md_ok(md_buf_reserve(md_http_reply_body(held), 7 << 20, &err), &err);
    md_http_reply_body(held)->size = 7 << 20;
    memset(md_http_reply_body(held)->data, 'x', 7 << 20);
    md_http_request_finish(held);
    await_full(f.srv, true);
    http_close(&a);
    await_full(f.srv, false);
    http_close(&b);
    await_stat(&stats->buffered_bytes, 0); /* all is given back */
    stop(&f);
}

static void test_http_server__drain_finishes_what_has_begun(void **state)
{
    fixture f;
    http_client idle;
    http_client busy;
    http_client half;
    http_client late;
    md_http_request *req;
    http_reply r;
    char address[64];

    (void)state;
    start(&f, default_opts());
    (void)snprintf(address, sizeof(address), "%s",
                   md_http_server_address(f.srv));
    http_connect(&idle, address);
    http_send_text(&idle, "GET / HTTP/1.1\r\n" HOST "\r\n");
    expect_body(&idle, 200, "");
    http_connect(&busy, address);
    http_send_text(&busy, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    req = take_held(&f);
    http_connect(&half, address);
    http_send_text(&half, "POST / HTTP/1.1\r\n" HOST "Content-Len");
    http_connect(&late, address);
    http_send_text(&late, "GET / HTTP/1.1\r\n" HOST "\r\n");

    md_http_server_drain(f.srv);
    await_close(&idle);
    http_send_text(&half, "gth: 2\r\n\r\nhi");
    http_receive(&half, &r, false);
    assert_string_equal(r.body, "hi");
    assert_string_equal(http_field(&r, "connection"), "close");
    http_reply_release(&r);
    await_close(&half);
    expect_body(&late, 200, "");
    await_close(&late);
    answer(req);
    expect_body(&busy, 200, "");
    await_close(&busy);
    join(&f);
}

/* The peer sees the end of the connection a moment before the loop has told
 * the request. */
static bool becomes_gone(const md_http_request *req)
{
    for (int i = 0; i < 2000 && !md_http_request_is_gone(req); i++)
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    return md_http_request_is_gone(req);
}

static void test_http_server__drain_has_an_end(void **state)
{
    md_http_server_opts o = default_opts();
    fixture f;
    http_client c;
    md_http_request *req;

    (void)state;
    o.drain_timeout_ms = 30;
    start(&f, o);
    http_connect(&c, md_http_server_address(f.srv));
    http_send_text(&c, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    req = take_held(&f);
    md_http_server_drain(f.srv);
    await_close(&c);
    assert_true(becomes_gone(req));
    answer(req);
    join(&f);
}

static void test_http_server__second_drain_cuts(void **state)
{
    fixture f;
    http_client c;
    md_http_request *req;

    (void)state;
    start(&f, default_opts());
    http_connect(&c, md_http_server_address(f.srv));
    http_send_text(&c, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    req = take_held(&f);
    md_http_server_drain(f.srv);
    md_http_server_drain(f.srv);
    md_http_server_drain(f.srv);
    await_close(&c);
    md_http_request_finish(req);
    join(&f);
}

/* More than one turn of the loop accepts: all of them had connected before the
 * drain, so all are answered. */
static void test_http_server__drain_serves_a_full_backlog(void **state)
{
    enum {
        N = 150
    };
    http_client *c = test_calloc(N, sizeof(*c));
    md_http_server_opts o = default_opts();
    md_error err = MD_ERROR_INIT;
    fixture f = { .held = NULL };

    (void)state;
    o.handle = handle;
    o.ctx = &f;
    assert_md_ok(md_http_server_new(&f.srv, &o, md_alloc_default(), &err),
                 &err);
    for (int i = 0; i < N; i++) { /* nobody accepts so far */
        http_connect(&c[i], md_http_server_address(f.srv));
        http_send_text(&c[i], "POST / HTTP/1.1\r\n" HOST
                              "Content-Length: 2\r\n\r\nhi");
    }
    md_http_server_drain(f.srv);
    assert_md_ok(md_http_server_run(f.srv, &err), &err);
    for (int i = 0; i < N; i++) {
        expect_body(&c[i], 200, "hi");
        http_close(&c[i]);
    }
    assert_int_equal(stat_of(&md_http_server_stats(f.srv)->accepted), N);
    md_http_server_free(f.srv);
    test_free(c);
}

static void test_http_server__opens_or_says_why(void **state)
{
    md_http_server_opts o = default_opts();
    md_error err = MD_ERROR_INIT;
    md_http_server *srv = NULL;
    fixture f;

    (void)state;
    start(&f, o);
    o.listen = md_http_server_address(f.srv);
    assert_md_fails(md_http_server_new(&srv, &o, md_alloc_default(), &err),
                    MD_EXISTS, &err, "the port is taken");
    assert_null(srv);
    md_http_server_free(NULL);
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http_server__keeps_alive),
        cmocka_unit_test(test_http_server__head_and_fields),
        cmocka_unit_test(test_http_server__pipelining),
        cmocka_unit_test(test_http_server__second_request_while_busy),
        cmocka_unit_test(test_http_server__continue),
        cmocka_unit_test(test_http_server__refuses_and_closes),
        cmocka_unit_test(test_http_server__refusal_survives_unread_bytes),
        cmocka_unit_test(test_http_server__refusal_of_a_large_body),
        cmocka_unit_test(test_http_server__large_bodies),
        cmocka_unit_test(test_http_server__accessors),
        cmocka_unit_test(test_http_server__client_gone_before_the_answer),
        cmocka_unit_test(test_http_server__half_closed_client),
        cmocka_unit_test(test_http_server__slow_clients),
        cmocka_unit_test(test_http_server__dripping_client),
        cmocka_unit_test(test_http_server__client_that_does_not_read),
        cmocka_unit_test(test_http_server__idle_connections_close),
        cmocka_unit_test(test_http_server__idle_ones_make_room),
        cmocka_unit_test(test_http_server__idle_ones_are_asked_before),
        cmocka_unit_test(test_http_server__waits_when_all_are_busy),
        cmocka_unit_test(test_http_server__out_of_descriptors),
        cmocka_unit_test(test_http_server__bodies_share_a_limit),
        cmocka_unit_test(test_http_server__logs_what_it_refuses),
        cmocka_unit_test(test_http_server__drain_finishes_what_has_begun),
        cmocka_unit_test(test_http_server__drain_has_an_end),
        cmocka_unit_test(test_http_server__second_drain_cuts),
        cmocka_unit_test(test_http_server__drain_serves_a_full_backlog),
        cmocka_unit_test(test_http_server__opens_or_says_why),
    };
    md_error err = MD_ERROR_INIT;

    assert_md_ok(md_log_set_levels("error", &err), &err);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
