/*
 * Tiles of the float convolutions on AVX-512: up to 14 pixels x 2 blocks of
 * output channels, or 7 x 4 for narrow images; 28 accumulators either way.
 * Included by one file per family, with
 *   CONV_STEP   floats from one pixel of x to the next
 *   CONV_DEPTH  input channels that lie together at a tap
 */
#ifndef MD_KERNELS_X86_CONV_TILE_AVX512_H
#define MD_KERNELS_X86_CONV_TILE_AVX512_H

#include <math.h>

#include "base/attr.h"
#include "base/size.h"
#include "kernels/conv_span.h"
#include "kernels/x86/math_avx512.h"

enum {
    CONV_V = 16, /* floats in a vector, channels in a block */
    CONV_PX = 14,
    CONV_NB = 4,
};

/*
 * What a tile asks for while it computes, one cache line of each kind for each
 * channel of a tap, which are 7 to 28 multiply-adds and so cost no time:
 * weights that are wanted next, which come from L3 or DRAM about as fast as
 * they are used, and the pixels of its next block of channels, which all come
 * from L2 at once where a window is one pixel.  (Behind the last block that is
 * memory of no use, if any: nothing is read.)
 */
typedef struct conv_next {
    const float *at;
    int64_t step; /* floats: a line, or 0 */
} conv_next;

/* acc += x . w over one tap: `depth` channels. */
static MD_ALWAYS_INLINE void conv_tap(__m512 acc[][CONV_NB], const float *x,
                                      const float *w, int64_t w_out, int64_t px,
                                      int64_t nb, conv_next *next,
                                      int64_t x_block, int64_t depth)
{
    for (int64_t i = 0; i < depth; i++, x++, w += CONV_V) {
        __m512 k[CONV_NB];

        if (CONV_DEPTH > 1) {
            _mm_prefetch((const char *)next->at, _MM_HINT_T1);
            next->at += next->step;
            _mm_prefetch((const char *)(x + x_block + i * (CONV_STEP - 1)),
                         _MM_HINT_T0);
        }
        MD_UNROLL(4)
        for (int64_t b = 0; b < nb; b++)
            k[b] = _mm512_loadu_ps(w + b * w_out);
        MD_UNROLL(14)
        for (int64_t p = 0; p < px; p++) {
            const __m512 s = _mm512_set1_ps(x[p * CONV_STEP]);

            MD_UNROLL(4)
            for (int64_t b = 0; b < nb; b++)
                acc[p][b] = _mm512_fmadd_ps(s, k[b], acc[p][b]);
        }
    }
}

static MD_ALWAYS_INLINE void conv_finish(const md_conv_span *s,
                                         __m512 acc[][CONV_NB], int64_t yb,
                                         int64_t at, int64_t px, int64_t nb)
{
    const bool relu = s->final && s->act == MD_ACT_RELU;
    const bool clip = s->final && s->act == MD_ACT_CLIP;
    const __m512 lo = _mm512_set1_ps(relu ? 0 : clip ? s->a : -INFINITY);
    const __m512 hi = _mm512_set1_ps(clip ? s->b : INFINITY);

    MD_UNROLL(4)
    for (int64_t b = 0; b < nb; b++) {
        const __mmask16 m =
            yb + b == s->n_yb - 1 ? v16_mask((size_t)s->last_lanes) : 0xffff;
        const __m512 bias = s->bias
                                ? _mm512_loadu_ps(s->bias + (yb + b) * CONV_V)
                                : _mm512_setzero_ps();

        MD_UNROLL(14)
        for (int64_t p = 0; p < px; p++) {
            const int64_t y_at = (yb + b) * s->y_block + at + p * CONV_V;
            __m512 y = _mm512_add_ps(acc[p][b], bias);

            if (s->residual)
                y = _mm512_add_ps(y, _mm512_loadu_ps(s->residual + y_at));
            y = _mm512_maskz_min_ps(m, hi, _mm512_max_ps(lo, y));
            _mm512_storeu_ps(s->y + y_at, y);
        }
    }
}

/* acc += x . w over block xb of input channels, `depth` of them. */
static MD_ALWAYS_INLINE void conv_block(const md_conv_span *s,
                                        __m512 acc[][CONV_NB], int64_t yb,
                                        int64_t xb, int64_t p0, int64_t px,
                                        int64_t nb, conv_next *next,
                                        int64_t depth)
{
    const int64_t x_at = s->x_at + xb * s->x_block + p0 * CONV_STEP;
    const float *w = s->w + yb * s->w_out + xb * s->w_in;

    for (int64_t t = 0; t < s->n_taps; t++, w += CONV_DEPTH * CONV_V)
        conv_tap(acc, s->x + (x_at + s->taps[t]), w, s->w_out, px, nb, next,
                 s->x_block, depth);
}

/* px pixels from pixel p0 on, nb blocks from yb on. */
static MD_ALWAYS_INLINE void conv_compute(const md_conv_span *s, int64_t yb,
                                          int64_t p0, conv_next next,
                                          int64_t px, int64_t nb)
{
    const int64_t at = p0 * CONV_V;
    const int64_t n_full =
        s->n_xb - (CONV_DEPTH > 1 && s->n_void > 0 && s->n_xb > 0);
    __m512 acc[CONV_PX][CONV_NB];

    MD_UNROLL(14)
    for (int64_t p = 0; p < px; p++) {
        MD_UNROLL(4)
        for (int64_t b = 0; b < nb; b++)
            acc[p][b] = _mm512_setzero_ps();
    }
    if (s->start) {
        MD_UNROLL(14)
        for (int64_t p = 0; p < px; p++) {
            MD_UNROLL(4)
            for (int64_t b = 0; b < nb; b++)
                acc[p][b] = _mm512_loadu_ps(s->start + (yb + b) * s->y_block +
                                            at + p * CONV_V);
        }
    }
    for (int64_t xb = 0; xb < n_full; xb++)
        conv_block(s, acc, yb, xb, p0, px, nb, &next, CONV_DEPTH);
    if (n_full < s->n_xb)
        conv_block(s, acc, yb, n_full, p0, px, nb, &next,
                   CONV_DEPTH - s->n_void);
    conv_finish(s, acc, yb, at, px, nb);
}

static MD_ALWAYS_INLINE void half_finish(const md_conv_span *s, __m256 acc[],
                                         int64_t yb, int64_t at, int64_t px)
{
    const bool relu = s->final && s->act == MD_ACT_RELU;
    const bool clip = s->final && s->act == MD_ACT_CLIP;
    const __m256 lo = _mm256_set1_ps(relu ? 0 : clip ? s->a : -INFINITY);
    const __m256 hi = _mm256_set1_ps(clip ? s->b : INFINITY);
    const __mmask8 m = (__mmask8)v16_mask((size_t)s->last_lanes);
    const __m256 bias =
        s->bias ? _mm256_loadu_ps(s->bias + yb * CONV_V) : _mm256_setzero_ps();

    MD_UNROLL(14)
    for (int64_t p = 0; p < px; p++) {
        const int64_t y_at = at + p * CONV_V;
        __m256 y = _mm256_add_ps(acc[p], bias);

        if (s->residual)
            y = _mm256_add_ps(y, _mm256_loadu_ps(s->residual + y_at));
        y = _mm256_maskz_min_ps(m, hi, _mm256_max_ps(lo, y));
        _mm512_storeu_ps(s->y + y_at, _mm512_zextps256_ps512(y));
    }
}

/*
 * A block of which at most 8 channels exist: vectors of half the length, of
 * which CPUs multiply two in the time of a whole one.  px pixels of the last
 * block, yb, from pixel p0 on.
 */
static MD_ALWAYS_INLINE void half_compute(const md_conv_span *s, int64_t yb,
                                          int64_t p0, int64_t px)
{
    const int64_t at = yb * s->y_block + p0 * CONV_V;
    __m256 acc[CONV_PX];

    MD_UNROLL(14)
    for (int64_t p = 0; p < px; p++)
        acc[p] = s->start ? _mm256_loadu_ps(s->start + at + p * CONV_V)
                          : _mm256_setzero_ps();
    for (int64_t xb = 0; xb < s->n_xb; xb++) {
        const int64_t x_at = s->x_at + xb * s->x_block + p0 * CONV_STEP;
        const float *w = s->w + yb * s->w_out + xb * s->w_in;
        const int64_t n_void =
            CONV_DEPTH > 1 && xb == s->n_xb - 1 ? s->n_void : 0;

        for (int64_t t = 0; t < s->n_taps; t++, w += n_void * CONV_V) {
            const float *x = s->x + (x_at + s->taps[t]);

            for (int64_t i = 0; i < CONV_DEPTH - n_void; i++, w += CONV_V) {
                const __m256 k = _mm256_loadu_ps(w);

                MD_UNROLL(14)
                for (int64_t p = 0; p < px; p++)
                    acc[p] = _mm256_fmadd_ps(
                        _mm256_broadcast_ss(x + i + p * CONV_STEP), k, acc[p]);
            }
        }
    }
    half_finish(s, acc, yb, at, px);
}

/* Activations that are no clamp, over what a tile has just stored. */
static void conv_activate(const md_conv_span *s, int64_t yb, int64_t p0,
                          int64_t px, int64_t nb)
{
    const __m512 va = _mm512_set1_ps(s->a), vb = _mm512_set1_ps(s->b);

    if (!s->final || s->act == MD_ACT_NONE || s->act == MD_ACT_RELU ||
        s->act == MD_ACT_CLIP)
        return;
    for (int64_t b = yb; b < yb + nb; b++) {
        const __mmask16 m =
            b == s->n_yb - 1 ? v16_mask((size_t)s->last_lanes) : 0xffff;
        float *y = s->y + b * s->y_block + p0 * CONV_V;

        for (int64_t p = 0; p < px; p++, y += CONV_V) {
            const __m512 v = v16_act(s->act, va, vb, _mm512_loadu_ps(y));

            _mm512_storeu_ps(y, _mm512_maskz_mov_ps(m, v));
        }
    }
}

typedef void conv_tile_fn(const md_conv_span *s, int64_t yb, int64_t p0,
                          conv_next next);

#define TILE(px, nb)                                                           \
    static void tile_##px##x##nb(const md_conv_span *s, int64_t yb,            \
                                 int64_t p0, conv_next next)                   \
    {                                                                          \
        conv_compute(s, yb, p0, next, px, nb);                                 \
    }
#define HALF(px)                                                               \
    static void half_##px(const md_conv_span *s, int64_t yb, int64_t p0,       \
                          conv_next next)                                      \
    {                                                                          \
        (void)next;                                                            \
        half_compute(s, yb, p0, px);                                           \
    }
#define TILES_7(nb)                                                            \
    TILE(1, nb)                                                                \
    TILE(2, nb)                                                                \
    TILE(3, nb)                                                                \
    TILE(4, nb)                                                                \
    TILE(5, nb)                                                                \
    TILE(6, nb)                                                                \
    TILE(7, nb)
#define TILES_14(nb)                                                           \
    TILES_7(nb)                                                                \
    TILE(8, nb)                                                                \
    TILE(9, nb)                                                                \
    TILE(10, nb)                                                               \
    TILE(11, nb)                                                               \
    TILE(12, nb)                                                               \
    TILE(13, nb)                                                               \
    TILE(14, nb)
TILES_14(1)
TILES_14(2)
TILES_7(4)
HALF(1)
HALF(2)
HALF(3)
HALF(4)
HALF(5)
HALF(6)
HALF(7)
HALF(8)
HALF(9)
HALF(10)
HALF(11)
HALF(12)
HALF(13)
HALF(14)

#define ROW_7(nb)                                                              \
    tile_1x##nb, tile_2x##nb, tile_3x##nb, tile_4x##nb, tile_5x##nb,           \
        tile_6x##nb, tile_7x##nb
#define ROW_14(nb)                                                             \
    ROW_7(nb), tile_8x##nb, tile_9x##nb, tile_10x##nb, tile_11x##nb,           \
        tile_12x##nb, tile_13x##nb, tile_14x##nb

static conv_tile_fn *const conv_tiles_1[] = { ROW_14(1) };
static conv_tile_fn *const conv_tiles_2[] = { ROW_14(2) };
static conv_tile_fn *const conv_tiles_4[] = { ROW_7(4) };
static conv_tile_fn *const conv_tiles_half[] = {
    half_1, half_2, half_3,  half_4,  half_5,  half_6,  half_7,
    half_8, half_9, half_10, half_11, half_12, half_13, half_14
};

/* Tiles for nb of the blocks that are left. */
static conv_tile_fn *const *conv_tiles(const md_conv_span *s, int64_t left,
                                       int64_t nb)
{
    if (nb == 4)
        return conv_tiles_4;
    if (nb == 2)
        return conv_tiles_2;
    return left == 1 && s->last_lanes <= CONV_V / 2 ? conv_tiles_half
                                                    : conv_tiles_1;
}

/* What the i-th tile of a span asks for: lines that no other does. */
static conv_next conv_next_of(const md_conv_span *s, int64_t i)
{
    const int64_t n = s->n_xb * s->n_taps * CONV_DEPTH * CONV_V;

    if (i * n + n > s->n_next)
        return (conv_next){ s->w, 0 };
    return (conv_next){ s->next + i * n, CONV_V };
}

/* The whole span, in tiles of nearly equal width. */
static void conv_span(const md_conv_span *s)
{
    int64_t yb = 0, n_tiles = 0;

    while (yb < s->n_yb) {
        const int64_t left = s->n_yb - yb;
        const int64_t nb = s->n_px <= 7 && left >= 4 ? 4 : left >= 2 ? 2 : 1;
        conv_tile_fn *const *tiles = conv_tiles(s, left, nb);
        const int64_t n = md_div_up(s->n_px, CONV_PX);

        for (int64_t i = 0, p0 = 0; i < n; i++) {
            const int64_t px = (s->n_px - p0) / (n - i);

            tiles[px - 1](s, yb, p0, conv_next_of(s, n_tiles++));
            conv_activate(s, yb, p0, px, nb);
            p0 += px;
        }
        yb += nb;
    }
}

#endif
