#include "f32_case.h"

#include <string.h>

#include "kernels/gemm_f32.h"

typedef struct problem {
    int64_t m, n, k, lda, ldc;
    float *a, *b, *bias, *res, *c;
    size_t a_n, b_n, c_n, bias_n;
    int64_t rs, cs;
    md_epilogue ep;
    bool strict;
} problem;

static const float untouched = 12345;

/* Elements from the first to the last of rows x cols with row stride ld. */
static size_t extent(int64_t rows, int64_t cols, int64_t ld)
{
    return rows && cols ? (size_t)((rows - 1) * ld + cols) : 0;
}

static void problem_init(problem *p, int64_t m, int64_t n, int64_t k,
                         uint32_t *seed)
{
    *p = (problem){ .m = m, .n = n, .k = k };
    p->lda = k + f32_pick(seed, 0, 1) * f32_pick(seed, 0, 9);
    p->ldc = n + f32_pick(seed, 0, 1) * f32_pick(seed, 0, 9);
    p->ep = f32_epilogue((int)md_guard_random(seed) % MD_ACT_COUNT);
    p->strict = f32_pick(seed, 0, 1);
    p->rs = n + f32_pick(seed, 0, 3), p->cs = 1;
    if (f32_pick(seed, 0, 1))
        p->rs = 1, p->cs = k + f32_pick(seed, 0, 3);
    else if (f32_pick(seed, 0, 3) == 0)
        p->cs = 3, p->rs = 3 * n + 1;
    p->a_n = extent(m, k, p->lda);
    p->c_n = extent(m, n, p->ldc);
    p->b_n = k && n ? (size_t)((k - 1) * p->rs + (n - 1) * p->cs + 1) : 0;
    p->bias_n = md_round_up((size_t)n, 16);
    p->a = f32_random(p->a_n, seed);
    p->b = f32_random(p->b_n, seed);
    p->bias = f32_random(p->bias_n, seed);
    p->res = f32_random(p->c_n, seed);
    p->c = f32_random(p->c_n, seed);
    p->ep.bias = f32_pick(seed, 0, 1) ? p->bias : NULL;
    p->ep.residual = f32_pick(seed, 0, 1) ? p->res : NULL;
}

static void problem_release(problem *p)
{
    f32_free(p->a, p->a_n);
    f32_free(p->b, p->b_n);
    f32_free(p->bias, p->bias_n);
    f32_free(p->res, p->c_n);
    f32_free(p->c, p->c_n);
}

static void check_element(const problem *p, const char *who, int64_t i,
                          int64_t j)
{
    double sum = 0, mag = 0;

    for (int64_t k = 0; k < p->k; k++) {
        const double term =
            (double)p->a[i * p->lda + k] * p->b[k * p->rs + j * p->cs];

        sum += term, mag += fabs(term);
    }
    if (p->ep.bias)
        sum += p->bias[j], mag += fabs(p->bias[j]);
    if (p->ep.residual)
        sum += p->res[i * p->ldc + j], mag += fabs(p->res[i * p->ldc + j]);
    f32_check(who, p->c[i * p->ldc + j], &p->ep, sum, mag, p->k);
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

/* alias: the residual is read from where the result goes. */
static void run(problem *p, const md_gemm_f32_kernel *k, int threads, int alias)
{
    md_gemm_f32_args x = { p->m, p->n, p->k,   p->a,  p->lda,
                           NULL, p->c, p->ldc, p->ep, p->strict };
    const md_gemm_f32_b b = { p->b, p->rs, p->cs, p->k, p->n };
    md_gemm_f32_grid grid;
    size_t size;
    float *packed;

    assert_true(md_gemm_f32_packed_size(&size, p->k, p->n));
    packed = md_guard_alloc(size);
    memset(packed, 0xff, size);
    /* in two parts, the second first */
    {
        const int64_t half = p->n / 2 / k->nr * k->nr;

        k->pack_b(packed, &b, half, p->n);
        k->pack_b(packed, &b, 0, half);
    }
    for (size_t i = 0; i < p->c_n; i++)
        p->c[i] = untouched;
    if (alias && p->ep.residual) {
        for (size_t i = 0; i < p->c_n; i++) {
            if ((int64_t)i % p->ldc < p->n)
                p->c[i] = p->res[i];
        }
        x.ep.residual = p->c;
    }
    x.b = packed;
    md_gemm_f32_split(&grid, k, p->m, p->n, p->k, threads);
    for (int64_t i = grid.m_chunks * grid.n_chunks - 1; i >= 0; i--)
        md_gemm_f32_chunk_run(k, &x, &grid, i);
    md_guard_free(packed, size);
}

static void compare(const md_gemm_f32_kernel *k, int64_t m, int64_t n,
                    int64_t depth, uint32_t *seed)
{
    problem p;

    problem_init(&p, m, n, depth, seed);
    run(&p, k, (int)f32_pick(seed, 1, 4), (int)f32_pick(seed, 0, 1));
    check(&p, k->name);
    problem_release(&p);
}

/* Every tile height and width, and depths around the unrolling of k. */
static void test_gemm_f32__small_sizes(void **state)
{
    uint32_t seed = 1;

    (void)state;
    for (const md_gemm_f32_kernel *k = md_gemm_f32_kernels; k->run; k++) {
        if (!f32_usable(k->name, k->required))
            continue;
        for (int64_t m = 0; m <= 2 * k->mr + 3; m++) {
            for (int64_t n = 0; n <= 2 * k->nr + 3; n += 1 + n / 18 * 4)
                compare(k, m, n, (m * 7 + n) % 19, &seed);
        }
    }
}

static void test_gemm_f32__random_sizes(void **state)
{
    uint32_t seed = 2;

    (void)state;
    for (const md_gemm_f32_kernel *k = md_gemm_f32_kernels; k->run; k++) {
        if (!f32_usable(k->name, k->required))
            continue;
        for (int i = 0; i < 60; i++)
            compare(k, f32_pick(&seed, 1, 40), f32_pick(&seed, 1, 150),
                    f32_pick(&seed, 0, 130), &seed);
    }
}

/* More than one block of k and of rows, also with the residual in place. */
static void test_gemm_f32__deep_and_tall(void **state)
{
    uint32_t seed = 3;

    (void)state;
    for (const md_gemm_f32_kernel *k = md_gemm_f32_kernels; k->run; k++) {
        if (!f32_usable(k->name, k->required))
            continue;
        for (int i = 0; i < 8; i++)
            compare(k, 3, 70, 1537 + i, &seed);
        compare(k, 450, 50, 33, &seed);
    }
}

static void test_gemm_f32__every_activation(void **state)
{
    uint32_t seed = 4;

    (void)state;
    for (const md_gemm_f32_kernel *k = md_gemm_f32_kernels; k->run; k++) {
        if (!f32_usable(k->name, k->required))
            continue;
        for (int act = 0; act < MD_ACT_COUNT; act++) {
            problem p;

            problem_init(&p, 11, 53, 9, &seed);
            for (size_t i = 0; i < p.a_n; i++)
                p.a[i] *= 8; /* into the tails of the activations */
            p.ep.act = (md_act)act;
            run(&p, k, 1, 0);
            check(&p, k->name);
            problem_release(&p);
        }
    }
}

/* act(x) of special values: 1 x 1 by 1 x n products. */
static void test_gemm_f32__nan_and_infinity(void **state)
{
    static const float in[] = { NAN,     INFINITY, -INFINITY, 3e38f,
                                -3e38f,  1e-40f,   -1e-40f,   -0.0f,
                                -103.9f, 88.8f,    -88.8f,    127.5f };
    enum {
        N = MD_COUNT(in)
    };
    static const float one = 1;
    float packed[16], out[N];
    const md_gemm_f32_b b = { in, N, 1, 1, N };

    (void)state;
    for (const md_gemm_f32_kernel *k = md_gemm_f32_kernels; k->run; k++) {
        if (!f32_usable(k->name, k->required))
            continue;
        k->pack_b(packed, &b, 0, N);
        for (int act = 0; act < MD_ACT_COUNT; act++) {
            const md_gemm_f32_args x = {
                1, N, 1, &one, 1, packed, out, N, f32_epilogue(act), act % 2
            };

            k->run(&x, 0, 1, 0, N);
            for (int i = 0; i < N; i++) {
                const float want =
                    md_act_apply((md_act)act, x.ep.a, x.ep.b, in[i]);

                if (isnan(want) != isnan(out[i]) ||
                    (!isnan(want) && out[i] != want &&
                     !(fabsf(out[i] - want) <= 3e-7f + 1e-6f * fabsf(want))))
                    fail_msg("%s: act %d of %g: %g, expected %g", k->name, act,
                             (double)in[i], (double)out[i], (double)want);
            }
        }
    }
}

/* C for any number of threads; the caller frees it with f32_free. */
static float *result(problem *p, const md_gemm_f32_kernel *k, int threads,
                     int alias)
{
    float *c = md_guard_alloc(p->c_n * sizeof(*c));

    run(p, k, threads, alias);
    memcpy(c, p->c, p->c_n * sizeof(*c));
    return c;
}

/* How C is cut into chunks is not seen in it. */
static void test_gemm_f32__same_bits_for_any_threads(void **state)
{
    static const int64_t sizes[][3] = {
        { 1, 1000, 300 }, { 7, 333, 200 }, { 50, 97, 800 }, { 200, 49, 40 }
    };
    uint32_t seed = 6;

    (void)state;
    for (const md_gemm_f32_kernel *k = md_gemm_f32_kernels; k->run; k++) {
        if (!f32_usable(k->name, k->required))
            continue;
        for (size_t i = 0; i < 2 * MD_COUNT(sizes); i++) {
            const int64_t *s = sizes[i / 2];
            problem p;
            float *one;

            problem_init(&p, s[0], s[1], s[2], &seed);
            one = result(&p, k, 1, (int)i % 2);
            for (int threads = 2; threads < 40; threads = threads * 3 / 2) {
                run(&p, k, threads, (int)i % 2);
                assert_memory_equal(p.c, one, p.c_n * sizeof(*one));
            }
            f32_free(one, p.c_n);
            problem_release(&p);
        }
    }
}

/* Strict: row i of m rows is what it is alone, for every height of the last
 * tile, within a block of k and beyond. */
static void test_gemm_f32__strict_rows_stand_alone(void **state)
{
    static const int64_t depths[] = { 1, 2, 7, 8, 64, 767, 768, 769, 1600 };
    uint32_t seed = 7;

    (void)state;
    for (const md_gemm_f32_kernel *k = md_gemm_f32_kernels; k->run; k++) {
        if (!f32_usable(k->name, k->required))
            continue;
        for (int64_t m = 2; m <= 2 * k->mr + 1; m++) {
            const int64_t n = 1 + 17 * (m % 5);
            problem p, row;
            float *all;

            problem_init(&p, m, n, depths[m % (int64_t)MD_COUNT(depths)],
                         &seed);
            p.strict = true;
            all = result(&p, k, 2, 0);
            row = p;
            row.m = 1;
            row.c_n = (size_t)n;
            for (int64_t i = 0; i < m; i++) {
                row.a = p.a + i * p.lda;
                row.c = p.c + i * p.ldc;
                if (p.ep.residual)
                    row.ep.residual = p.res + i * p.ldc;
                run(&row, k, 1, 0);
                assert_memory_equal(row.c, all + i * p.ldc,
                                    (size_t)n * sizeof(float));
            }
            f32_free(all, p.c_n);
            problem_release(&p);
        }
    }
}

/* Chunks tile C exactly, each no smaller than the others by more than a
 * tile's share. */
static void test_gemm_f32__split_covers(void **state)
{
    static const int64_t sizes[] = { 0, 1, 7, 48, 128, 1000, 3072 };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(sizes) * MD_COUNT(sizes); i++) {
        const int64_t m = sizes[i % MD_COUNT(sizes)];
        const int64_t n = sizes[i / MD_COUNT(sizes)];

        for (int threads = 1; threads <= 33; threads += 4) {
            const md_gemm_f32_kernel *k = md_gemm_f32_select(MD_CPU_NONE);
            md_gemm_f32_grid g;

            md_gemm_f32_split(&g, k, m, n, 768, threads);
            assert_true(g.n_step % k->nr == 0);
            assert_true(g.m_step * g.m_chunks >= m);
            assert_true(g.n_step * g.n_chunks >= n);
            assert_true(g.m_step * (g.m_chunks - 1) <= m);
            assert_true(g.n_step * (g.n_chunks - 1) <= n);
            if (m == 128 && n == 3072 && threads > 1)
                assert_true(g.m_chunks * g.n_chunks * 4 >= threads * 3);
        }
    }
}

static void test_gemm_f32__packed_size(void **state)
{
    size_t size;

    (void)state;
    assert_true(md_gemm_f32_packed_size(&size, 3, 17));
    assert_int_equal(size, 3 * 32 * 4);
    assert_true(md_gemm_f32_packed_size(&size, 0, 5));
    assert_int_equal(size, 0);
    assert_false(md_gemm_f32_packed_size(&size, INT64_MAX / 2, 17));
    assert_false(md_gemm_f32_packed_size(&size, -1, 17));
}

static void test_gemm_f32__selection(void **state)
{
    (void)state;
    assert_string_equal(md_gemm_f32_select(MD_CPU_NONE)->name, "gemm_f32__ref");
    assert_ptr_equal(md_gemm_f32_select(MD_CPU_ALL), md_gemm_f32_kernels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gemm_f32__small_sizes),
        cmocka_unit_test(test_gemm_f32__random_sizes),
        cmocka_unit_test(test_gemm_f32__deep_and_tall),
        cmocka_unit_test(test_gemm_f32__every_activation),
        cmocka_unit_test(test_gemm_f32__nan_and_infinity),
        cmocka_unit_test(test_gemm_f32__same_bits_for_any_threads),
        cmocka_unit_test(test_gemm_f32__strict_rows_stand_alone),
        cmocka_unit_test(test_gemm_f32__split_covers),
        cmocka_unit_test(test_gemm_f32__packed_size),
        cmocka_unit_test(test_gemm_f32__selection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
