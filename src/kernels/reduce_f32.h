/*
 * y[o][i] = reduction over all j < m and k < n of
 *   x[o * outer_stride + j * m_stride + k * n_stride + i]
 * for o < outer, i < inner; strides in elements.  Where inner is 1, n_stride
 * is 1: rows lie side by side.  y is contiguous and apart from x.
 *
 * MAX and MIN are exact (NaN if any is); sums and products are taken in
 * double and rounded once.  LOG_SUM_EXP scales by the largest value; its
 * exponentials are floats: within 4e-7 of max(1, |y|).  m * n may be 0, which
 * gives each reduction's neutral value (NaN for MEAN).
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
    MD_REDUCE_PROD,
    MD_REDUCE_SUM_SQUARE,
    MD_REDUCE_L1,
    MD_REDUCE_L2,
    MD_REDUCE_LOG_SUM,
    MD_REDUCE_LOG_SUM_EXP,
    MD_REDUCE_COUNT,
} md_reduce;

typedef struct md_reduce_f32_args {
    float *y;
    const float *x;
    int64_t outer, m, n, inner;
    int64_t outer_stride, m_stride, n_stride;
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

/* The last step in double: from what was added up (MAX and MIN: found) of
 * `count` values to the result.  `top` is the largest value, for
 * LOG_SUM_EXP. */
double md_reduce_finish(md_reduce op, double sum, double top, int64_t count);

#endif
