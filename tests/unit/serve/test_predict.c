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
                 "neither PNG nor JPEG");
    send_picture(&f, "/predict/first", "multipart/form-data; boundary=x", NULL,
                 415, "send the picture itself");
    fake_server_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_predict__shapes),
        cmocka_unit_test(test_predict__bodies),
        cmocka_unit_test(test_predict__several_inputs),
        cmocka_unit_test(test_predict__classes),
        cmocka_unit_test(test_predict__pictures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
