#include "f32_case.h"

#include <string.h>

#include "kernels/unpack_f32.h"

static void test_unpack_f32__known(void **state)
{
    /* Columns 0 .. 15 of rows 0, 1 and 2 hold codes c, 15 - c and 7. */
    uint8_t q[32];
    float scale[16], shift[16], y[48];

    (void)state;
    for (int c = 0; c < 16; c++) {
        q[c] = (uint8_t)(c | (15 - c) << 4);
        q[16 + c] = 7;
        scale[c] = 0.5f * (float)(c + 1);
        shift[c] = -1.0f;
    }
    for (const md_unpack_f32_kernel *k = md_unpack_f32_kernels; k->run; k++) {
        if (!f32_usable(k->name, k->required))
            continue;
        k->run(&(md_unpack_f32_args){ y, q, scale, shift, 3, 16, 4 });
        for (int c = 0; c < 16; c++) {
            assert_float_equal(y[c], (float)c * scale[c] - 1.0f, 0.0f);
            assert_float_equal(y[16 + c], (float)(15 - c) * scale[c] - 1.0f,
                               0.0f);
            assert_float_equal(y[32 + c], 7.0f * scale[c] - 1.0f, 0.0f);
        }
        k->run(&(md_unpack_f32_args){ y, q, scale, shift, 2, 16, 8 });
        assert_float_equal(y[3], (float)(3 | 12 << 4) * scale[3] - 1.0f, 0.0f);
    }
}

static void check(const md_unpack_f32_kernel *k, int64_t rows, int64_t width,
                  int bits, uint32_t *seed)
{
    const size_t n = (size_t)(rows * width), w = (size_t)width;
    const size_t size = (size_t)((bits == 4 ? (rows + 1) / 2 : rows) * width);
    float *scale = f32_random(w, seed), *shift = f32_random(w, seed);
    float *want = f32_random(n, seed), *got = f32_random(n, seed);
    uint8_t *q = md_guard_alloc(size);
    md_unpack_f32_args a = { want, q, scale, shift, rows, width, bits };

    for (size_t i = 0; i < size; i++)
        q[i] = (uint8_t)md_guard_random(seed);
    md_unpack_f32_select(0)->run(&a);
    a.y = got;
    k->run(&a);
    if (memcmp(got, want, n * sizeof(float)) != 0)
        fail_msg("%s: %d bits, %d rows of %d", k->name, bits, (int)rows,
                 (int)width);
    md_guard_free(q, size);
    f32_free(scale, w);
    f32_free(shift, w);
    f32_free(want, n);
    f32_free(got, n);
}

static void test_unpack_f32__rows_equal_ref(void **state)
{
    uint32_t seed = 7;

    (void)state;
    for (const md_unpack_f32_kernel *k = md_unpack_f32_kernels; k->run; k++) {
        for (int64_t rows = 1; f32_usable(k->name, k->required) && rows < 20;
             rows++) {
            for (int64_t width = 16; width <= 80; width += 16) {
                check(k, rows, width, 4, &seed);
                check(k, rows, width, 8, &seed);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unpack_f32__known),
        cmocka_unit_test(test_unpack_f32__rows_equal_ref),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
