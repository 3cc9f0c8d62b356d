#include "support/test.h"

#include <stdio.h>

#include "support/fake_serve.h"

static const md_serve_io NUMBERS = {
    "x", MD_DTYPE_F32, { 2, { -1, 2 } }, true
};
static const md_serve_io TEXTS = { "s", MD_DTYPE_STRING, { 1, { -1 } }, true };

static void predict(const fake_server *f, const char *model, const char *body,
                    int status, const char *want)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/v1/models/%s:predict", model);
    fake_expect(f, "POST", path, body, status, want);
}

static void refuse(const fake_server *f, const char *model, const char *body,
                   const char *part)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/v1/models/%s:predict", model);
    fake_expect_part(f, "POST", path, body, 400, part);
}

static void start(fake_server *f)
{
    const md_serve_io two[] = { NUMBERS,
                                { "k", MD_DTYPE_I64, { 1, { -1 } }, true } };
    md_serve_model *bytes = fake_model("bytes", &TEXTS, 1, NULL, 0, NULL);

    ((md_serve_io *)bytes->outputs)->name = "y_bytes"; /* the test's own */
    fake_server_start(f, NULL, fake_model("one", &NUMBERS, 1, NULL, 0, NULL),
                      fake_model("two", two, 2, NULL, 0, NULL),
                      fake_model("text", &TEXTS, 1, NULL, 0, NULL), bytes,
                      NULL);
}

static void test_tfs__rows(void **state)
{
    fake_server f;

    (void)state;
    start(&f);
    predict(&f, "one", "{\"instances\":[[1,2],[3,4.5]]}", 200,
            "{\"predictions\":[[1.0,2.0],[3.0,4.5]]}");
    predict(&f, "one",
            "{\"instances\":[{\"x\":[1,2]}],\"signature_name\":"
            "\"serving_default\",\"other\":{\"a\":[1]}}",
            200, "{\"predictions\":[[1.0,2.0]]}");
    predict(&f, "two",
            "{\"instances\":[{\"x\":[1,2],\"k\":7},{\"k\":-8,\"x\":[3,4]}]}",
            200,
            "{\"predictions\":[{\"y0\":[1.0,2.0],\"y1\":7},{\"y0\":[3.0,4.0],"
            "\"y1\":-8}]}");
    predict(&f, "text", "{\"instances\":[\"a\",{\"b64\":\"Yg==\"},\"\"]}", 200,
            "{\"predictions\":[\"a\",\"b\",\"\"]}");
    predict(&f, "text", "{\"instances\":[{\"b64\":\"Yg\"}]}", 200,
            "{\"predictions\":[\"b\"]}");
    predict(&f, "bytes", "{\"instances\":[{\"b64\":\"//8=\"},\"ab\"]}", 200,
            "{\"predictions\":[{\"b64\":\"//8=\"},{\"b64\":\"YWI=\"}]}");
    fake_expect(&f, "POST", "/v1/models/one/versions/1:predict",
                "{\"instances\":[[1,2]]}", 200,
                "{\"predictions\":[[1.0,2.0]]}");
    fake_server_stop(&f);
}

static void test_tfs__columns(void **state)
{
    fake_server f;

    (void)state;
    start(&f);
    predict(&f, "one", "{\"inputs\":[[1,2],[3,4]]}", 200,
            "{\"outputs\":[[1.0,2.0],[3.0,4.0]]}");
    predict(&f, "one", "{\"inputs\":{\"x\":[[1,2]]}}", 200,
            "{\"outputs\":[[1.0,2.0]]}");
    predict(&f, "two", "{\"inputs\":{\"k\":[7,8,9],\"x\":[[1,2]]}}", 200,
            "{\"outputs\":{\"y0\":[[1.0,2.0]],\"y1\":[7,8,9]}}");
    predict(&f, "bytes", "{\"inputs\":{\"s\":[\"a\"]}}", 200,
            "{\"outputs\":[{\"b64\":\"YQ==\"}]}");
    fake_server_stop(&f);
}

/* JSON has none of these; TensorFlow Serving takes and gives them. */
static void test_tfs__words_for_numbers(void **state)
{
    fake_server f;

    (void)state;
    start(&f);
    predict(&f, "one", "{\"instances\":[[NaN,-Infinity],[Infinity,1e5]]}", 200,
            "{\"predictions\":[[NaN,-Infinity],[Infinity,100000.0]]}");
    fake_server_stop(&f);
}

static void test_tfs__refuses(void **state)
{
    fake_server f;

    (void)state;
    start(&f);
    refuse(&f, "one", "{}", "neither 'instances' nor 'inputs'");
    refuse(&f, "one", "[1]", "object");
    refuse(&f, "one", "{\"instances\":[[1,2]],\"inputs\":[[1,2]]}",
           "one of 'instances' and 'inputs' expected");
    refuse(&f, "one", "{\"instances\":1}", "array");
    refuse(&f, "one", "{\"instances\":[[1,2]]} x", "JSON");
    refuse(&f, "one", "{\"instances\":[[1,2,3]]}", "unexpected shape");
    refuse(&f, "one", "{\"instances\":[[1,2],[3]]}", "JSON at byte");
    refuse(&f, "one", "{\"instances\":[{\"z\":[1,2]}]}", "unexpected input");
    refuse(&f, "one", "{\"instances\":[{}]}", "instance 0 has no input 'x'");
    refuse(&f, "one", "{\"instances\":[{\"x\":[1,2],\"x\":[1,2]}]}", "twice");
    refuse(&f, "one", "{\"inputs\":{\"x\":[[1,2]],\"x\":[[1,2]]}}", "twice");
    refuse(&f, "one", "{\"instances\":[{\"x\":[1,2]},[1,2]]}", "JSON at byte");
    refuse(&f, "one", "{\"instances\":[{\"x\":[1,2]},{\"x\":[1]}]}",
           "instance 1 has another shape");
    refuse(&f, "one", "{\"instances\":[[\"a\",\"b\"]]}", "number");
    refuse(&f, "one", "{\"signature_name\":\"x\",\"instances\":[[1,2]]}",
           "'serving_default' expected");
    refuse(&f, "two", "{\"instances\":[[1,2]]}", "2 inputs");
    refuse(&f, "two", "{\"inputs\":{\"x\":[[1,2]]}}", "input 'k'");
    refuse(&f, "two", "{\"instances\":[{\"x\":[1,2],\"k\":1.5}]}", "'k'");
    refuse(&f, "text", "{\"instances\":[{\"b64\":\"?\"}]}", "base64 expected");
    refuse(&f, "text", "{\"instances\":[{\"b64\":1}]}", "string");
    refuse(&f, "text", "{\"instances\":[{\"b64\":\"YQ==\",\"a\":1}]}", "JSON");
    refuse(&f, "text", "{\"instances\":[{\"b64\":\"//8=\"}]}", "not UTF-8");
    refuse(&f, "one", "{\"instances\":[[[[[[[[[[1]]]]]]]]]]}", "nested arrays");
    fake_expect_part(&f, "POST", "/v1/models/no:predict", "{}", 404, "'no'");
    fake_server_stop(&f);
}

static void test_tfs__examples(void **state)
{
    static const char *const labels[] = { "cat", "dog" };
    const md_serve_io one = { "x", MD_DTYPE_F32, { 2, { -1, 1 } }, true };
    fake_server f;

    (void)state;
    fake_server_start(&f, NULL, fake_model("c", &NUMBERS, 1, labels, 2, NULL),
                      fake_model("r", &one, 1, NULL, 0, NULL), NULL);
    fake_expect(&f, "POST", "/v1/models/c:classify",
                "{\"examples\":[{\"x\":[0.5,2],\"more\":[\"a\"]},{\"x\":"
                "[3,4]}]}",
                200,
                "{\"results\":[[[\"cat\",0.5],[\"dog\",2.0]],[[\"cat\",3.0],["
                "\"dog\",4.0]]]}");
    fake_expect(&f, "POST", "/v1/models/r:regress",
                "{\"context\":{\"x\":7},\"examples\":[{\"x\":1},{},{\"x\":"
                "2.5}],\"signature_name\":\"serving_default\"}",
                200, "{\"results\":[1.0,7.0,2.5]}");
    fake_expect(&f, "POST", "/v1/models/r/versions/1:regress",
                "{\"examples\":[{\"x\":[NaN]}]}", 200, "{\"results\":[NaN]}");
    fake_expect_part(&f, "POST", "/v1/models/r:classify",
                     "{\"examples\":[{\"x\":1}]}", 400, "no labels");
    fake_expect_part(&f, "POST", "/v1/models/c:regress",
                     "{\"examples\":[{\"x\":[1,2]}]}", 400,
                     "no output of one number");
    fake_expect_part(&f, "POST", "/v1/models/r:regress", "{\"instances\":[1]}",
                     400, "no 'examples'");
    fake_expect_part(&f, "POST", "/v1/models/r:regress",
                     "{\"examples\":[{\"x\":[1,2]}]}", 400, "unexpected shape");
    fake_expect_part(&f, "POST", "/v1/models/r:regress",
                     "{\"examples\":[{\"y\":1}]}", 400, "has no input 'x'");
    fake_expect_part(&f, "POST", "/v1/models/r:regress", "{\"examples\":[]}",
                     400, "no example given");
    fake_expect_part(&f, "POST", "/v1/models/r:regress", "{\"examples\":[1]}",
                     400, "JSON");
    fake_expect_part(&f, "POST", "/v1/models/r:regress",
                     "{\"examples\":[{\"x\":1}],\"examples\":[]}", 400,
                     "twice");
    fake_server_stop(&f);
}

/* It would be read again for each of them. */
static void test_tfs__a_long_context_for_many_examples(void **state)
{
    static const md_serve_io one = { "x", MD_DTYPE_F32, { 1, { -1 } }, true };
    enum {
        WORDS = 100000, /* bytes of the context */
        ROWS = 3000     /* 300 MB to read, and 256 may be */
    };
    fake_server f;
    md_buf body;

    (void)state;
    md_buf_init(&body, md_alloc_default(), 1 << 20);
    md_buf_printf(&body, NULL, "{\"context\":{\"more\":\"%*s\",\"x\":7},",
                  WORDS, "");
    md_buf_puts(&body, "\"examples\":[{}", NULL);
    for (int i = 1; i < ROWS; i++)
        md_buf_puts(&body, ",{}", NULL);
    md_buf_puts(&body, "]}", NULL);
    fake_server_start(&f, NULL, fake_model("r", &one, 1, NULL, 0, NULL), NULL);
    fake_expect_part(&f, "POST", "/v1/models/r:regress",
                     (const char *)body.data, 413,
                     "examples that need it, fewer expected");
    fake_server_stop(&f);
    md_buf_release(&body);
}

static void test_tfs__status_and_metadata(void **state)
{
    fake_server f;

    (void)state;
    start(&f);
    fake_expect(&f, "GET", "/v1/models/one", NULL, 200,
                "{\"model_version_status\":[{\"version\":\"1\",\"state\":"
                "\"AVAILABLE\",\"status\":{\"error_code\":\"OK\","
                "\"error_message\":\"\"}}]}");
    fake_expect_part(&f, "GET", "/v1/models/one/versions/2", NULL, 404,
                     "version 2");
    fake_expect(
        &f, "GET", "/v1/models/one/metadata", NULL, 200,
        "{\"model_spec\":{\"name\":\"one\",\"signature_name\":\"\",\"version\":"
        "\"1\"},\"metadata\":{\"signature_def\":{\"signature_def\":{"
        "\"serving_default\":{\"inputs\":{\"x\":{\"dtype\":\"DT_FLOAT\","
        "\"tensor_shape\":{\"dim\":[{\"size\":\"-1\",\"name\":\"\"},{\"size\":"
        "\"2\",\"name\":\"\"}],\"unknown_rank\":false},\"name\":\"x\"}},"
        "\"outputs\":{\"y\":{\"dtype\":\"DT_FLOAT\",\"tensor_shape\":{\"dim\":["
        "{\"size\":\"-1\",\"name\":\"\"},{\"size\":\"2\",\"name\":\"\"}],"
        "\"unknown_rank\":false},\"name\":\"y\"}},\"method_name\":"
        "\"tensorflow/serving/predict\"}}}}}");
    fake_expect_part(&f, "GET", "/v1/models/text/versions/1/metadata", NULL,
                     200, "DT_STRING");
    fake_server_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tfs__rows),
        cmocka_unit_test(test_tfs__columns),
        cmocka_unit_test(test_tfs__words_for_numbers),
        cmocka_unit_test(test_tfs__refuses),
        cmocka_unit_test(test_tfs__examples),
        cmocka_unit_test(test_tfs__a_long_context_for_many_examples),
        cmocka_unit_test(test_tfs__status_and_metadata),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
