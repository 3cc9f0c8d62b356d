/*
 * Integer matrix product: C[m][n] = requant(start[n] + sum_k A[m][k] B[k][n]).
 *
 * Sums are exact modulo 2^32 on every level (no 16-bit saturation), so all
 * levels give the same bits.  The tile kernels take unsigned A only: signed A
 * is moved by +128 while it is copied, and start[] takes the difference back,
 * together with the zero point and the bias:
 *     start[n] = bias[n] - (zero + (signed ? 128 : 0)) * sum_k B[k][n]
 *
 * B is packed once as [n/16][k/4][16][4], n rounded up to blocks and k/4 to
 * the quad_unit of the kernel, filled with zeros.  Workload: M = 1 .. some
 * hundreds, K and N up to some thousands.
 */
#ifndef MD_KERNELS_GEMM_S8_H
#define MD_KERNELS_GEMM_S8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"
#include "kernels/requant_s8.h"

enum {
    MD_DOT_BLOCKS = 4,  /* most 16-column blocks of a tile */
    MD_DOT_SUMS = 1024, /* most sums of a tile, rows up to row_unit included */
};

/*
 * One tile of sums, shared by gemm_s8 and conv_s8:
 *   acc[r][c] = start[c] + sum over taps t, bytes i < 4 * n_quads of
 *               a[r * a_stride + taps[t] + i] * b[...]
 * with b walking through [t][quad][16][4] of each block.  Nothing outside
 * these bytes is read, rows up to a multiple of the kernel's row_unit
 * included: they may hold anything and get sums that mean nothing.
 */
typedef struct md_dot_tile {
    int32_t *acc; /* [rows up to row_unit][16 * blocks] */
    const uint8_t *a;
    int64_t a_stride;
    const int64_t *taps; /* byte offsets */
    int64_t n_taps;
    int64_t n_quads; /* a multiple of quad_unit */
    const int8_t *b;
    int64_t b_stride; /* bytes from block to block */
    const int32_t *start;
    int rows;   /* 1 .. the kernel's rows */
    int blocks; /* 1 .. 2; .. MD_DOT_BLOCKS where rows <= rows_wide */
} md_dot_tile;

typedef void md_dot_s8_fn(const md_dot_tile *t);

/* Make the thread ready for tiles, or give what that took back. */
typedef void md_dot_s8_use_fn(bool on);

typedef struct md_gemm_s8_kernel {
    const char *name;
    uint32_t required;     /* enum md_cpu_flags */
    int rows;              /* most rows of a tile of up to 2 blocks */
    int rows_wide;         /* most rows of a tile of more blocks */
    int row_unit;          /* rows are computed in multiples of this */
    int quad_unit;         /* quads of a tap come in multiples of this */
    int64_t chunk_macs;    /* multiplications worth handing out: about 2 us */
    md_dot_s8_use_fn *use; /* around the tiles of a chunk; NULL: nothing */
    md_dot_s8_fn *dot;
} md_gemm_s8_kernel;

#define K(isa, need, rows, wide, row_unit, quad_unit, macs, use)               \
    md_dot_s8_fn md_dot_s8__##isa;
#include "kernels/gemm_s8.def"
#undef K

md_dot_s8_use_fn md_dot_s8_use__amx_int8;

extern const md_gemm_s8_kernel md_gemm_s8_kernels[]; /* dot NULL ends */

/* The first row whose flags are all in cpu_flags. */
const md_gemm_s8_kernel *md_gemm_s8_select(uint32_t cpu_flags);

/* Everything is borrowed.  c must not overlap a; res may equal c. */
typedef struct md_gemm_s8_args {
    const md_gemm_s8_kernel *kernel;
    const md_requant_s8_kernel *requant;
    int64_t m, n, k;
    const void *a; /* u8 or s8 [m][lda] */
    int64_t lda;
    bool a_signed;
    const int8_t *b;      /* packed */
    const int32_t *start; /* [n up to a multiple of 16] */
    void *c;              /* [m][ldc], elements of rq.out */
    int64_t ldc;
    const void *res; /* u8 or s8 [m][ldr], or NULL */
    int64_t ldr;
    md_requant rq;
} md_gemm_s8_args;

/* Bytes of one column of packed B; md_gemm_s8_start's k_padded. */
int64_t md_gemm_s8_packed_k(const md_gemm_s8_kernel *kernel, int64_t k);

/* Bytes of packed B; n and k must be such that the product fits. */
size_t md_gemm_s8_packed_size(const md_gemm_s8_kernel *kernel, int64_t n,
                              int64_t k);

/* Element [k][n] of B is b[k * stride_k + n * stride_n]. */
typedef struct md_gemm_s8_b {
    const int8_t *b;
    int64_t n, k;
    int64_t stride_n, stride_k;
} md_gemm_s8_b;

/* Pack B for this kernel. */
void md_gemm_s8_pack(int8_t *out, const md_gemm_s8_kernel *kernel,
                     const md_gemm_s8_b *b);

/* start[n up to 16] of packed b whose columns have k_padded bytes; bias
 * (NULL: 0) has n entries. */
void md_gemm_s8_start(int32_t *start, const int8_t *packed, int64_t n,
                      int64_t k_padded, const int32_t *bias, int32_t zero,
                      bool a_signed);

/* Independent pieces of work; any order, any thread. */
int64_t md_gemm_s8_n_chunks(const md_gemm_s8_args *g);

/* Bytes of scratch that one md_gemm_s8_run needs; may be 0. */
size_t md_gemm_s8_scratch_size(const md_gemm_s8_args *g);

/* scratch: 64-byte aligned, one per thread. */
void md_gemm_s8_run(const md_gemm_s8_args *g, int64_t chunk, void *scratch);

#endif
