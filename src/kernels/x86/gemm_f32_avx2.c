/*
 * gemm_f32 with 6 x 16 register tiles: 12 of 16 registers accumulate, two hold
 * B, one the broadcast of A.  A stays row-major.
 */
#include "kernels/gemm_f32.h"

#include <assert.h>
#include <math.h>

#include "base/attr.h"
#include "base/size.h"
#include "kernels/x86/math_avx2.h"

enum {
    V = 8, /* floats in a vector */
    MR = 6,
    NR = 2 * V,
    KC = 768, /* depth of a block: 48 KiB of B */
    MC = 192, /* rows that pass over a panel before the next block of k */
};

typedef struct tile {
    const float *a, *b;
    int64_t lda, depth;
    const float *init; /* where sums begin, as c; NULL: zero */
    float *c;
    int64_t ldc;
    const float *bias, *residual; /* NULL: none */
    float lo, hi;                 /* clamp */
    __m256i mask[2];              /* columns that exist */
} tile;

typedef void tile_fn(const tile *t);

static MD_ALWAYS_INLINE void step(__m256 acc[][2], const float *a, int64_t lda,
                                  const float *b, int64_t mr)
{
    const __m256 w0 = _mm256_loadu_ps(b), w1 = _mm256_loadu_ps(b + V);

    MD_UNROLL(6)
    for (int64_t r = 0; r < mr; r++) {
        const __m256 s = _mm256_broadcast_ss(a + r * lda);

        acc[r][0] = _mm256_fmadd_ps(s, w0, acc[r][0]);
        acc[r][1] = _mm256_fmadd_ps(s, w1, acc[r][1]);
    }
}

static MD_ALWAYS_INLINE void finish(const tile *t, __m256 acc[][2], int64_t mr)
{
    const __m256 lo = _mm256_set1_ps(t->lo), hi = _mm256_set1_ps(t->hi);

    MD_UNROLL(2)
    for (int64_t v = 0; v < 2; v++) {
        const __m256 bias =
            t->bias ? _mm256_loadu_ps(t->bias + v * V) : _mm256_setzero_ps();

        MD_UNROLL(6)
        for (int64_t r = 0; r < mr; r++) {
            const int64_t at = r * t->ldc + v * V;
            __m256 y = _mm256_add_ps(acc[r][v], bias);

            if (t->residual)
                y = _mm256_add_ps(
                    y, _mm256_maskload_ps(t->residual + at, t->mask[v]));
            y = _mm256_min_ps(hi, _mm256_max_ps(lo, y));
            _mm256_maskstore_ps(t->c + at, t->mask[v], y);
        }
    }
}

/* Few rows leave accumulators free: par of them take every par-th k of a row,
 * so that enough chains of additions stay in flight for one row too. */
static MD_ALWAYS_INLINE void compute(const tile *t, int64_t mr, int64_t par)
{
    const float *a = t->a, *b = t->b;
    __m256 acc[MR][2];
    int64_t k = 0;

    MD_UNROLL(6)
    for (int64_t r = 0; r < MR; r++)
        acc[r][0] = acc[r][1] = _mm256_setzero_ps();
    if (t->init) {
        MD_UNROLL(6)
        for (int64_t r = 0; r < mr; r++) {
            const float *init = t->init + r * t->ldc;

            acc[r][0] = _mm256_maskload_ps(init, t->mask[0]);
            acc[r][1] = _mm256_maskload_ps(init + V, t->mask[1]);
        }
    }
    for (; k + par <= t->depth; k += par) {
        MD_UNROLL(6)
        for (int64_t u = 0; u < par; u++)
            step(acc + u * mr, a + u, t->lda, b + u * NR, mr);
        a += par;
        b += par * NR;
    }
    for (; k < t->depth; k++, a++, b += NR)
        step(acc, a, t->lda, b, mr);
    MD_UNROLL(6)
    for (int64_t r = mr; r < par * mr; r++) {
        acc[r % mr][0] = _mm256_add_ps(acc[r % mr][0], acc[r][0]);
        acc[r % mr][1] = _mm256_add_ps(acc[r % mr][1], acc[r][1]);
    }
    finish(t, acc, mr);
}

/* in_order_: products are added in the order of k, as larger tiles do. */
#define TILE(mr)                                                               \
    static void tile_##mr(const tile *t)                                       \
    {                                                                          \
        compute(t, mr, MR / mr);                                               \
    }
#define IN_ORDER(mr)                                                           \
    static void in_order_##mr(const tile *t)                                   \
    {                                                                          \
        compute(t, mr, 1);                                                     \
    }
TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5)
TILE(6)
IN_ORDER(1)
IN_ORDER(2)
IN_ORDER(3)

static tile_fn *const tiles[2][MR] = {
    { tile_1, tile_2, tile_3, tile_4, tile_5, tile_6 },
    { in_order_1, in_order_2, in_order_3, tile_4, tile_5, tile_6 },
};

/* Activations that are no clamp, over what a tile has just stored. */
static void activate(const md_epilogue *ep, const tile *t, int64_t rows)
{
    const __m256 a = _mm256_set1_ps(ep->a), b = _mm256_set1_ps(ep->b);

    for (int64_t r = 0; r < rows; r++) {
        for (int64_t v = 0; v < 2; v++) {
            float *c = t->c + r * t->ldc + v * V;
            const __m256 y = _mm256_maskload_ps(c, t->mask[v]);

            _mm256_maskstore_ps(c, t->mask[v], v8_act(ep->act, a, b, y));
        }
    }
}

static bool is_clamp(md_act act)
{
    return act == MD_ACT_NONE || act == MD_ACT_RELU || act == MD_ACT_CLIP;
}

/* Rows m0 .. m1 of one panel, for the k of one block. */
static void run_block(const md_gemm_f32_args *x, int64_t m0, int64_t m1,
                      int64_t n, int64_t k)
{
    const int64_t cols = md_min_i64(NR, x->n - n);
    const bool final = k + KC >= x->k;
    const md_epilogue *ep = &x->ep;
    /* The residual is added at the end, to the finished sum, unless the first
     * block would overwrite it. */
    const bool early = ep->residual == x->c && x->k > KC;
    tile t = { .lda = x->lda,
               .b = x->b + n * x->k + k * NR,
               .depth = md_min_i64(KC, x->k - k),
               .ldc = x->ldc,
               .lo = -INFINITY,
               .hi = INFINITY,
               .mask = { v8_mask((size_t)md_min_i64(V, cols)),
                         v8_mask((size_t)md_max_i64(0, cols - V)) } };

    if (final && ep->act == MD_ACT_RELU)
        t.lo = 0;
    if (final && ep->act == MD_ACT_CLIP)
        t.lo = ep->a, t.hi = ep->b;
    if (final && ep->bias)
        t.bias = ep->bias + n;
    for (int64_t i = m0; i < m1; i += MR) {
        const int64_t rows = md_min_i64(MR, m1 - i);
        const int64_t at = i * x->ldc + n;

        t.a = x->a + i * x->lda + k;
        t.c = x->c + at;
        t.init = k > 0 ? t.c : early ? ep->residual + at : NULL;
        t.residual = final && ep->residual && !early ? ep->residual + at : NULL;
        tiles[x->strict][rows - 1](&t);
        if (final && !is_clamp(ep->act))
            activate(ep, &t, rows);
    }
}

void md_gemm_f32_run__avx2(const md_gemm_f32_args *x, int64_t m0, int64_t m1,
                           int64_t n0, int64_t n1)
{
    assert(n0 % NR == 0 && (n1 % NR == 0 || n1 == x->n));
    for (int64_t m = m0; m < m1; m += MC) {
        const int64_t end = md_min_i64(m + MC, m1);

        for (int64_t n = n0; n < n1; n += NR) {
            /* one pass with depth 0 when k is 0 */
            for (int64_t k = 0; k == 0 || k < x->k; k += KC)
                run_block(x, m, end, n, k);
        }
    }
}

/* 8 x 8 transpose: row i of the result is column i of what was loaded. */
static void transpose8(float *dst, const float *src, int64_t cs, int64_t rows,
                       int64_t cols)
{
    const __m256i m = v8_mask((size_t)rows);
    __m256 x[V], y[V];

    MD_UNROLL(8)
    for (int64_t i = 0; i < V; i++)
        x[i] = i < cols ? _mm256_maskload_ps(src + i * cs, m)
                        : _mm256_setzero_ps();
    /* 4 x 4 within 128-bit lanes, then the lanes. */
    MD_UNROLL(2)
    for (int64_t i = 0; i < V; i += 4) {
        const __m256 a = _mm256_unpacklo_ps(x[i], x[i + 1]);
        const __m256 b = _mm256_unpackhi_ps(x[i], x[i + 1]);
        const __m256 c = _mm256_unpacklo_ps(x[i + 2], x[i + 3]);
        const __m256 d = _mm256_unpackhi_ps(x[i + 2], x[i + 3]);

        y[i] = _mm256_shuffle_ps(a, c, 0x44);
        y[i + 1] = _mm256_shuffle_ps(a, c, 0xee);
        y[i + 2] = _mm256_shuffle_ps(b, d, 0x44);
        y[i + 3] = _mm256_shuffle_ps(b, d, 0xee);
    }
    MD_UNROLL(4)
    for (int64_t i = 0; i < 4; i++) {
        x[i] = _mm256_permute2f128_ps(y[i], y[i + 4], 0x20);
        x[i + 4] = _mm256_permute2f128_ps(y[i], y[i + 4], 0x31);
    }
    MD_UNROLL(8)
    for (int64_t i = 0; i < V; i++) {
        if (i < rows)
            _mm256_storeu_ps(dst + i * (int64_t)NR, x[i]);
    }
}

/* Columns j .. j + 8 of B into a panel at dst. */
static void pack_strip(float *dst, const md_gemm_f32_b *b, int64_t j)
{
    const int64_t cols = md_max_i64(0, md_min_i64(V, b->n - j));
    const __m256i m = v8_mask((size_t)cols);
    const float *src = b->b + (cols ? j : 0) * b->cs;

    if (b->rs == 1) {
        for (int64_t k = 0; k < b->k; k += V)
            transpose8(dst + k * NR, src + k, b->cs, md_min_i64(V, b->k - k),
                       cols);
        return;
    }
    for (int64_t k = 0; k < b->k; k++, dst += NR, src += b->rs) {
        if (b->cs == 1) {
            _mm256_storeu_ps(dst, _mm256_maskload_ps(src, m));
            continue;
        }
        for (int64_t i = 0; i < V; i++)
            dst[i] = i < cols ? src[i * b->cs] : 0;
    }
}

void md_gemm_f32_pack_b__avx2(float *dst, const md_gemm_f32_b *b, int64_t n0,
                              int64_t n1)
{
    assert(n0 % NR == 0 && (n1 % NR == 0 || n1 == b->n));
    for (int64_t n = n0; n < n1; n += NR) {
        pack_strip(dst + n * b->k, b, n);
        pack_strip(dst + n * b->k + V, b, n + V);
    }
}
