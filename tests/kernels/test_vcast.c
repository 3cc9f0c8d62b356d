#include "support/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kernels/vcast.h"
#include "support/guard.h"
#include "tensor/float.h"
#include "tensor/tensor.h"

enum {
    N_MAX = 150
};

/* Random bytes, and for floats numbers around every limit too. */
static void fill(md_tensor *t, int64_t n, uint32_t *seed)
{
    static const double special[] = {
        0.0,
        -0.0,
        (double)NAN,
        (double)INFINITY,
        -(double)INFINITY,
        0.5,
        -1.5,
        255.9,
        256,
        -128.9,
        65504,
        65519,
        65520,
        0x1p-24,
        0x1p-25,
        0x1.8p-25,
        0x1p-14,
        2147483648.0,
        -2147483649.0,
        4294967296.0,
        0x1p63,
        -0x1p63,
        0x1p64,
        -0x1.8p63,
        0x1.fffffep62,
        1e-40,
        3e38,
        1e300,
        0x1.00008p0,
        0x1.00009p0,
        0x1.002p0,
        0x1.00200001p0,
        0x1.01p0,
        0x1.0100000000001p0,
    };

    md_guard_fill(t->data, md_tensor_size(t), seed);
    for (int64_t i = 0; i < n && md_dtype_is_float(t->dtype); i++) {
        const uint32_t pick = md_guard_random(seed);

        if (pick % 2 == 0)
            md_tensor_set_f64(t, i, special[pick / 2 % MD_COUNT(special)]);
    }
    for (int64_t i = 0; i < n && t->dtype == MD_DTYPE_BOOL; i++)
        ((uint8_t *)t->data)[i] &= 1;
}

static bool is_nan(const md_tensor *t, int64_t i)
{
    return md_dtype_is_float(t->dtype) && isnan(md_tensor_get_f64(t, i));
}

static void check(const md_vcast_kernel *k, md_dtype to, md_dtype from,
                  int64_t n)
{
    const size_t size_x = (size_t)n * md_dtype_bits(from) / 8;
    const size_t step = md_dtype_bits(to) / 8, size_y = (size_t)n * step;
    md_tensor x = { .dtype = from,
                    .shape = { 1, { n } },
                    .data = md_guard_alloc(size_x) };
    md_tensor y = { .dtype = to,
                    .shape = { 1, { n } },
                    .data = md_guard_alloc(size_y) };
    md_tensor want = { .dtype = to,
                       .shape = { 1, { n } },
                       .data = md_guard_alloc(size_y) };
    uint32_t seed = (uint32_t)(n * 1024 + to * 32 + from);

    fill(&x, n, &seed);
    k->find(to, from)(y.data, x.data, (size_t)n);
    for (int64_t i = 0; i < n; i++) {
        md_tensor_set_from(&want, i, &x, i);
        if (is_nan(&want, i)
                ? !is_nan(&y, i)
                : memcmp((char *)y.data + (size_t)i * step,
                         (char *)want.data + (size_t)i * step, step) != 0)
            fail_msg("%s: %s to %s: %.17g gives %.17g, %.17g expected", k->name,
                     md_dtype_name(from), md_dtype_name(to),
                     md_tensor_get_f64(&x, i), md_tensor_get_f64(&y, i),
                     md_tensor_get_f64(&want, i));
    }
    md_guard_free(x.data, size_x);
    md_guard_free(y.data, size_y);
    md_guard_free(want.data, size_y);
}

/* As one element after the other by md_tensor_set_from. */
static void test_vcast__rows_are_right(void **state)
{
    (void)state;
    for (const md_vcast_kernel *k = md_vcast_kernels; k->find; k++) {
        int n_loops = 0;

        if (k->required & ~md_cpu_flags()) {
            printf("skipped: %s (CPU)\n", k->name);
            continue;
        }
        for (int to = 1; to < MD_DTYPE_N; to++) {
            for (int from = 1; from < MD_DTYPE_N; from++) {
                if (!k->find((md_dtype)to, (md_dtype)from))
                    continue;
                n_loops++;
                for (int64_t n = 0; n < N_MAX; n += 1 + n / 12)
                    check(k, (md_dtype)to, (md_dtype)from, n);
            }
        }
        /* 11 types to 11, two halves to 11, two floats to two halves */
        assert_int_equal(n_loops, 11 * 11 + 2 * 11 + 2 * 2);
    }
}

static float widened(md_dtype half, uint16_t h)
{
    return half == MD_DTYPE_F16 ? md_f16_to_f32(h) : md_bf16_to_f32(h);
}

static uint16_t narrowed(md_dtype half, float f)
{
    return half == MD_DTYPE_F16 ? md_f32_to_f16(f) : md_f32_to_bf16(f);
}

/* Every float16 and bfloat16 there and back, to the bit of NaNs. */
static void test_vcast__halves_are_kept(void **state)
{
    static const md_dtype halves[] = { MD_DTYPE_F16, MD_DTYPE_BF16 };
    static uint16_t h[1 << 16], back[1 << 16];
    static float f[1 << 16];

    (void)state;
    for (int i = 0; i < 1 << 16; i++)
        h[i] = (uint16_t)i;
    for (const md_vcast_kernel *k = md_vcast_kernels; k->find; k++) {
        for (int t = 0; t < 2 && !(k->required & ~md_cpu_flags()); t++) {
            k->find(MD_DTYPE_F32, halves[t])(f, h, 1 << 16);
            k->find(halves[t], MD_DTYPE_F32)(back, f, 1 << 16);
            for (int i = 0; i < 1 << 16; i++) {
                const float want = widened(halves[t], h[i]);

                assert_memory_equal(&f[i], &want, sizeof(want));
                assert_int_equal(back[i], narrowed(halves[t], f[i]));
                assert_true(isnan(f[i]) || back[i] == h[i]);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vcast__rows_are_right),
        cmocka_unit_test(test_vcast__halves_are_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
