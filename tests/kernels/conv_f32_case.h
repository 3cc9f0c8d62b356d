/*
 * What the tests of the float convolutions share: random shapes, NC16
 * tensors, and one output value in double.
 */
#ifndef MD_TESTS_KERNELS_CONV_F32_CASE_H
#define MD_TESTS_KERNELS_CONV_F32_CASE_H

#include "f32_case.h"

#include <string.h>

#include "kernels/conv_shape.h"

enum {
    BLOCK = 16
};

/* Floats of an NC16 tensor. */
static inline size_t nc16_count(int64_t n, int64_t c, int64_t h, int64_t w)
{
    return (size_t)(n * md_div_up(c, BLOCK) * h * w * BLOCK);
}

/* Where pixel `at` of a plane of `plane` pixels has channel c of image n. */
static inline size_t nc16_at(int64_t n, int64_t channels, int64_t c,
                             int64_t plane, int64_t at)
{
    const int64_t block = n * md_div_up(channels, BLOCK) + c / BLOCK;

    return (size_t)((block * plane + at) * BLOCK + c % BLOCK);
}

/* Random values in the channels that exist, zeros in the others. */
static inline float *nc16_random(int64_t n, int64_t c, int64_t plane,
                                 uint32_t *seed)
{
    const size_t count = nc16_count(n, c, 1, plane);
    float *p = f32_random(count, seed);
    const int64_t padded = (int64_t)md_round_up((size_t)c, BLOCK);

    for (int64_t i = 0; i < n; i++) {
        for (int64_t k = c; k < padded; k++) {
            for (int64_t at = 0; at < plane; at++)
                p[nc16_at(i, c, k, plane, at)] = 0;
        }
    }
    return p;
}

/* Kernel, strides, pads, dilation and output size for an ih x iw image.
 * Sometimes the padding is wider than the kernel. */
static inline void conv_window_random(md_conv_shape *s, uint32_t *seed)
{
    const int64_t pad = f32_pick(seed, 0, 9) == 0 ? 6 : 2;
    int64_t bottom, right;

    s->kh = f32_pick(seed, 1, 4), s->kw = f32_pick(seed, 1, 4);
    s->stride_h = f32_pick(seed, 1, 3), s->stride_w = f32_pick(seed, 1, 3);
    s->dilation_h = f32_pick(seed, 0, 2) ? 1 : f32_pick(seed, 2, 3);
    s->dilation_w = f32_pick(seed, 0, 2) ? 1 : f32_pick(seed, 2, 3);
    s->pad_top = f32_pick(seed, 0, pad), s->pad_left = f32_pick(seed, 0, pad);
    bottom = f32_pick(seed, 0, pad), right = f32_pick(seed, 0, pad);
    if (f32_pick(seed, 0, 3) == 0) { /* 1 x 1 */
        s->kh = s->kw = 1;
        s->pad_top = s->pad_left = bottom = right = 0;
        if (f32_pick(seed, 0, 1))
            s->stride_h = s->stride_w = 1;
    }
    s->oh = (s->ih + s->pad_top + bottom - (s->kh - 1) * s->dilation_h - 1) /
                s->stride_h +
            1;
    s->ow = (s->iw + s->pad_left + right - (s->kw - 1) * s->dilation_w - 1) /
                s->stride_w +
            1;
    s->oh = md_max_i64(s->oh, 1), s->ow = md_max_i64(s->ow, 1);
}

typedef struct conv_sum {
    double sum, mag;
    int64_t n;
} conv_sum;

static inline void conv_sum_add(conv_sum *s, double term)
{
    s->sum += term;
    s->mag += term < 0 ? -term : term;
    s->n++;
}

/*
 * Output channel o at (oy, ox) of image n: x(channel, iy, ix) is a callback,
 * so that every layout has the same oracle; w[oc][ic / groups][kh][kw].
 */
typedef float conv_read_fn(const void *ctx, int64_t n, int64_t c, int64_t iy,
                           int64_t ix);

static inline conv_sum conv_oracle(const md_conv_shape *s, int64_t groups,
                                   conv_read_fn *x, const void *ctx,
                                   const float *w, const int64_t at[4])
{
    const int64_t ic = s->ic / groups, o = at[1];
    const int64_t first = o / (s->oc / groups) * ic;
    conv_sum r = { 0, 0, 0 };

    for (int64_t t = 0; t < ic * s->kh * s->kw; t++) {
        const int64_t c = t / s->kw / s->kh;
        const int64_t iy = at[2] * s->stride_h - s->pad_top +
                           t / s->kw % s->kh * s->dilation_h;
        const int64_t ix =
            at[3] * s->stride_w - s->pad_left + t % s->kw * s->dilation_w;

        if (iy < 0 || iy >= s->ih || ix < 0 || ix >= s->iw)
            continue;
        conv_sum_add(&r, (double)x(ctx, at[0], first + c, iy, ix) *
                             w[o * ic * s->kh * s->kw + t]);
    }
    return r;
}

#endif
