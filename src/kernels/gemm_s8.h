/*
 * Integer matrix product: C[m][n] = requant(start[n] + sum_k A[m][k] B[k][n]).
 *
 * Sums are exact modulo 2^32 on every level (no 16-bit saturation), so all
 * levels give the same bits.  The tile kernels take unsigned A only: signed A
 * is moved by +128 while it is copied, and start[] takes the difference back,
 * together with the zero point and the bias:
 *     start[n] = bias[n] - (zero + (signed ? 128 : 0)) * sum_k B[k][n]
 *
 * B is packed once as [n/16][k/4][16][4], both rounded up and filled with
 * zeros.  Workload: M = 1 .. some hundreds, K and N up to some thousands.
 */
#ifndef MD_KERNELS_GEMM_S8_H
#define MD_KERNELS_GEMM_S8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"
#include "kernels/requant_s8.h"

enum {
    MD_DOT_ROWS = 12,  /* most rows of a tile */
    MD_DOT_BLOCKS = 4, /* most 16-column blocks of a tile */
};

/*
 * One tile of sums, shared by gemm_s8 and conv_s8:
 *   acc[r][c] = start[c] + sum over taps t, bytes i < 4 * n_quads of
 *               a[r * a_stride + taps[t] + i] * b[...]
 * with b walking through [t][quad][16][4] of each block.  Nothing outside
 * these bytes is read.
 */
typedef struct md_dot_tile {
    int32_t *acc; /* [rows][16 * blocks] */
    const uint8_t *a;
    int64_t a_stride;
    const int64_t *taps; /* byte offsets */
    int64_t n_taps;
    int64_t n_quads;
    const int8_t *b;
    int64_t b_stride; /* bytes from block to block */
    const int32_t *start;
    int rows;   /* 1 .. MD_DOT_ROWS */
    int blocks; /* 1 .. MD_DOT_BLOCKS, more than 2 only for rows <= 6 */
} md_dot_tile;

typedef void md_dot_s8_fn(const md_dot_tile *t);

typedef struct md_gemm_s8_kernel {
    const char *name;
    uint32_t required; /* enum md_cpu_flags */
    md_dot_s8_fn *dot;
} md_gemm_s8_kernel;

#define K(isa, need) md_dot_s8_fn md_dot_s8__##isa;
#include "kernels/gemm_s8.def"
#undef K

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

/* Bytes of packed B; n and k must be such that the product fits. */
size_t md_gemm_s8_packed_size(int64_t n, int64_t k);

/* Pack B, element [k][n] at b[k * stride_k + n * stride_n]. */
void md_gemm_s8_pack(int8_t *out, const int8_t *b, int64_t n, int64_t k,
                     int64_t stride_n, int64_t stride_k);

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
