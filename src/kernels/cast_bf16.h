/*
 * Floats to bf16: rounded to nearest, ties to even; NaN stays a quiet NaN,
 * what is larger than the largest bf16 becomes infinite, subnormals stay.
 * Every level gives the same bits.
 */
#ifndef MD_KERNELS_CAST_BF16_H
#define MD_KERNELS_CAST_BF16_H

#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

/* n floats in groups of 16 (the last may be smaller): group g goes to
 * to + g * step, step >= 16 where there is more than one.  Any alignment; no
 * overlap. */
typedef void md_cast_bf16_fn(uint16_t *to, int64_t step, const float *from,
                             int64_t n);

typedef struct md_cast_bf16_kernel {
    const char *name;
    uint32_t required; /* enum md_cpu_flags */
    md_cast_bf16_fn *run;
} md_cast_bf16_kernel;

#define K(isa, need) md_cast_bf16_fn md_cast_bf16__##isa;
#include "kernels/cast_bf16.def"
#undef K

extern const md_cast_bf16_kernel md_cast_bf16_kernels[]; /* run NULL ends */

/* The first row whose flags are all in cpu_flags. */
const md_cast_bf16_kernel *md_cast_bf16_select(uint32_t cpu_flags);

#endif
