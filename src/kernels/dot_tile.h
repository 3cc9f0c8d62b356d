/*
 * The innermost contract of the matrix products and convolutions that sum
 * quads: four bytes of A times four of B, which are four int8 products
 * (gemm_s8, conv_s8) or two of bf16 (gemm_bf16, conv_bf16), added to one sum
 * of 32 bits.  Only kernels/ uses this: drivers cut the work into tiles, each
 * instruction set computes them.
 *
 *   acc[r][c] = start[c] + sum over taps t, bytes i < 4 * n_quads of
 *               a[r * a_stride + taps[t] + i] * b[...]
 * with b walking through [t][quad][16][4] of each block.  Nothing outside
 * these bytes is read, rows up to a multiple of the kernel's row_unit
 * included: they may hold anything and get sums that mean nothing.
 */
#ifndef MD_KERNELS_DOT_TILE_H
#define MD_KERNELS_DOT_TILE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    MD_DOT_BLOCKS = 4,  /* most 16-column blocks of a tile */
    MD_DOT_SUMS = 1024, /* most sums of a tile, rows up to row_unit included */
};

/* Room for the sums of a tile. */
typedef union md_dot_sums {
    int32_t i[MD_DOT_SUMS];
    float f[MD_DOT_SUMS];
} md_dot_sums;

typedef struct md_dot_tile {
    void *acc; /* int32_t or float [rows up to row_unit][16 * blocks] */
    const uint8_t *a;
    int64_t a_stride;
    const int64_t *taps; /* byte offsets */
    int64_t n_taps;
    int64_t n_quads; /* a multiple of quad_unit */
    const int8_t *b;
    int64_t b_stride;  /* bytes from block to block */
    const void *start; /* as one row of acc */
    int rows;          /* 1 .. the kernel's rows */
    int blocks;        /* 1 .. 2; .. MD_DOT_BLOCKS where rows <= rows_wide */
} md_dot_tile;

typedef void md_dot_fn(const md_dot_tile *t);

/* Make the thread ready for tiles, or give what that took back. */
typedef void md_dot_use_fn(bool on);

typedef struct md_dot_kernel {
    const char *name;
    uint32_t required;  /* enum md_cpu_flags */
    int rows;           /* most rows of a tile of up to 2 blocks */
    int rows_wide;      /* most rows of a tile of more blocks */
    int row_unit;       /* rows are computed in multiples of this */
    int quad_unit;      /* quads of a tap come in multiples of this */
    int64_t chunk_macs; /* multiplications worth handing out: about 2 us */
    md_dot_use_fn *use; /* around the tiles of a chunk; NULL: nothing */
    md_dot_fn *dot;
} md_dot_kernel;

#endif
