/*
 * dwconv_f32: a vector is one pixel of a block.  Interior pixels go eight,
 * four, then one at a time with all taps of a window row; for the usual
 * kernels and strides both are constants, so that a pixel that several windows
 * share is loaded once.  Pixels whose window leaves the image go one by one
 * over the taps that are inside.
 */
#include "kernels/dwconv_f32.h"

#include <math.h>

#include "base/attr.h"
#include "kernels/x86/math_avx512.h"

enum {
    V = 16,
    PX = 8
};

static bool is_clamp(md_act act)
{
    return act == MD_ACT_NONE || act == MD_ACT_RELU || act == MD_ACT_CLIP;
}

/* The epilogue in registers; kept by value, since stores to y might change
 * anything that is behind a pointer. */
typedef struct output {
    __m512 bias, lo, hi;
    __mmask16 lanes;
    float *y;
    const float *residual;
} output;

/* Bias, residual and clamp; other activations follow on the whole row. */
static MD_ALWAYS_INLINE output output_init(const md_dwconv_f32_row *r)
{
    const bool relu = r->act == MD_ACT_RELU, clip = r->act == MD_ACT_CLIP;

    return (output){
        .bias = r->bias ? _mm512_loadu_ps(r->bias) : _mm512_setzero_ps(),
        .lo = _mm512_set1_ps(relu   ? 0
                             : clip ? r->a
                                    : -INFINITY),
        .hi = _mm512_set1_ps(clip ? r->b : INFINITY),
        .lanes = v16_mask((size_t)r->lanes),
        .y = r->y,
        .residual = r->residual,
    };
}

/* acc[0 .. px) to pixels ox on. */
static MD_ALWAYS_INLINE void store(const output *o, int64_t ox, int64_t px,
                                   __m512 *acc)
{
    if (o->residual) {
        MD_UNROLL(8)
        for (int64_t p = 0; p < px; p++)
            acc[p] = _mm512_add_ps(_mm512_add_ps(acc[p], o->bias),
                                   _mm512_loadu_ps(o->residual + (ox + p) * V));
    } else {
        MD_UNROLL(8)
        for (int64_t p = 0; p < px; p++)
            acc[p] = _mm512_add_ps(acc[p], o->bias);
    }
    MD_UNROLL(8)
    for (int64_t p = 0; p < px; p++) {
        const __m512 y =
            _mm512_maskz_min_ps(o->lanes, o->hi, _mm512_max_ps(o->lo, acc[p]));

        _mm512_storeu_ps(o->y + (ox + p) * V, y);
    }
}

/* acc[p] += x[p stride] w for one tap. */
static MD_ALWAYS_INLINE void tap(__m512 *acc, const float *x, const float *w,
                                 int64_t px, int64_t stride)
{
    const __m512 k = _mm512_loadu_ps(w);

    MD_UNROLL(8)
    for (int64_t p = 0; p < px; p++)
        acc[p] =
            _mm512_fmadd_ps(k, _mm512_loadu_ps(x + p * stride * V), acc[p]);
}

/* px interior pixels from ox on; kw and stride as in r; kw is a constant up to
 * 5 when `fixed`. */
static MD_ALWAYS_INLINE void tile(const md_dwconv_f32_row *r, const output *o,
                                  int64_t ox, int64_t px, int64_t kw,
                                  int64_t stride, int64_t dilation, bool fixed)
{
    const float *x = r->x + (ox * stride - r->pad_left) * V, *w = r->w;
    __m512 acc[PX];

    MD_UNROLL(8)
    for (int64_t p = 0; p < px; p++)
        acc[p] = _mm512_setzero_ps();
    for (int64_t ky = 0; ky < r->n_ky; ky++, x += r->x_row, w += kw * V) {
        if (fixed) {
            MD_UNROLL(5)
            for (int64_t kx = 0; kx < kw; kx++)
                tap(acc, x + kx * V, w + kx * V, px, stride);
        } else {
            for (int64_t kx = 0; kx < kw; kx++)
                tap(acc, x + kx * dilation * V, w + kx * V, px, stride);
        }
    }
    store(o, ox, px, acc);
}

static MD_ALWAYS_INLINE void interior(const md_dwconv_f32_row *r, int64_t ox,
                                      int64_t end, int64_t kw, int64_t stride,
                                      int64_t dilation, bool fixed)
{
    const output o = output_init(r);

    for (; ox + PX <= end; ox += PX)
        tile(r, &o, ox, PX, kw, stride, dilation, fixed);
    for (; ox + 4 <= end; ox += 4)
        tile(r, &o, ox, 4, kw, stride, dilation, fixed);
    for (; ox < end; ox++)
        tile(r, &o, ox, 1, kw, stride, dilation, fixed);
}

/* Pixels [ox, end) near an edge. */
static void border(const md_dwconv_f32_row *r, int64_t ox, int64_t end)
{
    const output o = output_init(r);

    for (; ox < end; ox++) {
        const int64_t left = ox * r->stride - r->pad_left;
        __m512 sum = _mm512_setzero_ps();
        int64_t kx0, kx1;

        md_dwconv_f32__inside(r, ox, &kx0, &kx1);
        for (int64_t ky = 0; ky < r->n_ky; ky++) {
            for (int64_t kx = kx0; kx < kx1; kx++) {
                const float *x =
                    r->x + ky * r->x_row + (left + kx * r->dilation) * V;
                const float *w = r->w + (ky * r->kw + kx) * V;

                sum = _mm512_fmadd_ps(_mm512_loadu_ps(w), _mm512_loadu_ps(x),
                                      sum);
            }
        }
        store(&o, ox, 1, &sum);
    }
}

static void activate(const md_dwconv_f32_row *r)
{
    const __mmask16 m = v16_mask((size_t)r->lanes);
    const __m512 a = _mm512_set1_ps(r->a), b = _mm512_set1_ps(r->b);

    for (int64_t i = 0; i < r->ow * V; i += V) {
        const __m512 y = _mm512_loadu_ps(r->y + i);

        _mm512_storeu_ps(r->y + i,
                         _mm512_maskz_mov_ps(m, v16_act(r->act, a, b, y)));
    }
}

void md_dwconv_f32_row__avx512(const md_dwconv_f32_row *r)
{
    const bool plain = r->dilation == 1;
    int64_t ox0, ox1;

    md_dwconv_f32__interior(r, &ox0, &ox1);
    border(r, 0, ox0);
    if (plain && r->kw == 3 && r->stride == 1)
        interior(r, ox0, ox1, 3, 1, 1, true);
    else if (plain && r->kw == 3 && r->stride == 2)
        interior(r, ox0, ox1, 3, 2, 1, true);
    else if (plain && r->kw == 5 && r->stride == 1)
        interior(r, ox0, ox1, 5, 1, 1, true);
    else if (plain && r->kw == 5 && r->stride == 2)
        interior(r, ox0, ox1, 5, 2, 1, true);
    else
        interior(r, ox0, ox1, r->kw, r->stride, r->dilation, false);
    border(r, ox1, r->ow);
    if (!is_clamp(r->act))
        activate(r);
}
