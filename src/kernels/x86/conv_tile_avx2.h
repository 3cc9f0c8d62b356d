/*
 * Tiles of the float convolutions on AVX2: up to 6 pixels x 1 block of 16
 * output channels; 12 accumulators.  Included by one file per family, with
 *   CONV_STEP   floats from one pixel of x to the next
 *   CONV_DEPTH  input channels that lie together at a tap
 */
#ifndef MD_KERNELS_X86_CONV_TILE_AVX2_H
#define MD_KERNELS_X86_CONV_TILE_AVX2_H

#include <math.h>

#include "base/attr.h"
#include "base/size.h"
#include "kernels/conv_span.h"
#include "kernels/x86/math_avx2.h"

enum {
    CONV_V = 8, /* floats in a vector */
    CONV_BLOCK = 16,
    CONV_PX = 6,
};

/* acc += x . w over one tap: `depth` channels. */
static MD_ALWAYS_INLINE void conv_tap(__m256 acc[][2], const float *x,
                                      const float *w, int64_t px, int64_t depth)
{
    for (int64_t i = 0; i < depth; i++, x++, w += CONV_BLOCK) {
        const __m256 w0 = _mm256_loadu_ps(w), w1 = _mm256_loadu_ps(w + CONV_V);

        MD_UNROLL(6)
        for (int64_t p = 0; p < px; p++) {
            const __m256 s = _mm256_broadcast_ss(x + p * CONV_STEP);

            acc[p][0] = _mm256_fmadd_ps(s, w0, acc[p][0]);
            acc[p][1] = _mm256_fmadd_ps(s, w1, acc[p][1]);
        }
    }
}

/* The two halves of the lanes that exist in block yb, all bits set. */
static void conv_lanes(const md_conv_span *s, int64_t yb, __m256 lanes[2])
{
    const int64_t n = yb == s->n_yb - 1 ? s->last_lanes : CONV_BLOCK;

    lanes[0] = _mm256_castsi256_ps(v8_mask((size_t)md_min_i64(CONV_V, n)));
    lanes[1] = _mm256_castsi256_ps(v8_mask((size_t)md_max_i64(0, n - CONV_V)));
}

static MD_ALWAYS_INLINE void conv_finish(const md_conv_span *s, __m256 acc[][2],
                                         int64_t yb, int64_t at, int64_t px)
{
    const bool relu = s->final && s->act == MD_ACT_RELU;
    const bool clip = s->final && s->act == MD_ACT_CLIP;
    const __m256 lo = _mm256_set1_ps(relu ? 0 : clip ? s->a : -INFINITY);
    const __m256 hi = _mm256_set1_ps(clip ? s->b : INFINITY);
    __m256 lanes[2];

    conv_lanes(s, yb, lanes);
    MD_UNROLL(2)
    for (int64_t v = 0; v < 2; v++) {
        const __m256 bias =
            s->bias ? _mm256_loadu_ps(s->bias + yb * CONV_BLOCK + v * CONV_V)
                    : _mm256_setzero_ps();

        MD_UNROLL(6)
        for (int64_t p = 0; p < px; p++) {
            const int64_t y_at = at + p * CONV_BLOCK + v * CONV_V;
            __m256 y = _mm256_add_ps(acc[p][v], bias);

            if (s->residual)
                y = _mm256_add_ps(y, _mm256_loadu_ps(s->residual + y_at));
            y = _mm256_min_ps(hi, _mm256_max_ps(lo, y));
            _mm256_storeu_ps(s->y + y_at, _mm256_and_ps(y, lanes[v]));
        }
    }
}

/* acc += x . w over block xb of input channels, `depth` of them. */
static MD_ALWAYS_INLINE void conv_block(const md_conv_span *s, __m256 acc[][2],
                                        int64_t yb, int64_t xb, int64_t p0,
                                        int64_t px, int64_t depth)
{
    const int64_t x_at = s->x_at + xb * s->x_block + p0 * CONV_STEP;
    const float *w = s->w + yb * s->w_out + xb * s->w_in;

    for (int64_t t = 0; t < s->n_taps; t++, w += CONV_DEPTH * CONV_BLOCK)
        conv_tap(acc, s->x + (x_at + s->taps[t]), w, px, depth);
}

/* px pixels of block yb from pixel p0 on. */
static MD_ALWAYS_INLINE void conv_compute(const md_conv_span *s, int64_t yb,
                                          int64_t p0, int64_t px)
{
    const int64_t at = yb * s->y_block + p0 * CONV_BLOCK;
    const int64_t n_full =
        s->n_xb - (CONV_DEPTH > 1 && s->n_void > 0 && s->n_xb > 0);
    __m256 acc[CONV_PX][2];

    MD_UNROLL(6)
    for (int64_t p = 0; p < px; p++)
        acc[p][0] = acc[p][1] = _mm256_setzero_ps();
    if (s->start) {
        MD_UNROLL(6)
        for (int64_t p = 0; p < px; p++) {
            const float *start = s->start + at + p * CONV_BLOCK;

            acc[p][0] = _mm256_loadu_ps(start);
            acc[p][1] = _mm256_loadu_ps(start + CONV_V);
        }
    }
    for (int64_t xb = 0; xb < n_full; xb++)
        conv_block(s, acc, yb, xb, p0, px, CONV_DEPTH);
    if (n_full < s->n_xb)
        conv_block(s, acc, yb, n_full, p0, px, CONV_DEPTH - s->n_void);
    conv_finish(s, acc, yb, at, px);
}

/* Activations that are no clamp, over what a tile has just stored. */
static void conv_activate(const md_conv_span *s, int64_t yb, int64_t p0,
                          int64_t px)
{
    const __m256 va = _mm256_set1_ps(s->a), vb = _mm256_set1_ps(s->b);
    float *y = s->y + yb * s->y_block + p0 * CONV_BLOCK;
    __m256 lanes[2];

    if (!s->final || s->act == MD_ACT_NONE || s->act == MD_ACT_RELU ||
        s->act == MD_ACT_CLIP)
        return;
    conv_lanes(s, yb, lanes);
    for (int64_t i = 0; i < 2 * px; i++, y += CONV_V) {
        const __m256 v = v8_act(s->act, va, vb, _mm256_loadu_ps(y));

        _mm256_storeu_ps(y, _mm256_and_ps(v, lanes[i % 2]));
    }
}

typedef void conv_tile_fn(const md_conv_span *s, int64_t yb, int64_t p0);

#define TILE(px)                                                               \
    static void tile_##px(const md_conv_span *s, int64_t yb, int64_t p0)       \
    {                                                                          \
        conv_compute(s, yb, p0, px);                                           \
    }
TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5)
TILE(6)

static conv_tile_fn *const conv_tiles[CONV_PX] = { tile_1, tile_2, tile_3,
                                                   tile_4, tile_5, tile_6 };

/* The whole span, in tiles of nearly equal width. */
static void conv_span(const md_conv_span *s)
{
    const int64_t n = md_div_up(s->n_px, CONV_PX);

    for (int64_t yb = 0; yb < s->n_yb; yb++) {
        for (int64_t i = 0, p0 = 0; i < n; i++) {
            const int64_t px = (s->n_px - p0) / (n - i);

            conv_tiles[px - 1](s, yb, p0);
            conv_activate(s, yb, p0, px);
            p0 += px;
        }
    }
}

#endif
