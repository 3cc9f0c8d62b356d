/*
 * y[o][i] = reduction over k of x[o][k][i], contiguous.  MAX and MIN are exact
 * (NaN if any is); sums are within n * 6e-8 of sum |x| (float sums in lanes;
 * ref sums in double).  n >= 1 for MAX, MIN and MEAN.
 */
#ifndef MD_KERNELS_REDUCE_F32_H
#define MD_KERNELS_REDUCE_F32_H

#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

typedef enum md_reduce {
    MD_REDUCE_SUM,
    MD_REDUCE_MEAN,
    MD_REDUCE_MAX,
    MD_REDUCE_MIN,
    MD_REDUCE_SUM_SQUARE,
    MD_REDUCE_L1,
    MD_REDUCE_COUNT,
} md_reduce;

typedef struct md_reduce_f32_args {
    float *y;
    const float *x;
    int64_t outer, n, inner;
    md_reduce op;
} md_reduce_f32_args;

typedef void md_reduce_f32_fn(const md_reduce_f32_args *a);

typedef struct md_reduce_f32_kernel {
    const char *name;
    uint32_t required; /* enum md_cpu_flags */
    md_reduce_f32_fn *run;
} md_reduce_f32_kernel;

#define K(isa, need) md_reduce_f32_fn md_reduce_f32__##isa;
#include "kernels/reduce_f32.def"
#undef K

extern const md_reduce_f32_kernel md_reduce_f32_kernels[]; /* run NULL ends */

/* The first row whose flags are all in cpu_flags. */
const md_reduce_f32_kernel *md_reduce_f32_select(uint32_t cpu_flags);

#endif
