#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/fake_serve.h"

#define INFER "/v2/models/id/infer"
#define X(rest) "{\"inputs\":[{\"name\":\"x\"," rest "}]}"
#define X14(data) X("\"shape\":[1,4],\"datatype\":\"FP32\",\"data\":" data)
#define REPLY(shape, data)                                                     \
    "{\"model_name\":\"id\",\"model_version\":\"1\",\"outputs\":[{\"name\":"   \
    "\"y\",\"datatype\":\"FP32\",\"shape\":" shape ",\"data\":" data "}]}"

static void test_v2__triton_extensions(void **state)
{
    fake_server f;

    (void)state;
    fake_server_start(&f, NULL, fake_identity(), NULL);
    fake_expect(&f, "GET", "/v2/models/id/config", NULL, 200,
                "{\"name\":\"id\",\"platform\":\"fake\",\"backend\":"
                "\"modeld\",\"max_batch_size\":0,\"input\":[{\"name\":"
                "\"x\",\"data_type\":\"TYPE_FP32\",\"dims\":[-1,4]}],"
                "\"output\":[{\"name\":\"y\",\"data_type\":\"TYPE_FP32\","
                "\"dims\":[-1,4]}],\"model_transaction_policy\":{"
                "\"decoupled\":false}}");
    fake_expect_part(&f, "GET", "/v2/models/no/config", NULL, 404, "'no'");
    fake_expect(&f, "POST", "/v2/repository/index", "{\"ready\":true}", 200,
                "[{\"name\":\"id\",\"version\":\"1\",\"state\":"
                "\"READY\"}]");
    fake_expect_part(&f, "POST", "/v2/repository/r/index", "[1]", 400,
                     "object");
    fake_expect_part(&f, "POST", "/v2/repository/index", "{} {}", 400, "JSON");
    fake_server_stop(&f);
}

/* What is counted: calls that succeed and those that do not, of each route
 * that computes. */
static void test_v2__statistics(void **state)
{
    static const char good[] =
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,4],\"datatype\":"
        "\"FP32\",\"data\":[1,2,3,4]}]}";
    fake_server f;
    http_reply r;

    (void)state;
    fake_server_start(&f, NULL, fake_identity(), NULL);
    fake_expect_part(&f, "GET", "/v2/models/stats", NULL, 200,
                     "\"last_inference\":0,\"inference_count\":0,");
    for (int i = 0; i < 3; i++) {
        fake_call(&f, "POST", "/v2/models/id/infer", good, 200, &r);
        http_reply_release(&r);
    }
    fake_call(&f, "POST", "/predict", "{\"input_data\":[1,2,3,4]}", 200, &r);
    http_reply_release(&r);
    fake_call(&f, "POST", "/v2/models/id/infer", "{", 400, &r);
    http_reply_release(&r);
    for (int i = 0; i < 3; i++) {
        static const char *const paths[] = { "/v2/models/stats",
                                             "/v2/models/id/stats",
                                             "/v2/models/id/versions/1/stats" };

        fake_expect_part(&f, "GET", paths[i], NULL, 200,
                         "\"inference_count\":4,\"execution_count\":4,"
                         "\"inference_stats\":{\"success\":{\"count\":4,");
        fake_expect_part(&f, "GET", paths[i], NULL, 200,
                         "\"fail\":{\"count\":1,");
        fake_expect_part(&f, "GET", paths[i], NULL, 200,
                         "\"compute_infer\":{\"count\":4,");
        fake_expect_part(&f, "GET", paths[i], NULL, 200,
                         "\"batch_stats\":[{\"batch_size\":1,");
    }
    fake_expect_part(&f, "GET", "/v2/models/no/stats", NULL, 404, "'no'");
    fake_server_stop(&f);
}

static void test_v2__metadata(void **state)
{
    fake_server f;

    (void)state;
    fake_server_start(&f, NULL, fake_identity(), NULL);
    fake_expect_part(&f, "GET", "/v2", NULL, 200,
                     "\"extensions\":[\"classification\","
                     "\"model_repository\","
                     "\"model_repository(unload_dependents)\","
                     "\"schedule_policy\",\"model_configuration\","
                     "\"binary_tensor_data\",\"statistics\",\"trace\","
                     "\"logging\"]}");
    fake_expect(&f, "GET", "/v2/health/live", NULL, 200, "{\"live\":true}");
    fake_expect(&f, "GET", "/v2/health/ready", NULL, 200, "{\"ready\":true}");
    fake_expect(&f, "GET", "/v2/models", NULL, 200, "{\"models\":[\"id\"]}");
    for (int i = 0; i < 2; i++)
        fake_expect(&f, "GET", i ? "/v2/models/id/versions/1" : "/v2/models/id",
                    NULL, 200,
                    "{\"name\":\"id\",\"versions\":[\"1\"],\"platform\":"
                    "\"fake\",\"inputs\":[{\"name\":\"x\",\"datatype\":"
                    "\"FP32\",\"shape\":[-1,4]}],\"outputs\":[{\"name\":\"y\","
                    "\"datatype\":\"FP32\",\"shape\":[-1,4]}]}");
    fake_expect(&f, "GET", "/v2/models/id/ready", NULL, 200,
                "{\"name\":\"id\",\"ready\":true}");
    fake_expect(&f, "GET", "/v2/models/nope/ready", NULL, 404,
                "{\"error\":\"request for unknown model: 'nope' is not "
                "found\"}");
    fake_expect(&f, "GET", "/v2/models/id/versions/9", NULL, 404,
                "{\"error\":\"request for unknown model: 'id' version 9 is "
                "not found\"}");
    fake_expect_part(&f, "GET", "/v2/models/..%2f..%2fetc/ready", NULL, 404,
                     "'../../etc' is not found");
    fake_expect_part(&f, "GET", INFER, NULL, 405, "POST expected");
    fake_server_stop(&f);
}

static void test_v2__answers(void **state)
{
    static const struct {
        const char *body;
        const char *reply;
    } cases[] = {
        { X14("[1,2,3,4]"), REPLY("[1,4]", "[1.0,2.0,3.0,4.0]") },
        { X14("[[1,2],[3,4]]"), REPLY("[1,4]", "[1.0,2.0,3.0,4.0]") },
        /* members in any order; data before the name */
        { "{\"inputs\":[{\"data\":[[1,2,3,4],[5,6,7,8]],\"datatype\":"
          "\"FP32\",\"shape\":[2,4],\"name\":\"x\"}]}",
          REPLY("[2,4]", "[1.0,2.0,3.0,4.0,5.0,6.0,7.0,8.0]") },
        { "{\"parameters\":{\"a\":1,\"b\":[{}]},\"unknown\":{\"x\":[1]},"
          "\"inputs\":[{\"name\":\"\\u0078\",\"shape\":[1,4],\"datatype\":"
          "\"FP32\",\"parameters\":{\"q\":null},\"data\":[0,0,0,-0.0]}]}",
          REPLY("[1,4]", "[0.0,0.0,0.0,-0.0]") },
        { X("\"shape\":[0,4],\"datatype\":\"FP32\",\"data\":[]"),
          REPLY("[0,4]", "[]") },
        { "{\"id\":\"a\\\"1\",\"inputs\":[{\"name\":\"x\",\"shape\":[1,4],"
          "\"datatype\":\"FP32\",\"data\":[0.1,16777217,1e-3,5e-1]}],"
          "\"outputs\":[{\"name\":\"y\"}]}",
          "{\"id\":\"a\\\"1\",\"model_name\":\"id\",\"model_version\":\"1\","
          "\"outputs\":[{\"name\":\"y\",\"datatype\":\"FP32\",\"shape\":[1,4],"
          "\"data\":[0.1,16777216.0,0.001,0.5]}]}" },
        { "{\"inputs\":[{\"name\":\"x\",\"shape\":[2,4],\"datatype\":\"FP32\","
          "\"data\":[1,4,3,2,9,9,8,7]}],\"outputs\":[{\"name\":\"y\","
          "\"parameters\":{\"classification\":2}}]}",
          "{\"model_name\":\"id\",\"model_version\":\"1\",\"outputs\":[{"
          "\"name\":\"y\",\"datatype\":\"BYTES\",\"shape\":[2,2],\"data\":["
          "\"4.000000:1\",\"3.000000:2\",\"9.000000:0\",\"9.000000:1\"]}]}" },
    };
    fake_server f;

    (void)state;
    fake_server_start(&f, NULL, fake_identity(), NULL);
    for (size_t i = 0; i < MD_COUNT(cases); i++)
        fake_expect(&f, "POST", INFER, cases[i].body, 200, cases[i].reply);
    fake_server_stop(&f);
}

static void test_v2__refuses(void **state)
{
    static const struct {
        int status;
        const char *body;
        const char *part;
    } cases[] = {
        { 400, "", "JSON at byte 0" },
        { 400, "{\"inputs\":", "JSON at byte" },
        { 400, "[]", "expected object" },
        { 400, "{} x", "JSON at byte 3" },
        { 400, "{}", "request has no 'inputs'" },
        { 400, "{\"inputs\":[]}", "input 'x' of model 'id' is missing" },
        { 400, "{\"inputs\":7}", "expected array" },
        { 400, "{\"inputs\":[7]}", "JSON at byte" },
        { 400, "{\"inputs\":[{}]}", "an input has no name" },
        { 400, "{\"inputs\":[{\"name\":\"z\"}]}",
          "unexpected inference input 'z' for model 'id'" },
        { 400, "{\"inputs\":[{\"name\":7}]}", "expected string" },
        { 400, X("\"datatype\":\"FP32\",\"data\":[1]"), "has no shape" },
        { 400, X("\"shape\":[1,4],\"data\":[1]"), "has no datatype" },
        { 400, X("\"shape\":[1,4],\"datatype\":\"FP32\""),
          "has neither data and binary data" },
        { 400, X("\"shape\":[1,5],\"datatype\":\"FP32\",\"data\":[1,2,3,4,5]"),
          "unexpected shape for input 'x' for model 'id': [-1,4] expected, "
          "[1,5] given" },
        { 400, X("\"shape\":[4],\"datatype\":\"FP32\",\"data\":[1,2,3,4]"),
          "[4] given" },
        { 400, X("\"shape\":[-1,4],\"datatype\":\"FP32\",\"data\":[]"),
          "from 0 up expected" },
        { 400, X("\"shape\":[1.5,4],\"datatype\":\"FP32\",\"data\":[]"),
          "JSON at byte" },
        { 400, X("\"shape\":[1,1,1,1,1,1,1,1,4],\"datatype\":\"FP32\""),
          "up to 8 numbers" },
        { 413,
          X("\"shape\":[9223372036854775807,4],\"datatype\":\"FP32\","
            "\"data\":[]"),
          "has more elements" },
        { 400, X("\"shape\":[1,4],\"datatype\":\"INT64\",\"data\":[1,2,3,4]"),
          "inference input 'x' data-type is 'INT64', but model 'id' expects "
          "'FP32'" },
        { 400, X("\"shape\":[1,4],\"datatype\":\"FP7\",\"data\":[1,2,3,4]"),
          "invalid datatype 'FP7'" },
        { 400, X14("[1,2,3]"),
          "input 'x': 3 values given, 4 expected for its shape [1,4]" },
        { 400, X14("[1,2,3,4,5]"), "5 values given, 4 expected" },
        { 400, X14("[[1,2],[3]]"), "JSON at byte" },
        { 400, X14("[1,2,3,\"4\"]"), "JSON at byte" },
        { 400, X14("[1,2,3,NaN]"), "JSON at byte" },
        { 400, X14("[1,2,3,null]"), "JSON at byte" },
        { 400, X14("[1,2,3,1e39]"), "JSON at byte" },
        { 400, X14("[1,2,3,4],\"data\":[1,2,3,4]"), "'data' is given twice" },
        { 400, X14("[1,2,3,4],\"name\":\"x\""), "'name' is given twice" },
        { 400, X14("[1,2,3,4],\"shape\":[1,4]"), "'shape' is given twice" },
        { 400, X14("[1,2,3,4],\"parameters\":{\"binary_data_size\":4}"),
          "has both data and binary data" },
        { 400,
          X("\"shape\":[1,4],\"datatype\":\"FP32\",\"parameters\":{"
            "\"binary_data_size\":16}"),
          "0 bytes are left" },
        { 400,
          "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,4],\"datatype\":\"FP32\","
          "\"data\":[1,2,3,4]},{\"name\":\"x\"}]}",
          "input 'x' is given twice" },
        { 400, "{\"inputs\":[],\"inputs\":[]}", "'inputs' is given twice" },
        { 400, "{\"outputs\":[{\"name\":\"q\"}],\"inputs\":[]}",
          "unexpected inference output 'q' for model 'id'" },
        { 400, "{\"outputs\":[{}],\"inputs\":[]}", "an output has no name" },
        { 400, "{\"outputs\":[{\"name\":\"y\"},{\"name\":\"y\"}]}",
          "output 'y' is asked for twice" },
        { 400,
          "{\"outputs\":[{\"name\":\"y\",\"parameters\":{\"classification\":"
          "101}}]}",
          "at most 100 classes" },
        { 400,
          "{\"outputs\":[{\"name\":\"y\",\"parameters\":{\"binary_data\":"
          "1}}]}",
          "JSON at byte" },
        { 400, "{\"id\":7}", "expected string" },
        /* two readers of one request must not see two requests */
        { 400, "{\"id\":\"a\",\"id\":\"b\"}", "'id' is given twice" },
        { 400, "{\"parameters\":{},\"\\u0070arameters\":{}}",
          "'parameters' is given twice" },
        { 400,
          "{\"parameters\":{\"binary_data_output\":true,"
          "\"binary_data_output\":false}}",
          "'binary_data_output' is given twice" },
        { 400, "{\"outputs\":[],\"outputs\":[]}", "'outputs' is given twice" },
        { 400, "{\"outputs\":[{\"name\":\"y\",\"name\":\"y\"}]}",
          "'name' is given twice" },
        { 400,
          "{\"outputs\":[{\"name\":\"y\",\"parameters\":{},"
          "\"parameters\":{}}]}",
          "'parameters' is given twice" },
        { 400,
          "{\"outputs\":[{\"name\":\"y\",\"parameters\":{\"binary_data\":"
          "true,\"binary_data\":true}}]}",
          "'binary_data' is given twice" },
        { 400,
          "{\"outputs\":[{\"name\":\"y\",\"parameters\":{"
          "\"classification\":1,\"classification\":2}}]}",
          "'classification' is given twice" },
        { 400, X14("[1,2,3,4],\"datatype\":\"FP32\""),
          "'datatype' is given twice" },
        { 400, X14("[1,2,3,4],\"parameters\":{},\"parameters\":{}"),
          "'parameters' is given twice" },
        { 400,
          X("\"shape\":[1,4],\"datatype\":\"FP32\",\"parameters\":{"
            "\"binary_data_size\":16,\"binary_data_size\":16}"),
          "'binary_data_size' is given twice" },
        /* the type is told before its values */
        { 400, X("\"datatype\":\"BYTES\",\"shape\":[1,4],\"data\":[\"a\"]"),
          "data-type is 'BYTES', but model 'id' expects 'FP32'" },
    };
    fake_server f;

    (void)state;
    fake_server_start(&f, NULL, fake_identity(), NULL);
    for (size_t i = 0; i < MD_COUNT(cases); i++)
        fake_expect_part(&f, "POST", INFER, cases[i].body, cases[i].status,
                         cases[i].part);
    fake_expect_part(&f, "POST", "/v2/models/nope/infer", "{}", 404,
                     "'nope' is not found");
    /* and the server goes on */
    fake_expect(&f, "POST", INFER, X14("[1,2,3,4]"), 200,
                REPLY("[1,4]", "[1.0,2.0,3.0,4.0]"));
    fake_server_stop(&f);
}

static void test_v2__deep_nesting(void **state)
{
    static char body[40000];
    fake_server f;
    size_t n;

    (void)state;
    strncat(body, "{\"inputs\":[{\"name\":\"x\",\"data\":", 100);
    n = strlen(body);
    memset(body + n, '[', 10000);
    fake_server_start(&f, NULL, fake_identity(), NULL);
    fake_expect_part(&f, "POST", INFER, body, 400, "JSON at byte");
    fake_server_stop(&f);
}

/* ---- every datatype ---- */

static const struct {
    md_dtype dtype;
    const char *v2;
    const char *good; /* three values, as they come back */
    const char *bad;  /* one that does not fit */
} TYPES[] = {
    { MD_DTYPE_BOOL, "BOOL", "true,false,true", "1" },
    { MD_DTYPE_U8, "UINT8", "0,1,255", "256" },
    { MD_DTYPE_U16, "UINT16", "0,1,65535", "65536" },
    { MD_DTYPE_U32, "UINT32", "0,1,4294967295", "4294967296" },
    { MD_DTYPE_U64, "UINT64", "0,1,18446744073709551615", "-1" },
    { MD_DTYPE_I8, "INT8", "-128,0,127", "128" },
    { MD_DTYPE_I16, "INT16", "-32768,0,32767", "-32769" },
    { MD_DTYPE_I32, "INT32", "-2147483648,0,2147483647", "2147483648" },
    { MD_DTYPE_I64, "INT64", "-9223372036854775808,0,9223372036854775807",
      "9223372036854775808" },
    { MD_DTYPE_F32, "FP32", "-1.5,0.1,1e+20", "1e99" },
    { MD_DTYPE_F64, "FP64", "-1.5,0.1,1e+200", "1e999" },
    { MD_DTYPE_STRING, "BYTES", "\"\",\"a\\\"b\",\"\xc3\xa9\"", "7" },
};

static md_serve_model *typed_model(md_dtype t)
{
    const md_serve_io x = {
        .name = "x", .dtype = t, .has_rank = true, .shape = { 1, { -1 } }
    };

    return fake_model("id", &x, 1, NULL, 0, NULL);
}

static void test_v2__datatypes(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_COUNT(TYPES); i++) {
        char body[512];
        char want[512];
        fake_server f;

        fake_server_start(&f, NULL, typed_model(TYPES[i].dtype), NULL);
        (void)snprintf(body, sizeof(body),
                       X("\"shape\":[3],\"datatype\":\"%s\",\"data\":[%s]"),
                       TYPES[i].v2, TYPES[i].good);
        (void)snprintf(want, sizeof(want), "\"data\":[%s]", TYPES[i].good);
        fake_expect_part(&f, "POST", INFER, body, 200, want);
        (void)snprintf(body, sizeof(body),
                       X("\"shape\":[1],\"datatype\":\"%s\",\"data\":[%s]"),
                       TYPES[i].v2, TYPES[i].bad);
        fake_expect_part(&f, "POST", INFER, body, 400, "input 'x': ");
        fake_server_stop(&f);
    }
}

static void test_v2__half_floats_need_the_binary_format(void **state)
{
    fake_server f;

    (void)state;
    fake_server_start(&f, NULL, typed_model(MD_DTYPE_F16), NULL);
    fake_expect_part(&f, "POST", INFER,
                     X("\"shape\":[1],\"datatype\":\"FP16\",\"data\":[1]"), 400,
                     "float16 cannot be sent as JSON; use the binary format");
    fake_server_stop(&f);
}

/* ---- binary extension ---- */

typedef struct binary_case {
    int status;
    const char *length; /* of the JSON; NULL: as it is */
    const char *json;
    const char *tail;
    size_t tail_size;
    const char *part;  /* of the reply */
    const char *bytes; /* at its end */
    size_t n_bytes;
} binary_case;

static void run_binary(const fake_server *f, const binary_case *c)
{
    char head[512];
    char length[32];
    http_client client;
    http_reply r;

    (void)snprintf(length, sizeof(length), "%zu", strlen(c->json));
    (void)snprintf(head, sizeof(head),
                   "POST " INFER " HTTP/1.1\r\nHost: t\r\n"
                   "Inference-Header-Content-Length: %s\r\n"
                   "Content-Length: %zu\r\n\r\n",
                   c->length ? c->length : length,
                   strlen(c->json) + c->tail_size);
    http_connect(&client, f->address);
    http_send_text(&client, head);
    http_send(&client, c->json, strlen(c->json));
    http_send(&client, c->tail, c->tail_size);
    http_receive(&client, &r, false);
    http_close(&client);
    if (r.status != c->status || !strstr(r.body, c->part))
        fail_msg("%s: %d, '%s' lacks '%s'", c->json, r.status, r.body, c->part);
    if (c->n_bytes) {
        const char *size = http_field(&r, "inference-header-content-length");

        assert_non_null(size);
        assert_int_equal(strtoul(size, NULL, 10), r.body_size - c->n_bytes);
        assert_string_equal(http_field(&r, "content-type"),
                            "application/octet-stream");
        assert_memory_equal(r.body + r.body_size - c->n_bytes, c->bytes,
                            c->n_bytes);
    }
    http_reply_release(&r);
}

#define BIN(n, more)                                                           \
    "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,4],\"datatype\":\"FP32\","      \
    "\"parameters\":{\"binary_data_size\":" n "}}]" more "}"
#define ALL_BINARY ",\"parameters\":{\"binary_data_output\":true}"
#define F16BYTES "\0\0\x80\x3f\0\0\0\x40\0\0\x40\x40\0\0\x80\x40" /* 1 2 3 4 */

static void test_v2__binary_tensors(void **state)
{
    static const binary_case cases[] = {
        { 200, NULL, BIN("16", ""), F16BYTES, 16, "\"data\":[1.0,2.0,3.0,4.0]",
          NULL, 0 },
        { 200, NULL, BIN("16", ALL_BINARY), F16BYTES, 16,
          "\"parameters\":{\"binary_data_size\":16}", F16BYTES, 16 },
        { 200, NULL,
          BIN("16", ALL_BINARY ",\"outputs\":[{\"name\":\"y\",\"parameters\":{"
                               "\"binary_data\":false}}]"),
          F16BYTES, 16, "\"data\":[1.0,2.0,3.0,4.0]", NULL, 0 },
        { 200, NULL,
          BIN("16", ",\"outputs\":[{\"name\":\"y\",\"parameters\":{"
                    "\"binary_data\":true}}]"),
          F16BYTES, 16, "\"binary_data_size\":16", F16BYTES, 16 },
        { 200, "0", "", F16BYTES F16BYTES, 32, "\"shape\":[2,4]",
          F16BYTES F16BYTES, 32 },
        { 400, "0", "", F16BYTES, 15, "bytes given", NULL, 0 },
        { 400, NULL, BIN("12", ""), F16BYTES, 16, "12 bytes given, 16 expected",
          NULL, 0 },
        { 400, NULL, BIN("16", ""), F16BYTES, 12, "12 bytes are left", NULL,
          0 },
        { 400, NULL, BIN("16", ""), F16BYTES "junk", 20,
          "4 bytes follow the binary data", NULL, 0 },
        { 400, NULL, BIN("18446744073709551615", ""), F16BYTES, 16,
          "bytes are left", NULL, 0 },
        { 400, NULL, BIN("-1", ""), F16BYTES, 16, "JSON at byte", NULL, 0 },
        { 400, "9999", BIN("16", ""), F16BYTES, 16,
          "inference header size should be in range", NULL, 0 },
        { 400, "-1", BIN("16", ""), F16BYTES, 16, "got: -1", NULL, 0 },
        { 400, "1x", BIN("16", ""), F16BYTES, 16, "got: 1x", NULL, 0 },
        { 400, "5", BIN("16", ""), F16BYTES, 16, "JSON at byte", NULL, 0 },
    };
    fake_server f;

    (void)state;
    fake_server_start(&f, NULL, fake_identity(), NULL);
    for (size_t i = 0; i < MD_COUNT(cases); i++)
        run_binary(&f, &cases[i]);
    fake_server_stop(&f);
}

#define STRS(n, size)                                                          \
    "{\"inputs\":[{\"name\":\"x\",\"shape\":[" n "],\"datatype\":\"BYTES\","   \
    "\"parameters\":{\"binary_data_size\":" size "}}]" ALL_BINARY "}"

static void test_v2__binary_strings(void **state)
{
    static const binary_case cases[] = {
        { 200, NULL, STRS("2", "11"), "\x03\0\0\0abc\0\0\0\0", 11,
          "\"binary_data_size\":11", "\x03\0\0\0abc\0\0\0\0", 11 },
        { 400, NULL, STRS("3", "11"), "\x03\0\0\0abc\0\0\0\0", 11,
          "2 strings given, 3 expected", NULL, 0 },
        { 400, NULL, STRS("1", "11"), "\x03\0\0\0abc\0\0\0\0", 11,
          "4 bytes follow the last string", NULL, 0 },
        { 400, NULL, STRS("1", "7"), "\x04\0\0\0abc", 7,
          "string of 4 bytes given, 3 bytes are left", NULL, 0 },
        { 400, NULL, STRS("1", "7"),
          "\xff\xff\xff\xff"
          "abc",
          7, "string of 4294967295 bytes", NULL, 0 },
        { 400, NULL, STRS("9000000000000000000", "7"), "\x03\0\0\0abc", 7,
          "1 strings given", NULL, 0 },
        /* JSON holds text only: other bytes are not changed into some */
        { 400, NULL,
          "{\"inputs\":[{\"name\":\"x\",\"shape\":[2],\"datatype\":\"BYTES\","
          "\"parameters\":{\"binary_data_size\":10}}]}",
          "\1\0\0\0a\1\0\0\0\xff", 10,
          "output 'y': string 1 is not UTF-8; ask for binary_data", NULL, 0 },
        /* raw: the body is the one string, without a length */
        { 200, "0", "", "a\0c", 3, "\"shape\":[1]", "\x03\0\0\0a\0c", 7 },
        { 200, "0", "", "", 0, "\"shape\":[1]", "\0\0\0\0", 4 },
    };
    fake_server f;

    (void)state;
    fake_server_start(&f, NULL, typed_model(MD_DTYPE_STRING), NULL);
    for (size_t i = 0; i < MD_COUNT(cases); i++)
        run_binary(&f, &cases[i]);
    fake_server_stop(&f);
}

/* Three values of each type as bytes: they come back as they were sent, and
 * as JSON where JSON can hold them. */
static void test_v2__binary_datatypes(void **state)
{
    static const struct {
        md_dtype dtype;
        const char *v2;
        const char *bytes;
        size_t size;
        const char *back; /* NULL: as they were sent */
        const char *json; /* NULL: none */
    } cases[] = {
        { MD_DTYPE_BOOL, "BOOL", "\0\1\2", 3, "\0\1\1", "false,true,true" },
        { MD_DTYPE_U8, "UINT8", "\0\x7f\xff", 3, NULL, "0,127,255" },
        { MD_DTYPE_I8, "INT8", "\x80\0\x7f", 3, NULL, "-128,0,127" },
        { MD_DTYPE_U16, "UINT16", "\0\0\1\0\xff\xff", 6, NULL, "0,1,65535" },
        { MD_DTYPE_I16, "INT16", "\0\x80\1\0\xff\x7f", 6, NULL,
          "-32768,1,32767" },
        { MD_DTYPE_U32, "UINT32", "\0\0\0\0\1\0\0\0\xff\xff\xff\xff", 12, NULL,
          "0,1,4294967295" },
        { MD_DTYPE_I32, "INT32", "\0\0\0\x80\1\0\0\0\xff\xff\xff\x7f", 12, NULL,
          "-2147483648,1,2147483647" },
        { MD_DTYPE_U64, "UINT64",
          "\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff"
          "\xff",
          24, NULL, "0,1,18446744073709551615" },
        { MD_DTYPE_I64, "INT64",
          "\0\0\0\0\0\0\0\x80\1\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff"
          "\x7f",
          24, NULL, "-9223372036854775808,1,9223372036854775807" },
        { MD_DTYPE_F16, "FP16", "\0\x3c\1\0\0\x7e", 6, NULL, NULL },
        { MD_DTYPE_BF16, "BF16", "\x80\x3f\1\0\x80\x7f", 6, NULL, NULL },
        /* 1, the smallest number, infinity, which JSON has as a string */
        { MD_DTYPE_F32, "FP32", "\0\0\x80\x3f\1\0\0\0\0\0\x80\x7f", 12, NULL,
          "1.0,1e-45,\"Infinity\"" },
        { MD_DTYPE_F64, "FP64",
          "\0\0\0\0\0\0\xf0\x3f\0\0\0\0\0\0\0\x80\0\0\0\0\0\0\xf8\x7f", 24,
          NULL, "1.0,-0.0,\"NaN\"" },
        { MD_DTYPE_STRING, "BYTES", "\1\0\0\0a\0\0\0\0\2\0\0\0\xc3\xa9", 15,
          NULL, "\"a\",\"\",\"\xc3\xa9\"" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        const size_t size = cases[i].size;
        const char *bytes = cases[i].bytes;
        char json[512];
        char text[512];
        fake_server f;

#define TENSOR(size, more)                                                     \
    (void)snprintf(                                                            \
        json, sizeof(json),                                                    \
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[3],\"datatype\":\""           \
        "%s\",\"parameters\":{\"binary_data_size\":%zu}}]" more "}",           \
        cases[i].v2, size)
        fake_server_start(&f, NULL, typed_model(cases[i].dtype), NULL);
        TENSOR(size, ALL_BINARY);
        (void)snprintf(text, sizeof(text),
                       "\"datatype\":\"%s\",\"shape\":[3],\"parameters\":{"
                       "\"binary_data_size\":%zu}",
                       cases[i].v2, size);
        run_binary(&f, &(binary_case){ 200, NULL, json, bytes, size, text,
                                       cases[i].back ? cases[i].back : bytes,
                                       size });
        TENSOR(size, "");
        (void)snprintf(text, sizeof(text), "\"data\":[%s]",
                       cases[i].json ? cases[i].json : "");
        run_binary(&f, cases[i].json
                           ? &(binary_case){ 200, NULL, json, bytes, size, text,
                                             NULL, 0 }
                           : &(binary_case){ 400, NULL, json, bytes, size,
                                             "ask for binary_data", NULL, 0 });
        /* a byte less, and one more than was announced */
        TENSOR(size - 1, ALL_BINARY);
        run_binary(&f, &(binary_case){ 400, NULL, json, bytes, size - 1,
                                       "input 'x': ", NULL, 0 });
        TENSOR(size, ALL_BINARY);
        run_binary(&f, &(binary_case){ 400, NULL, json, bytes, size + 1,
                                       "1 bytes follow", NULL, 0 });
#undef TENSOR
        fake_server_stop(&f);
    }
}

/* Types that ONNX has and the protocol has not. */
static void test_v2__datatypes_without_a_name(void **state)
{
    static const md_dtype types[] = { MD_DTYPE_F8E4M3FN, MD_DTYPE_I4,
                                      MD_DTYPE_U4, MD_DTYPE_C64 };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(types); i++) {
        char text[128];
        fake_server f;

        fake_server_start(&f, NULL, typed_model(types[i]), NULL);
        (void)snprintf(text, sizeof(text), "\"datatype\":\"%s\"",
                       md_dtype_name(types[i]));
        fake_expect_part(&f, "GET", "/v2/models/id", NULL, 200, text);
        fake_expect_part(&f, "POST", INFER,
                         X("\"shape\":[1],\"datatype\":\"FP32\",\"data\":[1]"),
                         400, "data-type is 'FP32', but model 'id' expects");
        fake_expect_part(&f, "POST", "/predict", "{\"input_data\":[1]}", 400,
                         "cannot be sent as JSON");
        run_binary(&f, &(binary_case){ 501, "0", "", "12345678", 8,
                                       "output 'y': the protocol has no ", NULL,
                                       0 });
        fake_server_stop(&f);
    }
}

#define TOP(k)                                                                 \
    ",\"outputs\":[{\"name\":\"y\",\"parameters\":{\"classification\":" k "}}]"

/* Classes of scores that JSON cannot hold. */
static void test_v2__classes_of_odd_scores(void **state)
{
    static const binary_case cases[] = {
        { 200, NULL, BIN("16", TOP("3")),
          "\0\0\0\x80\0\0\x80\x7f\0\0\x80\xff\0\0\0\0", 16,
          "[\"inf:1\",\"-0.000000:0\",\"0.000000:3\"]", NULL, 0 },
        /* NaN is in no order, wherever it stands and how few are asked for */
        { 400, NULL, BIN("16", TOP("1")),
          "\0\0\xc0\x7f\0\0\0\0\0\0\0\0\0\0\x80\x3f", 16,
          "the output has values that are not numbers", NULL, 0 },
        { 400, NULL, BIN("16", TOP("1")),
          "\0\0\x80\x3f\0\0\0\0\0\0\0\0\0\0\xc0\x7f", 16,
          "the output has values that are not numbers", NULL, 0 },
        { 200, NULL, BIN("16", TOP("100")), F16BYTES, 16, "\"shape\":[1,4]",
          NULL, 0 },
        { 200, NULL, BIN("16", TOP("0")), F16BYTES, 16,
          "\"data\":[1.0,2.0,3.0,4.0]", NULL, 0 },
    };
    fake_server f;

    (void)state;
    fake_server_start(&f, NULL, fake_identity(), NULL);
    for (size_t i = 0; i < MD_COUNT(cases); i++)
        run_binary(&f, &cases[i]);
    fake_server_stop(&f);
}

/* Several binary tensors lie behind the JSON in the order of its inputs,
 * whatever the order of the model; answers in the order asked for. */
static void test_v2__binary_order(void **state)
{
    const md_serve_io ios[] = {
        { "a", MD_DTYPE_U8, { 1, { -1 } }, true },
        { "b", MD_DTYPE_U16, { 1, { -1 } }, true },
        { "c", MD_DTYPE_STRING, { 1, { -1 } }, true },
    };
#define IN(name, type, n, size)                                                \
    "{\"name\":\"" name "\",\"datatype\":\"" type "\",\"shape\":[" n           \
    "],\"parameters\":{\"binary_data_size\":" size "}}"
#define OUT(name, binary)                                                      \
    "{\"name\":\"" name "\",\"parameters\":{\"binary_data\":" binary "}}"
    static const binary_case cases[] = {
        { 200, NULL,
          "{\"inputs\":[" IN("c", "BYTES", "1", "5") "," IN(
              "a", "UINT8", "3",
              "3") "," IN("b", "UINT16", "1",
                          "2") "],"
                               "\"outputs\":[" OUT("y1", "true") "," OUT(
                                   "y2", "false") "," OUT("y0", "true") "]}",
          "\1\0\0\0zabc\7\0", 10, "\"data\":[\"z\"]", "\7\0abc", 5 },
        /* one of them as JSON */
        { 200, NULL,
          "{\"inputs\":[" IN(
              "b", "UINT16", "1",
              "2") ",{\"name\":\"a\","
                   "\"datatype\":\"UINT8\",\"shape\":[2],\"data\":[4,5]}," IN(
                       "c", "BYTES", "0", "0") "]" ALL_BINARY "}",
          "\7\0", 2, "\"name\":\"y2\",\"datatype\":\"BYTES\",\"shape\":[0]",
          "\4\5\7\0", 4 },
        { 400, NULL,
          "{\"inputs\":[" IN("a", "UINT8", "3", "3") "," IN("b", "UINT16", "2",
                                                            "4") "]}",
          "abc\1\0\2", 6, "input 'b': binary_data_size 4 given, 3 bytes", NULL,
          0 },
        { 400, NULL,
          "{\"inputs\":[" IN("a", "UINT8", "3", "3") "," IN("b", "UINT16", "1",
                                                            "2") "]}",
          "abc\1\0", 5, "input 'c' of model 'id' is missing", NULL, 0 },
    };
#undef IN
#undef OUT
    fake_server f;

    (void)state;
    fake_server_start(&f, NULL, fake_model("id", ios, 3, NULL, 0, NULL), NULL);
    for (size_t i = 0; i < MD_COUNT(cases); i++)
        run_binary(&f, &cases[i]);
    fake_server_stop(&f);
}

/* Models that a raw body does not suit. */
static void test_v2__raw_needs_one_plain_input(void **state)
{
    const int64_t huge = (int64_t)1 << 40;
    const struct {
        md_serve_io io;
        const char *part;
    } cases[] = {
        { { "x", MD_DTYPE_F32, { 2, { -1, -1 } }, true }, "must have one" },
        { { "x", MD_DTYPE_F32, { 2, { -1, 0 } }, true }, "must have one" },
        { { "x", MD_DTYPE_F32, { 0, { 0 } }, false }, "must have one" },
        { { "x", MD_DTYPE_F32, { 3, { -1, huge, huge } }, true },
          "must have one" },
        { { "x", MD_DTYPE_F32, { 2, { huge, huge } }, true }, "must have one" },
        { { "x", MD_DTYPE_STRING, { 1, { 2 } }, true }, "must have one" },
        { { "x", MD_DTYPE_STRING, { 2, { -1, 2 } }, true }, "must have one" },
        { { "x", MD_DTYPE_F32, { 1, { 3 } }, true },
          "16 bytes given, 12 expected" },
        { { "x", MD_DTYPE_I64, { 2, { -1, 3 } }, true },
          "16 bytes given, 0 expected" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        const binary_case c = { 400, "0",           "",   F16BYTES,
                                16,  cases[i].part, NULL, 0 };
        fake_server f;

        fake_server_start(
            &f, NULL, fake_model("id", &cases[i].io, 1, NULL, 0, NULL), NULL);
        run_binary(&f, &c);
        fake_server_stop(&f);
    }
}

/* Two lengths are two requests, depending on who reads. */
static void test_v2__header_length_once(void **state)
{
    fake_server f;
    http_reply r;

    (void)state;
    fake_server_start(&f, NULL, fake_identity(), NULL);
    http_exchange(f.address,
                  "POST " INFER " HTTP/1.1\r\nHost: t\r\n"
                  "Inference-Header-Content-Length: 2\r\n"
                  "inference-header-content-length: 0\r\n"
                  "Content-Length: 2\r\n\r\n{}",
                  &r);
    assert_int_equal(r.status, 400);
    assert_string_equal(r.body, "{\"error\":\"field inference-header-content-"
                                "length is given twice\"}");
    http_reply_release(&r);
    fake_server_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_v2__triton_extensions),
        cmocka_unit_test(test_v2__statistics),
        cmocka_unit_test(test_v2__metadata),
        cmocka_unit_test(test_v2__answers),
        cmocka_unit_test(test_v2__refuses),
        cmocka_unit_test(test_v2__deep_nesting),
        cmocka_unit_test(test_v2__datatypes),
        cmocka_unit_test(test_v2__half_floats_need_the_binary_format),
        cmocka_unit_test(test_v2__binary_tensors),
        cmocka_unit_test(test_v2__binary_strings),
        cmocka_unit_test(test_v2__binary_datatypes),
        cmocka_unit_test(test_v2__datatypes_without_a_name),
        cmocka_unit_test(test_v2__classes_of_odd_scores),
        cmocka_unit_test(test_v2__binary_order),
        cmocka_unit_test(test_v2__raw_needs_one_plain_input),
        cmocka_unit_test(test_v2__header_length_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
