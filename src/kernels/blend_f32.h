/*
 * Rows of channels combined with weights, as interpolation does:
 *   y[p * y_stride + c] = the sum over k of w[p][k] * x[at[p][k] + c]
 * or the largest of these products, for p < places, c < n and k < looks;
 * at and w have `stride` elements for each place.  What a negative `at` names
 * takes no part; without any part a sum is 0 and a maximum -Inf.  Maxima are
 * NaN where any product is.  Products are rounded and taken in the order of k,
 * so that every level gives the same bits.
 */
#ifndef MD_KERNELS_BLEND_F32_H
#define MD_KERNELS_BLEND_F32_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

typedef struct md_blend_f32_args {
    float *y; /* apart from x */
    const float *x;
    const int64_t *at; /* [places][stride] */
    const float *w;    /* the same */
    int64_t places, looks, stride;
    int64_t n, y_stride;
    bool maximum;
} md_blend_f32_args;

typedef void md_blend_f32_fn(const md_blend_f32_args *a);

typedef struct md_blend_f32_kernel {
    const char *name;
    uint32_t required; /* enum md_cpu_flags */
    md_blend_f32_fn *run;
} md_blend_f32_kernel;

#define K(isa, need) md_blend_f32_fn md_blend_f32__##isa;
#include "kernels/blend_f32.def"
#undef K

extern const md_blend_f32_kernel md_blend_f32_kernels[]; /* run NULL ends */

/* The first row whose flags are all in cpu_flags. */
const md_blend_f32_kernel *md_blend_f32_select(uint32_t cpu_flags);

#endif
