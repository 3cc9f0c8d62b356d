#include "bf16_case.h"

#include <stdio.h>

#include "kernels/gemm_bf16.h"

typedef struct problem {
    int64_t m, n, k, lda, ldc, rs, cs;
    float *a, *b, *c, *res, *bias;
    size_t a_n, b_n, c_n, bias_n, packed_size;
    uint16_t *packed;
    md_epilogue ep;
} problem;

static size_t span(int64_t rows, int64_t ld, int64_t width)
{
    return (size_t)((rows - 1) * ld + width);
}

static void problem_init(problem *p, int64_t m, int64_t n, int64_t k, int i)
{
    uint32_t seed = (uint32_t)i + 1;
    const bool trans = i % 3 == 1;

    *p =
        (problem){ .m = m, .n = n, .k = k, .lda = k + i % 3, .ldc = n + i % 4 };
    p->rs = trans ? 1 : n + i % 2;
    p->cs = trans ? k + i % 2 : 1;
    p->a_n = span(m, p->lda, k);
    p->b_n = (size_t)((k - 1) * p->rs + (n - 1) * p->cs + 1);
    p->c_n = span(m, p->ldc, n);
    p->bias_n = md_round_up((size_t)n, BLOCK);
    p->a = f32_random(p->a_n, &seed);
    p->b = f32_random(p->b_n, &seed);
    p->c = f32_random(p->c_n, &seed);
    p->res = f32_random(p->c_n, &seed);
    p->bias = f32_random(p->bias_n, &seed);
    p->ep = f32_epilogue(i);
    p->ep.bias = i % 2 ? p->bias : NULL;
    p->ep.residual = i % 5 < 3 ? p->res : NULL;
}

static void problem_release(problem *p)
{
    f32_free(p->a, p->a_n);
    f32_free(p->b, p->b_n);
    f32_free(p->c, p->c_n);
    f32_free(p->res, p->c_n);
    f32_free(p->bias, p->bias_n);
}

/* In pieces, last first: each must find its own place. */
static void pack(problem *p, const md_gemm_bf16_kernel *k)
{
    const md_gemm_bf16_b b = { p->b, p->rs, p->cs, p->k, p->n };

    assert_true(md_gemm_bf16_packed_size(&p->packed_size, k, p->k, p->n));
    p->packed = md_guard_alloc(p->packed_size);
    memset(p->packed, 0xff, p->packed_size);
    for (int64_t j = (p->n - 1) / 32 * 32; j >= 0; j -= 32)
        md_gemm_bf16_pack(p->packed, k, md_cast_bf16_select(md_cpu_flags()), &b,
                          j, md_min_i64(j + 32, p->n));
}

/* All of A at once, last rows first. */
static uint16_t *rounded_a(const md_gemm_bf16_args *g)
{
    const size_t size = md_gemm_bf16_rounded_size(g);
    uint16_t *to = md_guard_alloc(size);

    memset(to, 0xff, size); /* NaN in what rows up to the unit may hold */
    for (int64_t i = (g->m - 1) / 5 * 5; i >= 0; i -= 5)
        md_gemm_bf16_round(g, i, md_min_i64(i + 5, g->m), to);
    return to;
}

static void run(problem *p, const md_gemm_bf16_kernel *k, bool in_place,
                bool at_once)
{
    md_gemm_bf16_args g = { .kernel = k,
                            .cast = md_cast_bf16_select(md_cpu_flags()),
                            .finish = md_finish_f32_select(md_cpu_flags()),
                            .m = p->m,
                            .n = p->n,
                            .k = p->k,
                            .a = p->a,
                            .lda = p->lda,
                            .b = p->packed,
                            .c = p->c,
                            .ldc = p->ldc,
                            .ep = p->ep };
    uint16_t *rounded = at_once ? rounded_a(&g) : NULL;
    size_t size;
    void *scratch;

    g.rounded = rounded;
    size = md_gemm_bf16_scratch_size(&g);
    scratch = md_guard_alloc(size);
    memset(scratch, 0xff, size); /* NaN where it is not written */
    memset(p->c, 0xff, p->c_n * sizeof(float));
    if (in_place && g.ep.residual) {
        for (int64_t i = 0; i < p->m; i++)
            memcpy(p->c + i * p->ldc, p->res + i * p->ldc,
                   (size_t)p->n * sizeof(float));
        g.ep.residual = p->c;
    }
    for (int64_t i = md_gemm_bf16_n_chunks(&g); i-- > 0;)
        md_gemm_bf16_run(&g, i, scratch);
    md_guard_free(scratch, size);
    if (rounded)
        md_guard_free(rounded, md_gemm_bf16_rounded_size(&g));
}

static void check_row(const problem *p, const char *who, int64_t i)
{
    for (int64_t j = 0; j < p->n; j++) {
        conv_sum s = { 0, 0, 0 };

        for (int64_t l = 0; l < p->k; l++)
            conv_sum_add(&s, bf16_rounded(p->a[i * p->lda + l]) *
                                 bf16_rounded(p->b[l * p->rs + j * p->cs]));
        if (p->ep.bias)
            conv_sum_add(&s, p->bias[j]);
        if (p->ep.residual)
            conv_sum_add(&s, p->res[i * p->ldc + j]);
        bf16_check(who, p->c[i * p->ldc + j], &p->ep, &s);
    }
    for (int64_t j = p->n; j < p->ldc && i < p->m - 1; j++)
        assert_true(isnan(p->c[i * p->ldc + j])); /* between rows */
}

static void one_case(int64_t m, int64_t n, int64_t k, int i)
{
    problem p;

    problem_init(&p, m, n, k, i);
    for (const md_gemm_bf16_kernel *r = md_gemm_bf16_kernels; r->dot; r++) {
        if (r->required & ~md_cpu_flags())
            continue;
        pack(&p, r);
        run(&p, r, i % 2, i % 3 == 0);
        for (int64_t row = 0; row < m; row++)
            check_row(&p, r->name, row);
        md_guard_free(p.packed, p.packed_size);
    }
    problem_release(&p);
}

static void test_gemm_bf16__rows_equal_definition(void **state)
{
    static const int64_t ms[] = { 1, 2, 6, 13, 17, 32, 49, 130 };
    static const int64_t ns[] = { 1, 15, 16, 17, 33, 64, 79, 257 };
    static const int64_t ks[] = { 1, 2, 3, 31, 32, 97 };
    int i = 0;

    (void)state;
    for (const md_gemm_bf16_kernel *k = md_gemm_bf16_kernels; k->dot; k++)
        if (k->required & ~md_cpu_flags())
            printf("skipped: %s (CPU)\n", k->name);
    for (size_t a = 0; a < MD_COUNT(ms); a++)
        for (size_t b = 0; b < MD_COUNT(ns); b++)
            for (size_t c = 0; c < MD_COUNT(ks); c++)
                one_case(ms[a], ns[b], ks[c], i++);
}

/* No products: what is left is the epilogue of 0.  No rows: no chunks. */
static void test_gemm_bf16__nothing(void **state)
{
    float bias[32], c[3 * 20];

    (void)state;
    for (int i = 0; i < 32; i++)
        bias[i] = (float)i - 7;
    for (const md_gemm_bf16_kernel *r = md_gemm_bf16_kernels; r->dot; r++) {
        md_gemm_bf16_args g = { .kernel = r,
                                .cast = md_cast_bf16_select(0),
                                .finish = md_finish_f32_select(0),
                                .m = 3,
                                .n = 20,
                                .a = bias, /* not read */
                                .b = (const uint16_t *)(void *)bias,
                                .c = c,
                                .ldc = 20,
                                .ep = { .bias = bias, .act = MD_ACT_RELU } };
        size_t size;

        if (r->required & ~md_cpu_flags())
            continue;
        assert_true(md_gemm_bf16_packed_size(&size, r, 0, 20));
        assert_int_equal(size, 0);
        assert_int_equal(md_gemm_bf16_scratch_size(&g), 0);
        memset(c, 0xff, sizeof(c));
        for (int64_t i = 0; i < md_gemm_bf16_n_chunks(&g); i++)
            md_gemm_bf16_run(&g, i, bias);
        for (int i = 0; i < 60; i++)
            assert_true(c[i] == fmaxf(0, (float)(i % 20) - 7));
        g.m = 0;
        assert_int_equal(md_gemm_bf16_n_chunks(&g), 0);
    }
}

/* An infinity or a NaN stays in its row of A or column of B. */
static void test_gemm_bf16__special_values_stay(void **state)
{
    enum {
        M = 5,
        N = 37,
        K = 33
    };

    (void)state;
    for (const md_gemm_bf16_kernel *r = md_gemm_bf16_kernels; r->dot; r++) {
        problem p;

        if (r->required & ~md_cpu_flags())
            continue;
        problem_init(&p, M, N, K, 0);
        p.ep = (md_epilogue)MD_EPILOGUE_INIT;
        p.a[2 * p.lda + K - 1] = INFINITY;
        p.b[4 * p.rs + 20 * p.cs] = NAN;
        pack(&p, r);
        run(&p, r, false, false);
        for (int64_t i = 0; i < M * N; i++) {
            const float c = p.c[i / N * p.ldc + i % N];

            assert_int_equal(isnan(c) != 0, i % N == 20);
            if (i % N != 20)
                assert_int_equal(isinf(c) != 0, i / N == 2);
        }
        md_guard_free(p.packed, p.packed_size);
        problem_release(&p);
    }
}

static void test_gemm_bf16__sizes_that_overflow(void **state)
{
    size_t size;

    (void)state;
    for (const md_gemm_bf16_kernel *r = md_gemm_bf16_kernels; r->dot; r++) {
        assert_false(md_gemm_bf16_packed_size(&size, r, INT64_MAX, 1));
        assert_false(md_gemm_bf16_packed_size(&size, r, (int64_t)1 << 40,
                                              (int64_t)1 << 40));
    }
}

static void test_gemm_bf16__select_follows_flags(void **state)
{
    (void)state;
    assert_string_equal(md_gemm_bf16_select(MD_CPU_NONE)->name,
                        "gemm_bf16__ref");
#if !defined(MODELD_GENERIC)
    assert_string_equal(
        md_gemm_bf16_select(MD_CPU_ALL & ~(uint32_t)MD_CPU_AMX_BF16)->name,
        "gemm_bf16__avx512bf16");
    assert_string_equal(md_gemm_bf16_select(MD_CPU_ALL)->name,
                        "gemm_bf16__amx_bf16");
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gemm_bf16__rows_equal_definition),
        cmocka_unit_test(test_gemm_bf16__nothing),
        cmocka_unit_test(test_gemm_bf16__special_values_stay),
        cmocka_unit_test(test_gemm_bf16__sizes_that_overflow),
        cmocka_unit_test(test_gemm_bf16__select_follows_flags),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
