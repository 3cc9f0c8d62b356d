/*
 * Kernels that turn rows of floats into rows or numbers (reduce, softmax,
 * norm) against long double.  Bounds of norms are those of adding n terms in
 * any order with n - 1 roundings; reductions add in double, and have one.
 */
#include "support/test.h"

#include <stdbool.h>
#include <stdio.h>

#include "base/attr.h"
#include "base/cpu.h"
#include "kernels/norm_f32.h"
#include "kernels/real.h"
#include "kernels/reduce_f32.h"
#include "kernels/softmax_f32.h"
#include "support/guard.h"

static bool usable(const char *name, uint32_t required)
{
    if ((required & ~md_cpu_flags()) == 0)
        return true;
    print_message("skipped: %s (not on this CPU)\n", name);
    return false;
}

/* Around one and two vectors of 8 and 16 lanes, and many. */
static const int64_t lengths[] = { 1,  2,  7,  8,  9,  15,  16,  17,   31,
                                   32, 33, 47, 48, 49, 100, 768, 1000, 5003 };

/* ---- reductions ---- */

typedef struct column {
    const float *x;
    int64_t n, step;
} column;

typedef struct total {
    long double value, size; /* and the sum of magnitudes */
} total;

/* x as it is added up. */
static long double real_term(md_reduce op, long double x, long double top)
{
    switch (op) {
    case MD_REDUCE_SUM_SQUARE:
    case MD_REDUCE_L2:
        return x * x;
    case MD_REDUCE_L1:
        return fabsl(x);
    case MD_REDUCE_LOG_SUM_EXP:
        return isinf(top) ? 1 : expl(x - top);
    default:
        return x;
    }
}

static long double real_peak(const column *c, int sign)
{
    long double v = -INFINITY;

    for (int64_t i = 0; i < c->n && !isnan(v); i++) {
        const long double x = (long double)sign * c->x[i * c->step];

        if (isnan(x) || x > v)
            v = x;
    }
    return sign * v;
}

static total real_reduce(md_reduce op, const column *c)
{
    const long double top = real_peak(c, 1);
    total t = { op == MD_REDUCE_PROD, 0 };

    if (op == MD_REDUCE_MAX || op == MD_REDUCE_MIN)
        return (total){ op == MD_REDUCE_MAX ? top : real_peak(c, -1), 0 };
    for (int64_t i = 0; i < c->n; i++) {
        const long double x = real_term(op, c->x[i * c->step], top);

        t.value = op == MD_REDUCE_PROD ? t.value * x : t.value + x;
        t.size += fabsl(x);
    }
    switch (op) {
    case MD_REDUCE_MEAN:
        return (total){ t.value / c->n, t.size / c->n };
    case MD_REDUCE_PROD:
        return (total){ t.value, fabsl(t.value) };
    case MD_REDUCE_L2:
        return (total){ sqrtl(t.value), sqrtl(t.value) };
    case MD_REDUCE_LOG_SUM:
        return (total){ logl(t.value), fmaxl(1, fabsl(logl(t.value))) };
    case MD_REDUCE_LOG_SUM_EXP: /* vector exp: some roundings more */
        t.value = isinf(top) ? top : top + logl(t.value);
        return (total){ t.value, 7 * fmaxl(1, fabsl(t.value)) };
    default:
        return t;
    }
}

/* Rows and columns behind each other. */
static md_reduce_f32_args whole(float *y, const float *x, int64_t outer,
                                int64_t n, int64_t inner, md_reduce op)
{
    return (md_reduce_f32_args){ .y = y,
                                 .x = x,
                                 .outer = outer,
                                 .m = 1,
                                 .n = n,
                                 .inner = inner,
                                 .outer_stride = n * inner,
                                 .n_stride = inner,
                                 .op = op };
}

static void check_reduce(const md_reduce_f32_kernel *k, md_reduce op,
                         int64_t outer, int64_t n, int64_t inner)
{
    const size_t count = (size_t)(outer * n * inner);
    const size_t out = (size_t)(outer * inner);
    float *x = md_guard_alloc(count * 4), *y = md_guard_alloc(out * 4);
    const md_reduce_f32_args a = whole(y, x, outer, n, inner, op);
    uint32_t seed = (uint32_t)(n * 31 + inner);

    md_guard_fill_f32(x, count, 8, &seed);
    k->run(&a);
    for (size_t i = 0; i < out; i++) {
        const column c = { x + i / (size_t)inner * (size_t)(n * inner) +
                               i % (size_t)inner,
                           n, inner };
        const total t = real_reduce(op, &c);
        /* beyond float, or the logarithm of what is negative */
        const bool far =
            (float)t.value == y[i] || (isnan(t.value) && isnan(y[i]));

        if (!far && !(fabsl(y[i] - t.value) <= 1.01L * REAL_ROUNDING * t.size))
            fail_msg("%s: op %d of [%d %d %d] [%zu]: %.9g, expected %.9Lg",
                     k->name, (int)op, (int)outer, (int)n, (int)inner, i,
                     (double)y[i], t.value);
    }
    md_guard_free(x, count * 4);
    md_guard_free(y, out * 4);
}

static void test_rows_real__reductions(void **state)
{
    static const int64_t inner[] = { 1, 2, 8, 15, 16, 17, 33 };

    (void)state;
    for (const md_reduce_f32_kernel *k = md_reduce_f32_kernels; k->run; k++) {
        for (size_t i = 0;
             usable(k->name, k->required) &&
             i < MD_COUNT(lengths) * MD_COUNT(inner) * MD_REDUCE_COUNT;
             i++) {
            const int64_t n = lengths[i / MD_REDUCE_COUNT % MD_COUNT(lengths)];

            check_reduce(k, (md_reduce)(i % MD_REDUCE_COUNT), 3, n,
                         inner[i / MD_REDUCE_COUNT / MD_COUNT(lengths)]);
        }
    }
}

/* What has no elements: nothing is written, or sums of nothing are 0. */
static void test_rows_real__reductions_of_nothing(void **state)
{
    static const md_reduce sums[] = { MD_REDUCE_SUM, MD_REDUCE_SUM_SQUARE,
                                      MD_REDUCE_L1 };

    (void)state;
    for (const md_reduce_f32_kernel *k = md_reduce_f32_kernels; k->run; k++) {
        for (size_t i = 0;
             usable(k->name, k->required) && i < 2 * MD_COUNT(sums); i++) {
            const int64_t inner = i < MD_COUNT(sums) ? 1 : 19;
            float *y = md_guard_alloc((size_t)inner * 4);
            float *edge = md_guard_alloc(0);
            const md_reduce op = sums[i % MD_COUNT(sums)];
            md_reduce_f32_args a = whole(y, edge, 1, 0, inner, op);

            memset(y, 0xff, (size_t)inner * 4);
            k->run(&a);
            for (int64_t j = 0; j < inner; j++)
                assert_true(y[j] == 0 && !signbit(y[j]));
            a = whole(edge, edge, 0, 5, inner, op);
            k->run(&a);
            a = whole(edge, edge, 3, 5, 0, op);
            k->run(&a);
            md_guard_free(y, (size_t)inner * 4);
            md_guard_free(edge, 0);
        }
    }
}

/* One special value among others, at every place. */
static void test_rows_real__reductions_of_specials(void **state)
{
    static const float specials[] = { NAN, INFINITY, -INFINITY };
    enum {
        N = 37
    };

    (void)state;
    for (const md_reduce_f32_kernel *k = md_reduce_f32_kernels; k->run; k++) {
        for (int i = 0;
             usable(k->name, k->required) && i < N * 3 * MD_REDUCE_COUNT * 2;
             i++) {
            const md_reduce op = (md_reduce)(i % MD_REDUCE_COUNT);
            const float special = specials[i / MD_REDUCE_COUNT % 3];
            const int64_t inner = i / MD_REDUCE_COUNT / 3 % 2 ? 3 : 1;
            float x[3 * N], y[3];
            const md_reduce_f32_args a = whole(y, x, 1, N, inner, op);

            for (int j = 0; j < 3 * N; j++)
                x[j] = (float)(j % 5) - 2;
            x[i / MD_REDUCE_COUNT / 6 * inner] = special;
            k->run(&a);
            for (int64_t j = 0; j < inner; j++) {
                const column c = { x + j, N, inner };
                const float want = (float)real_reduce(op, &c).value;

                if (!(isnan(want) && isnan(y[j])) &&
                    !(fabsf(y[j] - want) <= 1e-4f) && y[j] != want)
                    fail_msg("%s: op %d with %g: %g, expected %g", k->name,
                             (int)op, (double)special, (double)y[j],
                             (double)want);
            }
        }
    }
}

/* Each of several rows is what it is alone. */
static void test_rows_real__reductions_stand_alone(void **state)
{
    (void)state;
    for (const md_reduce_f32_kernel *k = md_reduce_f32_kernels; k->run; k++) {
        for (int i = 0;
             usable(k->name, k->required) && i < 12 * MD_REDUCE_COUNT; i++) {
            const int64_t n = 1 + i / MD_REDUCE_COUNT * 9;
            const int64_t inner = i % 2 ? 1 : 21;
            float x[4 * 109 * 21], all[4 * 21], one[21];
            uint32_t seed = (uint32_t)i;
            md_reduce_f32_args a =
                whole(all, x, 4, n, inner, (md_reduce)(i % MD_REDUCE_COUNT));

            md_guard_fill_f32(x, MD_COUNT(x), 5, &seed);
            k->run(&a);
            a.outer = 1, a.y = one;
            for (int64_t j = 0; j < 4; j++, a.x += n * inner) {
                k->run(&a);
                assert_memory_equal(one, all + j * inner, (size_t)inner * 4);
            }
        }
    }
}

/* ---- softmax ---- */

static void check_softmax(const md_softmax_f32_kernel *k, int64_t n,
                          float range, bool log_form)
{
    float *x = md_guard_alloc((size_t)n * 4),
          *y = md_guard_alloc((size_t)n * 4);
    uint32_t seed = (uint32_t)n + (uint32_t)range;
    long double top = -INFINITY, sum = 0;

    md_guard_fill_f32(x, (size_t)n, range, &seed);
    k->run(y, x, 1, n, 1, log_form);
    for (int64_t i = 0; i < n; i++)
        top = x[i] > top ? x[i] : top;
    for (int64_t i = 0; i < n; i++)
        sum += expl(x[i] - top);
    for (int64_t i = 0; i < n; i++) {
        const long double d = x[i] - top;
        const long double want = log_form ? d - logl(sum) : expl(d) / sum;
        /* the difference is rounded before exp: |d| roundings; then exp, the
         * sum of exps in lanes, the quotient */
        const long double share = 1e-6L + fabsl(d) * REAL_ROUNDING;
        const long double slack =
            log_form ? 2e-6L * fmaxl(1, fabsl(want)) : share * want + 1e-38L;

        if (!(fabsl(y[i] - want) <= slack))
            fail_msg("%s: n %d range %g log %d [%d]: %.9g, expected %.9Lg",
                     k->name, (int)n, (double)range, log_form, (int)i,
                     (double)y[i], want);
    }
    md_guard_free(x, (size_t)n * 4);
    md_guard_free(y, (size_t)n * 4);
}

static void test_rows_real__softmax(void **state)
{
    static const float ranges[] = { 0, 0.01f, 5, 80, 1e4f };

    (void)state;
    for (const md_softmax_f32_kernel *k = md_softmax_f32_kernels; k->run; k++) {
        for (size_t i = 0; usable(k->name, k->required) &&
                           i < MD_COUNT(lengths) * MD_COUNT(ranges) * 2;
             i++)
            check_softmax(k, lengths[i / 2 % MD_COUNT(lengths)],
                          ranges[i / 2 / MD_COUNT(lengths)], i % 2);
    }
}

/* A vocabulary: as near as a short row. */
static void test_rows_real__long_softmax(void **state)
{
    (void)state;
    for (const md_softmax_f32_kernel *k = md_softmax_f32_kernels; k->run; k++) {
        for (int i = 0; usable(k->name, k->required) && i < 4; i++)
            check_softmax(k, 150001, i < 2 ? 1 : 12, i % 2);
    }
}

/* Many rows are what each is alone; a row ends where the next begins. */
static void test_rows_real__softmax_rows_stand_alone(void **state)
{
    float x[5 * 67], all[5 * 67], one[67];
    uint32_t seed = 3;

    (void)state;
    md_guard_fill_f32(x, MD_COUNT(x), 9, &seed);
    for (const md_softmax_f32_kernel *k = md_softmax_f32_kernels; k->run; k++) {
        for (int64_t n = 1; usable(k->name, k->required) && n <= 67; n++) {
            k->run(all, x, 5, n, 1, n % 2);
            for (int64_t r = 0; r < 5; r++) {
                k->run(one, x + r * n, 1, n, 1, n % 2);
                assert_memory_equal(one, all + r * n, (size_t)n * 4);
            }
        }
    }
}

/* An infinity or NaN makes the whole row NaN, in both forms, as the formula
 * does; masked elements are 0 and -Inf. */
static void test_rows_real__softmax_of_specials(void **state)
{
    (void)state;
    for (const md_softmax_f32_kernel *k = md_softmax_f32_kernels; k->run; k++) {
        for (int i = 0; usable(k->name, k->required) && i < 2 * 35; i++) {
            float x[35], y[35];

            for (int j = 0; j < 35; j++)
                x[j] = (float)(j % 4);
            x[i / 2] = NAN;
            k->run(y, x, 1, 35, 1, i % 2);
            for (int j = 0; j < 35; j++)
                assert_true(isnan(y[j]));
            x[i / 2] = INFINITY; /* the others are exp(-Inf) of a NaN sum */
            k->run(y, x, 1, 35, 1, i % 2);
            for (int j = 0; j < 35; j++)
                assert_true(isnan(y[j]));
            x[i / 2] = -INFINITY;
            k->run(y, x, 1, 35, 1, i % 2);
            assert_true(y[i / 2] == (i % 2 ? -INFINITY : 0));
            assert_true(isfinite(y[(i / 2 + 1) % 35]));
        }
    }
}

/* ---- norms ---- */

typedef struct norm_case {
    int64_t n;
    float offset, range; /* of x */
    unsigned how;        /* 1 scale, 2 bias, 4 rms */
} norm_case;

static void check_norm(const md_norm_f32_kernel *k, const norm_case *c)
{
    const size_t size = (size_t)c->n * 4;
    float *x = md_guard_alloc(size), *y = md_guard_alloc(size);
    float *scale = md_guard_alloc(size), *bias = md_guard_alloc(size);
    uint32_t seed = (uint32_t)c->n + c->how;
    const long double eps = 1e-5f;
    long double mean = 0, square = 0, most = 0, by;
    const bool rms = c->how & 4;

    md_guard_fill_f32(x, (size_t)c->n, c->range, &seed);
    md_guard_fill_f32(scale, (size_t)c->n, 2, &seed);
    md_guard_fill_f32(bias, (size_t)c->n, 2, &seed);
    for (int64_t i = 0; i < c->n; i++)
        x[i] += c->offset;
    k->run(&(md_norm_f32_args){ .y = y,
                                .x = x,
                                .rows = 1,
                                .n = c->n,
                                .scale = c->how & 1 ? scale : NULL,
                                .bias = c->how & 2 ? bias : NULL,
                                .eps = 1e-5f,
                                .kind = rms ? MD_NORM_RMS : MD_NORM_LAYER });
    for (int64_t i = 0; i < c->n; i++) {
        mean += rms ? 0 : x[i];
        most = fmaxl(most, fabsl(x[i]));
    }
    mean /= c->n;
    for (int64_t i = 0; i < c->n; i++)
        square += (x[i] - mean) * (x[i] - mean);
    by = 1 / sqrtl(square / c->n + eps);
    for (int64_t i = 0; i < c->n; i++) {
        const long double s = c->how & 1 ? scale[i] : 1;
        const long double want =
            (x[i] - mean) * by * s + (c->how & 2 ? bias[i] : 0);
        /* the header's 2e-6, and what the mean is off by: a few roundings of
         * numbers of size `most`, grown by 1 / deviation */
        const long double slack =
            2e-6L * fmaxl(1, fabsl((x[i] - mean) * by * s)) + 2e-7L +
            (rms ? 0 : 4 * REAL_ROUNDING * most * by * fabsl(s));

        if (!(fabsl(y[i] - want) <= slack))
            fail_msg("%s: n %d about %g how %u [%d]: %.9g, expected %.9Lg",
                     k->name, (int)c->n, (double)c->offset, c->how, (int)i,
                     (double)y[i], want);
    }
    md_guard_free(x, size);
    md_guard_free(y, size);
    md_guard_free(scale, size);
    md_guard_free(bias, size);
}

static void test_rows_real__norms(void **state)
{
    static const float offsets[] = { 0, 1, -30, 1000 };

    (void)state;
    for (const md_norm_f32_kernel *k = md_norm_f32_kernels; k->run; k++) {
        for (size_t i = 0; usable(k->name, k->required) &&
                           i < MD_COUNT(lengths) * MD_COUNT(offsets) * 8;
             i++) {
            const norm_case c = { lengths[i / 8 % MD_COUNT(lengths)],
                                  offsets[i / 8 / MD_COUNT(lengths)], 2,
                                  (unsigned)i % 8 };

            check_norm(k, &c);
        }
    }
}

/* A mean of many numbers that are far from zero. */
static void test_rows_real__long_norms(void **state)
{
    (void)state;
    for (const md_norm_f32_kernel *k = md_norm_f32_kernels; k->run; k++) {
        for (unsigned how = 0; usable(k->name, k->required) && how < 8; how++)
            check_norm(k, &(norm_case){ 100003, 50, 2, how });
    }
}

static void test_rows_real__norm_rows_stand_alone(void **state)
{
    float x[4 * 61], all[4 * 61], one[61], scale[61];
    uint32_t seed = 8;

    (void)state;
    md_guard_fill_f32(x, MD_COUNT(x), 3, &seed);
    md_guard_fill_f32(scale, MD_COUNT(scale), 3, &seed);
    for (const md_norm_f32_kernel *k = md_norm_f32_kernels; k->run; k++) {
        for (int64_t n = 1; usable(k->name, k->required) && n <= 61; n++) {
            md_norm_f32_args a = { .y = all,
                                   .x = x,
                                   .rows = 4,
                                   .n = n,
                                   .scale = scale,
                                   .eps = 0.1f,
                                   .kind =
                                       n % 2 ? MD_NORM_RMS : MD_NORM_LAYER };

            k->run(&a);
            a.rows = 1, a.y = one;
            for (int64_t r = 0; r < 4; r++, a.x += n) {
                k->run(&a);
                assert_memory_equal(one, all + r * n, (size_t)n * 4);
            }
        }
    }
}

/* A row of equal numbers has no deviation: eps alone is under the root. */
static void test_rows_real__norm_of_a_constant(void **state)
{
    (void)state;
    for (const md_norm_f32_kernel *k = md_norm_f32_kernels; k->run; k++) {
        for (int64_t n = 1; usable(k->name, k->required) && n <= 64; n += 7) {
            float x[64], y[64], bias[64];

            for (int i = 0; i < 64; i++)
                x[i] = 0.75f, bias[i] = (float)i;
            k->run(&(md_norm_f32_args){ .y = y,
                                        .x = x,
                                        .rows = 1,
                                        .n = n,
                                        .bias = bias,
                                        .eps = 1e-5f });
            for (int64_t i = 0; i < n; i++)
                assert_true(y[i] == bias[i]);
            k->run(&(md_norm_f32_args){ .y = y, .x = x, .rows = 1, .n = n });
            for (int64_t i = 0; i < n; i++)
                assert_true(isnan(y[i])); /* 0 / 0 */
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_real__reductions),
        cmocka_unit_test(test_rows_real__reductions_of_nothing),
        cmocka_unit_test(test_rows_real__reductions_of_specials),
        cmocka_unit_test(test_rows_real__reductions_stand_alone),
        cmocka_unit_test(test_rows_real__softmax),
        cmocka_unit_test(test_rows_real__long_softmax),
        cmocka_unit_test(test_rows_real__softmax_rows_stand_alone),
        cmocka_unit_test(test_rows_real__softmax_of_specials),
        cmocka_unit_test(test_rows_real__norms),
        cmocka_unit_test(test_rows_real__long_norms),
        cmocka_unit_test(test_rows_real__norm_rows_stand_alone),
        cmocka_unit_test(test_rows_real__norm_of_a_constant),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
