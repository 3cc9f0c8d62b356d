/*
 * gemm_f32 with 8 x 48 register tiles: 24 accumulators, three vectors of B and
 * one broadcast of A, eleven loads for 24 multiply-adds.  A stays row-major: a
 * tile walks eight rows of it, a cache line of each for 16 steps of k.
 */
#include "kernels/gemm_f32.h"

#include <assert.h>
#include <math.h>

#include "base/attr.h"
#include "base/size.h"
#include "kernels/x86/math_avx512.h"

enum {
    V = 16, /* floats in a vector */
    MR = 8,
    NV = 3,
    NR = 48,
    KC = 768, /* depth of a block: 144 KiB of B, 24 KiB of A under a tile */
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
    __mmask16 last;               /* of the last vector of columns */
} tile;

typedef void tile_fn(const tile *t);

/* acc += a[r][k] * b[k] for rows of one k. */
static MD_ALWAYS_INLINE void step(__m512 acc[][NV], const float *a, int64_t lda,
                                  const float *b, int64_t mr, int64_t nv)
{
    __m512 w[NV];

    MD_UNROLL(3)
    for (int64_t v = 0; v < nv; v++)
        w[v] = _mm512_loadu_ps(b + v * V);
    MD_UNROLL(8)
    for (int64_t r = 0; r < mr; r++) {
        const __m512 s = _mm512_set1_ps(a[r * lda]);

        MD_UNROLL(3)
        for (int64_t v = 0; v < nv; v++)
            acc[r][v] = _mm512_fmadd_ps(s, w[v], acc[r][v]);
    }
}

static MD_ALWAYS_INLINE void finish(const tile *t, __m512 acc[][NV], int64_t mr,
                                    int64_t nv)
{
    const __m512 lo = _mm512_set1_ps(t->lo), hi = _mm512_set1_ps(t->hi);

    MD_UNROLL(3)
    for (int64_t v = 0; v < nv; v++) {
        const __mmask16 m = v == nv - 1 ? t->last : 0xffff;
        const __m512 bias =
            t->bias ? _mm512_loadu_ps(t->bias + v * V) : _mm512_setzero_ps();

        MD_UNROLL(8)
        for (int64_t r = 0; r < mr; r++) {
            const int64_t at = r * t->ldc + v * V;
            __m512 y = _mm512_add_ps(acc[r][v], bias);

            if (t->residual)
                y = _mm512_add_ps(y,
                                  _mm512_maskz_loadu_ps(m, t->residual + at));
            y = _mm512_min_ps(hi, _mm512_max_ps(lo, y));
            _mm512_mask_storeu_ps(t->c + at, m, y);
        }
    }
}

/*
 * Few rows leave accumulators free: par of them take every par-th k of a row,
 * so that eight chains of additions stay in flight for one row too.
 */
static MD_ALWAYS_INLINE void compute(const tile *t, int64_t mr, int64_t nv,
                                     int64_t par)
{
    const int64_t width = nv * V;
    const float *a = t->a, *b = t->b;
    __m512 acc[MR][NV];
    int64_t k = 0;

    MD_UNROLL(8)
    for (int64_t r = 0; r < MR; r++) {
        MD_UNROLL(3)
        for (int64_t v = 0; v < NV; v++)
            acc[r][v] = _mm512_setzero_ps();
    }
    if (t->init) {
        MD_UNROLL(8)
        for (int64_t r = 0; r < mr; r++) {
            MD_UNROLL(3)
            for (int64_t v = 0; v < nv; v++)
                acc[r][v] =
                    _mm512_maskz_loadu_ps(v == nv - 1 ? t->last : 0xffff,
                                          t->init + r * t->ldc + v * V);
        }
    }
    for (; k + par <= t->depth; k += par) {
        MD_UNROLL(8)
        for (int64_t u = 0; u < par; u++)
            step(acc + u * mr, a + u, t->lda, b + u * width, mr, nv);
        a += par;
        b += par * width;
    }
    for (; k < t->depth; k++, a++, b += width)
        step(acc, a, t->lda, b, mr, nv);
    MD_UNROLL(8)
    for (int64_t r = mr; r < par * mr; r++) {
        MD_UNROLL(3)
        for (int64_t v = 0; v < nv; v++)
            acc[r % mr][v] = _mm512_add_ps(acc[r % mr][v], acc[r][v]);
    }
    finish(t, acc, mr, nv);
}

/* in_order_: products are added in the order of k, as larger tiles do. */
#define TILE(mr, nv)                                                           \
    static void tile_##mr##x##nv(const tile *t)                                \
    {                                                                          \
        compute(t, mr, nv, MR / mr);                                           \
    }
#define IN_ORDER(mr, nv)                                                       \
    static void in_order_##mr##x##nv(const tile *t)                            \
    {                                                                          \
        compute(t, mr, nv, 1);                                                 \
    }
#define TILES(nv)                                                              \
    TILE(1, nv)                                                                \
    TILE(2, nv)                                                                \
    TILE(3, nv)                                                                \
    TILE(4, nv)                                                                \
    TILE(5, nv)                                                                \
    TILE(6, nv)                                                                \
    TILE(7, nv)                                                                \
    TILE(8, nv)                                                                \
    IN_ORDER(1, nv)                                                            \
    IN_ORDER(2, nv)                                                            \
    IN_ORDER(3, nv)                                                            \
    IN_ORDER(4, nv)
TILES(1)
TILES(2)
TILES(3)

#define ROW(nv)                                                                \
    {                                                                          \
        tile_1x##nv, tile_2x##nv, tile_3x##nv, tile_4x##nv, tile_5x##nv,       \
            tile_6x##nv, tile_7x##nv, tile_8x##nv                              \
    }
#define ROW_IN_ORDER(nv)                                                       \
    {                                                                          \
        in_order_1x##nv, in_order_2x##nv, in_order_3x##nv, in_order_4x##nv,    \
            tile_5x##nv, tile_6x##nv, tile_7x##nv, tile_8x##nv                 \
    }
static tile_fn *const tiles[2][NV][MR] = {
    { ROW(1), ROW(2), ROW(3) },
    { ROW_IN_ORDER(1), ROW_IN_ORDER(2), ROW_IN_ORDER(3) },
};

/* Activations that are no clamp, over what a tile has just stored. */
static void activate(const md_epilogue *ep, float *c, int64_t ldc, int64_t rows,
                     int64_t cols)
{
    const __m512 a = _mm512_set1_ps(ep->a), b = _mm512_set1_ps(ep->b);

    for (int64_t r = 0; r < rows; r++, c += ldc) {
        for (int64_t j = 0; j < cols; j += V) {
            const __mmask16 m = v16_mask((size_t)md_min_i64(V, cols - j));
            const __m512 y = _mm512_maskz_loadu_ps(m, c + j);

            _mm512_mask_storeu_ps(c + j, m, v16_act(ep->act, a, b, y));
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
    const int64_t width = (int64_t)md_round_up((size_t)cols, V);
    const bool final = k + KC >= x->k;
    const md_epilogue *ep = &x->ep;
    /* The residual is added at the end, to the finished sum, unless the first
     * block would overwrite it. */
    const bool early = ep->residual == x->c && x->k > KC;
    tile t = { .lda = x->lda,
               .b = x->b + n * x->k + k * width,
               .depth = md_min_i64(KC, x->k - k),
               .ldc = x->ldc,
               .lo = -INFINITY,
               .hi = INFINITY,
               .last = v16_mask((size_t)(cols - (width - V))) };

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
        tiles[x->strict][width / V - 1][rows - 1](&t);
        if (final && !is_clamp(ep->act))
            activate(ep, t.c, x->ldc, rows, cols);
    }
}

void md_gemm_f32_run__avx512(const md_gemm_f32_args *x, int64_t m0, int64_t m1,
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

/* 16 x 16 transpose: row i of the result is column i of what was loaded. */
static void transpose16(float *dst, int64_t ld, const float *src, int64_t cs,
                        int64_t rows, int64_t cols)
{
    const __mmask16 m = v16_mask((size_t)rows);
    __m512 x[V], y[V];

    MD_UNROLL(16)
    for (int64_t i = 0; i < V; i++)
        x[i] = i < cols ? _mm512_maskz_loadu_ps(m, src + i * cs)
                        : _mm512_setzero_ps();
    /* 4 x 4 within 128-bit lanes ... */
    MD_UNROLL(4)
    for (int64_t i = 0; i < V; i += 4) {
        const __m512 a = _mm512_unpacklo_ps(x[i], x[i + 1]);
        const __m512 b = _mm512_unpackhi_ps(x[i], x[i + 1]);
        const __m512 c = _mm512_unpacklo_ps(x[i + 2], x[i + 3]);
        const __m512 d = _mm512_unpackhi_ps(x[i + 2], x[i + 3]);

        y[i] = _mm512_shuffle_ps(a, c, 0x44);
        y[i + 1] = _mm512_shuffle_ps(a, c, 0xee);
        y[i + 2] = _mm512_shuffle_ps(b, d, 0x44);
        y[i + 3] = _mm512_shuffle_ps(b, d, 0xee);
    }
    /* ... then 4 x 4 of lanes: y[4 g + i] has row 4 l + i of group g in lane
     * l. */
    MD_UNROLL(4)
    for (int64_t i = 0; i < 4; i++) {
        const __m512 a = _mm512_shuffle_f32x4(y[i], y[i + 4], 0x44);
        const __m512 b = _mm512_shuffle_f32x4(y[i], y[i + 4], 0xee);
        const __m512 c = _mm512_shuffle_f32x4(y[i + 8], y[i + 12], 0x44);
        const __m512 d = _mm512_shuffle_f32x4(y[i + 8], y[i + 12], 0xee);

        x[i] = _mm512_shuffle_f32x4(a, c, 0x88);
        x[i + 4] = _mm512_shuffle_f32x4(a, c, 0xdd);
        x[i + 8] = _mm512_shuffle_f32x4(b, d, 0x88);
        x[i + 12] = _mm512_shuffle_f32x4(b, d, 0xdd);
    }
    MD_UNROLL(16)
    for (int64_t i = 0; i < V; i++) {
        if (i < rows)
            _mm512_storeu_ps(dst + i * ld, x[i]);
    }
}

/* Columns j .. j + 16 of B into a panel of `width` columns at dst. */
static void pack_strip(float *dst, int64_t width, const md_gemm_f32_b *b,
                       int64_t j)
{
    const int64_t cols = md_min_i64(V, b->n - j);
    const __mmask16 m = v16_mask((size_t)cols);
    const float *src = b->b + j * b->cs;

    if (b->rs == 1) {
        for (int64_t k = 0; k < b->k; k += V)
            transpose16(dst + k * width, width, src + k, b->cs,
                        md_min_i64(V, b->k - k), cols);
        return;
    }
    for (int64_t k = 0; k < b->k; k++, dst += width, src += b->rs) {
        if (b->cs == 1) {
            _mm512_storeu_ps(dst, _mm512_maskz_loadu_ps(m, src));
            continue;
        }
        for (int64_t i = 0; i < V; i++)
            dst[i] = i < cols ? src[i * b->cs] : 0;
    }
}

void md_gemm_f32_pack_b__avx512(float *dst, const md_gemm_f32_b *b, int64_t n0,
                                int64_t n1)
{
    assert(n0 % NR == 0 && (n1 % NR == 0 || n1 == b->n));
    for (int64_t n = n0; n < n1; n += NR) {
        const int64_t cols = md_min_i64(NR, b->n - n);
        const int64_t width = (int64_t)md_round_up((size_t)cols, V);

        for (int64_t j = 0; j < width; j += V)
            pack_strip(dst + n * b->k + j, width, b, n + j);
    }
}
