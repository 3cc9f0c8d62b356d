#include "support/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "kernels/quantize.h"
#include "support/guard.h"

static const md_qparam params[] = {
    { 0.1f, 0, 0, 255 },   { 0.25f, 128, 0, 255 },  { 0.0371f, -5, -128, 127 },
    { 1e-30f, 3, 3, 200 }, { INFINITY, 9, 0, 255 }, { 0.0f, 9, 0, 255 },
};

static void fill_special(float *x, size_t n, uint32_t *seed)
{
    static const float special[] = { 0.125f,   0.375f,    -0.125f, NAN,
                                     INFINITY, -INFINITY, 1e38f,   -0.0f };

    md_guard_fill_f32(x, n, 30, seed);
    for (size_t i = 0; i < n; i += 3)
        x[i] = special[md_guard_random(seed) % 8];
}

static void quantize_case(const md_quantize_kernel *k, size_t n,
                          const md_qparam *p)
{
    float *x = md_guard_alloc(n * 4);
    uint8_t *want = md_guard_alloc(n), *got = md_guard_alloc(n);
    uint32_t seed = (uint32_t)n;

    fill_special(x, n, &seed);
    md_quantize_select(0)->quantize(want, x, n, p);
    k->quantize(got, x, n, p);
    if (memcmp(want, got, n) != 0)
        fail_msg("%s: n %zu scale %g", k->name, n, (double)p->scale);
    md_guard_free(x, n * 4);
    md_guard_free(want, n);
    md_guard_free(got, n);
}

static void dequantize_case(const md_quantize_kernel *k, size_t n,
                            md_qtype type, const md_qparam *p)
{
    const size_t size = n * (type == MD_QTYPE_S32 ? 4 : 1);
    void *q = md_guard_alloc(size);
    float *want = md_guard_alloc(n * 4), *got = md_guard_alloc(n * 4);
    uint32_t seed = (uint32_t)n;

    md_guard_fill(q, size, &seed);
    md_quantize_select(0)->dequantize(want, q, n, type, p);
    k->dequantize(got, q, n, type, p);
    for (size_t i = 0; i < n; i++) /* NaN (0 * inf) has any sign */
        if (!(isnan(want[i]) && isnan(got[i])))
            assert_memory_equal(&want[i], &got[i], 4);
    md_guard_free(q, size);
    md_guard_free(want, n * 4);
    md_guard_free(got, n * 4);
}

static void test_quantize__rows_equal_ref(void **state)
{
    (void)state;
    for (const md_quantize_kernel *k = md_quantize_kernels; k->quantize; k++) {
        if (k->required & ~md_cpu_flags()) {
            printf("skipped: %s (CPU)\n", k->name);
            continue;
        }
        for (size_t p = 0; p < sizeof(params) / sizeof(*params); p++)
            for (size_t n = 0; n < 70; n += 1 + n / 20) {
                quantize_case(k, n, &params[p]);
                for (int t = MD_QTYPE_U8; t <= MD_QTYPE_S32; t++)
                    dequantize_case(k, n, (md_qtype)t, &params[p]);
            }
    }
}

static void limits_case(const md_quantize_kernel *k, size_t n, size_t nan_at,
                        float move)
{
    float *x = md_guard_alloc(n * 4), lo, hi, low = 0, high = 0;
    uint32_t seed = (uint32_t)n + 1;

    md_guard_fill_f32(x, n, 30, &seed);
    for (size_t i = 0; i < n; i++) {
        x[i] = i == nan_at ? NAN : i == nan_at / 2 ? -0.0f : x[i] + move;
        low = fminf(low, x[i]);
        high = fmaxf(high, x[i]);
    }
    k->limits(&lo, &hi, x, n);
    if (lo != low || hi != high || signbit(hi))
        fail_msg("%s: limits of %zu: %g %g, expected %g %g", k->name, n,
                 (double)lo, (double)hi, (double)low, (double)high);
    md_guard_free(x, n * 4);
}

/* Both signs, only numbers above and only numbers below 0. */
static void test_quantize__limits(void **state)
{
    (void)state;
    for (const md_quantize_kernel *k = md_quantize_kernels; k->quantize; k++) {
        if (k->required & ~md_cpu_flags())
            continue;
        for (size_t n = 0; n < 200; n++) {
            for (int move = -100; move <= 100; move += 100)
                limits_case(k, n, n * 2 / 3, (float)move);
        }
    }
}

/* Every place of a tile, with numbers of which some are beyond all codes. */
static void test_quantize__long(void **state)
{
    (void)state;
    for (const md_quantize_kernel *k = md_quantize_kernels; k->quantize; k++) {
        if (k->required & ~md_cpu_flags())
            continue;
        for (size_t p = 0; p < MD_COUNT(params); p++) {
            for (size_t n = 100; n < 300; n += 23)
                quantize_case(k, n, &params[p]);
        }
    }
}

static void test_quantize__definition(void **state)
{
    static const float x[] = { 0.5f, 1.5f, -0.5f, 1000, -1000, NAN, 2.4f };
    static const uint8_t want[] = { 10, 12, 10, 255, 0, 0, 12 };
    const md_qparam p = { 1.0f, 10, 0, 255 };
    uint8_t q[7];

    (void)state;
    for (const md_quantize_kernel *k = md_quantize_kernels; k->quantize; k++) {
        if (k->required & ~md_cpu_flags())
            continue;
        k->quantize(q, x, 7, &p);
        assert_memory_equal(q, want, 7);
    }
}

/* x / 0.1f and x * (1 / 0.1f) round differently near halves. */
static void test_quantize__divides(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 1000; i++) {
        const float x = (float)i * 0.05f;
        const md_qparam p = { 0.1f, 0, 0, 255 };
        const float t = nearbyintf(x / 0.1f);
        uint8_t q;

        md_quantize_select(md_cpu_flags())->quantize(&q, &x, 1, &p);
        assert_int_equal(q, t > 255 ? 255 : (int)t);
    }
}

static float float_of(uint32_t bits)
{
    float f;

    memcpy(&f, &bits, sizeof(f));
    return f;
}

/* Some ulp around each half of a scale: a quotient that is not the rounded
 * one becomes another code.  Scales of all magnitudes, and with significands
 * of nearly no and nearly all ones. */
static void test_quantize__halves(void **state)
{
    enum {
        N = 80 /* a tile and a vector */
    };
    static const uint32_t ends[] = { 0, 1, 0x7fffff, 0x7ffffe, 0x400000 };
    uint32_t seed = 1;

    (void)state;
    for (uint32_t i = 0; i < 5000; i++) {
        const uint32_t exponent = i % 3 ? 100 + i % 50 : 1 + i % 250;
        const uint32_t part = i % 4 ? md_guard_random(&seed) & 0x7fffff
                                    : ends[i / 4 % MD_COUNT(ends)];
        const md_qparam p = { float_of(exponent << 23 | part),
                              (int32_t)(i % 256), 0, 255 };
        float x[N];
        uint8_t want[N], got[N];

        for (int j = 0; j < N; j++) {
            const int half = (int)(md_guard_random(&seed) % 512) - 256;
            float at = ((float)half + 0.5f) * p.scale;
            uint32_t bits;

            memcpy(&bits, &at, sizeof(bits));
            x[j] = float_of(bits + md_guard_random(&seed) % 7 - 3);
        }
        md_quantize_select(0)->quantize(want, x, N, &p);
        for (const md_quantize_kernel *k = md_quantize_kernels; k->quantize;
             k++) {
            if (k->required & ~md_cpu_flags())
                continue;
            k->quantize(got, x, N, &p);
            if (memcmp(want, got, N) != 0)
                fail_msg("%s: scale %a", k->name, (double)p.scale);
        }
    }
}

static void test_quantize__per_axis(void **state)
{
    const float scale[] = { 1, 2, 4 }, x[] = { 8, 8, 8, 8, 8, 8 };
    const int32_t zero[] = { 0, 1, 2 };
    const uint8_t want[] = { 8, 8, 5, 5, 4, 4 };
    md_quantize_args a = {
        .kernel = md_quantize_select(md_cpu_flags()),
        .outer = 1,
        .axis = 3,
        .inner = 2,
        .scale = scale,
        .zero = zero,
        .q_max = 255,
    };
    uint8_t q[6];
    float back[6];
    const int32_t wide[] = { 1000000, -3 };

    (void)state;
    md_quantize_run(&a, q, x);
    assert_memory_equal(q, want, 6);
    md_dequantize_run(&a, back, q);
    assert_memory_equal(back, x, sizeof(x));
    a = (md_quantize_args){ .kernel = a.kernel,
                            .outer = 2,
                            .axis = 1,
                            .inner = 1,
                            .scale = scale + 1,
                            .type = MD_QTYPE_S32 };
    md_dequantize_run(&a, back, wide);
    assert_true(back[0] == 2000000 && back[1] == -6);
}

static void test_quantize__table_in_place(void **state)
{
    uint8_t lut[256], x[300];

    (void)state;
    for (int i = 0; i < 256; i++)
        lut[i] = (uint8_t)(255 - i);
    for (int i = 0; i < 300; i++)
        x[i] = (uint8_t)i;
    md_table_apply(x, x, 300, lut);
    for (int i = 0; i < 300; i++)
        assert_int_equal(x[i], (uint8_t)(255 - i));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantize__rows_equal_ref),
        cmocka_unit_test(test_quantize__limits),
        cmocka_unit_test(test_quantize__long),
        cmocka_unit_test(test_quantize__definition),
        cmocka_unit_test(test_quantize__divides),
        cmocka_unit_test(test_quantize__halves),
        cmocka_unit_test(test_quantize__per_axis),
        cmocka_unit_test(test_quantize__table_in_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
