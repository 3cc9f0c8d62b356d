/* One call of gRPC on a connection of its own, its n-th allocation failing, for
 * every n: a status or a closed connection, nothing lost, and the next call is
 * served. */
#include "support/test.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "support/fail_alloc.h"
#include "support/fake_serve.h"
#include "support/h2_frames.h"

#define SERVICE "/inference.GRPCInferenceService/"

enum {
    N_MAX = 2000,
    BUF_MAX = 1 << 20,
    WAIT_MS = 10000
};

typedef struct call {
    const char *path;
    const char *encoding;
    const char *message; /* with its prefix */
    size_t size;
} call;

/* ModelInferRequest{ model_name "id", inputs { name "x", datatype "FP32",
 * shape [1, 4] }, raw_input_contents { 16 bytes } } */
#define INFER                                                                  \
    "\x0a\2id\x2a\x0d\x0a\1x\x12\4"                                            \
    "FP32\x1a\2\1\4\x3a\x10"                                                   \
    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"

/* What comes on a fresh connection until a status or its end. */
static void exchange(const char *address, const call *k, h2_reader *r)
{
    http_client c;
    md_buf out;
    md_buf in;

    md_buf_init(&out, md_alloc_default(), BUF_MAX);
    md_buf_init(&in, md_alloc_default(), BUF_MAX);
    h2_put_hello(&out);
    h2_put_request(&out, 1, H2_END_HEADERS, "POST", k->path, "content-type",
                   "application/grpc", "grpc-encoding", k->encoding, NULL);
    h2_put_frame(&out, H2_DATA, H2_END_STREAM, 1, k->message, k->size);
    http_connect(&c, address);
    (void)send(c.fd, out.data, out.size, MSG_NOSIGNAL);
    while (!strstr(h2_words(r), "grpc-status=") &&
           !strstr(h2_words(r), "RST_STREAM")) {
        struct pollfd pf = { c.fd, POLLIN, 0 };
        char bytes[4096];
        ssize_t n;

        if (poll(&pf, 1, WAIT_MS) != 1)
            fail_msg("no answer: '%s'", h2_words(r));
        n = recv(c.fd, bytes, sizeof(bytes), 0);
        if (n <= 0)
            break;
        md_buf_append(&in, bytes, (size_t)n, NULL);
        h2_read_whole(r, &in);
    }
    http_close(&c);
    md_buf_release(&out);
    md_buf_release(&in);
}

static void serve_every_failure(const call *k)
{
    md_server_opts o = MD_SERVER_OPTS_INIT;
    fake_server f;
    fail_alloc fa;
    bool failed = true;

    fail_alloc_init(&fa);
    o.n_workers = 1;
    fake_server_start_alloc(&f, &o, &fa.alloc, fake_identity(), NULL);
    for (int n = 0; failed; n++) {
        h2_reader r;

        assert_in_range(n, 0, N_MAX);
        h2_reader_init(&r);
        fail_alloc_arm(&fa, n);
        exchange(f.address, k, &r);
        failed = fail_alloc_disarm(&fa);
        if (!failed)
            assert_non_null(strstr(h2_words(&r), "grpc-status=0"));
        h2_reader_release(&r);
        h2_reader_init(&r);
        exchange(f.address, k, &r);
        if (!strstr(h2_words(&r), "grpc-status=0"))
            fail_msg("behind failure %d: '%s'", n, h2_words(&r));
        h2_reader_release(&r);
    }
    fake_server_stop(&f);
    assert_int_equal(fa.n_live, 0);
}

static void test_grpc__infer(void **state)
{
    static const char message[] = "\0\0\0\0\x25" INFER;
    const call k = { SERVICE "ModelInfer", "identity", message,
                     sizeof(message) - 1 };

    (void)state;
    assert_int_equal(sizeof(INFER) - 1, 0x25);
    serve_every_failure(&k);
}

static void test_grpc__stream(void **state)
{
    static const char message[] = "\0\0\0\0\x25" INFER "\0\0\0\0\x25" INFER;
    const call k = { SERVICE "ModelStreamInfer", "gzip", message,
                     sizeof(message) - 1 };

    (void)state;
    serve_every_failure(&k);
}

/* PredictRequest{ model_spec { name "id" }, inputs { "x": dtype DT_FLOAT,
 * tensor_shape [1, 4], float_val [1] } }: the value stands for all four. */
static void test_grpc__predict(void **state)
{
    static const char message[] =
        "\0\0\0\0\x1f"
        "\x0a\4\x0a\2id\x12\x17\x0a\1x\x12\x12"
        "\x08\1\x12\x08\x12\2\x08\1\x12\2\x08\4\x2a\4\0\0\x80\x3f";
    const call k = { "/tensorflow.serving.PredictionService/Predict",
                     "identity", message, sizeof(message) - 1 };

    (void)state;
    assert_int_equal(sizeof(message) - 1 - 5, 0x1f);
    serve_every_failure(&k);
}

static void test_grpc__reflection(void **state)
{
    static const char message[] = "\0\0\0\0\x14\x1a\x12grpc_service.proto";
    const call k = { "/grpc.reflection.v1.ServerReflection/"
                     "ServerReflectionInfo",
                     "identity", message, sizeof(message) - 1 };

    (void)state;
    serve_every_failure(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grpc__infer),
        cmocka_unit_test(test_grpc__stream),
        cmocka_unit_test(test_grpc__predict),
        cmocka_unit_test(test_grpc__reflection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
