/*
 * dwconv_f32: two vectors are one pixel of a block; each half of a row goes
 * by itself, so that eight pixels of it fit the registers.  Otherwise as the
 * AVX-512 version.
 */
#include "kernels/dwconv_f32.h"

#include <math.h>

#include "base/attr.h"
#include "base/size.h"
#include "kernels/x86/math_avx2.h"

enum {
    V = 8,
    BLOCK = 16,
    PX = 8
};

static bool is_clamp(md_act act)
{
    return act == MD_ACT_NONE || act == MD_ACT_RELU || act == MD_ACT_CLIP;
}

/* Lanes of the half that exist. */
static __m256 lanes(const md_dwconv_f32_row *r, int64_t half)
{
    const int64_t n = md_min_i64(V, md_max_i64(0, r->lanes - half));

    return _mm256_castsi256_ps(v8_mask((size_t)n));
}

/* The epilogue in registers; kept by value, since stores to y might change
 * anything that is behind a pointer. */
typedef struct output {
    __m256 bias, lo, hi, lanes;
    float *y; /* of the half */
    const float *residual;
} output;

/* Bias, residual and clamp; other activations follow on the whole row.  half
 * is 0 or 8, the first lane. */
static MD_ALWAYS_INLINE output output_init(const md_dwconv_f32_row *r,
                                           int64_t half)
{
    const bool relu = r->act == MD_ACT_RELU, clip = r->act == MD_ACT_CLIP;

    return (output){
        .bias = r->bias ? _mm256_loadu_ps(r->bias + half) : _mm256_setzero_ps(),
        .lo = _mm256_set1_ps(relu   ? 0
                             : clip ? r->a
                                    : -INFINITY),
        .hi = _mm256_set1_ps(clip ? r->b : INFINITY),
        .lanes = lanes(r, half),
        .y = r->y + half,
        .residual = r->residual ? r->residual + half : NULL,
    };
}

static MD_ALWAYS_INLINE void store(const output *o, int64_t ox, __m256 sum)
{
    sum = _mm256_add_ps(sum, o->bias);
    if (o->residual)
        sum = _mm256_add_ps(sum, _mm256_loadu_ps(o->residual + ox * BLOCK));
    sum = _mm256_min_ps(o->hi, _mm256_max_ps(o->lo, sum));
    _mm256_storeu_ps(o->y + ox * BLOCK, _mm256_and_ps(sum, o->lanes));
}

/* px interior pixels from ox on. */
static MD_ALWAYS_INLINE void tile(const md_dwconv_f32_row *r, const output *o,
                                  int64_t ox, int64_t half, int64_t px,
                                  int64_t kw, int64_t stride)
{
    const int64_t dilation = r->dilation;
    const float *x = r->x + (ox * stride - r->pad_left) * BLOCK + half;
    const float *w = r->w + half;
    __m256 acc[PX];

    MD_UNROLL(8)
    for (int64_t p = 0; p < px; p++)
        acc[p] = _mm256_setzero_ps();
    for (int64_t ky = 0; ky < r->n_ky; ky++, x += r->x_row, w += kw * BLOCK) {
        for (int64_t kx = 0; kx < kw; kx++) {
            const __m256 k = _mm256_loadu_ps(w + kx * BLOCK);
            const float *xk = x + kx * dilation * BLOCK;

            MD_UNROLL(8)
            for (int64_t p = 0; p < px; p++)
                acc[p] = _mm256_fmadd_ps(
                    k, _mm256_loadu_ps(xk + p * stride * BLOCK), acc[p]);
        }
    }
    MD_UNROLL(8)
    for (int64_t p = 0; p < px; p++)
        store(o, ox + p, acc[p]);
}

static MD_ALWAYS_INLINE void interior(const md_dwconv_f32_row *r, int64_t ox,
                                      int64_t end, int64_t half, int64_t stride)
{
    const output o = output_init(r, half);

    for (; ox + PX <= end; ox += PX)
        tile(r, &o, ox, half, PX, r->kw, stride);
    for (; ox + 4 <= end; ox += 4)
        tile(r, &o, ox, half, 4, r->kw, stride);
    for (; ox < end; ox++)
        tile(r, &o, ox, half, 1, r->kw, stride);
}

/* Pixels [ox, end) near an edge. */
static void border(const md_dwconv_f32_row *r, int64_t ox, int64_t end,
                   int64_t half)
{
    const output o = output_init(r, half);

    for (; ox < end; ox++) {
        const int64_t left = ox * r->stride - r->pad_left;
        __m256 sum = _mm256_setzero_ps();
        int64_t kx0, kx1;

        md_dwconv_f32__inside(r, ox, &kx0, &kx1);
        for (int64_t ky = 0; ky < r->n_ky; ky++) {
            for (int64_t kx = kx0; kx < kx1; kx++) {
                const float *x = r->x + ky * r->x_row +
                                 (left + kx * r->dilation) * BLOCK + half;
                const float *w = r->w + (ky * r->kw + kx) * BLOCK + half;

                sum = _mm256_fmadd_ps(_mm256_loadu_ps(w), _mm256_loadu_ps(x),
                                      sum);
            }
        }
        store(&o, ox, sum);
    }
}

static void activate(const md_dwconv_f32_row *r)
{
    const __m256 a = _mm256_set1_ps(r->a), b = _mm256_set1_ps(r->b);
    const __m256 low = lanes(r, 0), high = lanes(r, V);

    for (int64_t i = 0; i < r->ow * BLOCK; i += V) {
        const __m256 y = v8_act(r->act, a, b, _mm256_loadu_ps(r->y + i));

        _mm256_storeu_ps(r->y + i,
                         _mm256_and_ps(y, i % BLOCK == 0 ? low : high));
    }
}

void md_dwconv_f32_row__avx2(const md_dwconv_f32_row *r)
{
    int64_t ox0, ox1;

    md_dwconv_f32__interior(r, &ox0, &ox1);
    for (int64_t half = 0; half < BLOCK; half += V) {
        border(r, 0, ox0, half);
        if (r->stride == 1)
            interior(r, ox0, ox1, half, 1);
        else if (r->stride == 2)
            interior(r, ox0, ox1, half, 2);
        else
            interior(r, ox0, ox1, half, r->stride);
        border(r, ox1, r->ow, half);
    }
    if (!is_clamp(r->act))
        activate(r);
}
