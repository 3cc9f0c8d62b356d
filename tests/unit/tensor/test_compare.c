/* The judge of two tensors: every element type, tolerances, what it says. */
#include "support/test.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "tensor/compare.h"

#define AS_DATA(p) ((void *)(uintptr_t)(p))

/* Two tensors of n elements over arrays. */
static md_tensor over(md_dtype t, const void *data, int64_t n)
{
    return (
        md_tensor){ .dtype = t, .shape = { 1, { n } }, .data = AS_DATA(data) };
}

/* --- one element against another --- */

typedef struct element_case {
    md_dtype type;
    const void *got, *want;
    double abs, rel;
    const char *text; /* NULL: they agree */
} element_case;

static const int64_t i64_2p53 = (int64_t)1 << 53;
static const int64_t i64_2p53_1 = ((int64_t)1 << 53) + 1;
static const int64_t i64_min = INT64_MIN, i64_max = INT64_MAX;
static const uint64_t u64_max = UINT64_MAX, u64_max_1 = UINT64_MAX - 1;
static const uint64_t u64_0 = 0;
static const int32_t i32_7 = 7, i32_minus_7 = -7;
static const uint8_t one = 1, zero = 0, three = 3, fe = 0xfe, ff = 0xff;
static const float f32_1 = 1.0f, f32_1_up = 1.0f + FLT_EPSILON, f32_1_1 = 1.1f;
static const float f32_nan = NAN, f32_inf = INFINITY, f32_minus_inf = -INFINITY;
static const float f32_0 = 0.0f, f32_minus_0 = -0.0f;
static const double f64_1 = 1.0, f64_1_up = 1.0 + DBL_EPSILON;
static const double f64_100 = 100.0, f64_101 = 101.0;
static const double f64_max = DBL_MAX, f64_minus_max = -DBL_MAX;
static const uint16_t f16_1 = 0x3c00, f16_1_up = 0x3c01, f16_nan = 0x7e01;
static const uint16_t f16_nan_2 = 0xfe00, bf16_1 = 0x3f80, bf16_2 = 0x4000;
static const float c64[] = { 1, 2 }, c64_conj[] = { 1, -2 };
static const float c64_near[] = { 1.3f, 2.4f };
static const float c64_nan[] = { 1, NAN }, c64_nan_2[] = { 2, NAN };
static const float c64_inf[] = { INFINITY, 2 }, c64_inf_2[] = { INFINITY, 3 };
static const double c128[] = { 0, 1e-300 }, c128_0[] = { 0, 0 };
static const md_str s_abc = { "abc", 3 }, s_abd = { "abd", 3 };
static const md_str s_ab = { "ab", 2 }, s_none = { NULL, 0 };
static const md_str s_ctl = { "a\n'\x1b[2J", 7 }, s_nul = { "ab\0", 3 };

static const element_case element_cases[] = {
    { MD_DTYPE_I64, &i64_2p53_1, &i64_2p53, 0, 0,
      "9007199254740993 given, 9007199254740992 expected (max |difference| 1)" },
    { MD_DTYPE_I64, &i64_2p53_1, &i64_2p53, 1, 0, NULL },
    { MD_DTYPE_I64, &i64_min, &i64_max, 1, 0,
      "-9223372036854775808 given, 9223372036854775807 expected (max "
      "|difference| 1.84e+19)" },
    { MD_DTYPE_I64, &i64_max, &i64_min, 1, 0, "(max |difference| 1.84e+19)" },
    { MD_DTYPE_I64, &i64_min, &i64_min, 0, 0, NULL },
    { MD_DTYPE_U64, &u64_max, &u64_max_1, 0, 0,
      "18446744073709551615 given, 18446744073709551614 expected (max "
      "|difference| 1)" },
    { MD_DTYPE_U64, &u64_0, &u64_max, 0, 0.5,
      "0 given, 18446744073709551615 expected" },
    { MD_DTYPE_U64, &u64_max, &u64_max_1, 1, 0, NULL },
    { MD_DTYPE_I32, &i32_minus_7, &i32_7, 13.5, 0, "-7 given, 7 expected" },
    { MD_DTYPE_I32, &i32_minus_7, &i32_7, 14, 0, NULL },
    { MD_DTYPE_I32, &i32_7, &i32_minus_7, 0, 2, NULL },
    { MD_DTYPE_BOOL, &one, &zero, 0.5, 0, "1 given, 0 expected" },
    { MD_DTYPE_I8, &fe, &ff, 0, 0, "-2 given, -1 expected" },
    { MD_DTYPE_U8, &fe, &ff, 0, 0, "254 given, 255 expected" },
    { MD_DTYPE_I4, &fe, &ff, 0, 0, "-2 given, -1 expected" },
    { MD_DTYPE_U4, &fe, &ff, 0, 0, "14 given, 15 expected" },
    { MD_DTYPE_I2, &three, &one, 0, 0, "-1 given, 1 expected" },
    { MD_DTYPE_U2, &three, &one, 0, 0, "3 given, 1 expected" },
    { MD_DTYPE_F4E2M1, &one, &three, 0, 0, "0.5 given, 1.5 expected" },
    { MD_DTYPE_F32, &f32_1_up, &f32_1, 0, 0,
      "1.0000001 given, 1.0 expected (max |difference| 1.19e-07)" },
    { MD_DTYPE_F32, &f32_1_up, &f32_1, 0, FLT_EPSILON, NULL },
    { MD_DTYPE_F32, &f32_1_1, &f32_1, 0, 0, "1.1 given, 1.0 expected" },
    { MD_DTYPE_F32, &f32_nan, &f32_nan, 0, 0, NULL },
    { MD_DTYPE_F32, &f32_nan, &f32_1, 9, 9, "nan given, 1.0 expected" },
    { MD_DTYPE_F32, &f32_1, &f32_nan, 9, 9, "1.0 given, nan expected" },
    { MD_DTYPE_F32, &f32_inf, &f32_inf, 0, 0, NULL },
    { MD_DTYPE_F32, &f32_inf, &f32_minus_inf, 9, 9, "inf given, -inf" },
    { MD_DTYPE_F32, &f32_1, &f32_inf, 9, 9, "1.0 given, inf expected" },
    { MD_DTYPE_F32, &f32_minus_0, &f32_0, 0, 0, NULL },
    { MD_DTYPE_F64, &f64_1_up, &f64_1, 0, 0,
      "1.0000000000000002 given, 1.0 expected" },
    { MD_DTYPE_F64, &f64_101, &f64_100, 0.5, 0.004, "101.0 given, 100.0" },
    { MD_DTYPE_F64, &f64_101, &f64_100, 0.5, 0.005, NULL },
    { MD_DTYPE_F64, &f64_max, &f64_minus_max, 0, 1, "(max |difference| inf)" },
    { MD_DTYPE_F16, &f16_1_up, &f16_1, 0, 0, "1.0009766 given, 1.0 expected" },
    { MD_DTYPE_F16, &f16_nan, &f16_nan_2, 0, 0, NULL },
    { MD_DTYPE_BF16, &bf16_1, &bf16_2, 0.9, 0, "1.0 given, 2.0 expected" },
    { MD_DTYPE_F8E8M0, &one, &zero, 0, 0, "1.1754944e-38 given, 5.877472e-39" },
    { MD_DTYPE_C64, c64_conj, c64, 3.9, 0,
      "1.0-2.0i given, 1.0+2.0i expected (max |difference| 4)" },
    { MD_DTYPE_C64, c64_conj, c64, 4, 0, NULL },
    { MD_DTYPE_C64, c64_near, c64, 0.49, 0, "1.3+2.4i given" },
    { MD_DTYPE_C64, c64_near, c64, 0.51, 0, NULL }, /* 3-4-5 by ten */
    { MD_DTYPE_C64, c64_near, c64, 0, 0.23, NULL }, /* of sqrt 5 */
    { MD_DTYPE_C64, c64_near, c64, 0, 0.22, "1.3+2.4i given" },
    { MD_DTYPE_C64, c64_nan, c64_nan, 0, 0, NULL },
    { MD_DTYPE_C64, c64_nan, c64_nan_2, 0, 0, "1.0+nani given, 2.0+nani" },
    { MD_DTYPE_C64, c64_nan, c64_nan_2, 1, 0, NULL },
    { MD_DTYPE_C64, c64_inf, c64_inf_2, 0, 0, "inf+2.0i given, inf+3.0i" },
    { MD_DTYPE_C64, c64, c64_inf, 9, 9, "1.0+2.0i given, inf+2.0i expected" },
    { MD_DTYPE_C128, c128, c128_0, 0, 0, "0.0+1e-300i given, 0.0+0.0i" },
    { MD_DTYPE_STRING, &s_abc, &s_abc, 0, 0, NULL },
    { MD_DTYPE_STRING, &s_none, &s_none, 0, 0, NULL },
    { MD_DTYPE_STRING, &s_abc, &s_abd, 9, 9, "'abc' given, 'abd' expected" },
    { MD_DTYPE_STRING, &s_abc, &s_ab, 0, 0, "'abc' given, 'ab' expected" },
    { MD_DTYPE_STRING, &s_ab, &s_nul, 0, 0, "'ab' given, 'ab\\x00' expected" },
    { MD_DTYPE_STRING, &s_ctl, &s_none, 0, 0,
      "'a\\n\\'\\x1b[2J' given, '' expected" },
};

static void test_compare__elements(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_COUNT(element_cases); i++) {
        const element_case *c = &element_cases[i];
        md_tensor got = over(c->type, c->got, 1);
        md_tensor want = over(c->type, c->want, 1);
        md_error err = MD_ERROR_INIT;
        md_status s =
            md_tensor_compare(NULL, &got, &want, c->abs, c->rel, &err);

        if (!c->text) {
            assert_md_ok(s, &err);
            continue;
        }
        assert_md_fails(s, MD_MISMATCH, &err, c->text);
        assert_memory_equal(err.msg,
                            "1 of 1 elements differ, first at 0: ", 36);
        assert_int_equal(strstr(err.msg, "difference") == NULL,
                         c->type == MD_DTYPE_STRING);
    }
}

/* --- what is told of whole tensors --- */

static void test_compare__figures(void **state)
{
    const float got[] = { 1, 2, -3, 0.5f, NAN, INFINITY, 0 };
    const float want[] = { 1, 2.5f, -4, 0, NAN, INFINITY, 0 };
    md_tensor a = over(MD_DTYPE_F32, got, 7), b = over(MD_DTYPE_F32, want, 7);
    md_error err = MD_ERROR_INIT;
    md_diff d = { 0 };
    /* the finite elements: 1*1 + 2*2.5 + 3*4, and the squares */
    const double ab = 18, aa = 14.25, bb = 23.25;

    (void)state;
    assert_md_fails(md_tensor_compare(&d, &a, &b, 0.5, 0, &err), MD_MISMATCH,
                    &err,
                    "1 of 7 elements differ, first at 2: -3.0 given, -4.0 "
                    "expected (max |difference| 1)");
    assert_true(d.abs_max == 1.0);
    assert_true(d.rel_max == 0.25);
    assert_true(d.want_max == 4.0);
    assert_int_equal(d.n_misses, 1);
    assert_int_equal(d.first, 2);
    /* two roots, a product and a division: some 2^-52 of it */
    assert_true(fabs(d.cosine - ab / sqrt(aa * bb)) < 1e-15);
    assert_md_ok(md_tensor_compare(&d, &a, &b, 0.5, 0.125, &err), &err);
    assert_int_equal(d.first, -1);
    assert_int_equal(d.n_misses, 0);
    assert_true(d.abs_max == 1.0); /* told although within */
}

static void test_compare__figures_of_complex(void **state)
{
    const double got[] = { 3, 4, 0, 1 }, want[] = { 0, 0, 0, -1 };
    md_tensor a = over(MD_DTYPE_C128, got, 2);
    md_tensor b = over(MD_DTYPE_C128, want, 2);
    md_diff d;

    (void)state;
    assert_int_equal(md_tensor_compare(&d, &a, &b, 2, 0, NULL), MD_MISMATCH);
    assert_true(d.abs_max == 5.0);
    assert_true(d.rel_max == 2.0);
    assert_true(d.want_max == 1.0);
    assert_int_equal(d.n_misses, 1);
    assert_int_equal(d.first, 0);
    assert_true(fabs(d.cosine + 1.0 / sqrt(26.0)) < 1e-15);
}

static void test_compare__cosine_at_the_ends(void **state)
{
    static const struct {
        double a, b, want;
    } cases[] = {
        { 0, 0, 1 },
        { 0, 1, 0 },
        { 1, 0, 0 },
        { 2, 7, 1 },
        { -2, 7, -1 },
        { 1e100, 1e100, 1 },
        { 1e-100, -1e-90, -1 },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_tensor a = over(MD_DTYPE_F64, &cases[i].a, 1);
        md_tensor b = over(MD_DTYPE_F64, &cases[i].b, 1);
        md_diff d;

        (void)md_tensor_compare(&d, &a, &b, 0, 0, NULL);
        if (!(fabs(d.cosine - cases[i].want) < 1e-15))
            fail_msg("%g and %g: cosine %.17g, expected %g", cases[i].a,
                     cases[i].b, d.cosine, cases[i].want);
    }
}

static void test_compare__no_elements(void **state)
{
    md_tensor a = { .dtype = MD_DTYPE_F32, .shape = { 2, { 0, 3 } } };
    md_tensor s = { .dtype = MD_DTYPE_STRING, .shape = { 1, { 0 } } };
    md_error err = MD_ERROR_INIT;
    md_diff d = { .first = 5 };

    (void)state;
    assert_md_ok(md_tensor_compare(&d, &a, &a, 0, 0, &err), &err);
    assert_int_equal(d.first, -1);
    assert_true(d.cosine == 1.0 && d.abs_max == 0.0 && d.want_max == 0.0);
    assert_md_ok(md_tensor_compare(NULL, &s, &s, 0, 0, &err), &err);
}

static void test_compare__type_and_shape(void **state)
{
    static const float f[6] = { 0 };
    static const struct {
        md_dtype type;
        md_shape shape;
        const char *text;
    } cases[] = {
        { MD_DTYPE_F32,
          { 2, { 3, 2 } },
          "float32 [3,2] given, float32 [2,3] expected" },
        { MD_DTYPE_F32,
          { 1, { 6 } },
          "float32 [6] given, float32 [2,3] expected" },
        { MD_DTYPE_F32,
          { 0, { 0 } },
          "float32 [] given, float32 [2,3] expected" },
        { MD_DTYPE_I32,
          { 2, { 2, 3 } },
          "int32 [2,3] given, float32 [2,3] expected" },
    };
    md_tensor want = { .dtype = MD_DTYPE_F32,
                       .shape = { 2, { 2, 3 } },
                       .data = AS_DATA(f) };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_tensor got = { .dtype = cases[i].type,
                          .shape = cases[i].shape,
                          .data = AS_DATA(f) };
        md_error err = MD_ERROR_INIT;
        md_diff d = { .first = 77 };

        assert_int_equal(md_tensor_compare(&d, &got, &want, 9, 9, &err),
                         MD_MISMATCH);
        assert_string_equal(err.msg, cases[i].text);
        assert_int_equal(d.first, 77); /* untouched */
    }
}

/* The first and the number of misses, wherever they are. */
static void test_compare__counts_misses(void **state)
{
    enum {
        N = 9
    };
    md_dtype types[] = { MD_DTYPE_I4, MD_DTYPE_U2, MD_DTYPE_F16, MD_DTYPE_C64,
                         MD_DTYPE_F4E2M1 };

    (void)state;
    for (size_t t = 0; t < MD_COUNT(types); t++) {
        for (int first = 0; first < N; first++) {
            uint8_t a[N * 8] = { 0 }, b[N * 8] = { 0 };
            md_tensor ta = over(types[t], a, N), tb = over(types[t], b, N);
            md_diff d;

            for (int i = first; i < N; i += 3)
                md_tensor_set_f64(&ta, i, 1.0);
            assert_int_equal(md_tensor_compare(&d, &ta, &tb, 0, 0, NULL),
                             MD_MISMATCH);
            assert_int_equal(d.first, first);
            assert_int_equal(d.n_misses, (N - first + 2) / 3);
            assert_true(d.abs_max == 1.0);
        }
    }
}

/* Long strings of anything leave a message that one line can hold. */
static void test_compare__long_strings_are_cut(void **state)
{
    char x[3000], y[3000];
    md_str a = { x, sizeof(x) }, b = { y, sizeof(y) };
    md_tensor ta = over(MD_DTYPE_STRING, &a, 1);
    md_tensor tb = over(MD_DTYPE_STRING, &b, 1);
    md_error err = MD_ERROR_INIT;

    (void)state;
    memset(x, '\x1b', sizeof(x));
    memset(y, 'y', sizeof(y));
    assert_md_fails(md_tensor_compare(NULL, &ta, &tb, 0, 0, &err), MD_MISMATCH,
                    &err, "yyy'... expected");
    assert_non_null(strstr(err.msg, "0: '\\x1b\\x1b"));
    assert_non_null(strstr(err.msg, "\\x1b'... given, 'yyy"));
    assert_null(strchr(err.msg, '\x1b'));
    assert_true(strlen(err.msg) < 280);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compare__elements),
        cmocka_unit_test(test_compare__figures),
        cmocka_unit_test(test_compare__figures_of_complex),
        cmocka_unit_test(test_compare__cosine_at_the_ends),
        cmocka_unit_test(test_compare__no_elements),
        cmocka_unit_test(test_compare__type_and_shape),
        cmocka_unit_test(test_compare__counts_misses),
        cmocka_unit_test(test_compare__long_strings_are_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
