#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "kernels/gemm_s8.h"
#include "kernels/s8_case.h"

typedef struct problem {
    int64_t m, n, k, lda, ldc;
    unsigned how;
    int32_t zero;
    bool a_signed;
    uint32_t seed;
    uint8_t *a, *res;
    int8_t *b, *packed;
    int32_t *bias, *start;
    float *mult, *fbias;
    uint8_t lut[256];
} problem;

static size_t span(const problem *p, int64_t ld, int64_t width)
{
    return (size_t)((p->m - 1) * ld + width);
}

static int64_t padded(int64_t n)
{
    return md_div_up(n, MD_LANES) * MD_LANES;
}

static void problem_init(problem *p, int64_t m, int64_t n, int64_t k,
                         unsigned how)
{
    memset(p, 0, sizeof(*p));
    p->m = m, p->n = n, p->k = k, p->how = how;
    p->lda = k + how % 3;
    p->ldc = n + how % 4;
    p->a_signed = how % 4 >= 2;
    p->zero = p->a_signed ? -7 : 128;
    p->seed = how + 1;
    p->a = md_guard_alloc(span(p, p->lda, k));
    p->res = md_guard_alloc(span(p, p->ldc, n));
    p->b = md_guard_alloc((size_t)(n * k));
    p->bias = md_guard_alloc((size_t)n * 4);
    p->start = md_guard_alloc((size_t)padded(n) * 4);
    p->mult = s8_case_mult(padded(n), k, &p->seed);
    p->fbias = s8_case_mult(padded(n), 1, &p->seed);
    md_guard_fill(p->a, span(p, p->lda, k), &p->seed);
    md_guard_fill(p->res, span(p, p->ldc, n), &p->seed);
    md_guard_fill(p->b, (size_t)(n * k), &p->seed);
    md_guard_fill(p->lut, sizeof(p->lut), &p->seed);
    for (int64_t i = 0; i < n; i++)
        p->bias[i] = (int32_t)(md_guard_random(&p->seed) % 4000) - 2000;
}

static void problem_release(problem *p)
{
    md_guard_free(p->a, span(p, p->lda, p->k));
    md_guard_free(p->res, span(p, p->ldc, p->n));
    md_guard_free(p->b, (size_t)(p->n * p->k));
    md_guard_free(p->bias, (size_t)p->n * 4);
    md_guard_free(p->start, (size_t)padded(p->n) * 4);
    md_guard_free(p->mult, (size_t)padded(p->n) * 4);
    md_guard_free(p->fbias, (size_t)padded(p->n) * 4);
}

static md_requant requant_of(const problem *p)
{
    return s8_case_requant(p->how, p->mult, p->fbias, p->lut);
}

static void naive_row(const problem *p, int64_t i, int32_t *acc)
{
    for (int64_t j = 0; j < p->n; j++) {
        acc[j] = p->bias[j];
        for (int64_t l = 0; l < p->k; l++) {
            const uint8_t v = p->a[i * p->lda + l];

            acc[j] +=
                ((p->a_signed ? (int8_t)v : v) - p->zero) * p->b[l * p->n + j];
        }
    }
}

/* By the definition, without packing. */
static void naive(const problem *p, char *c)
{
    const md_requant q = requant_of(p);
    const int64_t size = md_qout_size(q.out);
    int32_t *acc = md_guard_alloc((size_t)p->n * 4);

    for (int64_t i = 0; i < p->m; i++) {
        naive_row(p, i, acc);
        for (int64_t j = 0; j < p->n; j += MD_LANES) {
            const md_requant_tile t = {
                .acc = acc + j,
                .out = c + (i * p->ldc + j) * size,
                .res =
                    s8_case_adds(&q, p->how) ? p->res + i * p->ldc + j : NULL,
                .rows = 1,
                .lanes = (int)md_min_i64(MD_LANES, p->n - j),
            };

            md_requant_s8_select(0)->run(&q, j, &t);
        }
    }
    md_guard_free(acc, (size_t)p->n * 4);
}

static void pack(problem *p, const md_gemm_s8_kernel *k)
{
    const md_gemm_s8_b b = { p->b, p->n, p->k, 1, p->n };

    p->packed = md_guard_alloc(md_gemm_s8_packed_size(k, p->n, p->k));
    md_gemm_s8_pack(p->packed, k, &b, 0, p->n);
    md_gemm_s8_start(p->start, p->packed, p->n, md_gemm_s8_packed_k(k, p->k),
                     p->bias, p->zero, p->a_signed);
}

static void run(const problem *p, const md_gemm_s8_kernel *k, void *c)
{
    md_gemm_s8_args g = {
        .kernel = k,
        .requant = md_requant_s8_select(md_cpu_flags()),
        .m = p->m,
        .n = p->n,
        .k = p->k,
        .a = p->a,
        .lda = p->lda,
        .a_signed = p->a_signed,
        .b = p->packed,
        .start = p->start,
        .c = c,
        .ldc = p->ldc,
        .ldr = p->ldc,
        .rq = requant_of(p),
    };
    const size_t size = md_gemm_s8_scratch_size(&g);
    void *scratch = md_guard_alloc(size);

    if (s8_case_adds(&g.rq, p->how))
        g.res = p->res;
    if (g.res && p->how & 1) {             /* in place */
        for (int64_t i = 0; i < p->m; i++) /* not what lies between rows */
            memcpy((char *)c + i * p->ldc, p->res + i * p->ldc, (size_t)p->n);
        g.res = c;
    }
    for (int64_t i = md_gemm_s8_n_chunks(&g); i-- > 0;)
        md_gemm_s8_run(&g, i, scratch);
    md_guard_free(scratch, size);
}

static void one_case(int64_t m, int64_t n, int64_t k, unsigned how)
{
    problem p;
    char *want, *got;
    size_t size;

    problem_init(&p, m, n, k, how);
    size = span(&p, p.ldc, n) * (size_t)md_qout_size(requant_of(&p).out);
    want = md_guard_alloc(size);
    naive(&p, want);
    for (const md_gemm_s8_kernel *r = md_gemm_s8_kernels; r->dot; r++) {
        if (r->required & ~md_cpu_flags())
            continue;
        got = md_guard_alloc(size);
        pack(&p, r);
        run(&p, r, got);
        md_guard_free(p.packed, md_gemm_s8_packed_size(r, n, k));
        if (memcmp(want, got, size) != 0)
            fail_msg("%s: m %d n %d k %d how %u", r->name, (int)m, (int)n,
                     (int)k, how);
        md_guard_free(got, size);
    }
    md_guard_free(want, size);
    problem_release(&p);
}

static void test_gemm_s8__rows_equal_definition(void **state)
{
    static const int64_t ms[] = { 1, 2, 6, 7, 12, 13, 17, 32, 49, 130 };
    static const int64_t ns[] = { 1, 15, 16, 17, 33, 64, 79, 257 };
    static const int64_t ks[] = { 1, 3, 4, 64, 97, 128 };
    unsigned how = 0;

    (void)state;
    for (const md_gemm_s8_kernel *k = md_gemm_s8_kernels; k->dot; k++)
        if (k->required & ~md_cpu_flags())
            printf("skipped: %s (CPU)\n", k->name);
    for (size_t i = 0; i < sizeof(ms) / sizeof(*ms); i++)
        for (size_t j = 0; j < sizeof(ns) / sizeof(*ns); j++)
            for (size_t l = 0; l < sizeof(ks) / sizeof(*ks); l++)
                one_case(ms[i], ns[j], ks[l], how++);
}

/* Rows with zero points and scales of their own, columns with zero points; a
 * residual and an activation after them. */
enum {
    OWN_M = 29,
    OWN_N = 83,
    OWN_K = 37
};

typedef struct own {
    uint8_t a[OWN_M * OWN_K];
    int8_t b[OWN_K * OWN_N];
    int32_t row[2][OWN_M], column[2][96];
    int32_t a_zero[OWN_M], b_zero[OWN_N];
    float row_mult[OWN_M], mult[96], bias[96], residual[OWN_M * OWN_N];
} own;

static void own_init(own *o)
{
    uint32_t seed = 3;

    memset(o, 0, sizeof(*o));
    md_guard_fill(o->a, sizeof(o->a), &seed);
    md_guard_fill(o->b, sizeof(o->b), &seed);
    for (int i = 0; i < OWN_M; i++) {
        o->a_zero[i] = 5 * i;
        o->row[0][i] = -o->a_zero[i];
        for (int l = 0; l < OWN_K; l++)
            o->row[1][i] -= o->a[i * OWN_K + l] - o->a_zero[i];
        o->row_mult[i] = 0.01f * (float)(i + 1);
    }
    for (int j = 0; j < OWN_N; j++) {
        o->column[1][j] = o->b_zero[j] = j % 7 - 3;
        for (int l = 0; l < OWN_K; l++)
            o->column[0][j] += o->b[l * OWN_N + j];
        o->mult[j] = 0.02f + (float)j * 0.001f;
        o->bias[j] = (float)j - 40;
    }
    for (int i = 0; i < OWN_M * OWN_N; i++)
        o->residual[i] = (float)(i % 50 - 25);
}

static float own_want(const own *o, int i, int j, bool last)
{
    int32_t sum = 0;
    float v;

    for (int l = 0; l < OWN_K; l++)
        sum += (o->a[i * OWN_K + l] - o->a_zero[i]) *
               (o->b[l * OWN_N + j] - o->b_zero[j]);
    v = (float)sum * (o->row_mult[i] * o->mult[j]);
    v += o->bias[j];
    v += o->residual[i * OWN_N + j];
    return v > 0 || !last ? v : 0;
}

static void own_case(const own *o, const md_gemm_s8_kernel *k, bool last)
{
    const md_gemm_s8_b b = { o->b, OWN_N, OWN_K, 1, OWN_N };
    const size_t packed_size = md_gemm_s8_packed_size(k, OWN_N, OWN_K);
    int8_t *packed = md_guard_alloc(packed_size);
    float *c = md_guard_alloc(sizeof(float) * OWN_M * OWN_N);
    md_gemm_s8_args g = {
        .kernel = k,
        .requant = md_requant_s8_select(md_cpu_flags()),
        .m = OWN_M,
        .n = OWN_N,
        .k = OWN_K,
        .a = o->a,
        .lda = OWN_K,
        .b = packed,
        .c = c,
        .ldc = OWN_N,
        .rq = { .out = MD_QOUT_F32,
                .mult = o->mult,
                .bias = o->bias,
                .column = { o->column[0], o->column[1] } },
        .row = { o->row[0], o->row[1] },
        .row_mult = o->row_mult,
        .ep = { .residual = o->residual, .act = MD_ACT_RELU },
    };
    const size_t size = md_gemm_s8_scratch_size(&g);
    void *scratch = md_guard_alloc(size);

    if (last)
        g.last = md_finish_f32_select(md_cpu_flags());
    md_gemm_s8_pack(packed, k, &b, 0, OWN_N);
    for (int64_t i = md_gemm_s8_n_chunks(&g); i-- > 0;)
        md_gemm_s8_run(&g, i, scratch);
    for (int i = 0; i < OWN_M; i++) {
        for (int j = 0; j < OWN_N; j++)
            assert_true(c[i * OWN_N + j] == own_want(o, i, j, last));
    }
    md_guard_free(scratch, size);
    md_guard_free(packed, packed_size);
    md_guard_free(c, sizeof(float) * OWN_M * OWN_N);
}

static void test_gemm_s8__zero_points_of_rows_and_columns(void **state)
{
    static own o;

    (void)state;
    own_init(&o);
    for (const md_gemm_s8_kernel *k = md_gemm_s8_kernels; k->dot; k++) {
        if (k->required & ~md_cpu_flags())
            continue;
        own_case(&o, k, false);
        own_case(&o, k, true);
    }
}

/* No products: what is left is the start.  No rows or columns: no chunks. */
static void test_gemm_s8__nothing(void **state)
{
    int32_t start[32], c[3 * 20];

    (void)state;
    for (int i = 0; i < 32; i++)
        start[i] = i * 1000 - 7;
    for (const md_gemm_s8_kernel *r = md_gemm_s8_kernels; r->dot; r++) {
        md_gemm_s8_args g = { .kernel = r,
                              .requant = md_requant_s8_select(0),
                              .m = 3,
                              .n = 20,
                              .a = start, /* not read */
                              .b = (const int8_t *)start,
                              .start = start,
                              .c = c,
                              .ldc = 20,
                              .rq = { .out = MD_QOUT_S32 } };

        if (r->required & ~md_cpu_flags())
            continue;
        for (int is_signed = 0; is_signed < 2; is_signed++) {
            g.a_signed = is_signed;
            memset(c, 0xff, sizeof(c));
            assert_int_equal(md_gemm_s8_packed_size(r, 20, 0), 0);
            assert_int_equal(md_gemm_s8_scratch_size(&g), 0);
            for (int64_t i = 0; i < md_gemm_s8_n_chunks(&g); i++)
                md_gemm_s8_run(&g, i, NULL);
            for (int i = 0; i < 60; i++)
                assert_int_equal(c[i], start[i % 20]);
        }
        g.m = 0;
        assert_int_equal(md_gemm_s8_n_chunks(&g), 0);
        g.m = 3, g.n = 0;
        assert_int_equal(md_gemm_s8_n_chunks(&g), 0);
    }
}

/* Largest products everywhere: 16-bit saturation would show. */
static void test_gemm_s8__extremes(void **state)
{
    enum {
        K_ = 512
    };
    uint8_t a[K_];
    int8_t b[K_ * 16], packed[K_ * 16];
    uint8_t scratch[16 * K_];
    int32_t start[16] = { 0 }, c[16];

    (void)state;
    for (int sign = 0; sign < 2; sign++) {
        memset(a, 255, sizeof(a));
        memset(b, sign ? -128 : 127, sizeof(b));
        for (const md_gemm_s8_kernel *r = md_gemm_s8_kernels; r->dot; r++) {
            const md_gemm_s8_args g = {
                .kernel = r,
                .requant = md_requant_s8_select(0),
                .m = 1,
                .n = 16,
                .k = K_,
                .a = a,
                .lda = K_,
                .b = packed,
                .start = start,
                .c = c,
                .ldc = 16,
                .rq = { .out = MD_QOUT_S32 },
            };

            if (r->required & ~md_cpu_flags())
                continue;
            md_gemm_s8_pack(packed, r, &(md_gemm_s8_b){ b, 16, K_, 1, 16 }, 0,
                            16);
            assert_true(md_gemm_s8_scratch_size(&g) <= sizeof(scratch));
            md_gemm_s8_run(&g, 0, scratch);
            assert_int_equal(c[9], sign ? -128 * 255 * K_ : 127 * 255 * K_);
        }
    }
}

static void test_gemm_s8__select_follows_flags(void **state)
{
    (void)state;
    assert_string_equal(md_gemm_s8_select(MD_CPU_NONE)->name, "gemm_s8__ref");
#if !defined(MODELD_GENERIC)
    assert_string_equal(md_gemm_s8_select(MD_CPU_AVX2)->name, "gemm_s8__avx2");
    assert_string_equal(
        md_gemm_s8_select(MD_CPU_ALL & ~(uint32_t)MD_CPU_AMX_INT8)->name,
        "gemm_s8__avx512vnni");
    assert_string_equal(md_gemm_s8_select(MD_CPU_ALL)->name,
                        "gemm_s8__amx_int8");
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gemm_s8__rows_equal_definition),
        cmocka_unit_test(test_gemm_s8__nothing),
        cmocka_unit_test(test_gemm_s8__zero_points_of_rows_and_columns),
        cmocka_unit_test(test_gemm_s8__extremes),
        cmocka_unit_test(test_gemm_s8__select_follows_flags),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
