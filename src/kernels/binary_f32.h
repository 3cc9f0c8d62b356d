/*
 * y = act(a op b) on floats with broadcasting.  y may be a or b when that
 * input has the shape of y.  Every level gives the same bits, but for smooth
 * activations (see epilogue.h) and POW (1 ulp: computed in double, as libm's is,
 * and rounded once).
 */
#ifndef MD_KERNELS_BINARY_F32_H
#define MD_KERNELS_BINARY_F32_H

#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"
#include "kernels/broadcast.h"
#include "kernels/epilogue.h"

typedef enum md_binary {
#define B(id, name, value) MD_BINARY_##id,
#include "kernels/binary.def"
#undef B
    MD_BINARY_COUNT,
} md_binary;

typedef struct md_binary_op {
    md_binary op;
    md_act act;
    float act_a, act_b;
} md_binary_op;

/* One row: a and b advance by a_step and b_step, each 0 or 1. */
typedef void md_binary_f32_fn(float *y, const float *a, const float *b,
                              size_t n, int a_step, int b_step,
                              const md_binary_op *op);

typedef struct md_binary_f32_kernel {
    const char *name;
    uint32_t required; /* enum md_cpu_flags */
    md_binary_f32_fn *run;
} md_binary_f32_kernel;

#define K(isa, need) md_binary_f32_fn md_binary_f32__##isa;
#include "kernels/binary_f32.def"
#undef K

extern const md_binary_f32_kernel md_binary_f32_kernels[]; /* run NULL ends */

/* The first row whose flags are all in cpu_flags. */
const md_binary_f32_kernel *md_binary_f32_select(uint32_t cpu_flags);

typedef struct md_binary_f32_args {
    const md_binary_f32_kernel *kernel;
    md_broadcast shape; /* its n_chunks is the number of chunks */
    md_binary_op op;
    float *y;
    const float *a, *b;
} md_binary_f32_args;

void md_binary_f32_run(const md_binary_f32_args *args, int64_t chunk);

#endif
