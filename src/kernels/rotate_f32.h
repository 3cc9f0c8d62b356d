/*
 * Pairs of elements of some rows turned by angles that the rows share (rotary
 * position embedding): for i < half
 *   y[p] = c[i] * x[p] - s[i] * x[q]
 *   y[q] = s[i] * x[p] + c[i] * x[q]
 * with p = 2 i, q = 2 i + 1 where `pairs` lie side by side, else p = i and
 * q = half + i.  Rows of y and x are `step` apart; y is x or apart from it.  Products
 * and sums are rounded one by one, so every level gives the same bits.
 */
#ifndef MD_KERNELS_ROTATE_F32_H
#define MD_KERNELS_ROTATE_F32_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

typedef struct md_rotate_f32_args {
    float *y;
    const float *x;
    const float *c, *s; /* [half] */
    int64_t rows, step, half;
    bool pairs;
} md_rotate_f32_args;

typedef void md_rotate_f32_fn(const md_rotate_f32_args *a);

typedef struct md_rotate_f32_kernel {
    const char *name;
    uint32_t required; /* enum md_cpu_flags */
    md_rotate_f32_fn *run;
} md_rotate_f32_kernel;

#define K(isa, need) md_rotate_f32_fn md_rotate_f32__##isa;
#include "kernels/rotate_f32.def"
#undef K

extern const md_rotate_f32_kernel md_rotate_f32_kernels[]; /* run NULL ends */

/* The first row whose flags are all in cpu_flags. */
const md_rotate_f32_kernel *md_rotate_f32_select(uint32_t cpu_flags);

#endif
