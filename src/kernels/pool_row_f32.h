/*
 * One row of a pooling of row-major planes.  The rows under its windows are
 * combined, column by column; then what they make along itself:
 *   line[c] = the maximum, or sum, of rows x[p * plane_step + r * row_step]
 *   y[i] = the maximum, or sum, of line[i * stride + t * step - left]
 * for p < planes, r < rows, t < taps; columns outside [0, width) take no part.
 * Averages are sums divided by counts[i] * by, or 0 where that is 0; counts
 * NULL means maxima, -Inf where there is no column.  Maxima are NaN where any
 * value is.  Sums are taken in the order of p, r and then t, so every level
 * gives the same bits.
 */
#ifndef MD_KERNELS_POOL_ROW_F32_H
#define MD_KERNELS_POOL_ROW_F32_H

#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

enum {
    MD_POOL_ROW_UNIT = 16 /* outputs that a row may compute together */
};

typedef struct md_pool_row_f32_args {
    float *y; /* [n] */
    const float *x;
    int64_t planes, rows; /* >= 1 */
    int64_t plane_step, row_step;
    int64_t width, left;           /* >= 0 */
    int64_t n, stride, taps, step; /* >= 1 */
    const float *counts;           /* [n], or NULL */
    float by;
    float *line; /* scratch: md_pool_row_f32_line floats */
} md_pool_row_f32_args;

typedef void md_pool_row_f32_fn(const md_pool_row_f32_args *a);

typedef struct md_pool_row_f32_kernel {
    const char *name;
    uint32_t required; /* enum md_cpu_flags */
    md_pool_row_f32_fn *run;
} md_pool_row_f32_kernel;

#define K(isa, need) md_pool_row_f32_fn md_pool_row_f32__##isa;
#include "kernels/pool_row_f32.def"
#undef K

extern const md_pool_row_f32_kernel
    md_pool_row_f32_kernels[]; /* run NULL ends */

/* The first row whose flags are all in cpu_flags. */
const md_pool_row_f32_kernel *md_pool_row_f32_select(uint32_t cpu_flags);

/* Floats of a->line: left, the row, and what the last windows reach. */
int64_t md_pool_row_f32_line(const md_pool_row_f32_args *a);

#endif
