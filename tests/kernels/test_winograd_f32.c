/* The transforms of Winograd's filtering: the matrices, and each row of the
 * list against them. */
#include "f32_case.h"
#include "winograd_case.h"

#include <string.h>

#include "kernels/winograd_f32.h"

enum {
    BLOCK = 16,
    WINDOWS = 256,
    TAPS = 9
};

/* For each row that the CPU has, and each tile. */
typedef void check_fn(const md_winograd_f32_tile *t, uint32_t *seed);

static void for_each(check_fn *check, int times)
{
    uint32_t seed = 1;

    for (const md_winograd_f32_kernel *k = md_winograd_f32_kernels; k->tiles;
         k++) {
        if (!f32_usable(k->name, k->required))
            continue;
        for (int i = 0; i < times * MD_WINOGRAD_TILES; i++) {
            assert_int_equal(k->tiles[i % MD_WINOGRAD_TILES].m,
                             2 + 2 * (i % MD_WINOGRAD_TILES));
            check(&k->tiles[i % MD_WINOGRAD_TILES], &seed);
        }
    }
}

static void near(const char *who, double got, double want, double bound)
{
    if (!(fabs(got - want) <= bound))
        fail_msg("%s: %.9g, expected %.9g (bound %.3g)", who, got, want, bound);
}

/* The matrices give a convolution: for unit d and g, y is 1 where the window
 * of a pixel has that element of d under that tap, else 0. */
static void test_winograd_f32__matrices(void **state)
{
    (void)state;
    for (int m = 2; m <= MD_WINOGRAD_M_MAX; m += 2) {
        const int side = m + 2;

        for (int i = 0; i < side * side * TAPS; i++) {
            double d[POINTS_MAX] = { 0 }, g[TAPS] = { 0 };
            double u[POINTS_MAX], v[POINTS_MAX], y[POINTS_MAX];
            const int at = i / TAPS, tap = i % TAPS;

            d[at] = g[tap] = 1;
            oracle_in(v, m, d, false);
            oracle_weights(u, m, g, false);
            for (int e = 0; e < side * side; e++)
                v[e] *= u[e];
            oracle_out(y, m, v, false);
            for (int p = 0; p < m * m; p++) {
                const bool hit = p / m + tap / 3 == at / side &&
                                 p % m + tap % 3 == at % side;

                /* what at and bt lose as floats */
                near("matrices", y[p], hit, 1e-6);
            }
        }
    }
}

/* Two passes of at most six products, each with a rounding, and two of the
 * coefficients: 2 * (6 + 1). */
static const double two_passes = 14 * 0x1p-24;

static void check_in(const md_winograd_f32_tile *t, uint32_t *seed)
{
    const int side = t->m + 2;
    const int64_t row = (side + f32_pick(seed, 0, 3)) * BLOCK;
    const int64_t step = BLOCK * f32_pick(seed, 1, 3);
    const size_t n = (size_t)((side - 1) * row + side * BLOCK);
    const size_t v_n = (size_t)((side * side - 1) * step + BLOCK);
    float *x = f32_random(n, seed), *v = f32_random(v_n, seed);
    float *before = f32_random(v_n, seed);

    memcpy(before, v, v_n * sizeof(*v));
    t->in(v, step, x, row);
    for (int lane = 0; lane < BLOCK; lane++) {
        double d[POINTS_MAX] = { 0 }, want[POINTS_MAX], bound[POINTS_MAX];

        for (int i = 0; i < side * side; i++)
            d[i] = x[i / side * row + (int64_t)(i % side) * BLOCK + lane];
        oracle_in(want, t->m, d, false);
        oracle_in(bound, t->m, d, true);
        for (int e = 0; e < side * side; e++)
            near(t->name, v[e * step + lane], want[e], two_passes * bound[e]);
    }
    for (size_t i = 0; i < v_n; i++) {
        if ((int64_t)i % step >= BLOCK && v[i] != before[i])
            fail_msg("%s: wrote between points", t->name);
    }
    f32_free(x, n);
    f32_free(v, v_n);
    f32_free(before, v_n);
}

static void test_winograd_f32__in(void **state)
{
    (void)state;
    for_each(check_in, 30);
}

static void check_out(const md_winograd_f32_tile *t, uint32_t *seed)
{
    const int side = t->m + 2;
    const int64_t row = (t->m + f32_pick(seed, 0, 3)) * BLOCK;
    const int64_t step = BLOCK * f32_pick(seed, 1, 3);
    const size_t n = (size_t)((side * side - 1) * step + BLOCK);
    const size_t y_n = (size_t)((t->m - 1) * row + t->m * BLOCK);
    float *s = f32_random(n, seed), *y = f32_random(y_n, seed);
    float *bias = f32_random(BLOCK, seed);

    assert_true(t->out(y, row, s, step, bias));
    for (int lane = 0; lane < BLOCK; lane++) {
        double in[POINTS_MAX] = { 0 }, want[POINTS_MAX], bound[POINTS_MAX];

        for (int e = 0; e < side * side; e++)
            in[e] = s[e * step + lane];
        oracle_out(want, t->m, in, false);
        oracle_out(bound, t->m, in, true);
        for (int p = 0; p < t->m * t->m; p++)
            near(t->name,
                 y[p / t->m * row + (int64_t)(p % t->m) * BLOCK + lane],
                 want[p] + bias[lane],
                 (two_passes + 0x1p-24) * (bound[p] + fabs(bias[lane])));
    }
    f32_free(s, n);
    f32_free(y, y_n);
    f32_free(bias, BLOCK);
}

static void test_winograd_f32__out(void **state)
{
    (void)state;
    for_each(check_out, 30);
}

/* One number that is none, at any point of any lane, is noticed; a bias of
 * that kind is the caller's. */
static void check_finite(const md_winograd_f32_tile *t, uint32_t *seed)
{
    static const float bad[] = { INFINITY, -INFINITY, NAN };
    const int side = t->m + 2;
    const size_t n = (size_t)side * (size_t)side * BLOCK;
    const size_t y_n = (size_t)t->m * (size_t)t->m * BLOCK;
    float *s = f32_random(n, seed), *y = f32_random(y_n, seed);
    float *bias = f32_random(BLOCK, seed);

    for (size_t i = 0; i < n; i++) {
        const float was = s[i];

        s[i] = bad[i % MD_COUNT(bad)];
        if (t->out(y, t->m * BLOCK, s, BLOCK, bias))
            fail_msg("%s: %g at %zu", t->name, (double)s[i], i);
        s[i] = was;
    }
    bias[f32_pick(seed, 0, 15)] = NAN;
    assert_true(t->out(y, t->m * BLOCK, s, BLOCK, bias));
    f32_free(s, n);
    f32_free(y, y_n);
    f32_free(bias, BLOCK);
}

static void test_winograd_f32__not_finite(void **state)
{
    (void)state;
    for_each(check_finite, 1);
}

static void check_weights(const md_winograd_f32_tile *t, uint32_t *seed)
{
    const int n = (t->m + 2) * (t->m + 2);
    const int64_t step = WINDOWS * f32_pick(seed, 1, 2);
    const size_t u_n = (size_t)((n - 1) * step + WINDOWS);
    float *g = f32_random((size_t)TAPS * WINDOWS, seed);
    float *u = f32_random(u_n, seed), *back = f32_random(TAPS * WINDOWS, seed);

    for (int i = 0; i < TAPS * WINDOWS; i++) {
        if (f32_pick(seed, 0, 3) == 0)
            g[i] = 0;
    }
    t->weights(u, step, g);
    md_winograd_f32_recover(back, u, step, t->m);
    for (int i = 0; i < WINDOWS; i++) {
        double w[TAPS], want[POINTS_MAX], bound[POINTS_MAX], max = 0;

        for (int k = 0; k < TAPS; k++) {
            w[k] = g[k * WINDOWS + i];
            max = fmax(max, fabs(w[k]));
        }
        oracle_weights(want, t->m, w, false);
        oracle_weights(bound, t->m, w, true);
        for (int e = 0; e < n; e++) /* once to float; doubles are as good */
            near(t->name, u[e * step + i], want[e],
                 0x1p-24 * fabs(want[e]) + 0x1p-48 * bound[e]);
        for (int k = 0; k < TAPS; k++) {
            if (w[k] == 0)
                assert_true(back[k * WINDOWS + i] == 0);
            near("recovered", back[k * WINDOWS + i], w[k], max * 0x1p-20);
        }
    }
    f32_free(g, (size_t)TAPS * WINDOWS);
    f32_free(u, u_n);
    f32_free(back, TAPS * WINDOWS);
}

static void test_winograd_f32__weights(void **state)
{
    (void)state;
    for_each(check_weights, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_winograd_f32__matrices),
        cmocka_unit_test(test_winograd_f32__in),
        cmocka_unit_test(test_winograd_f32__out),
        cmocka_unit_test(test_winograd_f32__not_finite),
        cmocka_unit_test(test_winograd_f32__weights),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
