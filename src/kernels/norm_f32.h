/*
 * Normalization of contiguous rows of n values:
 *   layer: y = (x - mean) / sqrt(var + eps) * scale + bias
 *   rms:   y = x / sqrt(mean(x^2) + eps) * scale + bias
 *   l1:    y = x / sum |x|, l2: y = x / sqrt(sum x^2); 0 for a row of zeros
 * with the mean and variance of each row (the latter in a second pass about
 * the mean) or with given ones.
 *
 * `span` elements that lie side by side share a parameter, so a row has
 * n / span of each (0 stands for 1, n is a multiple), and the parameters of
 * `cycle` rows lie behind each other (0 stands for 1), of which row `first`
 * is the first here: of instance normalization span is the plane and cycle the
 * channels.
 *
 * y may be x.  l1 and l2 add up in double and have no parameters; the others
 * against ref: 2e-6 of max(1, |y|) and of the cancellation in
 * x - mean (another order of summing in float; ref sums in double).
 */
#ifndef MD_KERNELS_NORM_F32_H
#define MD_KERNELS_NORM_F32_H

#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

typedef enum md_norm {
    MD_NORM_LAYER,
    MD_NORM_RMS,
    MD_NORM_L1,
    MD_NORM_L2,
} md_norm;

typedef struct md_norm_f32_args {
    float *y;
    const float *x;
    int64_t rows, n;
    int64_t span, cycle, first;
    const float *scale; /* [cycle][n / span]; NULL: 1 */
    const float *bias;  /* the same; NULL: 0 */
    const float *mean;  /* the same; NULL: those of each row */
    const float *var;   /* given with mean */
    float eps;
    md_norm kind;
} md_norm_f32_args;

typedef void md_norm_f32_fn(const md_norm_f32_args *a);

typedef struct md_norm_f32_kernel {
    const char *name;
    uint32_t required; /* enum md_cpu_flags */
    md_norm_f32_fn *run;
} md_norm_f32_kernel;

#define K(isa, need) md_norm_f32_fn md_norm_f32__##isa;
#include "kernels/norm_f32.def"
#undef K

extern const md_norm_f32_kernel md_norm_f32_kernels[]; /* run NULL ends */

/* The first row whose flags are all in cpu_flags. */
const md_norm_f32_kernel *md_norm_f32_select(uint32_t cpu_flags);

#endif
