/* gRPC as bytes: what no client sends, and what each method of the lists is. */
#include "support/test.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/grpc.h"
#include "serve/grpc.h"
#include "serve/proto.h"
#include "support/fake_serve.h"
#include "support/h2_frames.h"

#define SERVICE "/inference.GRPCInferenceService/"

/* ModelInferRequest{ model_name "g", inputs { name "x", datatype "FP32",
 * shape [1] }, raw_input_contents { four bytes } } */
#define INFER                                                                  \
    "\x0a\1g\x2a\x0c\x0a\1x\x12\4"                                             \
    "FP32"                                                                     \
    "\x1a\1\1\x3a\4\0\0\0\0"

enum {
    BUF_MAX = 1 << 22,
    WAIT_MS = 10000
};

/* A connection whose frames become words. */
typedef struct talk {
    fake_server f;
    http_client c;
    md_buf out; /* to be sent */
    md_buf in;
    h2_reader r;
} talk;

static void begin(talk *t, const md_server_opts *opts)
{
    fake_server_start(&t->f, opts, fake_identity(), NULL);
    http_connect(&t->c, t->f.address);
    md_buf_init(&t->out, md_alloc_default(), BUF_MAX);
    md_buf_init(&t->in, md_alloc_default(), BUF_MAX);
    h2_reader_init(&t->r);
    h2_put_hello(&t->out);
}

static void end(talk *t)
{
    http_close(&t->c);
    fake_server_stop(&t->f);
    md_buf_release(&t->out);
    md_buf_release(&t->in);
    h2_reader_release(&t->r);
}

/* Send what was put into t->out, and wait for a text in the words. */
static void expect(talk *t, const char *part)
{
    http_send(&t->c, t->out.data, t->out.size);
    md_buf_reset(&t->out);
    while (!strstr(h2_words(&t->r), part)) {
        struct pollfd pf = { t->c.fd, POLLIN, 0 };
        char bytes[4096];
        ssize_t n = -1;

        if (poll(&pf, 1, WAIT_MS) == 1)
            n = recv(t->c.fd, bytes, sizeof(bytes), 0);
        if (n <= 0)
            fail_msg("'%s' lacks '%s'", h2_words(&t->r), part);
        md_buf_append(&t->in, bytes, (size_t)n, NULL);
        h2_read_whole(&t->r, &t->in);
    }
}

static void put_call(talk *t, uint32_t stream, const char *method,
                     const char *name, const char *value)
{
    char path[128];

    (void)snprintf(path, sizeof(path), SERVICE "%s", method);
    h2_put_request(&t->out, stream, H2_END_HEADERS, "POST", path,
                   "content-type", "application/grpc", name, value, NULL);
}

static void put_message(talk *t, uint32_t stream, int flags, const char *text,
                        size_t size)
{
    unsigned char bytes[64];

    md_grpc_prefix_write(bytes, false, size);
    memcpy(bytes + MD_GRPC_PREFIX_SIZE, text, size);
    h2_put_frame(&t->out, H2_DATA, flags, stream, bytes,
                 MD_GRPC_PREFIX_SIZE + size);
}

/* ---- calls ---- */

static void test_grpc__a_call_in_single_bytes(void **state)
{
    static const char message[] = "\0\0\0\0\4\x0a\2id";
    talk t;

    (void)state;
    begin(&t, NULL);
    put_call(&t, 1, "ModelReady", NULL, NULL);
    for (size_t i = 0; i + 1 < sizeof(message); i++)
        h2_put_frame(&t.out, H2_DATA, 0, 1, message + i, 1);
    h2_put_frame(&t.out, H2_DATA, H2_END_STREAM, 1, NULL, 0);
    expect(&t, "HEADERS 1 grpc-status=0 end\n");
    expect(&t, "HEADERS 1 :status=200 content-type=application/grpc\n");
    end(&t);
}

static void test_grpc__messages_that_are_none(void **state)
{
    static const struct {
        const char *data;
        size_t size;
        const char *want;
    } cases[] = {
        { "", 0, "grpc-status=12 grpc-message=no gRPC message given" },
        { "\0\0\0\0\0\0\0\0\0\0", 10, "grpc-status=12 grpc-message=several" },
        { "\0\0\0\0\0x", 6, "grpc-status=12 grpc-message=several" },
        { "\2\0\0\0\0", 5,
          "grpc-status=3 grpc-message=gRPC message begins "
          "with 2" },
        { "\0\0\0", 3, "grpc-status=3 grpc-message=gRPC message is cut" },
        { "\0\0\0\0\3a", 6, "grpc-status=3 grpc-message=gRPC message is cut" },
        { "\1\0\0\0\1a", 6,
          "grpc-status=3 grpc-message=compressed gRPC "
          "message without grpc-encoding" },
        { "\0\xff\xff\xff\xff", 5,
          "grpc-status=8 grpc-message=gRPC message "
          "of 4294967295 bytes" },
    };
    talk t;

    (void)state;
    begin(&t, NULL);
    for (uint32_t i = 0; i < MD_COUNT(cases); i++) {
        put_call(&t, 2 * i + 1, "ServerLive", NULL, NULL);
        h2_put_frame(&t.out, H2_DATA, H2_END_STREAM, 2 * i + 1, cases[i].data,
                     cases[i].size);
        expect(&t, cases[i].want);
        md_buf_reset(&t.r.words);
    }
    end(&t);
}

static void test_grpc__fields(void **state)
{
    static const struct {
        const char *name, *value, *want;
    } cases[] = {
        { "grpc-timeout", "1x", "grpc-status=3 grpc-message=grpc-timeout" },
        { "grpc-timeout", "", "grpc-status=3" },
        { "grpc-timeout", "S", "grpc-status=3" },
        { "grpc-timeout", "-1S", "grpc-status=3" },
        { "grpc-timeout", "123456789S", "grpc-status=3" },
        { "grpc-timeout", "99999999H", "grpc-status=0" },
        { "grpc-timeout", "1000m", "grpc-status=0" },
        { "grpc-encoding", "br", "grpc-status=12 grpc-message=grpc-encoding" },
        { "grpc-encoding", "identity", "grpc-status=0" },
        { "grpc-encoding", "gzip", "grpc-status=0" },
    };
    talk t;

    (void)state;
    begin(&t, NULL);
    for (uint32_t i = 0; i < MD_COUNT(cases); i++) {
        put_call(&t, 2 * i + 1, "ServerLive", cases[i].name, cases[i].value);
        put_message(&t, 2 * i + 1, H2_END_STREAM, "", 0);
        expect(&t, cases[i].want);
        md_buf_reset(&t.r.words);
    }
    end(&t);
}

/* A call that is refused early needs no body; its stream goes on to be read
 * and thrown away. */
static void test_grpc__an_answer_before_the_message(void **state)
{
    talk t;

    (void)state;
    begin(&t, NULL);
    put_call(&t, 1, "ServerLive", "grpc-timeout", "x");
    expect(&t, "grpc-status=3");
    put_message(&t, 1, H2_END_STREAM, "abc", 3);
    put_call(&t, 3, "ServerLive", NULL, NULL);
    put_message(&t, 3, H2_END_STREAM, "", 0);
    expect(&t, "HEADERS 3 grpc-status=0 end\n");
    assert_null(strstr(h2_words(&t.r), "RST_STREAM"));
    end(&t);
}

static void test_grpc__a_message_that_stops_is_given_up(void **state)
{
    md_server_opts o = MD_SERVER_OPTS_INIT;
    talk t;

    (void)state;
    o.http.body_timeout_ms = 50;
    begin(&t, &o);
    put_call(&t, 1, "ServerLive", NULL, NULL);
    expect(&t, "HEADERS 1 :status=200 grpc-status=4");
    put_call(&t, 3, "ModelStreamInfer", NULL, NULL);
    h2_put_frame(&t.out, H2_DATA, 0, 3, "\0\0\0\0\5a", 6);
    expect(&t, "HEADERS 3 :status=200 grpc-status=4");
    end(&t);
}

/* What came before the server drains is answered; what is silent is ended. */
static void test_grpc__streams_in_a_drain(void **state)
{
    talk t;

    (void)state;
    begin(&t, NULL);
    put_call(&t, 1, "ModelStreamInfer", NULL, NULL);
    put_message(&t, 1, 0, "\x0a\2no", 4);
    expect(&t, "'no' is not found");
    h2_put_request(&t.out, 3, H2_END_HEADERS, "POST",
                   "/grpc.health.v1.Health/Watch", "content-type",
                   "application/grpc+proto", NULL);
    put_message(&t, 3, H2_END_STREAM, "", 0);
    expect(&t, "DATA 3 ");
    md_buf_reset(&t.r.words);
    md_server_stop(t.f.server);
    expect(&t, "HEADERS 1 grpc-status=14");
    expect(&t, "HEADERS 3 grpc-status=0 end");
    expect(&t, "GOAWAY 3 0");
    http_close(&t.c);
    fake_server_join(&t.f);
    md_buf_release(&t.out);
    md_buf_release(&t.in);
    h2_reader_release(&t.r);
}

/* The messages of a stream wait for each other, however they come. */
static void test_grpc__messages_of_a_stream_in_one_frame(void **state)
{
    md_buf many;
    talk t;

    (void)state;
    begin(&t, NULL);
    put_call(&t, 1, "ModelStreamInfer", NULL, NULL);
    md_buf_init(&many, md_alloc_default(), BUF_MAX);
    for (int i = 0; i < 100; i++) {
        char message[16];
        int n = snprintf(message, sizeof(message), "%cm%02d", '\3', i);

        md_buf_append(&many, "\0\0\0\0\5\x0a", 6, NULL);
        md_buf_append(&many, message, (size_t)n, NULL);
    }
    h2_put_frame(&t.out, H2_DATA, H2_END_STREAM, 1, many.data, many.size);
    md_buf_release(&many);
    expect(&t, "HEADERS 1 grpc-status=0 end");
    for (int i = 0; i < 100; i++) {
        char text[16];

        (void)snprintf(text, sizeof(text), "'m%02d'", i);
        assert_non_null(strstr(h2_words(&t.r), text));
    }
    end(&t);
}

/* One worker stands at the gate; behind it waits a call whose time passes, and
 * one whose client cancels. */
static void test_grpc__calls_that_nobody_waits_for(void **state)
{
    const md_serve_io x = { "x", MD_DTYPE_F32, { 1, { -1 } }, true };
    md_server_opts o = MD_SERVER_OPTS_INIT;
    fake_gate gate;
    talk t;

    (void)state;
    o.n_workers = 1;
    fake_gate_init(&gate);
    fake_gate_close(&gate);
    memset(&t, 0, sizeof(t));
    fake_server_start(&t.f, &o, fake_model("g", &x, 1, NULL, 0, &gate), NULL);
    http_connect(&t.c, t.f.address);
    md_buf_init(&t.out, md_alloc_default(), BUF_MAX);
    md_buf_init(&t.in, md_alloc_default(), BUF_MAX);
    h2_reader_init(&t.r);
    h2_put_hello(&t.out);
    put_call(&t, 1, "ModelInfer", NULL, NULL);
    put_message(&t, 1, H2_END_STREAM, INFER, sizeof(INFER) - 1);
    put_call(&t, 3, "ModelInfer", "grpc-timeout", "1m");
    put_message(&t, 3, H2_END_STREAM, INFER, sizeof(INFER) - 1);
    put_call(&t, 5, "ModelInfer", NULL, NULL);
    put_message(&t, 5, H2_END_STREAM, INFER, sizeof(INFER) - 1);
    h2_put_number(&t.out, H2_RST_STREAM, 5, 8);
    put_call(&t, 7, "ServerLive", NULL, NULL);
    put_message(&t, 7, H2_END_STREAM, "", 0);
    expect(&t, "HEADERS 7 grpc-status=0 end");
    fake_gate_await(&gate, 1);
    usleep(5000);
    fake_gate_open(&gate);
    expect(&t, "HEADERS 1 grpc-status=0 end");
    expect(&t, "HEADERS 3 :status=200 grpc-status=4 grpc-message=request "
               "waited");
    assert_null(strstr(h2_words(&t.r), "HEADERS 5"));
    end(&t);
}

/* ---- lists ---- */

typedef struct rpc {
    const char *name, *in;
    int streams;
} rpc;

static const rpc RPCS[] = {
#define P_RPC(name, in, out, streams) { #name, in, streams },
#include "serve/proto/inference.def"
#define P_RPC(name, in, out, streams) { #name, in, streams },
#include "serve/proto/health.def"
#define P_RPC(name, in, out, streams) { #name, in, streams },
#include "serve/proto/tfs.def"
#define P_PACKAGE "grpc.reflection.v1"
#define P_RPC(name, in, out, streams) { #name, in, streams },
#include "serve/proto/reflection.def"
#undef P_PACKAGE
#define P_PACKAGE "grpc.reflection.v1alpha"
#define P_RPC(name, in, out, streams) { #name, in, streams },
#include "serve/proto/reflection.def"
#undef P_PACKAGE
};

/* What is described is there, and the other way round. */
static void test_grpc__methods_are_those_described(void **state)
{
    size_t n = 0;

    (void)state;
    for (size_t i = 0; i < MD_N_GRPCS; i++) {
        const md_grpc_method *m = md_grpc_methods[i];
        const size_t package =
            (size_t)(strrchr(m->service, '.') + 1 - m->service);
        char full[128];

        assert_non_null(m->handle);
        assert_non_null(m->summary);
        (void)snprintf(full, sizeof(full), "%s.%s", m->service, m->name);
        assert_true(md_proto_find_symbol((md_str){ full, strlen(full) }) >= 0);
        for (size_t k = 0; k < MD_COUNT(RPCS); k++)
            if (strcmp(RPCS[k].name, m->name) == 0 &&
                strncmp(RPCS[k].in, m->service, package) == 0) {
                assert_int_equal(m->streams, RPCS[k].streams != 0);
                n++;
                break;
            }
    }
    assert_int_equal(n, MD_N_GRPCS);
    assert_int_equal(MD_N_GRPCS, MD_COUNT(RPCS));
}

static void test_grpc__symbols(void **state)
{
    static const struct {
        const char *name;
        int file;
    } cases[] = {
        { "inference.ModelInferRequest", MD_PROTO_inference },
        { "inference.ModelInferRequest.InferInputTensor.shape",
          MD_PROTO_inference },
        { "inference.InferParameter.parameter_choice", MD_PROTO_inference },
        { "inference.TYPE_FP32", -1 }, /* of its enum here */
        { "inference.DataType.TYPE_FP32", MD_PROTO_model_config },
        { "grpc.health.v1.HealthCheckResponse.ServingStatus", MD_PROTO_health },
        { "grpc.reflection.v1.ServerReflection", MD_PROTO_reflection },
        { "grpc.reflection.v1alpha.ServerReflection",
          MD_PROTO_reflection_v1alpha },
        { "inference", -1 },
        { "inference.ModelInferReques", -1 },
        { "", -1 },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++)
        assert_int_equal(md_proto_find_symbol(
                             (md_str){ cases[i].name, strlen(cases[i].name) }),
                         cases[i].file);
    assert_int_equal(md_proto_find_file((md_str){ "grpc_service.proto", 18 }),
                     MD_PROTO_inference);
    assert_int_equal(md_proto_find_file((md_str){ "grpc_service", 12 }), -1);
    assert_int_equal(md_proto_value(MD_PROTO_model_config, "TYPE_", "INT8"), 6);
    assert_int_equal(md_proto_value(MD_PROTO_model_config, "TYPE_", "X"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grpc__a_call_in_single_bytes),
        cmocka_unit_test(test_grpc__messages_that_are_none),
        cmocka_unit_test(test_grpc__fields),
        cmocka_unit_test(test_grpc__an_answer_before_the_message),
        cmocka_unit_test(test_grpc__a_message_that_stops_is_given_up),
        cmocka_unit_test(test_grpc__streams_in_a_drain),
        cmocka_unit_test(test_grpc__messages_of_a_stream_in_one_frame),
        cmocka_unit_test(test_grpc__calls_that_nobody_waits_for),
        cmocka_unit_test(test_grpc__methods_are_those_described),
        cmocka_unit_test(test_grpc__symbols),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
