/*
 * Codes of 4 or 8 bits as weights, w = code * scale + shift, with a scale and
 * perhaps a shift for each column of a block of rows: the weights of
 * MatMulNBits.  Either they become floats, for a product of many rows, or one
 * row is multiplied with them as they are.
 *
 * Codes are signed.  A word of four bytes has eight (or four) consecutive rows
 * of a column, the first in its lowest bits: q is [rows / 8 (or 4), rounded
 * up][width] words.  Any alignment; no overlap; width is a multiple of 16.
 */
#ifndef MD_KERNELS_UNPACK_F32_H
#define MD_KERNELS_UNPACK_F32_H

#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

/* y [rows][width].  Multiplied and added in two roundings, so every level
 * gives the same bits. */
typedef struct md_unpack_f32_args {
    float *y;
    const uint8_t *q;
    const float *scale, *shift; /* [width]; shift may be NULL */
    int64_t rows, width;
    int bits; /* 4 or 8 */
} md_unpack_f32_args;

/*
 * y [width] = x [rows] times the weights of blocks of `block` rows, a multiple
 * of 8; the last may be shorter.  Sums are fp32; error <= (block / 2 + blocks
 * + 4) * 2^-24 * sum of |x| (|code scale| + |shift|).
 */
typedef struct md_unpack_f32_product {
    float *y;
    const float *x;
    const uint8_t *q;           /* [blocks][words of a block][width] */
    const float *scale, *shift; /* [blocks][width]; shift may be NULL */
    int64_t rows, block, width;
    int bits; /* 4 or 8 */
} md_unpack_f32_product;

typedef void md_unpack_f32_fn(const md_unpack_f32_args *a);
typedef void md_unpack_f32_product_fn(const md_unpack_f32_product *a);

typedef struct md_unpack_f32_kernel {
    const char *name;
    uint32_t required; /* enum md_cpu_flags */
    md_unpack_f32_fn *run;
    md_unpack_f32_product_fn *product;
} md_unpack_f32_kernel;

#define K(isa, need)                                                           \
    md_unpack_f32_fn md_unpack_f32__##isa;                                     \
    md_unpack_f32_product_fn md_unpack_f32_product__##isa;
#include "kernels/unpack_f32.def"
#undef K

extern const md_unpack_f32_kernel md_unpack_f32_kernels[]; /* run NULL ends */

/* The first row whose flags are all in cpu_flags. */
const md_unpack_f32_kernel *md_unpack_f32_select(uint32_t cpu_flags);

#endif
