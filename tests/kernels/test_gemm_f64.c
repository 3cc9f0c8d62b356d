#include "f32_case.h"

#include <string.h>

#include "kernels/gemm_f64.h"

typedef struct problem {
    int64_t m, n, k, lda, ldc, rs, cs;
    double *a, *b, *c;
    size_t a_n, b_n, c_n;
    double scale;
} problem;

static const double untouched = 12345;

/* Elements from the first to the last of rows x cols with row stride ld. */
static size_t extent(int64_t rows, int64_t cols, int64_t ld)
{
    return rows && cols ? (size_t)((rows - 1) * ld + cols) : 0;
}

/* n doubles in [-1, 1) that end at an untouchable page. */
static double *random_f64(size_t n, uint32_t *seed)
{
    double *p = md_guard_alloc(n * sizeof(*p));

    for (size_t i = 0; i < n; i++) {
        const double high = md_guard_random(seed), low = md_guard_random(seed);

        p[i] = (high + low * 0x1p-32) * 0x1p-31 - 1;
    }
    return p;
}

static void problem_init(problem *p, int64_t m, int64_t n, int64_t k,
                         uint32_t *seed)
{
    *p = (problem){ .m = m, .n = n, .k = k };
    p->scale = f32_pick(seed, 0, 1) ? 1.0 : 0.3;
    p->lda = k + f32_pick(seed, 0, 1) * f32_pick(seed, 0, 9);
    p->ldc = n + f32_pick(seed, 0, 1) * f32_pick(seed, 0, 9);
    p->rs = n + f32_pick(seed, 0, 3), p->cs = 1;
    if (f32_pick(seed, 0, 1))
        p->rs = 1, p->cs = k + f32_pick(seed, 0, 3);
    else if (f32_pick(seed, 0, 3) == 0)
        p->cs = 3, p->rs = 3 * n + 1;
    p->a_n = extent(m, k, p->lda);
    p->c_n = extent(m, n, p->ldc);
    p->b_n = k && n ? (size_t)((k - 1) * p->rs + (n - 1) * p->cs + 1) : 0;
    p->a = random_f64(p->a_n, seed);
    p->b = random_f64(p->b_n, seed);
    p->c = random_f64(p->c_n, seed);
    for (size_t i = 0; i < p->c_n; i++)
        p->c[i] = untouched;
}

static void problem_release(problem *p)
{
    md_guard_free(p->a, p->a_n * sizeof(*p->a));
    md_guard_free(p->b, p->b_n * sizeof(*p->b));
    md_guard_free(p->c, p->c_n * sizeof(*p->c));
}

static void check_element(const problem *p, const char *who, int64_t i,
                          int64_t j)
{
    const double got = p->c[i * p->ldc + j];
    long double sum = 0, mag = 0;

    for (int64_t k = 0; k < p->k; k++) {
        const long double term =
            (long double)p->a[i * p->lda + k] * p->b[k * p->rs + j * p->cs];

        sum += term, mag += fabsl(term);
    }
    sum *= p->scale, mag *= p->scale;
    /* one rounding for each product, each addition and the factor, as the
     * header says */
    if (fabsl(got - sum) > (long double)(p->k + 2) * 0x1p-53L * mag)
        fail_msg("%s: %lldx%lldx%lld: c[%lld,%lld] is %.17g, %.17Lg expected",
                 who, (long long)p->m, (long long)p->n, (long long)p->k,
                 (long long)i, (long long)j, got, sum);
}

static void check(const problem *p, const char *who)
{
    for (size_t at = 0; at < p->c_n; at++) {
        const int64_t j = (int64_t)at % p->ldc;

        if (j < p->n)
            check_element(p, who, (int64_t)at / p->ldc, j);
        else if (p->c[at] != untouched)
            fail_msg("%s: wrote between rows", who);
    }
}

/* In four parts, of rows and of columns, the last one first. */
static void run_parts(const md_gemm_f64_kernel *k, const md_gemm_f64_args *x,
                      uint32_t *seed)
{
    const int64_t n = f32_pick(seed, 0, x->n / k->nr) * k->nr;
    const int64_t m = f32_pick(seed, 0, x->m);

    k->run(x, m, x->m, n, x->n);
    k->run(x, 0, m, n, x->n);
    k->run(x, m, x->m, 0, n);
    k->run(x, 0, m, 0, n);
}

static void run(const problem *p, const md_gemm_f64_kernel *k, uint32_t *seed)
{
    md_gemm_f64_args x = { p->m, p->n,  p->k, p->a,   p->lda,
                           p->b, p->rs, p->c, p->ldc, p->scale };
    const md_gemm_f64_b b = { p->b, p->rs, p->cs, p->k, p->n };
    const int64_t half = p->n / 2 / k->nr * k->nr;
    double *packed;
    size_t size;

    if (p->cs == 1 && f32_pick(seed, 0, 1)) { /* as it lies */
        run_parts(k, &x, seed);
        return;
    }
    assert_true(md_gemm_f64_packed_size(&size, k, p->k, p->n));
    packed = md_guard_alloc(size);
    memset(packed, 0xff, size);
    md_gemm_f64_pack(packed, k, &b, half, p->n);
    md_gemm_f64_pack(packed, k, &b, 0, half);
    x.b = packed;
    x.ldb = 0;
    run_parts(k, &x, seed);
    md_guard_free(packed, size);
}

static void compare(const md_gemm_f64_kernel *k, int64_t m, int64_t n,
                    int64_t depth, uint32_t *seed)
{
    problem p;

    problem_init(&p, m, n, depth, seed);
    run(&p, k, seed);
    check(&p, k->name);
    problem_release(&p);
}

/* Every tile height and width, no elements, and depths beyond a block. */
static void test_gemm_f64__sizes(void **state)
{
    static const int64_t large[][3] = {
        { 1, 100, 700 },  { 7, 50, 257 },   { 97, 25, 256 },
        { 200, 49, 300 }, { 40, 73, 1000 }, { 98, 130, 513 },
    };
    uint32_t seed = 1;

    (void)state;
    for (const md_gemm_f64_kernel *k = md_gemm_f64_kernels; k->run; k++) {
        if (!f32_usable(k->name, k->required))
            continue;
        for (int64_t m = 0; m <= 2 * k->mr + 3; m++) {
            for (int64_t n = 0; n <= 2 * k->nr + 3; n++)
                compare(k, m, n, (m * 7 + n) % 19, &seed);
        }
        for (size_t i = 0; i < MD_COUNT(large); i++)
            compare(k, large[i][0], large[i][1], large[i][2], &seed);
    }
}

/* A row has the bits that it has among others, packed or not. */
static void test_gemm_f64__rows_alone(void **state)
{
    enum {
        M = 19,
        N = 53,
        DEPTH = 600
    };
    uint32_t seed = 5;

    (void)state;
    for (const md_gemm_f64_kernel *k = md_gemm_f64_kernels; k->run; k++) {
        double row[N];
        problem p;

        if (!f32_usable(k->name, k->required))
            continue;
        do {
            problem_init(&p, M, N, DEPTH, &seed);
            if (p.cs != 1)
                problem_release(&p);
        } while (p.cs != 1);
        run(&p, k, &seed);
        for (int64_t i = 0; i < M; i++) {
            const md_gemm_f64_args x = { 1,     N,      DEPTH, p.a + i * p.lda,
                                         p.lda, p.b,    p.rs,  row,
                                         N,     p.scale };

            k->run(&x, 0, 1, 0, N);
            assert_memory_equal(row, p.c + i * p.ldc, sizeof(row));
        }
        problem_release(&p);
    }
}

/* Zeros that fill a panel up meet no infinity of A's. */
static void test_gemm_f64__infinities(void **state)
{
    (void)state;
    for (const md_gemm_f64_kernel *k = md_gemm_f64_kernels; k->run; k++) {
        const double a[] = { INFINITY, 1 }, b[] = { 2, 0, 1, 1 };
        double c[2];
        const md_gemm_f64_args x = { 1, 2, 2, a, 2, b, 2, c, 2, 1 };

        if (!f32_usable(k->name, k->required))
            continue;
        k->run(&x, 0, 1, 0, 2);
        assert_true(isinf(c[0]) && isnan(c[1]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gemm_f64__sizes),
        cmocka_unit_test(test_gemm_f64__rows_alone),
        cmocka_unit_test(test_gemm_f64__infinities),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
