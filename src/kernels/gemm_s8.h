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
#include "kernels/dot_tile.h"
#include "kernels/finish_f32.h"
#include "kernels/requant_s8.h"

/* The rows of the list: tiles of int8 quads, see dot_tile.h. */
typedef md_dot_kernel md_gemm_s8_kernel;

#define K(isa, need, rows, wide, row_unit, quad_unit, macs, use)               \
    md_dot_fn md_dot_s8__##isa;
#include "kernels/gemm_s8.def"
#undef K

md_dot_use_fn md_dot_s8_use__amx_int8;

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
    const void *res; /* u8 or s8 [m][ldr], Q8 only; or NULL */
    int64_t ldr;
    md_requant rq;
    const int32_t *row[MD_REQUANT_TERMS]; /* [m]; for each rq.column[] */
    const float *row_mult;                /* [m]; F32 only; NULL: none */
    /* F32 only: a float residual with c's strides, which may be c, and an
     * activation, for which there must be `last`.  ep.bias is not read. */
    md_epilogue ep;
    const md_finish_f32_kernel *last; /* NULL: no activation */
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

/* Pack columns n0 .. n1 of B to their places in out; n0 is a multiple of 16,
 * n1 too or n. */
void md_gemm_s8_pack(int8_t *out, const md_gemm_s8_kernel *kernel,
                     const md_gemm_s8_b *b, int64_t n0, int64_t n1);

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
