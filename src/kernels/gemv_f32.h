/*
 * A matrix of rows that lie as they lie, and one vector: what a query makes of
 * the keys and the values of its past.  Packing them for gemm_f32 would take
 * longer than the products.
 *
 *   rows [n, size], `step` apart; only these are read, at any address
 *   dot:  y[i] = sum over k of x[k] * rows[i][k]    x [size], y [n]
 *   sum:  y[k] = sum over i of x[i] * rows[i][k]    x [n], y [size]
 *
 * y does not overlap the others.  n or size may be 0; sums of nothing are 0.
 * An element of y does not depend on how many others there are.  error <=
 * (terms + 1) * 2^-24 * sum |x rows|.
 */
#ifndef MD_KERNELS_GEMV_F32_H
#define MD_KERNELS_GEMV_F32_H

#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

typedef struct md_gemv_f32_args {
    float *y;
    const float *x, *rows;
    int64_t n, size, step;
} md_gemv_f32_args;

typedef void md_gemv_f32_fn(const md_gemv_f32_args *a);

typedef struct md_gemv_f32_kernel {
    const char *name;
    uint32_t required; /* enum md_cpu_flags */
    md_gemv_f32_fn *dot, *sum;
} md_gemv_f32_kernel;

#define K(isa, need)                                                           \
    md_gemv_f32_fn md_gemv_f32_dot__##isa;                                     \
    md_gemv_f32_fn md_gemv_f32_sum__##isa;
#include "kernels/gemv_f32.def"
#undef K

extern const md_gemv_f32_kernel md_gemv_f32_kernels[]; /* dot NULL ends */

/* The first row whose flags are all in cpu_flags. */
const md_gemv_f32_kernel *md_gemv_f32_select(uint32_t cpu_flags);

#endif
