#include "support/test.h"

#include <math.h>
#include <string.h>

#include "base/json.h"

static md_buf out;

static int setup(void **state)
{
    (void)state;
    md_buf_init(&out, md_alloc_default(), 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    md_buf_release(&out);
    return 0;
}

static void put_sample(md_json_writer *w)
{
    md_json_put_object(w);
    md_json_put_name(w, "a");
    md_json_put_array(w);
    md_json_put_i64(w, INT64_MIN);
    md_json_put_u64(w, UINT64_MAX);
    md_json_put_i64(w, 0);
    md_json_put_bool(w, true);
    md_json_put_bool(w, false);
    md_json_put_null(w);
    md_json_put_end(w);
    md_json_put_name(w, "b\"");
    md_json_put_object(w);
    md_json_put_end(w);
    md_json_put_name(w, "c");
    md_json_put_f64(w, 0.1);
    md_json_put_name(w, "d");
    md_json_put_raw(w, "[1]", 3);
    md_json_put_end(w);
}

static void test_json_write__plain(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_json_writer w;

    (void)state;
    md_json_writer_init(&w, &out);
    put_sample(&w);
    assert_md_ok(md_json_finish(&w, &err), &err);
    assert_string_equal(
        out.data, "{\"a\":[-9223372036854775808,18446744073709551615,0,true,"
                  "false,null],\"b\\\"\":{},\"c\":0.1,\"d\":[1]}");
}

static void test_json_write__indented(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_json_writer w;

    (void)state;
    md_json_writer_init(&w, &out);
    w.indent = 2;
    md_json_put_object(&w);
    md_json_put_name(&w, "a");
    md_json_put_array(&w);
    md_json_put_i64(&w, 1);
    md_json_put_i64(&w, 2);
    md_json_put_end(&w);
    md_json_put_name(&w, "b");
    md_json_put_array(&w);
    md_json_put_end(&w);
    md_json_put_end(&w);
    assert_md_ok(md_json_finish(&w, &err), &err);
    assert_string_equal(out.data, "{\n  \"a\": [\n    1,\n    2\n  ],\n"
                                  "  \"b\": []\n}");
}

static void test_json_write__strings(void **state)
{
    static const struct {
        const char *s;
        size_t n;
        const char *want;
    } cases[] = {
        { "", 0, "\"\"" },
        { "a/b", 3, "\"a/b\"" },
        { "\"\\\b\f\n\r\t", 7, "\"\\\"\\\\\\b\\f\\n\\r\\t\"" },
        { "\0\x1f\x7f", 3, "\"\\u0000\\u001f\\u007f\"" },
        { "\xc3\xa4\xe4\xb8\xad", 5, "\"\xc3\xa4\xe4\xb8\xad\"" },
        { "a\xff"
          "b\xc3",
          4,
          "\"a\xef\xbf\xbd"
          "b\xef\xbf\xbd\"" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        md_json_writer w;

        md_buf_reset(&out);
        md_json_writer_init(&w, &out);
        md_json_put_strn(&w, cases[i].s, cases[i].n);
        assert_md_ok(md_json_finish(&w, &err), &err);
        assert_string_equal(out.data, cases[i].want);
    }
}

static void test_json_write__floats(void **state)
{
    static const float x[] = { 0.1F, 1, -0.0F, 1e-20F, 16777216 };
    md_error err = MD_ERROR_INIT;
    md_json_writer w;

    (void)state;
    md_json_writer_init(&w, &out);
    md_json_put_array(&w);
    md_json_put_f32s(&w, x, MD_COUNT(x));
    md_json_put_end(&w);
    assert_md_ok(md_json_finish(&w, &err), &err);
    assert_string_equal(out.data, "[0.1,1.0,-0.0,1e-20,16777216.0]");
}

/* Many floats read back as they were, through the quick path too. */
static void test_json_write__floats_read_back(void **state)
{
    static float x[5000];
    md_error err = MD_ERROR_INIT;
    md_json_writer w;
    md_json_nest nest;
    md_json r;
    md_buf back;

    (void)state;
    for (size_t i = 0; i < MD_COUNT(x); i++)
        x[i] = sinf((float)i) * powf(10, (float)(i % 60) - 30);
    md_json_writer_init(&w, &out);
    md_json_put_array(&w);
    md_json_put_f32s(&w, x, MD_COUNT(x));
    md_json_put_end(&w);
    assert_md_ok(md_json_finish(&w, &err), &err);
    md_buf_init(&back, md_alloc_default(), sizeof(x));
    md_json_init(&r, out.data, out.size, NULL);
    assert_md_ok(md_json_read_array(&r, MD_JSON_F32, &back, &nest, &err), &err);
    assert_int_equal(back.size, sizeof(x));
    assert_memory_equal(back.data, x, sizeof(x));
    md_buf_release(&back);
}

static void test_json_write__nonfinite(void **state)
{
    static const char *const want[] = {
        NULL,
        "[\"NaN\",\"Infinity\",\"-Infinity\"]",
        "[NaN,Infinity,-Infinity]",
    };
    const float x[] = { NAN, INFINITY };

    (void)state;
    for (int mode = MD_JSON_NONFINITE_FAIL; mode <= MD_JSON_NONFINITE_LITERAL;
         mode++) {
        md_error err = MD_ERROR_INIT;
        md_json_writer w;

        md_buf_reset(&out);
        md_json_writer_init(&w, &out);
        w.nonfinite = (md_json_nonfinite)mode;
        md_json_put_array(&w);
        md_json_put_f32s(&w, x, 2);
        md_json_put_f64(&w, -(double)INFINITY);
        md_json_put_end(&w);
        if (want[mode]) {
            assert_md_ok(md_json_finish(&w, &err), &err);
            assert_string_equal(out.data, want[mode]);
        } else {
            assert_md_fails(md_json_finish(&w, &err), MD_INVALID, &err,
                            "value NaN cannot be written as JSON");
        }
    }
}

/* Whatever the limit, the first failure is reported and nothing exceeds. */
static void test_json_write__every_limit(void **state)
{
    size_t full;

    (void)state;
    for (full = 0;; full++) {
        md_error err = MD_ERROR_INIT;
        md_json_writer w;
        md_buf small;
        md_status s;

        md_buf_init(&small, md_alloc_default(), full);
        md_json_writer_init(&w, &small);
        put_sample(&w);
        s = md_json_finish(&w, &err);
        assert_true(small.size <= full);
        md_buf_release(&small);
        if (s == MD_OK)
            break;
        assert_int_equal(s, MD_TOO_LARGE);
        assert_int_equal(err.status, MD_TOO_LARGE);
    }
    assert_int_equal(full, 92);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_json_write__plain, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_json_write__indented, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_json_write__strings, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_json_write__floats, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_json_write__floats_read_back,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_json_write__nonfinite, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_json_write__every_limit, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
