/*
 * Sum and product of two 8-bit tensors, each with its own scale and zero
 * point, with broadcasting:
 *   ADD: t = (float)(a - a_zero) * a_mult + (float)(b - b_zero) * b_mult
 *   MUL: t = (float)((a - a_zero) * (b - b_zero)) * a_mult
 *   y = clamp(round_half_even(t) + zero, q_min, q_max), then lut if any,
 * every operation rounded, so that all levels give the same bits.  a_mult is
 * a_scale / y_scale (MUL: a_scale * b_scale / y_scale); SUB is ADD with a
 * negative b_mult.  y may be a or b when that input has the shape of y.
 */
#ifndef MD_KERNELS_BINARY_S8_H
#define MD_KERNELS_BINARY_S8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"
#include "kernels/broadcast.h"

typedef struct md_binary_s8_op {
    bool mul; /* else ADD */
    bool a_signed, b_signed;
    int32_t a_zero, b_zero;
    float a_mult, b_mult;
    int32_t zero, q_min, q_max;
    const uint8_t *lut; /* [256] or NULL */
} md_binary_s8_op;

/* One row: a and b advance by a_step and b_step, each 0 or 1. */
typedef void md_binary_s8_fn(uint8_t *y, const uint8_t *a, const uint8_t *b,
                             size_t n, int a_step, int b_step,
                             const md_binary_s8_op *op);

typedef struct md_binary_s8_kernel {
    const char *name;
    uint32_t required; /* enum md_cpu_flags */
    md_binary_s8_fn *run;
} md_binary_s8_kernel;

#define K(isa, need) md_binary_s8_fn md_binary_s8__##isa;
#include "kernels/binary_s8.def"
#undef K

extern const md_binary_s8_kernel md_binary_s8_kernels[]; /* run NULL ends */

/* The first row whose flags are all in cpu_flags. */
const md_binary_s8_kernel *md_binary_s8_select(uint32_t cpu_flags);

typedef struct md_binary_s8_args {
    const md_binary_s8_kernel *kernel;
    md_broadcast shape; /* its n_chunks is the number of chunks */
    md_binary_s8_op op;
    uint8_t *y;
    const uint8_t *a, *b;
} md_binary_s8_args;

void md_binary_s8_run(const md_binary_s8_args *args, int64_t chunk);

#endif
