/* Narrow floats: every code there and back, rounding, overflow. */
#include "support/test.h"

#include <math.h>

#include "base/size.h"
#include "tensor/float.h"

static void test_float__every_f16_code_returns(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0xffff; c++) {
        float f = md_f16_to_f32((uint16_t)c);

        if (isnan(f))
            assert_int_equal(md_f32_to_f16(f), (c & 0x8000u) | 0x7e00u);
        else
            assert_int_equal(md_f32_to_f16(f), c);
    }
}

static void test_float__every_bf16_code_returns(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0xffff; c++) {
        float f = md_bf16_to_f32((uint16_t)c);

        if (isnan(f)) /* quiet */
            assert_int_equal(md_f32_to_bf16(f), c | 0x40u);
        else
            assert_int_equal(md_f32_to_bf16(f), c);
    }
}

static void test_float__every_f8_code_returns(void **state)
{
    static const md_dtype types[] = { MD_DTYPE_F8E4M3FN, MD_DTYPE_F8E4M3FNUZ,
                                      MD_DTYPE_F8E5M2, MD_DTYPE_F8E5M2FNUZ,
                                      MD_DTYPE_F8E8M0 };

    (void)state;
    for (size_t t = 0; t < MD_COUNT(types); t++) {
        for (int c = 0; c < 256; c++) {
            float f = md_f8_to_f32(types[t], (uint8_t)c);
            uint8_t back = md_f32_to_f8(types[t], f, false);

            if (isnan(f))
                assert_true(isnan(md_f8_to_f32(types[t], back)));
            else
                assert_int_equal(back, c);
        }
    }
    for (int c = 0; c < 16; c++)
        assert_int_equal(md_f32_to_f8(MD_DTYPE_F4E2M1,
                                      md_f8_to_f32(MD_DTYPE_F4E2M1, (uint8_t)c),
                                      true),
                         c);
}

static void test_float__rounds_to_nearest_even(void **state)
{
    (void)state;
    assert_int_equal(md_f32_to_f16(1.0f + 0x1p-11f), 0x3c00);
    assert_int_equal(md_f32_to_f16(1.0f + 0x3p-11f), 0x3c02);
    assert_int_equal(md_f32_to_f16(0x1p-25f), 0);
    assert_int_equal(md_f32_to_f16(0x1.8p-25f), 1);
    assert_int_equal(md_f32_to_bf16(1.0f + 0x1p-8f), 0x3f80);
    assert_int_equal(md_f32_to_bf16(1.0f + 0x3p-8f), 0x3f82);
    assert_int_equal(md_f32_to_f8(MD_DTYPE_F8E4M3FN, 1.0f + 0x1p-4f, true),
                     0x38);
    assert_int_equal(md_f32_to_f8(MD_DTYPE_F8E4M3FN, 1.0f + 0x3p-4f, true),
                     0x3a);
}

static void test_float__overflow(void **state)
{
    (void)state;
    assert_int_equal(md_f32_to_f16(65519.0f), 0x7bff);
    assert_int_equal(md_f32_to_f16(65520.0f), 0x7c00);
    assert_int_equal(md_f32_to_f16(-INFINITY), 0xfc00);
    assert_int_equal(md_f32_to_f8(MD_DTYPE_F8E4M3FN, 1e6f, true), 0x7e);
    assert_int_equal(md_f32_to_f8(MD_DTYPE_F8E4M3FN, 1e6f, false), 0x7f);
    assert_int_equal(md_f32_to_f8(MD_DTYPE_F8E5M2, -1e9f, true), 0xfb);
    assert_int_equal(md_f32_to_f8(MD_DTYPE_F8E5M2, -1e9f, false), 0xfc);
    assert_int_equal(md_f32_to_f8(MD_DTYPE_F8E5M2FNUZ, INFINITY, false), 0x80);
    assert_int_equal(md_f32_to_f8(MD_DTYPE_F8E4M3FNUZ, -0.0f, true), 0);
    assert_int_equal(md_f32_to_f8(MD_DTYPE_F4E2M1, INFINITY, false), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_float__every_f16_code_returns),
        cmocka_unit_test(test_float__every_bf16_code_returns),
        cmocka_unit_test(test_float__every_f8_code_returns),
        cmocka_unit_test(test_float__rounds_to_nearest_even),
        cmocka_unit_test(test_float__overflow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
