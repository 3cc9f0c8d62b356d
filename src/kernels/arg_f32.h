/*
 * y[o][i] = the k < n for which x[o * outer_stride + k * stride + i] is the
 * largest (or the smallest), for o < outer, i < inner; n >= 1.  Of equals the
 * first counts, or the last; NaN is beyond every number.  y is contiguous.
 * Where inner is 1, stride is 1.  Exact.
 */
#ifndef MD_KERNELS_ARG_F32_H
#define MD_KERNELS_ARG_F32_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

typedef struct md_arg_f32_args {
    int64_t *y;
    const float *x;
    int64_t outer, n, inner;
    int64_t outer_stride, stride; /* in elements */
    bool min;
    bool last;
} md_arg_f32_args;

typedef void md_arg_f32_fn(const md_arg_f32_args *a);

typedef struct md_arg_f32_kernel {
    const char *name;
    uint32_t required; /* enum md_cpu_flags */
    md_arg_f32_fn *run;
} md_arg_f32_kernel;

#define K(isa, need) md_arg_f32_fn md_arg_f32__##isa;
#include "kernels/arg_f32.def"
#undef K

extern const md_arg_f32_kernel md_arg_f32_kernels[]; /* run NULL ends */

/* The first row whose flags are all in cpu_flags. */
const md_arg_f32_kernel *md_arg_f32_select(uint32_t cpu_flags);

/* The definition for the n values of one output, the first of them at x. */
int64_t md_arg_f32_scan(const md_arg_f32_args *a, const float *x);

#endif
