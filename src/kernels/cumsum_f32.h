/*
 * Running sums down columns, added up in double and rounded once each:
 *   y[i * step + c] = the sum of x[k * step + c] for k <= i (exclusive: k < i)
 * for i < n, c < columns.  step may be negative: from the last row upwards.
 * y may be x.  Every level gives the same bits.
 */
#ifndef MD_KERNELS_CUMSUM_F32_H
#define MD_KERNELS_CUMSUM_F32_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

typedef struct md_cumsum_f32_args {
    float *y;
    const float *x;
    int64_t n, columns, step;
    bool exclusive;
} md_cumsum_f32_args;

typedef void md_cumsum_f32_fn(const md_cumsum_f32_args *a);

typedef struct md_cumsum_f32_kernel {
    const char *name;
    uint32_t required; /* enum md_cpu_flags */
    md_cumsum_f32_fn *run;
} md_cumsum_f32_kernel;

#define K(isa, need) md_cumsum_f32_fn md_cumsum_f32__##isa;
#include "kernels/cumsum_f32.def"
#undef K

extern const md_cumsum_f32_kernel md_cumsum_f32_kernels[]; /* run NULL ends */

/* The first row whose flags are all in cpu_flags. */
const md_cumsum_f32_kernel *md_cumsum_f32_select(uint32_t cpu_flags);

#endif
