#include "support/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"

enum {
    LIMIT = 1 << 20
};

static md_status read_text(const char *text, md_json_item item, md_buf *out,
                           md_json_nest *nest, md_error *err)
{
    md_json r;
    md_json_token t;

    md_buf_reset(out);
    md_json_init(&r, text, strlen(text), NULL);
    MD_TRY(md_json_read_array(&r, item, out, nest, err));
    return md_json_expect(&r, MD_JSON_END, &t, err);
}

static void test_json_array__shapes(void **state)
{
    static const struct {
        const char *text;
        int rank;
        int64_t dims[3];
        int n;
    } cases[] = {
        { "7", 0, { 0 }, 1 },
        { "[]", 1, { 0 }, 0 },
        { "[7]", 1, { 1 }, 1 },
        { "[1,2,3]", 1, { 3 }, 3 },
        { " [ 1 , 2 , 3 ] ", 1, { 3 }, 3 },
        { "[[1,2],[3,4],[5,6]]", 2, { 3, 2 }, 6 },
        { "[[],[]]", 2, { 2, 0 }, 0 },
        { "[[[1]]]", 3, { 1, 1, 1 }, 1 },
        { "[[[1,2]],\n[[3,4]]]", 3, { 2, 1, 2 }, 4 },
        { "[[[]]]", 3, { 1, 1, 0 }, 0 },
    };
    md_buf out;

    (void)state;
    md_buf_init(&out, md_alloc_default(), LIMIT);
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        md_json_nest nest;

        assert_md_ok(read_text(cases[i].text, MD_JSON_F32, &out, &nest, &err),
                     &err);
        assert_int_equal(nest.rank, cases[i].rank);
        for (int d = 0; d < nest.rank; d++)
            assert_int_equal(nest.dims[d], cases[i].dims[d]);
        assert_int_equal(out.size / sizeof(float), cases[i].n);
        for (int k = 0; k < cases[i].n; k++) {
            float x;

            memcpy(&x, out.data + (size_t)k * sizeof(x), sizeof(x));
            assert_true(x == (float)(k + 1) || cases[i].n == 1);
        }
    }
    md_buf_release(&out);
}

static void test_json_array__refuses(void **state)
{
    static const struct {
        const char *text;
        md_json_item item;
        const char *message;
    } cases[] = {
        { "[1,[2]]", MD_JSON_F32, "JSON at byte 3: ragged array" },
        { "[[1],2]", MD_JSON_F32, "JSON at byte 5: ragged array" },
        { "[[],1]", MD_JSON_F32, "JSON at byte 4: ragged array" },
        { "[[1,2],[3]]", MD_JSON_F32,
          "JSON at byte 9: ragged array: 1 elements on level 2, expected 2" },
        { "[[],[1]]", MD_JSON_F32, "ragged" },
        { "[[],[[]]]", MD_JSON_F32, "ragged" },
        { "[[[1]],[1]]", MD_JSON_F32, "ragged" },
        { "[1,]", MD_JSON_F32, "JSON at byte 3: ']' given" },
        { "[,1]", MD_JSON_F32, "JSON at byte 1: ',' given" },
        { "[1 2]", MD_JSON_F32, "JSON at byte 3: '2' given" },
        { "[1", MD_JSON_F32, "JSON at byte 2: text ends" },
        { "[1,", MD_JSON_F32, "JSON at byte 3: text ends" },
        { "[", MD_JSON_F32, "JSON at byte 1: text ends" },
        { "", MD_JSON_F32, "JSON at byte 0: text ends" },
        { "[1}", MD_JSON_F32, "JSON at byte 2: '}' given" },
        { "[\"1\"]", MD_JSON_F32,
          "JSON at byte 1: '\"' given, expected a "
          "number" },
        { "[null]", MD_JSON_F32, "'n' given, expected a number" },
        { "[NaN]", MD_JSON_F32, "'N' given, expected a number" },
        { "[1e39]", MD_JSON_F32, "JSON at byte 1: 1e39 does not fit float32" },
        { "[1e309]", MD_JSON_F64, "1e309 does not fit float64" },
        { "[7, 1.5]", MD_JSON_I64,
          "JSON at byte 4: 1.5 given, expected an integer" },
        { "[-0.5]", MD_JSON_U64, "-0.5 given, expected an integer" },
        { "[1.]", MD_JSON_F32, "1. given, expected a number" },
        { "[9223372036854775808]", MD_JSON_I64, "does not fit int64" },
        { "[-1]", MD_JSON_U64, "-1 does not fit uint64" },
        { "[1]", MD_JSON_BOOL, "expected true or false" },
        { "[tru]", MD_JSON_BOOL, "expected true or false" },
        { "[true]", MD_JSON_F32, "expected a number" },
        { "[1] 2", MD_JSON_F32, "JSON at byte 4: '2' given" },
        { "[1]]", MD_JSON_F32, "JSON at byte 3: ']' given" },
        { "[01]", MD_JSON_F32, "JSON at byte 1" },
        { "{}", MD_JSON_F32, "'{' given" },
    };
    md_buf out;

    (void)state;
    md_buf_init(&out, md_alloc_default(), LIMIT);
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        md_json_nest nest;

        assert_md_fails(
            read_text(cases[i].text, cases[i].item, &out, &nest, &err),
            MD_INVALID, &err, cases[i].message);
    }
    md_buf_release(&out);
}

static void test_json_array__deep(void **state)
{
    static char text[20001];
    md_error err = MD_ERROR_INIT;
    md_json_nest nest;
    md_buf out;

    (void)state;
    md_buf_init(&out, md_alloc_default(), LIMIT);
    memset(text, '[', 10000);
    memset(text + 10000, ']', 10000);
    assert_md_fails(read_text(text, MD_JSON_F32, &out, &nest, &err), MD_INVALID,
                    &err, "deeper than the limit of 16");
    text[10016] = '\0';
    assert_md_ok(read_text(text + 10000 - 16, MD_JSON_F32, &out, &nest, &err),
                 &err);
    assert_int_equal(nest.rank, 16);
    md_buf_release(&out);
}

static void test_json_array__types(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_json_nest nest;
    md_buf out;

    (void)state;
    md_buf_init(&out, md_alloc_default(), LIMIT);
    assert_md_ok(read_text("[0.1,-2e300]", MD_JSON_F64, &out, &nest, &err),
                 &err);
    assert_true(((double *)(void *)out.data)[0] == 0.1);
    assert_true(((double *)(void *)out.data)[1] == -2e300);
    assert_md_ok(
        read_text("[-9223372036854775808,5]", MD_JSON_I64, &out, &nest, &err),
        &err);
    assert_true(((int64_t *)(void *)out.data)[0] == INT64_MIN);
    assert_true(((int64_t *)(void *)out.data)[1] == 5);
    assert_md_ok(
        read_text("18446744073709551615", MD_JSON_U64, &out, &nest, &err),
        &err);
    assert_true(((uint64_t *)(void *)out.data)[0] == UINT64_MAX);
    assert_md_ok(read_text("[[true,false],[false,true]]", MD_JSON_BOOL, &out,
                           &nest, &err),
                 &err);
    assert_int_equal(out.size, 4);
    assert_memory_equal(out.data, "\1\0\0\1", 4);
    md_buf_release(&out);
}

static void test_json_array__nonfinite(void **state)
{
    static const char text[] = "[NaN,Infinity,-Infinity,-1]";
    md_json_opts opts = MD_JSON_OPTS_INIT;
    md_error err = MD_ERROR_INIT;
    md_json_nest nest;
    md_json r;
    md_buf out;
    const float *x;

    (void)state;
    opts.nonfinite = true;
    md_buf_init(&out, md_alloc_default(), LIMIT);
    md_json_init(&r, text, strlen(text), &opts);
    assert_md_ok(md_json_read_array(&r, MD_JSON_F32, &out, &nest, &err), &err);
    x = (const float *)(void *)out.data;
    assert_true(isnan(x[0]) && isinf(x[1]) && x[2] < 0 && x[3] == -1);
    md_buf_release(&out);
}

/* The limit is exact, whatever steps the buffer grows in. */
static void test_json_array__limit(void **state)
{
    static char text[20002];
    md_error err = MD_ERROR_INIT;
    md_json_nest nest;
    md_buf out;

    (void)state;
    for (size_t i = 0; i < 20000; i++)
        text[i] = i % 2 ? '1' : ',';
    text[0] = '[';
    text[20000] = ']';
    md_buf_init(&out, md_alloc_default(), 10000 * sizeof(float));
    assert_md_ok(read_text(text, MD_JSON_F32, &out, &nest, &err), &err);
    assert_int_equal(nest.dims[0], 10000);
    md_buf_release(&out);
    md_buf_init(&out, md_alloc_default(), 10000 * sizeof(float) - 1);
    assert_md_fails(read_text(text, MD_JSON_F32, &out, &nest, &err),
                    MD_TOO_LARGE, &err, "limit of 9999 elements");
    assert_int_equal(err.status, MD_TOO_LARGE);
    md_buf_release(&out);
}

/* As one member among others, where the reader's state has to fit. */
static void test_json_array__inside_an_object(void **state)
{
    static const char text[] = "{\"x\":[[1,2],[3,4]],\"y\":5,\"z\":[[],6]}";
    md_error err = MD_ERROR_INIT;
    md_json_nest nest;
    md_json_token t;
    md_json r;
    md_buf out;

    (void)state;
    md_buf_init(&out, md_alloc_default(), LIMIT);
    md_json_init(&r, text, strlen(text), NULL);
    assert_md_ok(md_json_expect(&r, MD_JSON_OBJECT, &t, &err), &err);
    assert_md_fails(md_json_read_array(&r, MD_JSON_F32, &out, &nest, &err),
                    MD_INVALID, &err, "JSON at byte 1: expected a value");
    assert_md_ok(md_json_expect(&r, MD_JSON_NAME, &t, &err), &err);
    assert_md_ok(md_json_read_array(&r, MD_JSON_F32, &out, &nest, &err), &err);
    assert_md_ok(md_json_expect(&r, MD_JSON_NAME, &t, &err), &err);
    assert_md_ok(md_json_read_array(&r, MD_JSON_I64, &out, &nest, &err), &err);
    assert_md_ok(md_json_expect(&r, MD_JSON_NAME, &t, &err), &err);
    assert_md_ok(md_json_expect(&r, MD_JSON_ARRAY, &t, &err), &err);
    assert_md_ok(md_json_read_array(&r, MD_JSON_F32, &out, &nest, &err), &err);
    assert_md_ok(md_json_read_array(&r, MD_JSON_F32, &out, &nest, &err), &err);
    assert_md_fails(md_json_read_array(&r, MD_JSON_F32, &out, &nest, &err),
                    MD_INVALID, &err, "expected a value");
    md_buf_release(&out);
}

static void test_json_array__every_truncation(void **state)
{
    static const char text[] = "[[1.5,-2e3, 0.25],[4,5 ,6]]";
    size_t n = sizeof(text) - 1;
    md_buf out;

    (void)state;
    md_buf_init(&out, md_alloc_default(), LIMIT);
    for (size_t i = 0; i <= n; i++) {
        char *copy = md_malloc(md_alloc_default(), i + 1);
        md_error err = MD_ERROR_INIT;
        md_json_nest nest;
        md_json r;

        assert_non_null(copy);
        memcpy(copy + 1, text, i);
        md_buf_reset(&out);
        md_json_init(&r, copy + 1, i, NULL);
        assert_int_equal(md_json_read_array(&r, MD_JSON_F32, &out, &nest, &err),
                         i == n ? MD_OK : MD_INVALID);
        md_free(md_alloc_default(), copy);
    }
    md_buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_array__shapes),
        cmocka_unit_test(test_json_array__refuses),
        cmocka_unit_test(test_json_array__deep),
        cmocka_unit_test(test_json_array__types),
        cmocka_unit_test(test_json_array__nonfinite),
        cmocka_unit_test(test_json_array__limit),
        cmocka_unit_test(test_json_array__inside_an_object),
        cmocka_unit_test(test_json_array__every_truncation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
