#include "f32_case.h"

#include <math.h>
#include <string.h>

#include "kernels/unpack_f32.h"

static void test_unpack_f32__known(void **state)
{
    /* Column c has codes c - 8, 7 - c and -1; of 8 bits the bytes of these. */
    uint8_t q[64] = { 0 };
    float scale[16], shift[16], y[48], x[3] = { 1.0f, 2.0f, 0.5f };

    (void)state;
    for (int c = 0; c < 16; c++) {
        q[c * 4] = (uint8_t)((c - 8) & 15) | (uint8_t)((7 - c) * 16);
        q[c * 4 + 1] = 0xff;
        scale[c] = 0.5f * (float)(c + 1);
        shift[c] = -1.0f;
    }
    for (const md_unpack_f32_kernel *k = md_unpack_f32_kernels; k->run; k++) {
        if (!f32_usable(k->name, k->required))
            continue;
        k->run(&(md_unpack_f32_args){ y, q, scale, shift, 3, 16, 4 });
        for (int c = 0; c < 16; c++) {
            assert_float_equal(y[c], (float)(c - 8) * scale[c] - 1.0f, 0.0f);
            assert_float_equal(y[16 + c], (float)(7 - c) * scale[c] - 1.0f,
                               0.0f);
            assert_float_equal(y[32 + c], -scale[c] - 1.0f, 0.0f);
        }
        k->run(&(md_unpack_f32_args){ y, q, scale, NULL, 2, 16, 8 });
        assert_float_equal(y[3], (float)(11 + 4 * 16) * scale[3], 0.0f);
        assert_float_equal(y[16 + 3], -scale[3], 0.0f);
        k->product(
            &(md_unpack_f32_product){ y, x, q, scale, shift, 3, 16, 16, 4 });
        for (int c = 0; c < 16; c++)
            assert_float_equal(y[c], (5.5f - (float)c) * scale[c] - 3.5f, 0.0f);
    }
}

static void check(const md_unpack_f32_kernel *k, int64_t rows, int64_t width,
                  int bits, uint32_t *seed)
{
    const size_t n = (size_t)(rows * width), w = (size_t)width;
    const size_t size = (size_t)((rows * bits + 31) / 32 * width * 4);
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
    a.shift = NULL;
    k->run(&a);
    a.y = want;
    md_unpack_f32_select(0)->run(&a);
    if (memcmp(got, want, n * sizeof(float)) != 0)
        fail_msg("%s: %d bits, %d rows of %d, no shift", k->name, bits,
                 (int)rows, (int)width);
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

/* Against unpacked weights and sums of doubles. */
static void check_product(const md_unpack_f32_kernel *k,
                          md_unpack_f32_product a, uint32_t *seed)
{
    const int64_t blocks = (a.rows + a.block - 1) / a.block;
    const size_t n = (size_t)(blocks * a.width), rows = (size_t)a.rows;
    const size_t block_size = (size_t)(a.block * a.bits / 8 * a.width);
    const size_t words =
        (size_t)((a.rows % a.block * a.bits + 31) / 32 * a.width * 4);
    const size_t size = (size_t)(a.rows / a.block) * block_size + words;
    float *x = f32_random(rows, seed), *y = f32_random((size_t)a.width, seed);
    float *scale = f32_random(n, seed), *shift = f32_random(n, seed);
    uint8_t *q = md_guard_alloc(size);
    const bool shifted = *seed & 1;

    for (size_t i = 0; i < size; i++)
        q[i] = (uint8_t)md_guard_random(seed);
    a.y = y, a.x = x, a.q = q, a.scale = scale;
    a.shift = shifted ? shift : NULL;
    k->product(&a);
    for (int64_t c = 0; c < a.width; c++) {
        double sum = 0, size_of = 0;

        for (int64_t r = 0; r < a.rows; r++) {
            const int64_t g = r / a.block, per = 32 / a.bits;
            const int64_t in = r % a.block, bit = in % per * a.bits;
            const int u = q[g * (int64_t)block_size +
                            (in / per * a.width + c) * 4 + bit / 8] >>
                              bit % 8 &
                          ((1 << a.bits) - 1);
            const int code = u >> (a.bits - 1) ? u - (1 << a.bits) : u;
            const double w = (double)code * (double)scale[g * a.width + c];
            const double z = shifted ? (double)shift[g * a.width + c] : 0;

            sum += (double)x[r] * (w + z);
            size_of += fabs((double)x[r]) * (fabs(w) + fabs(z));
        }
        /* the header's bound */
        assert_true(fabs((double)y[c] - sum) <=
                    (0.5 * (double)a.block + (double)(blocks + 4)) * 0x1p-24 *
                        size_of);
    }
    md_guard_free(q, size);
    f32_free(x, rows);
    f32_free(y, (size_t)a.width);
    f32_free(scale, n);
    f32_free(shift, n);
}

static void test_unpack_f32__products(void **state)
{
    uint32_t seed = 9;

    (void)state;
    for (const md_unpack_f32_kernel *k = md_unpack_f32_kernels; k->run; k++) {
        for (int64_t rows = 1; f32_usable(k->name, k->required) && rows < 70;
             rows += rows < 20 ? 1 : 7) {
            for (int64_t width = 16; width <= 80; width += 16) {
                for (int i = 0; i < 4; i++)
                    check_product(
                        k,
                        (md_unpack_f32_product){ .rows = rows,
                                                 .block = i & 1 ? 32 : 16,
                                                 .width = width,
                                                 .bits = i & 2 ? 8 : 4 },
                        &seed);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unpack_f32__known),
        cmocka_unit_test(test_unpack_f32__rows_equal_ref),
        cmocka_unit_test(test_unpack_f32__products),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
