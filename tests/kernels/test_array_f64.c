#include "f32_case.h"

#include <string.h>

#include "kernels/array_f64.h"

enum {
    N_MAX = 150,
    MANY = 19,    /* rows: some are folded together */
    SWEEP = 20011 /* a prime */
};

#define ULP 0x1p-52L
#define TINY 0x1p-1074L

/* n doubles in [-4, 4) that end at an untouchable page. */
static double *random_f64(size_t n, uint32_t *seed)
{
    double *p = md_guard_alloc(n * sizeof(*p));

    for (size_t i = 0; i < n; i++) {
        const double high = md_guard_random(seed), low = md_guard_random(seed);

        p[i] = (high + low * 0x1p-32) * 0x1p-29 - 4;
    }
    return p;
}

static void free_f64(double *p, size_t n)
{
    md_guard_free(p, n * sizeof(*p));
}

static long double exact(md_map_f64 op, long double x, double a, double b)
{
    switch (op) {
    case MD_MAP_F64_ABS:
        return fabsl(x);
    case MD_MAP_F64_NEG:
        return -x;
    case MD_MAP_F64_RELU:
        return x < 0 ? 0 : x;
    case MD_MAP_F64_CLIP:
        return x < a ? a : x > b ? b : x;
    case MD_MAP_F64_SQRT:
        return sqrtl(x);
    case MD_MAP_F64_EXP:
        return expl(x);
    case MD_MAP_F64_TANH:
        return tanhl(x);
    case MD_MAP_F64_AFFINE:
        return a * x + b;
    default:
        return x;
    }
}

/* Half a unit for one rounding; exp and tanh as the header says, AFFINE two
 * roundings, of which the first is of the product. */
static long double slack(md_map_f64 op, long double x, long double want,
                         double a)
{
    if (op == MD_MAP_F64_SQRT)
        return ULP / 2 * want;
    if (op == MD_MAP_F64_AFFINE)
        return ULP / 2 * (fabsl(want) + fabsl(a * x)) + TINY;
    if (op == MD_MAP_F64_EXP || op == MD_MAP_F64_TANH)
        return 2 * ULP * fabsl(want) + TINY;
    return 0;
}

static bool near(double got, long double want, long double slack)
{
    if (isnan(got) || isnan(want))
        return isnan(got) && isnan(want);
    if (isinf(got) || isinf(want)) /* expl goes on where doubles end */
        return (got > 0) == (want > 0) && fabsl(want) > 0x1.fffffffffffffp1023L;
    return fabsl(got - want) <= slack;
}

static void check_map(const md_array_f64_kernel *k, md_map_f64 op, double *y,
                      const double *x, size_t n)
{
    const double a = -1.25, b = 0.75;

    k->map(op, y, x, n, a, b);
    for (size_t i = 0; i < n; i++) {
        const long double want = exact(op, x[i], a, b);

        const bool keeps_zero = x[i] == 0 && op != MD_MAP_F64_AFFINE;

        if (!near(y[i], want, slack(op, x[i], want, a)) ||
            (keeps_zero && !signbit(y[i]) != !signbit(want)))
            fail_msg("%s: function %d of %.17g is %.17g, %.20Lg expected",
                     k->name, op, x[i], y[i], want);
    }
}

/* Every length, and numbers over all of their range. */
static void test_array_f64__functions(void **state)
{
    static const double special[] = { NAN,      INFINITY, -INFINITY, 0.0,
                                      -0.0,     0.625,    -0.625,    709.78,
                                      709.79,   -745.13,  -745.14,   -708.4,
                                      -720.123, 1e-300,   -1e-300,   4.9e-324,
                                      1e300,    -1e300,   19.0,      -19.0,
                                      22.0,     0.34657,  1e-9,      710.5 };
    static double x[SWEEP], y[SWEEP];
    uint32_t seed = 3;

    (void)state;
    for (size_t i = 0; i < SWEEP; i++) {
        const uint64_t bits = i * UINT64_C(921833526541031);

        memcpy(&x[i], &bits, sizeof(x[i]));
        if (i % 2) /* most bit patterns are far from where functions bend */
            x[i] = ((double)i - SWEEP * 0.5) * 0.0751;
        if (i < MD_COUNT(special))
            x[i] = special[i];
    }
    for (const md_array_f64_kernel *k = md_array_f64_kernels; k->map; k++) {
        if (!f32_usable(k->name, k->required))
            continue;
        for (int op = 0; op < MD_MAP_F64_COUNT; op++) {
            check_map(k, (md_map_f64)op, y, x, SWEEP);
            for (size_t n = 0; n < N_MAX; n += 1 + n / 30) {
                double *from = random_f64(n, &seed), *to = random_f64(n, &seed);

                check_map(k, (md_map_f64)op, to, from, n);
                memcpy(to, from, n * sizeof(*to)); /* in place */
                k->map((md_map_f64)op, to, to, n, -1.25, 0.75);
                k->map((md_map_f64)op, from, from, n, -1.25, 0.75);
                for (size_t i = 0; i < n; i++)
                    assert_true(to[i] == from[i] || isnan(to[i]));
                free_f64(from, n);
                free_f64(to, n);
            }
        }
    }
}

static void test_array_f64__exp_sum(void **state)
{
    uint32_t seed = 4;

    (void)state;
    for (const md_array_f64_kernel *k = md_array_f64_kernels; k->map; k++) {
        for (size_t n = 0; n < N_MAX && f32_usable(k->name, k->required);
             n += 1 + n / 30) {
            double *x = random_f64(n, &seed), *y = random_f64(n, &seed);
            const double sum = k->exp_sum(y, x, n, 1.5);
            long double want = 0;

            for (size_t i = 0; i < n; i++) {
                const long double e = expl(x[i] - 1.5L);

                /* x - 1.5 is rounded: half a unit of a number below 8 */
                assert_true(near(y[i], e, 3 * ULP * e + 4 * ULP * e));
                want += e;
            }
            assert_true(near(sum, want, (long double)(n + 7) * ULP * want));
            assert_true(k->exp_sum(NULL, x, n, 1.5) == sum);
            free_f64(x, n);
            free_f64(y, n);
        }
    }
}

static long double fold_exactly(md_fold_f64 op, long double y, long double x)
{
    switch (op) {
    case MD_FOLD_F64_SUM_ABS:
        return y + fabsl(x);
    case MD_FOLD_F64_SUM_SQUARE:
        return y + x * x;
    case MD_FOLD_F64_PROD:
        return y * x;
    case MD_FOLD_F64_MAX:
        return x > y || isnan(x) ? x : y;
    case MD_FOLD_F64_MIN:
        return x < y || isnan(x) ? x : y;
    default:
        return y + x;
    }
}

typedef struct matrix {
    double *x, *y;
    size_t rows, stride, n, n_x, n_y;
    bool by_column;
    double less;
} matrix;

/* Of output o: what is folded with y, and the sum of the magnitudes. */
static long double want_of(const matrix *m, md_fold_f64 op, size_t o,
                           double before, long double *mag)
{
    const size_t count = m->by_column ? m->rows : m->n;
    long double want = before;

    *mag = fabsl((long double)before);
    for (size_t i = 0; i < count; i++) {
        const size_t at = m->by_column ? i * m->stride + o : o * m->stride + i;
        const long double x = m->x[at] - m->less;

        want = fold_exactly(op, want, x);
        *mag += op == MD_FOLD_F64_SUM_SQUARE ? x * x : fabsl(x);
    }
    if (op == MD_FOLD_F64_PROD)
        *mag = fabsl(want);
    return want;
}

static void check_fold(const md_array_f64_kernel *k, md_fold_f64 op, matrix *m)
{
    const size_t count = m->by_column ? m->rows : m->n;
    double *before = md_guard_alloc(m->n_y * sizeof(*before));

    memcpy(before, m->y, m->n_y * sizeof(*before));
    if (m->by_column)
        k->fold_columns(op, m->y, m->x, m->rows, m->stride, m->n);
    else
        k->fold_rows(op, m->y, m->x, m->rows, m->stride, m->n, m->less);
    for (size_t o = 0; o < m->n_y; o++) {
        const bool picks = op == MD_FOLD_F64_MAX || op == MD_FOLD_F64_MIN;
        long double mag, want = want_of(m, op, o, before[o], &mag);

        /* one rounding for each addition, product and difference */
        if (!near(m->y[o], want,
                  picks ? 0 : (long double)(2 * count + 2) * ULP * mag))
            fail_msg("%s: fold %d of %zu in %s is %.17g, %.20Lg expected",
                     k->name, op, count, m->by_column ? "columns" : "rows",
                     m->y[o], want);
    }
    md_guard_free(before, m->n_y * sizeof(*before));
}

static void check_size(const md_array_f64_kernel *k, size_t rows, size_t n,
                       bool by_column, uint32_t *seed)
{
    const size_t stride = n + (size_t)f32_pick(seed, 0, 3);

    for (int op = 0; op < MD_FOLD_F64_COUNT; op++) {
        matrix m = {
            .rows = rows, .stride = stride, .n = n, .by_column = by_column
        };

        m.n_x = rows && n ? (rows - 1) * stride + n : 0;
        m.n_y = by_column ? n : rows;
        m.x = random_f64(m.n_x, seed);
        m.y = random_f64(m.n_y, seed);
        if (!by_column && rows < MANY && op != MD_FOLD_F64_MAX &&
            op != MD_FOLD_F64_MIN)
            m.less = 0.5;
        if (m.n_x > 0 && f32_pick(seed, 0, 3) == 0)
            m.x[md_guard_random(seed) % m.n_x] = NAN;
        if (m.n_y > 0 && f32_pick(seed, 0, 3) == 0)
            m.y[md_guard_random(seed) % m.n_y] = NAN;
        check_fold(k, (md_fold_f64)op, &m);
        free_f64(m.x, m.n_x);
        free_f64(m.y, m.n_y);
    }
}

static void test_array_f64__folds(void **state)
{
    uint32_t seed = 5;

    (void)state;
    for (const md_array_f64_kernel *k = md_array_f64_kernels; k->map; k++) {
        if (!f32_usable(k->name, k->required))
            continue;
        for (size_t n = 0; n < N_MAX; n += 1 + n / 30) {
            for (size_t rows = 0; rows < 7; rows += 1 + rows / 2) {
                check_size(k, rows, n, false, &seed);
                check_size(k, rows, n, true, &seed);
            }
            check_size(k, MANY, n, false, &seed);
        }
    }
}

static void test_array_f64__norm(void **state)
{
    uint32_t seed = 6;

    (void)state;
    for (const md_array_f64_kernel *k = md_array_f64_kernels; k->map; k++) {
        for (size_t n = 0; n < N_MAX && f32_usable(k->name, k->required);
             n += 1 + n / 30) {
            double *x = random_f64(n, &seed), *y = random_f64(n, &seed);
            double *scale = random_f64(n, &seed), *bias = random_f64(n, &seed);

            for (int with = 0; with < 2; with++) {
                k->norm(y, x, n, 0.3, 1.7, scale, with ? bias : NULL);
                for (size_t i = 0; i < n; i++) {
                    const long double v =
                        (x[i] - (long double)0.3) * 1.7 * scale[i];
                    const long double b = with ? bias[i] : 0;

                    /* four roundings, the first of a difference below 8 */
                    assert_true(near(y[i], v + b,
                                     2 * ULP * (fabsl(v) + fabsl(b)) +
                                         4 * ULP * fabsl(1.7L * scale[i])));
                }
            }
            free_f64(x, n);
            free_f64(y, n);
            free_f64(scale, n);
            free_f64(bias, n);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_array_f64__functions),
        cmocka_unit_test(test_array_f64__exp_sum),
        cmocka_unit_test(test_array_f64__folds),
        cmocka_unit_test(test_array_f64__norm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
