#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "support/fake_serve.h"

static const char *const LABELS[] = { "cat", "dog", "hen", "owl" };

static md_serve_model *model(const char *name, md_dtype dtype, int rank,
                             int64_t a, int64_t b, int64_t c, int64_t d)
{
    const md_serve_io x = { .name = "x",
                            .dtype = dtype,
                            .has_rank = rank > 0,
                            .shape = { rank, { a, b, c, d } } };

    return fake_model(name, &x, 1, NULL, 0, NULL);
}

static void test_predict__shapes(void **state)
{
    static const struct {
        const char *model;
        int status;
        const char *data;
        const char *part;
    } cases[] = {
        /* [-1,4] */
        { "v", 200, "[[1,2,3,4]]", "\"output\":[[1.0,2.0,3.0,4.0]]}" },
        { "v", 200, "[1,2,3,4]", "\"output\":[1.0,2.0,3.0,4.0]}" },
        { "v", 200, "[1,2,3,4,5,6,7,8]",
          "\"output\":[[1.0,2.0,3.0,4.0],[5.0,6.0,7.0,8.0]]}" },
        { "v", 200, "[[1,2,3,4],[5,6,7,8]]",
          "\"output\":[[1.0,2.0,3.0,4.0],[5.0,6.0,7.0,8.0]]}" },
        { "v", 400, "[]", "[-1,4] expected, [0] given" },
        { "v", 400, "[1,2,3]", "[-1,4] expected, [3] given" },
        { "v", 400, "[[1,2],[3,4]]", "[2,2] given" },
        { "v", 400, "[[[1,2,3,4,5]]]", "[1,1,5] given" },
        { "v", 400, "7", "[] given" },
        { "v", 400, "[[1,2,3,4],[5,6,7]]", "JSON at byte" },
        { "v", 400, "[[[[[[[[[1]]]]]]]]]", "9 nested arrays given" },
        /* [-1,2,2,1]: a picture of numbers */
        { "p", 200, "[[[1],[2]],[[3],[4]]]",
          "\"output\":[[[1.0],[2.0]],[[3.0],[4.0]]]}" },
        { "p", 200, "[[1,2],[3,4]]",
          "\"output\":[[[1.0],[2.0]],[[3.0],[4.0]]]}" },
        { "p", 200, "[1,2,3,4]", "\"output\":[[[1.0],[2.0]],[[3.0],[4.0]]]}" },
        { "p", 200, "[[[1,2],[3,4]],[[5,6],[7,8]]]",
          "[[[[1.0],[2.0]],[[3.0],[4.0]]],[[[5.0]" },
        { "p", 200, "[[[[1],[2]],[[3],[4]]]]",
          "\"output\":[[[[1.0],[2.0]],[[3.0],[4.0]]]]}" },
        { "p", 400, "[[1,2,3,4]]", "[-1,2,2,1] expected, [1,4] given" },
        { "p", 400, "[[1],[2],[3],[4]]", "[4,1] given" },
        /* [1,4]: a batch of one and no more */
        { "one", 200, "[1,2,3,4]", "\"output\":[1.0,2.0,3.0,4.0]}" },
        { "one", 400, "[[1,2,3,4],[5,6,7,8]]", "[1,4] expected, [2,4] given" },
        { "one", 400, "[1,2,3,4,5,6,7,8]", "[1,4] expected, [8] given" },
        /* [-1,-1]: any length */
        { "text", 200, "[1,2,3]", "\"output\":[1.0,2.0,3.0]}" },
        { "text", 200, "[[1,2,3]]", "\"output\":[[1.0,2.0,3.0]]}" },
        /* unknown rank */
        { "any", 200, "[[1],[2]]", "\"output\":[[1.0],[2.0]]}" },
        { "any", 200, "7", "\"output\":7.0}" },
        /* [3]: no batch axis */
        { "flat", 200, "[1,2,3]", "\"output\":[1.0,2.0,3.0]}" },
        { "flat", 400, "[1,2,3,4,5,6]", "[3] expected, [6] given" },
        /* other types */
        { "int", 200, "[1,-2]", "\"output\":[1,-2]}" },
        { "int", 400, "[1,2.5]", "JSON at byte" },
        { "int", 400, "[1,300]", "input 'x': a value does not fit int8" },
        { "half", 200, "[0.5,2]", "\"output\":[0.5,2.0]}" },
        { "text8", 200, "[\"a\",\"b\"]", "\"output\":[\"a\",\"b\"]}" },
        { "text8", 400, "[\"a\",7]", "number given, expected string" },
        { "bool", 200, "[true,false]", "\"output\":[true,false]}" },
    };
    fake_server f;

    (void)state;
    fake_server_start(&f, NULL, model("v", MD_DTYPE_F32, 2, -1, 4, 0, 0),
                      model("p", MD_DTYPE_F32, 4, -1, 2, 2, 1),
                      model("one", MD_DTYPE_F32, 2, 1, 4, 0, 0),
                      model("text", MD_DTYPE_F32, 2, -1, -1, 0, 0),
                      model("any", MD_DTYPE_F32, 0, 0, 0, 0, 0),
                      model("flat", MD_DTYPE_F32, 1, 3, 0, 0, 0),
                      model("int", MD_DTYPE_I8, 1, -1, 0, 0, 0),
                      model("half", MD_DTYPE_F16, 1, -1, 0, 0, 0),
                      model("text8", MD_DTYPE_STRING, 1, -1, 0, 0, 0),
                      model("bool", MD_DTYPE_BOOL, 1, -1, 0, 0, 0), NULL);
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        char path[64];
        char body[256];

        (void)snprintf(path, sizeof(path), "/predict/%s", cases[i].model);
        (void)snprintf(body, sizeof(body), "{\"input_data\":%s}",
                       cases[i].data);
        fake_expect_part(&f, "POST", path, body, cases[i].status,
                         cases[i].part);
    }
    fake_server_stop(&f);
}

static void test_predict__bodies(void **state)
{
    static const struct {
        int status;
        const char *body;
        const char *part;
    } cases[] = {
        { 200, "{\"input_data\":[1,2,3,4]}",
          "{\"model\":\"id\",\"output\":[1.0,2.0,3.0,4.0]}" },
        { 200, " {\"a\":{\"b\":[]},\"input_data\" : [1,2,3,4], \"c\":null}\n",
          "[1.0,2.0,3.0,4.0]" },
        { 200, "{\"input_data\":{\"x\":[1,2,3,4]}}", "[1.0,2.0,3.0,4.0]" },
        { 400, "", "JSON at byte 0" },
        { 400, "[1,2,3,4]", "expected object" },
        { 400, "{}", "request has no 'input_data'" },
        { 400, "{\"input_data\":null}", "JSON at byte" },
        { 400, "{\"input_data\":\"x\"}", "JSON at byte" },
        { 400, "{\"input_data\":{}}", "input 'x' of model 'id' is missing" },
        { 400, "{\"input_data\":{\"z\":[1]}}", "unexpected input 'z'" },
        { 400, "{\"input_data\":{\"x\":[1,2,3,4],\"x\":[1]}}",
          "input 'x' is given twice" },
        { 400, "{\"input_data\":[1,2,3,4],\"input_data\":[1]}",
          "'input_data' is given twice" },
        { 400, "{\"input_data\":[1,2,3,4]", "JSON at byte" },
        { 400, "{\"input_data\":[1,2,3,4]} x", "JSON at byte" },
        { 400, "{\"input_data\":[1,2,3,NaN]}", "JSON at byte 21" },
        { 400, "{\"input_data\":[1,2,3,Infinity]}", "JSON at byte" },
        { 400, "{\"input_data\":[1,2,3,1e999]}", "JSON at byte" },
        { 400, "{\"input_data\":[1,2,3,4,]}", "JSON at byte" },
        { 400, "{\"input_data\":[1,2,3,0x4]}", "JSON at byte" },
    };
    fake_server f;

    (void)state;
    fake_server_start(&f, NULL, fake_identity(), NULL);
    for (size_t i = 0; i < MD_COUNT(cases); i++)
        fake_expect_part(&f, "POST", "/predict", cases[i].body, cases[i].status,
                         cases[i].part);
    fake_expect_part(&f, "POST", "/predict/nope", "{}", 404,
                     "'nope' is not found");
    fake_server_stop(&f);
    fake_server_start(&f, NULL, NULL);
    fake_expect_part(&f, "POST", "/predict", "{}", 404, "no model is loaded");
    fake_server_stop(&f);
}

static md_serve_model *flat(md_dtype t)
{
    const md_serve_io x = { "x", t, { 1, { -1 } }, true };

    return fake_model("flat", &x, 1, NULL, 0, NULL);
}

/* Numbers that JSON can say, into each type; `out` NULL: refused. */
static void test_predict__numbers(void **state)
{
    static const struct {
        md_dtype dtype;
        const char *in;
        const char *out;
    } cases[] = {
        { MD_DTYPE_F32, "0,-0,0.0,-0.0,1e0,1E+2,1e-2",
          "0.0,-0.0,0.0,-0.0,1.0,100.0,0.01" },
        { MD_DTYPE_F32, "3.4028234e38,1e-45,1e-46,1e-999999999",
          "3.4028235e+38,1e-45,0.0,0.0" },
        { MD_DTYPE_F32, "16777217,9007199254740993,123456789012345678901",
          "16777216.0,9007199000000000.0,1.2345679e+20" },
        { MD_DTYPE_F32, "0.00000000000000000000000000000000000000000000001e47",
          "1.0" },
        { MD_DTYPE_F32, "3.5e38", NULL },
        { MD_DTYPE_F32, "1e99999999999999999999", NULL },
        { MD_DTYPE_F32, "-1e999", NULL },
        { MD_DTYPE_F32, "01", NULL },
        { MD_DTYPE_F32, "+1", NULL },
        { MD_DTYPE_F32, ".5", NULL },
        { MD_DTYPE_F32, "1.", NULL },
        { MD_DTYPE_F32, "1e", NULL },
        { MD_DTYPE_F32, "1e+", NULL },
        { MD_DTYPE_F32, "-", NULL },
        { MD_DTYPE_F32, "--1", NULL },
        { MD_DTYPE_F32, "1_000", NULL },
        { MD_DTYPE_F32, "1 2", NULL },
        { MD_DTYPE_F32, "0b1", NULL },
        { MD_DTYPE_F32, "inf", NULL },
        { MD_DTYPE_F32, "nan", NULL },
        { MD_DTYPE_F32, "-Infinity", NULL },
        { MD_DTYPE_F32, "true", NULL },
        { MD_DTYPE_F32, "\"1\"", NULL },
        { MD_DTYPE_F32, "1,,2", NULL },
        { MD_DTYPE_F32, ",1", NULL },
        { MD_DTYPE_F32, "1/**/", NULL },
        { MD_DTYPE_F32,
          "\xef\xbb\xbf"
          "1",
          NULL },
        { MD_DTYPE_F32,
          "\xc2\xa0"
          "1",
          NULL }, /* another space */
        { MD_DTYPE_F64, "1.7976931348623157e308,5e-324,0.1",
          "1.7976931348623157e+308,4.94065645841247e-324,0.1" },
        { MD_DTYPE_F64, "1.8e308", NULL },
        { MD_DTYPE_F16, "1,0.1,65504", "1.0,0.099975586,65504.0" },
        { MD_DTYPE_BF16, "1,0.1", "1.0,0.100097656" },
        { MD_DTYPE_BOOL, "true,false", "true,false" },
        { MD_DTYPE_BOOL, "1", NULL },
        { MD_DTYPE_BOOL, "null", NULL },
        { MD_DTYPE_U8, "255,0", "255,0" },
        { MD_DTYPE_U8, "256", NULL },
        { MD_DTYPE_U8, "-1", NULL },
        { MD_DTYPE_U8, "1.0", NULL },
        { MD_DTYPE_U8, "1e2", NULL },
        { MD_DTYPE_I8, "-128,127", "-128,127" },
        { MD_DTYPE_I8, "-129", NULL },
        { MD_DTYPE_I8, "128", NULL },
        { MD_DTYPE_U16, "65536", NULL },
        { MD_DTYPE_I16, "32768", NULL },
        { MD_DTYPE_I16, "-32768", "-32768" },
        { MD_DTYPE_U32, "4294967295", "4294967295" },
        { MD_DTYPE_U32, "4294967296", NULL },
        { MD_DTYPE_I32, "-2147483648", "-2147483648" },
        { MD_DTYPE_I32, "2147483648", NULL },
        { MD_DTYPE_I64, "-9223372036854775808", "-9223372036854775808" },
        { MD_DTYPE_I64, "9223372036854775808", NULL },
        { MD_DTYPE_I64, "99999999999999999999999", NULL },
        { MD_DTYPE_U64, "18446744073709551615", "18446744073709551615" },
        { MD_DTYPE_U64, "18446744073709551616", NULL },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        bool good = cases[i].out != NULL;
        char body[256];
        char want[256];
        fake_server f;

        fake_server_start(&f, NULL, flat(cases[i].dtype), NULL);
        (void)snprintf(body, sizeof(body), "{\"input_data\":[%s]}",
                       cases[i].in);
        (void)snprintf(want, sizeof(want), good ? "\"output\":[%s]}" : "%s",
                       good ? cases[i].out : "{\"error\":\"input 'x': ");
        fake_expect_part(&f, "POST", "/predict", body, good ? 200 : 400, want);
        fake_server_stop(&f);
    }
}

/* Strings come back as the same text, whatever way they were written. */
static void test_predict__strings(void **state)
{
    static const struct {
        const char *in;
        const char *out; /* NULL: refused */
    } cases[] = {
        { "\"\",\"a\",\"\\\"\\\\\\/\"", "\"\",\"a\",\"\\\"\\\\/\"" },
        { "\"\\b\\f\\n\\r\\t\"", "\"\\b\\f\\n\\r\\t\"" },
        { "\"\\u00e9\\ud83d\\ude00\"", "\"\xc3\xa9\xf0\x9f\x98\x80\"" },
        { "\"\\u0000\"", "\"\\u0000\"" },
        { "\"\\u0001\"", "\"\\u0001\"" },
        { "\"\\ud83d\"", NULL },        /* half a pair */
        { "\"\\ude00\"", NULL },        /* the other half */
        { "\"\\ud83d\\u0041\"", NULL }, /* half and another */
        { "\"\\ud83d\\ud83d\"", NULL }, /* twice the same half */
        { "\"\\u12g4\"", NULL },
        { "\"\\x41\"", NULL },
        { "\"\n\"", NULL },               /* must be escaped */
        { "\"\xff\"", NULL },             /* not UTF-8 */
        { "\"\xc0\x80\"", NULL },         /* zero in two bytes */
        { "\"\xed\xa0\x80\"", NULL },     /* a surrogate in UTF-8 */
        { "\"\xf4\x90\x80\x80\"", NULL }, /* beyond Unicode */
        { "\"\xc3\"", NULL },             /* cut */
        { "'a'", NULL },
        { "\"a", NULL },
        { "null", NULL },
        { "1", NULL },
        { "{}", NULL },
    };
    fake_server f;

    (void)state;
    fake_server_start(&f, NULL, flat(MD_DTYPE_STRING), NULL);
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        bool good = cases[i].out != NULL;
        char body[256];
        char want[256];

        (void)snprintf(body, sizeof(body), "{\"input_data\":[%s]}",
                       cases[i].in);
        (void)snprintf(want, sizeof(want), good ? "\"output\":[%s]}" : "%s",
                       good ? cases[i].out : "JSON at byte ");
        fake_expect_part(&f, "POST", "/predict", body, good ? 200 : 400, want);
    }
    fake_server_stop(&f);
}

static void test_predict__several_inputs(void **state)
{
    const md_serve_io ios[] = {
        { "a", MD_DTYPE_F32, { 2, { -1, 2 } }, true },
        { "b", MD_DTYPE_I64, { 2, { -1, 1 } }, true },
    };
    fake_server f;

    (void)state;
    fake_server_start(&f, NULL, fake_model("two", ios, 2, NULL, 0, NULL), NULL);
    fake_expect(&f, "POST", "/predict",
                "{\"input_data\":{\"b\":[7],\"a\":[0.5,1]}}", 200,
                "{\"model\":\"two\",\"output\":{\"y0\":[0.5,1.0],\"y1\":[7]}}");
    fake_expect_part(&f, "POST", "/predict", "{\"input_data\":[1]}", 400,
                     "model 'two' has 2 inputs, an object");
    fake_expect_part(&f, "POST", "/predict", "{\"input_data\":{\"a\":[1,2]}}",
                     400, "input 'b' of model 'two' is missing");
    fake_server_stop(&f);
}

static void test_predict__classes(void **state)
{
    const md_serve_io x = { "x", MD_DTYPE_F32, { 2, { -1, 4 } }, true };
    const md_serve_io wide = { "x", MD_DTYPE_F32, { 2, { -1, 5 } }, true };
    fake_server f;

    (void)state;
    fake_server_start(&f, NULL, fake_model("animals", &x, 1, LABELS, 4, NULL),
                      fake_model("wide", &wide, 1, LABELS, 4, NULL), NULL);
    /* probabilities stay */
    fake_expect_part(
        &f, "POST", "/predict", "{\"input_data\":[0.125,0.125,0.75,0]}", 200,
        "\"class\":\"hen\",\"class_index\":2,\"probability\":0.75}");
    /* scores go through softmax; ties to the first */
    fake_expect_part(
        &f, "POST", "/predict", "{\"input_data\":[5,5,5,5]}", 200,
        "\"class\":\"cat\",\"class_index\":0,\"probability\":0.25}");
    fake_expect_part(
        &f, "POST", "/predict", "{\"input_data\":[[1,0,0,0],[0,0,0,1]]}", 200,
        "\"class\":[\"cat\",\"owl\"],\"class_index\":[0,3],\"probability\":["
        "1.0,1.0]}");
    /* labels for another number of classes say nothing */
    fake_expect(&f, "POST", "/predict/wide", "{\"input_data\":[1,2,3,4,5]}",
                200, "{\"model\":\"wide\",\"output\":[1.0,2.0,3.0,4.0,5.0]}");
    fake_server_stop(&f);
}

/* ---- pictures ---- */

static void send_picture(const fake_server *f, const char *path,
                         const char *type, const char *file, int status,
                         const char *part)
{
    md_error err = MD_ERROR_INIT;
    http_reply r;
    md_buf b;

    md_buf_init(&b, md_alloc_default(), 1 << 20);
    if (file)
        assert_md_ok(md_file_read(&b, file, &err), &err);
    else
        assert_md_ok(md_buf_puts(&b, "no picture", &err), &err);
    http_call(f->address, "POST", path, type, b.data, b.size, &r);
    if (r.status != status || !strstr(r.body, part))
        fail_msg("%s: %d, '%.200s' lacks '%s'", path, r.status, r.body, part);
    http_reply_release(&r);
    md_buf_release(&b);
}

/* What a body is, by its media type and, where that says nothing of pictures
 * or JSON, by its first bytes. */
static void test_predict__media_types(void **state)
{
    static const char quad[] = MD_TEST_DIR "/golden/images/quad.png";
    static const char json[] = "{\"input_data\":[[[[1,2],[3,4]]]]}";
    static const struct {
        const char *type; /* NULL: none */
        bool picture;
        int status;
        const char *part;
    } cases[] = {
        { "image/png", true, 200, "\"output\":[[[" },
        { "IMAGE/PNG", true, 200, "\"output\":[[[" },
        { "image/jpeg", true, 200, "\"output\":[[[" }, /* it is what it is */
        { "image/x; a=b", true, 200, "\"output\":[[[" },
        { "image/png ; a=b", true, 200, "\"output\":[[[" },
        { "text/plain", true, 200, "\"output\":[[[" },
        { "", true, 200, "\"output\":[[[" },
        { NULL, true, 200, "\"output\":[[[" },
        { "imagex/png", true, 200, "\"output\":[[[" },
        { "application/json", true, 400, "JSON at byte 0" },
        { "Application/JSON; charset=utf-8", true, 400, "JSON at byte 0" },
        { "multipart/form-data; boundary=x", true, 200, "\"output\":[[[" },
        { "application/json", false, 200, "\"output\":[[[[1.0,2.0],[" },
        { "text/plain", false, 200, "\"output\":[[[[1.0,2.0],[" },
        { NULL, false, 200, "\"output\":[[[[1.0,2.0],[" },
        { "application/jsonx", false, 200, "\"output\":[[[[1.0,2.0],[" },
        { "image/png", false, 415, "neither PNG, JPEG, WebP" },
        { "image", false, 200, "\"output\":[[[[1.0,2.0],[" },
        { "multipart/form-data", false, 415, "send the picture itself" },
    };
    md_error err = MD_ERROR_INIT;
    fake_server f;
    md_buf b;

    (void)state;
    md_buf_init(&b, md_alloc_default(), 1 << 20);
    assert_md_ok(md_file_read(&b, quad, &err), &err);
    fake_server_start(&f, NULL, model("gray", MD_DTYPE_F32, 4, -1, 1, -1, -1),
                      NULL);
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        bool picture = cases[i].picture;
        http_reply r;

        http_call(f.address, "POST", "/predict", cases[i].type,
                  picture ? (const char *)b.data : json,
                  picture ? b.size : strlen(json), &r);
        if (r.status != cases[i].status || !strstr(r.body, cases[i].part))
            fail_msg("case %zu, '%s': %d, '%.200s' lacks '%s'", i,
                     cases[i].type ? cases[i].type : "", r.status, r.body,
                     cases[i].part);
        http_reply_release(&r);
    }
    fake_server_stop(&f);
    md_buf_release(&b);
}

/* tests/golden/images/quad.png: 2 x 2, red green / blue white. */
static void test_predict__pictures(void **state)
{
    static const char quad[] = MD_TEST_DIR "/golden/images/quad.png";
    static const char cut[] = MD_TEST_DIR "/golden/images/cut.png";
    fake_server f;

    (void)state;
    fake_server_start(&f, NULL, model("last", MD_DTYPE_U8, 4, -1, 4, 4, 3),
                      model("first", MD_DTYPE_F32, 4, -1, 3, -1, -1),
                      model("gray", MD_DTYPE_F32, 4, -1, -1, -1, 1),
                      model("rows", MD_DTYPE_F32, 3, -1, -1, -1, 0),
                      fake_identity(), NULL);
    send_picture(&f, "/predict/first", "image/png", quad, 200,
                 "\"output\":[[[1.0,0.0],[0.0,1.0]],[[0.0,1.0],[0.0,1.0]],[["
                 "0.0,0.0],[1.0,1.0]]]}");
    /* the type may also be told by the bytes */
    send_picture(&f, "/predict/first", "application/octet-stream", quad, 200,
                 "[[[1.0,0.0],");
    send_picture(&f, "/predict/first", NULL, quad, 200, "[[[1.0,0.0],");
    send_picture(&f, "/predict/last", "image/png; x=y", quad, 200,
                 "\"output\":[[[255,0,0],[");
    send_picture(&f, "/predict/gray", "image/png", quad, 200,
                 "\"output\":[[[0.29803923],[0.5882353]],[[");
    send_picture(&f, "/predict/rows", "image/png", quad, 200,
                 "\"output\":[[0.29803923,0.5882353],[");
    send_picture(&f, "/predict/id", "image/png", quad, 415,
                 "model 'id' takes no pictures");
    send_picture(&f, "/predict/first", "image/png", cut, 400,
                 "PNG picture is damaged");
    send_picture(&f, "/predict/first", "image/png", NULL, 415,
                 "neither PNG, JPEG, WebP");
    send_picture(&f, "/predict/first", "multipart/form-data; boundary=x", NULL,
                 415, "send the picture itself");
    fake_server_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_predict__shapes),
        cmocka_unit_test(test_predict__bodies),
        cmocka_unit_test(test_predict__numbers),
        cmocka_unit_test(test_predict__strings),
        cmocka_unit_test(test_predict__several_inputs),
        cmocka_unit_test(test_predict__classes),
        cmocka_unit_test(test_predict__media_types),
        cmocka_unit_test(test_predict__pictures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
