/*
 * Codes of 4 or 8 bits to floats, y = code * scale + shift, with a scale and a
 * shift for each column: a block of rows of the weights of MatMulNBits.
 * Multiplied and added in two roundings, so every level gives the same bits.
 */
#ifndef MD_KERNELS_UNPACK_F32_H
#define MD_KERNELS_UNPACK_F32_H

#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

/*
 * y is [rows][width], width a multiple of 16.  Of 8 bits q is [rows][width];
 * of 4 bits a byte holds two rows of a column, the first in its low half:
 * [(rows + 1) / 2][width].  Any alignment; no overlap.
 */
typedef struct md_unpack_f32_args {
    float *y;
    const uint8_t *q;
    const float *scale, *shift; /* [width] */
    int64_t rows, width;
    int bits; /* 4 or 8 */
} md_unpack_f32_args;

typedef void md_unpack_f32_fn(const md_unpack_f32_args *a);

typedef struct md_unpack_f32_kernel {
    const char *name;
    uint32_t required; /* enum md_cpu_flags */
    md_unpack_f32_fn *run;
} md_unpack_f32_kernel;

#define K(isa, need) md_unpack_f32_fn md_unpack_f32__##isa;
#include "kernels/unpack_f32.def"
#undef K

extern const md_unpack_f32_kernel md_unpack_f32_kernels[]; /* run NULL ends */

/* The first row whose flags are all in cpu_flags. */
const md_unpack_f32_kernel *md_unpack_f32_select(uint32_t cpu_flags);

#endif
