/*
 * 8-bit codes against exact numbers: quantize, dequantize, requant.  Each
 * rounding of the definitions is done by itself here, in a wider type.
 */
#include "support/test.h"

#include <stdbool.h>
#include <stdio.h>

#include "base/attr.h"
#include "base/cpu.h"
#include "kernels/quantize.h"
#include "kernels/real.h"
#include "kernels/requant_s8.h"
#include "support/guard.h"

static bool usable(const char *name, uint32_t required)
{
    if ((required & ~md_cpu_flags()) == 0)
        return true;
    print_message("skipped: %s (not on this CPU)\n", name);
    return false;
}

/* The code for t: rounded, moved, clamped; NaN is the lowest. */
static int code_of(float t, int zero, int lo, int hi)
{
    long double q;

    if (isnan(t))
        return lo;
    q = real_half_even(t) + zero;
    return q < lo ? lo : q > hi ? hi : (int)q;
}

/* ---- quantize ---- */

static const struct {
    int lo, hi;
} ranges[] = { { 0, 255 }, { -128, 127 }, { 0, 15 }, { -8, 7 }, { 7, 7 } };

static const float scales[] = { 1.0f,   0.1f,   0.5f,     0x1p-149f,
                                3e38f,  0.007f, INFINITY, 0.0f,
                                -0.25f, 127.5f, NAN,      1e-30f };

static void check_quantize(const md_quantize_kernel *k, const float *x,
                           uint8_t *q, const md_qparam *p)
{
    k->quantize(q, x, REAL_SWEEP, p);
    for (uint32_t i = 0; i < REAL_SWEEP; i++) {
        const float t = real_round((double)x[i] / p->scale);
        const int want = code_of(t, p->zero, p->q_min, p->q_max);

        if (q[i] != (uint8_t)want)
            fail_msg("%s: %.9g by %g and %d in %d .. %d: %d, expected %d",
                     k->name, (double)x[i], (double)p->scale, p->zero, p->q_min,
                     p->q_max, q[i], want);
    }
}

/* All exponents, and every half of a code and its neighbours. */
static void fill(float *x)
{
    for (uint32_t i = 0; i < REAL_SWEEP; i++)
        x[i] = real_sweep(i);
    for (int i = 0; i < 3000; i++) {
        const int nth = i / 3;
        const float half = (float)(nth - 500) * 0.5f;

        x[100 + i] = i % 3 == 0   ? half
                     : i % 3 == 1 ? nextafterf(half, INFINITY)
                                  : nextafterf(half, -INFINITY);
    }
}

static void test_codes_real__quantize(void **state)
{
    float *x = md_guard_alloc(REAL_SWEEP * sizeof(*x));
    uint8_t *q = md_guard_alloc(REAL_SWEEP);

    (void)state;
    fill(x);
    for (const md_quantize_kernel *k = md_quantize_kernels; k->quantize; k++) {
        for (size_t i = 0; usable(k->name, k->required) &&
                           i < MD_COUNT(ranges) * MD_COUNT(scales) * 3;
             i++) {
            const int lo = ranges[i / 3 % MD_COUNT(ranges)].lo;
            const int hi = ranges[i / 3 % MD_COUNT(ranges)].hi;
            const int zeros[] = { lo, hi, (lo + hi) / 2 };

            check_quantize(k, x, q,
                           &(md_qparam){ scales[i / 3 / MD_COUNT(ranges)],
                                         zeros[i % 3], lo, hi });
        }
    }
    md_guard_free(x, REAL_SWEEP * sizeof(*x));
    md_guard_free(q, REAL_SWEEP);
}

/* ---- dequantize ---- */

static void check_dequantize(const md_quantize_kernel *k, md_qtype type,
                             const md_qparam *p)
{
    enum {
        N = 300
    };
    const size_t size = type == MD_QTYPE_S32 ? 4 : 1;
    uint8_t *q = md_guard_alloc(N * size);
    float *x = md_guard_alloc(N * sizeof(*x));
    uint32_t seed = 9;

    md_guard_fill(q, N * size, &seed);
    for (int i = 0; size == 1 && i < N; i++)
        q[i] = (uint8_t)i;
    k->dequantize(x, q, N, type, p);
    for (int i = 0; i < N; i++) {
        int32_t wide;
        int64_t code = type == MD_QTYPE_U8 ? q[i] : (int8_t)q[i];
        float want;

        if (size == 4) {
            memcpy(&wide, q + (size_t)i * 4, 4);
            /* modulo 2^32, as signed */
            code = (int64_t)(((uint64_t)wide - (uint64_t)p->zero) & UINT32_MAX);
            code -= code > INT32_MAX ? (int64_t)1 << 32 : 0;
            want = real_round((double)real_round((double)code) * p->scale);
        } else {
            want = real_round((double)(code - p->zero) * p->scale);
        }
        if (!(isnan(want) && isnan(x[i])) &&
            memcmp(&want, &x[i], sizeof(want)) != 0)
            fail_msg("%s: type %d [%d] by %g and %d: %.9g, expected %.9g",
                     k->name, (int)type, i, (double)p->scale, p->zero,
                     (double)x[i], (double)want);
    }
    md_guard_free(q, N * size);
    md_guard_free(x, N * sizeof(*x));
}

static void test_codes_real__dequantize(void **state)
{
    static const int32_t zeros[] = { 0,   -128,      127,      255,
                                     128, INT32_MAX, INT32_MIN };

    (void)state;
    for (const md_quantize_kernel *k = md_quantize_kernels; k->quantize; k++) {
        for (size_t i = 0; usable(k->name, k->required) &&
                           i < MD_COUNT(scales) * MD_COUNT(zeros) * 3;
             i++) {
            const md_qtype type = (md_qtype)(i % 3);
            const int32_t zero = zeros[i / 3 % MD_COUNT(zeros)];

            if (type == MD_QTYPE_S32 || (zero >= -128 && zero <= 255))
                check_dequantize(
                    k, type,
                    &(md_qparam){ .scale = scales[i / 3 / MD_COUNT(zeros)],
                                  .zero = zero });
        }
    }
}

/* Every code of every scale returns to itself, where scales are such that
 * products neither overflow nor vanish. */
static void test_codes_real__there_and_back(void **state)
{
    uint8_t all[256], back[256];
    float x[256];

    (void)state;
    for (int i = 0; i < 256; i++)
        all[i] = (uint8_t)i;
    for (const md_quantize_kernel *k = md_quantize_kernels; k->quantize; k++) {
        for (int i = 0; usable(k->name, k->required) && i < 500; i++) {
            const md_qparam p = { ldexpf(1 + (float)i / 500, i % 200 - 120),
                                  i % 256, 0, 255 };

            k->dequantize(x, all, 256, MD_QTYPE_U8, &p);
            k->quantize(back, x, 256, &p);
            assert_memory_equal(back, all, sizeof(all));
        }
    }
}

/* [outer, axis, inner] with a parameter for each index of axis. */
static void test_codes_real__axes(void **state)
{
    static const int64_t sizes[][3] = {
        { 1, 1, 1 }, { 3, 5, 7 }, { 2, 17, 1 }, { 1, 3, 33 },
        { 4, 1, 9 }, { 0, 3, 4 }, { 2, 0, 4 },  { 2, 3, 0 },
    };

    (void)state;
    for (const md_quantize_kernel *k = md_quantize_kernels; k->quantize; k++) {
        for (size_t i = 0;
             usable(k->name, k->required) && i < 2 * MD_COUNT(sizes); i++) {
            const int64_t *s = sizes[i / 2];
            const size_t n = (size_t)(s[0] * s[1] * s[2]);
            float *x = md_guard_alloc(n * 4), scale[17];
            uint8_t *q = md_guard_alloc(n);
            int32_t zero[17];
            uint32_t seed = 4;
            const md_quantize_args a = { .kernel = k,
                                         .outer = s[0],
                                         .axis = s[1],
                                         .inner = s[2],
                                         .scale = scale,
                                         .zero = i % 2 ? zero : NULL,
                                         .q_max = 255 };

            for (int j = 0; j < 17; j++) {
                scale[j] = 0.1f * (float)(j + 1);
                zero[j] = j * 9;
            }
            md_guard_fill_f32(x, n, 20, &seed);
            md_quantize_run(&a, q, x);
            for (size_t j = 0; j < n; j++) {
                const int64_t at = (int64_t)j / s[2] % s[1];
                const float t = real_round((double)x[j] / scale[at]);

                assert_int_equal(q[j],
                                 code_of(t, i % 2 ? zero[at] : 0, 0, 255));
            }
            md_dequantize_run(&a, x, q);
            for (size_t j = 0; j < n; j++) {
                const int64_t at = (int64_t)j / s[2] % s[1];

                assert_true(x[j] == real_round((q[j] - (i % 2 ? zero[at] : 0)) *
                                               (double)scale[at]));
            }
            md_guard_free(x, n * 4);
            md_guard_free(q, n);
        }
    }
}

/* ---- requant ---- */

/* What a case has beside the sums. */
typedef struct step {
    md_requant q;
    bool residual;
} step;

static float sum_to_float(const step *s, int32_t acc, float mult, uint8_t r)
{
    const int v = s->q.res_signed ? (int)(int8_t)r : (int)r;
    float t = real_round((double)real_round((double)acc) * mult);
    int own;

    if (!s->residual)
        return t;
    own = code_of(t, 0, s->q.own_min, s->q.own_max);
    return real_round(
        (double)real_round((double)own * s->q.own_mult) +
        (double)real_round((double)(v - s->q.res_zero) * s->q.res_mult));
}

static const int32_t sums[] = {
    0,         1,         -1,         2,          3,        5,
    7,         -3,        -5,         127,        128,      -128,
    -129,      255,       256,        510,        511,      -511,
    1 << 24,   16777217,  16777219,   -16777217,  33554434, 33554437,
    INT32_MAX, INT32_MIN, 2147483583, 2147483584, 1000003,  -999983,
};

static step step_of(unsigned how, const float *mult, const float *bias,
                    const uint8_t *lut)
{
    const bool is_signed = how & 1;
    const int lows[] = { 0, 100, 255 };
    step s = { .q = { .out = (md_qout)(how / 2 % 3),
                      .mult = mult,
                      .bias = how & 8 ? bias : NULL,
                      .zero = is_signed ? -128 + (int)(how % 256)
                                        : (int)(how % 256),
                      .q_min = lows[how % 3] - (is_signed ? 128 : 0),
                      .q_max = is_signed ? 127 : 255,
                      .lut = how & 16 ? lut : NULL,
                      .own_min = is_signed ? -128 : -(int)(how % 256),
                      .own_max = is_signed ? 127 : 255 - (int)(how % 256),
                      .own_mult = how & 128 ? 1.0f : 0.0917f,
                      .res_zero = how & 64 ? -128 : 255,
                      .res_mult = how & 4 ? 0.5f : 0.0371f,
                      .res_signed = how & 64 },
               .residual = how & 32 && how / 2 % 3 == MD_QOUT_Q8 };

    return s;
}

/* rows x lanes sums, all strides larger than rows, nothing else written. */
static void check_requant(const md_requant_s8_kernel *k, unsigned how, int rows,
                          int lanes)
{
    enum {
        ACC = 19,
        RES = 23,
        OUT = 21,
        C0 = 16
    };
    float mult[32], bias[32];
    int32_t acc[12 * ACC];
    uint8_t lut[256], res[12 * RES];
    const step s = step_of(how, mult, bias, lut);
    const size_t size = (size_t)md_qout_size(s.q.out);
    uint8_t *out =
        md_guard_alloc(((size_t)(rows - 1) * OUT + (size_t)lanes) * size);
    uint32_t seed = how;
    const md_requant_tile t = { .acc = acc,
                                .acc_stride = ACC,
                                .out = out,
                                .out_stride = (int64_t)(OUT * size),
                                .res = s.residual ? res : NULL,
                                .res_stride = RES,
                                .rows = rows,
                                .lanes = lanes };

    for (int i = 0; i < 12 * ACC; i++)
        acc[i] = i % 3 ? (int32_t)(md_guard_random(&seed) % 4000) - 2000
                       : sums[md_guard_random(&seed) % MD_COUNT(sums)];
    for (int i = 0; i < 32; i++) {
        mult[i] = scales[(how / 7 + (unsigned)i) % MD_COUNT(scales)];
        bias[i] = (float)i * 0.3f;
    }
    md_guard_fill(lut, sizeof(lut), &seed);
    md_guard_fill(res, sizeof(res), &seed);
    memset(out, 0x5a, ((size_t)(rows - 1) * OUT + (size_t)lanes) * size);
    k->run(&s.q, C0, &t);
    for (int i = 0; i < rows * OUT - (OUT - lanes); i++) {
        const int row = i / OUT, lane = i % OUT;
        const uint8_t *got = out + (size_t)i * size;
        const int32_t sum = acc[row * ACC + lane % ACC];
        float f, want;
        int code;

        if (lane >= lanes) {
            for (size_t b = 0; b < size; b++)
                assert_int_equal(got[b], 0x5a);
            continue;
        }
        if (s.q.out == MD_QOUT_S32) {
            assert_memory_equal(got, &sum, 4);
            continue;
        }
        f = sum_to_float(&s, sum, mult[C0 + lane], res[row * RES + lane]);
        if (s.q.out == MD_QOUT_F32) {
            want = s.q.bias ? real_round((double)f + bias[C0 + lane]) : f;
            memcpy(&f, got, sizeof(f));
            if (!(isnan(f) && isnan(want)) && memcmp(&f, &want, 4) != 0)
                fail_msg("%s: how %u sum %d: %.9g, expected %.9g", k->name, how,
                         sum, (double)f, (double)want);
            continue;
        }
        code = (uint8_t)code_of(f, s.q.zero, s.q.q_min, s.q.q_max);
        code = s.q.lut ? lut[code] : code;
        if (*got != code)
            fail_msg("%s: how %u sum %d by %g: %d, expected %d", k->name, how,
                     sum, (double)mult[C0 + lane], *got, code);
    }
    md_guard_free(out, ((size_t)(rows - 1) * OUT + (size_t)lanes) * size);
}

static void test_codes_real__requant(void **state)
{
    (void)state;
    for (const md_requant_s8_kernel *k = md_requant_s8_kernels; k->run; k++) {
        for (unsigned how = 0; usable(k->name, k->required) && how < 1280;
             how++)
            check_requant(k, how, 1 + (int)(how % 12),
                          1 + (int)(how / 12 % MD_LANES));
    }
}

/* The result may take the place of the residual. */
static void test_codes_real__requant_in_place(void **state)
{
    (void)state;
    for (const md_requant_s8_kernel *k = md_requant_s8_kernels; k->run; k++) {
        for (int lanes = 1; usable(k->name, k->required) && lanes <= 16;
             lanes++) {
            int32_t acc[4 * 16];
            float mult[16];
            uint8_t x[4 * 16], y[4 * 16];
            const md_requant q = { .mult = mult,
                                   .zero = 9,
                                   .q_max = 255,
                                   .own_min = -9,
                                   .own_max = 40,
                                   .own_mult = 0.7f,
                                   .res_zero = 100,
                                   .res_mult = 1.0f };
            md_requant_tile t = { .acc = acc,
                                  .acc_stride = 16,
                                  .out = y,
                                  .out_stride = 16,
                                  .res = x,
                                  .res_stride = 16,
                                  .rows = 4,
                                  .lanes = lanes };

            for (int i = 0; i < 64; i++) {
                acc[i] = i * 3 - 90;
                x[i] = y[i] = (uint8_t)(i * 4);
                mult[i % 16] = 0.5f;
            }
            k->run(&q, 0, &t);
            t.out = x;
            k->run(&q, 0, &t);
            assert_memory_equal(x, y, sizeof(x));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes_real__quantize),
        cmocka_unit_test(test_codes_real__dequantize),
        cmocka_unit_test(test_codes_real__there_and_back),
        cmocka_unit_test(test_codes_real__axes),
        cmocka_unit_test(test_codes_real__requant),
        cmocka_unit_test(test_codes_real__requant_in_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
