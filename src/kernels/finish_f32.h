/*
 * From finished float sums to outputs: y = act(sum + residual), the last step
 * of the kernels whose tiles leave their sums in memory (gemm_bf16,
 * conv_bf16).  The error is that of unary_f32's activations.
 */
#ifndef MD_KERNELS_FINISH_F32_H
#define MD_KERNELS_FINISH_F32_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cpu.h"
#include "kernels/epilogue.h"

/* rows x lanes (1 .. 16) sums of 16 channels; strides in floats.  All 16 sums
 * of a row are readable.  out may be residual, not sum. */
typedef struct md_finish_tile {
    const float *sum;
    int64_t sum_stride;
    float *out;
    int64_t out_stride;
    const float *residual; /* strides of out; NULL: none */
    int rows, lanes;
    bool pad; /* store zeros in the lanes up to 16; else leave them alone */
} md_finish_tile;

/* Of the epilogue, only the activation counts. */
typedef void md_finish_f32_fn(const md_epilogue *ep, const md_finish_tile *t);

typedef struct md_finish_f32_kernel {
    const char *name;
    uint32_t required; /* enum md_cpu_flags */
    md_finish_f32_fn *run;
} md_finish_f32_kernel;

#define K(isa, need) md_finish_f32_fn md_finish_f32__##isa;
#include "kernels/finish_f32.def"
#undef K

extern const md_finish_f32_kernel md_finish_f32_kernels[]; /* run NULL ends */

/* The first row whose flags are all in cpu_flags. */
const md_finish_f32_kernel *md_finish_f32_select(uint32_t cpu_flags);

#endif
