/* Narrow floats against their definition: every code, every step between two
 * of them, the ends. */
#include "support/test.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "support/narrow.h"
#include "tensor/float.h"

static float to_f32(md_dtype t, unsigned code)
{
    if (t == MD_DTYPE_F16)
        return md_f16_to_f32((uint16_t)code);
    if (t == MD_DTYPE_BF16)
        return md_bf16_to_f32((uint16_t)code);
    return md_f8_to_f32(t, (uint8_t)code);
}

static unsigned from_f32(md_dtype t, float x, bool saturate)
{
    if (t == MD_DTYPE_F16)
        return md_f32_to_f16(x);
    if (t == MD_DTYPE_BF16)
        return md_f32_to_bf16(x);
    return md_f32_to_f8(t, x, saturate);
}

/* float16 and bfloat16 have no saturating form. */
static bool may_saturate(const narrow_format *f)
{
    return md_dtype_bits(f->type) <= 8;
}

/* The same value: NaN is NaN, zeros have signs. */
static bool same(double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) && isnan(b);
    return a == b && !signbit(a) == !signbit(b);
}

static void check_encode(const narrow_format *f, float x)
{
    for (int saturate = 0; saturate <= may_saturate(f); saturate++) {
        unsigned got = from_f32(f->type, x, saturate);
        unsigned want = narrow_encode(f, (double)x, saturate);

        if (got != want)
            fail_msg("%s of %a%s: %#x, expected %#x", md_dtype_name(f->type),
                     (double)x, saturate ? ", saturating" : "", got, want);
    }
}

/* The printed limits hold for the model that the other tests trust. */
static void test_float__the_formats_are_those_of_the_papers(void **state)
{
    (void)state;
    for (int k = 0; k < NARROW_N; k++) {
        const narrow_format *f = &narrow_formats[k];
        unsigned tiny = f->type != MD_DTYPE_F8E8M0;
        unsigned n_nan = 0;

        assert_true(narrow_decode(f, f->max) == f->finite);
        assert_true(narrow_decode(f, tiny) == f->tiny);
        for (unsigned c = 0; c < narrow_n_codes(f); c++)
            n_nan += isnan(narrow_decode(f, c)) ? 1u : 0u;
        assert_int_equal(n_nan,
                         f->type == MD_DTYPE_F16    ? 2 * 1023
                         : f->type == MD_DTYPE_BF16 ? 2 * 127
                         : f->type == MD_DTYPE_F8E5M2
                             ? 6
                             : (f->type == MD_DTYPE_F8E4M3FN) + (f->nan != 0));
    }
}

static void test_float__every_code_is_read(void **state)
{
    (void)state;
    for (int k = 0; k < NARROW_N; k++) {
        const narrow_format *f = &narrow_formats[k];

        for (unsigned c = 0; c < narrow_n_codes(f); c++) {
            double got = (double)to_f32(f->type, c);

            if (!same(got, narrow_decode(f, c)))
                fail_msg("%s %#x: %a, expected %a", md_dtype_name(f->type), c,
                         got, narrow_decode(f, c));
        }
    }
}

static void test_float__every_code_returns(void **state)
{
    (void)state;
    for (int k = 0; k < NARROW_N; k++) {
        const narrow_format *f = &narrow_formats[k];

        for (unsigned c = 0; c < narrow_n_codes(f); c++) {
            float x = to_f32(f->type, c);
            unsigned back = from_f32(f->type, x, false);

            if (!isnan(x))
                assert_int_equal(back, c);
            else
                assert_true(isnan(to_f32(f->type, back)));
        }
    }
}

/* Between each code and the next: both, the middle, and the floats around
 * each, with both signs. */
static void test_float__every_step_is_rounded(void **state)
{
    (void)state;
    for (int k = 0; k < NARROW_N; k++) {
        const narrow_format *f = &narrow_formats[k];

        for (unsigned c = 0; c < f->max; c++) {
            double at = narrow_decode(f, c), next = narrow_decode(f, c + 1);
            float x[] = { (float)at, (float)((at + next) / 2), (float)next };

            for (size_t i = 0; i < MD_COUNT(x); i++) {
                check_encode(f, x[i]);
                check_encode(f, nextafterf(x[i], INFINITY));
                check_encode(f, nextafterf(x[i], -INFINITY));
                check_encode(f, -x[i]);
                check_encode(f, -nextafterf(x[i], INFINITY));
                check_encode(f, -nextafterf(x[i], -INFINITY));
            }
        }
    }
}

static void test_float__the_ends(void **state)
{
    static const float ends[] = { 0.0f,       -0.0f,          FLT_MIN,
                                  -FLT_MIN,   FLT_MAX,        -FLT_MAX,
                                  INFINITY,   -INFINITY,      NAN,
                                  -NAN,       0x1p-149f,      -0x1p-149f,
                                  0x1p-127f,  0x1.8p-127f,    0x1p127f,
                                  0x1.8p127f, 0x1.7ffffep127f };

    (void)state;
    for (int k = 0; k < NARROW_N; k++) {
        const narrow_format *f = &narrow_formats[k];
        float max = (float)f->finite;
        float step = max - (float)narrow_decode(f, f->max - 1);

        for (size_t i = 0; i < MD_COUNT(ends); i++)
            check_encode(f, ends[i]);
        for (float x = max - step; x < max + 2 * step && isfinite(x);
             x += step / 16) {
            check_encode(f, x);
            check_encode(f, -x);
        }
    }
}

/* Texts of the specifications, not computed by anyone here. */
static void test_float__known_codes(void **state)
{
    static const struct {
        md_dtype type;
        float x;
        bool saturate;
        unsigned code;
    } cases[] = {
        { MD_DTYPE_F16, 1.0f + 0x1p-11f, false, 0x3c00 },
        { MD_DTYPE_F16, 1.0f + 0x3p-11f, false, 0x3c02 },
        { MD_DTYPE_F16, 0x1p-25f, false, 0 },
        { MD_DTYPE_F16, 0x1.8p-25f, false, 1 },
        { MD_DTYPE_F16, 65519.0f, false, 0x7bff },
        { MD_DTYPE_F16, 65520.0f, false, 0x7c00 },
        { MD_DTYPE_F16, -INFINITY, false, 0xfc00 },
        { MD_DTYPE_BF16, 1.0f + 0x1p-8f, false, 0x3f80 },
        { MD_DTYPE_BF16, 1.0f + 0x3p-8f, false, 0x3f82 },
        { MD_DTYPE_F8E4M3FN, 1.0f + 0x1p-4f, true, 0x38 },
        { MD_DTYPE_F8E4M3FN, 1.0f + 0x3p-4f, true, 0x3a },
        { MD_DTYPE_F8E4M3FN, 464.0f, false, 0x7e }, /* a tie to even */
        { MD_DTYPE_F8E4M3FN, 465.0f, false, 0x7f },
        { MD_DTYPE_F8E4M3FN, 1e6f, true, 0x7e },
        { MD_DTYPE_F8E5M2, -1e9f, true, 0xfb },
        { MD_DTYPE_F8E5M2, -1e9f, false, 0xfc },
        { MD_DTYPE_F8E5M2FNUZ, INFINITY, false, 0x80 },
        { MD_DTYPE_F8E4M3FNUZ, -0.0f, true, 0 },
        { MD_DTYPE_F4E2M1, INFINITY, false, 7 },
        { MD_DTYPE_F4E2M1, -0.0f, false, 8 },
        { MD_DTYPE_F8E8M0, 3.0f, true, 0x81 }, /* a tie: up */
        { MD_DTYPE_F8E8M0, -1.0f, true, 0xff },
        { MD_DTYPE_F8E8M0, 0.0f, true, 0 },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++)
        assert_int_equal(from_f32(cases[i].type, cases[i].x, cases[i].saturate),
                         cases[i].code);
}

/* bfloat16 keeps what it can of a NaN's payload, and keeps it quiet. */
static void test_float__nan_of_bf16(void **state)
{
    (void)state;
    for (uint32_t c = 0x7f81; c < 0x8000; c++) {
        float x = md_bf16_to_f32((uint16_t)c);

        assert_int_equal(md_f32_to_bf16(x), c | 0x40u);
        assert_int_equal(md_f32_to_bf16(-x), c | 0x8040u);
    }
}

/* Rounding to odd, by its definition: itself, or of the two neighbours the
 * one whose last bit is set. */
static void test_float__odd(void **state)
{
    static const double cases[] = {
        0.0,        -0.0,     1.0,           0.1,           1.0 + 0x1p-24,
        -1.1,       0x1p-149, 0x1p-150,      -0x1p-1074,    0x1.fffffep127,
        0x1p128,    -DBL_MAX, 1.0 + 0x1p-52, 3.0 + 0x1p-51, 16777217.0,
        0x1.8p-149, DBL_MIN,
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        double d = cases[i];
        float got = md_f64_to_f32_odd(d);
        uint32_t bits;

        memcpy(&bits, &got, sizeof(bits));
        if ((double)(float)d == d) {
            assert_true(same((double)got, d));
            continue;
        }
        assert_int_equal(bits & 1, 1);
        assert_true(isfinite(got));
        assert_int_equal(!signbit(got), !signbit(d));
        if (fabs(d) < (double)FLT_MAX)
            assert_true((double)nextafterf(got, -INFINITY) < d &&
                        d < (double)nextafterf(got, INFINITY));
        else
            assert_true(fabsf(got) == FLT_MAX);
    }
    assert_true(isinf(md_f64_to_f32_odd((double)INFINITY)));
    assert_true(isnan(md_f64_to_f32_odd((double)NAN)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_float__the_formats_are_those_of_the_papers),
        cmocka_unit_test(test_float__every_code_is_read),
        cmocka_unit_test(test_float__every_code_returns),
        cmocka_unit_test(test_float__every_step_is_rounded),
        cmocka_unit_test(test_float__the_ends),
        cmocka_unit_test(test_float__known_codes),
        cmocka_unit_test(test_float__nan_of_bf16),
        cmocka_unit_test(test_float__odd),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
