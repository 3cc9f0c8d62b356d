/* One request, its n-th allocation failing, for every n: an answer or a
 * closed connection, nothing lost, and the next request is served. */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/file.h"
#include "support/fail_alloc.h"
#include "support/fake_serve.h"

enum {
    N_MAX = 1000
};

typedef struct request {
    char head[256];
    md_buf body;
    int status;       /* when all goes well */
    const char *part; /* of the answer then */
} request;

/* The status, or 0 for a connection that was closed without an answer. */
static int send_request(const char *address, const request *q, char *reply,
                        size_t size)
{
    http_client c;
    ssize_t n = 0;
    size_t got = 0;

    http_connect(&c, address);
    (void)send(c.fd, q->head, strlen(q->head), MSG_NOSIGNAL);
    (void)send(c.fd, q->body.data, q->body.size, MSG_NOSIGNAL);
    shutdown(c.fd, SHUT_WR); /* so the server closes behind its answer */
    while (got + 1 < size &&
           (n = recv(c.fd, reply + got, size - 1 - got, 0)) > 0)
        got += (size_t)n;
    reply[got] = '\0';
    http_close(&c);
    return got > 12 ? (int)strtol(reply + 9, NULL, 10) : 0;
}

static void serve_every_failure(const request *q, md_serve_model *m)
{
    static char reply[65536];
    md_server_opts o = MD_SERVER_OPTS_INIT;
    fake_server f;
    fail_alloc fa;
    int n = 0;

    fail_alloc_init(&fa);
    o.n_workers = 1;
    fake_server_start_alloc(&f, &o, &fa.alloc, m, NULL);
    for (; n < N_MAX; n++) {
        int status;
        bool failed;

        fail_alloc_arm(&fa, n);
        status = send_request(f.address, q, reply, sizeof(reply));
        failed = fail_alloc_disarm(&fa);
        if (status != 0 && status != q->status && status != 503)
            fail_msg("allocation %d: %s", n, reply);
        /* a refusal may come without its text, an answer must be whole */
        if (status == q->status && !strstr(reply, q->part) &&
            (status == 200 || !strstr(reply, "Content-Length: 0\r\n")))
            fail_msg("allocation %d: '%s' lacks '%s'", n, reply, q->part);
        if (!failed)
            break;
        assert_int_equal(send_request(f.address, q, reply, sizeof(reply)),
                         q->status);
        assert_non_null(strstr(reply, q->part));
    }
    assert_in_range(n, 3, N_MAX - 1);
    fake_server_stop(&f);
    assert_int_equal(atomic_load(&fa.n_live), 0);
}

static void make(request *q, const char *path, const char *type,
                 const char *part)
{
    (void)snprintf(q->head, sizeof(q->head),
                   "POST %s HTTP/1.1\r\nHost: t\r\nContent-Type: %s\r\n"
                   "Content-Length: %zu\r\n\r\n",
                   path, type, q->body.size);
    q->status = 200;
    q->part = part;
}

/* Every route, and every way to be refused. */
static void test_request__each_route_out_of_memory(void **state)
{
    static const struct {
        const char *method;
        const char *path;
        const char *body;
        int status;
        const char *part;
    } cases[] = {
        { "POST", "/predict/id", "{\"input_data\":{\"x\":[1,2,3,4]}}", 200,
          "\"output\":[1.0,2.0,3.0,4.0]" },
        { "GET", "/v2", "", 200, "\"name\":\"modeld\"" },
        { "HEAD", "/v2", "", 200, "Content-Type: application/json" },
        { "GET", "/v2/health/live", "", 200, "{\"live\":true}" },
        { "GET", "/v2/health/ready", "", 200, "{\"ready\":true}" },
        { "GET", "/v2/models", "", 200, "{\"models\":[\"id\"]}" },
        { "GET", "/v2/models/id", "", 200, "\"datatype\":\"FP32\"" },
        { "GET", "/v2/models/id/versions/1", "", 200, "\"versions\":[\"1\"]" },
        { "GET", "/v2/models/id/ready", "", 200, "\"ready\":true" },
        { "GET", "/metrics", "", 200, "modeld_build_info{version=" },
        { "GET", "/openapi.json", "", 200, "\"openapi\":\"3.1" },
        { "GET", "/", "", 200, "<!doctype html>" },
        { "GET", "/nope", "", 404, "no route has the path '/nope'" },
        { "GET", "/v2/models/nope", "", 404, "'nope' is not found" },
        { "DELETE", "/v2", "", 405, "GET, HEAD expected" },
        { "POST", "/predict", "{", 400, "JSON at byte 1" },
        { "POST", "/v2/models/id/infer",
          "{\"parameters\":{\"binary_data_output\":true},\"inputs\":[{"
          "\"name\":\"x\",\"shape\":[1,4],\"datatype\":\"FP32\",\"data\":[1,"
          "2,3,4]}]}",
          200, "\"binary_data_size\":16" },
        { "POST", "/v2/models/id/infer",
          "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,4],\"datatype\":"
          "\"FP32\",\"data\":[1,2,3,4]}],\"outputs\":[{\"name\":\"y\","
          "\"parameters\":{\"classification\":1}}]}",
          200, "\"4.000000:3\"" },
        { "POST", "/v2/models/id/infer", "{}", 400, "has no 'inputs'" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        request q = { .status = cases[i].status, .part = cases[i].part };

        md_buf_init(&q.body, md_alloc_default(), 1 << 20);
        assert_md_ok(md_buf_puts(&q.body, cases[i].body, &err), &err);
        (void)snprintf(q.head, sizeof(q.head),
                       "%s %s HTTP/1.1\r\nHost: t\r\nContent-Length: %zu"
                       "\r\n\r\n",
                       cases[i].method, cases[i].path, q.body.size);
        serve_every_failure(&q, fake_identity());
        md_buf_release(&q.body);
    }
}

static void test_request__predict_out_of_memory(void **state)
{
    md_error err = MD_ERROR_INIT;
    request q;

    (void)state;
    md_buf_init(&q.body, md_alloc_default(), 1 << 20);
    assert_md_ok(md_buf_puts(&q.body, "{\"input_data\":[", &err), &err);
    for (int i = 0; i < 4000; i++)
        assert_md_ok(md_buf_printf(&q.body, &err, "%s0.5", i ? "," : ""), &err);
    assert_md_ok(md_buf_puts(&q.body, "]}", &err), &err);
    make(&q, "/predict", "application/json", "[0.5,0.5,0.5,0.5]");
    serve_every_failure(&q, fake_identity());
    md_buf_release(&q.body);
}

static void test_request__infer_out_of_memory(void **state)
{
    static const char body[] =
        "{\"id\":\"\\u0061\",\"inputs\":[{\"data\":[1,2,3,4],\"name\":\"x\","
        "\"shape\":[1,4],\"datatype\":\"FP32\"}],\"outputs\":[{\"name\":\"y\"}"
        "]}";
    md_error err = MD_ERROR_INIT;
    request q;

    (void)state;
    md_buf_init(&q.body, md_alloc_default(), 1 << 20);
    assert_md_ok(md_buf_puts(&q.body, body, &err), &err);
    make(&q, "/v2/models/id/infer", "application/json", "{\"id\":\"a\",");
    serve_every_failure(&q, fake_identity());
    md_buf_release(&q.body);
}

static void test_request__picture_out_of_memory(void **state)
{
    const md_serve_io x = { "x", MD_DTYPE_F32, { 4, { -1, 3, 4, 4 } }, true };
    md_error err = MD_ERROR_INIT;
    request q;

    (void)state;
    md_buf_init(&q.body, md_alloc_default(), 1 << 20);
    assert_md_ok(
        md_file_read(&q.body, MD_TEST_DIR "/golden/images/quad.png", &err),
        &err);
    make(&q, "/predict", "image/png", "\"output\":[[[1.0,");
    serve_every_failure(&q, fake_model("m", &x, 1, NULL, 0, NULL));
    md_buf_release(&q.body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request__predict_out_of_memory),
        cmocka_unit_test(test_request__infer_out_of_memory),
        cmocka_unit_test(test_request__picture_out_of_memory),
        cmocka_unit_test(test_request__each_route_out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
