/*
 * Softmax and log-softmax over k of x[r][k][i], k < n, i < inner, contiguous;
 * inner is 1 for rows.  y may be x.  -Inf only gives NaN, as the formula does;
 * NaN makes all n values NaN.  Against ref: within 1e-6 relative (vector exp,
 * another order of summing), log-softmax within 2e-6 of max(1, |y|).
 */
#ifndef MD_KERNELS_SOFTMAX_F32_H
#define MD_KERNELS_SOFTMAX_F32_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

typedef void md_softmax_f32_fn(float *y, const float *x, int64_t rows,
                               int64_t n, int64_t inner, bool log);

typedef struct md_softmax_f32_kernel {
    const char *name;
    uint32_t required; /* enum md_cpu_flags */
    md_softmax_f32_fn *run;
} md_softmax_f32_kernel;

#define K(isa, need) md_softmax_f32_fn md_softmax_f32__##isa;
#include "kernels/softmax_f32.def"
#undef K

extern const md_softmax_f32_kernel md_softmax_f32_kernels[]; /* run NULL ends */

/* The first row whose flags are all in cpu_flags. */
const md_softmax_f32_kernel *md_softmax_f32_select(uint32_t cpu_flags);

#endif
