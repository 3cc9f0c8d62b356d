/*
 * Float matrix product with bf16 operands: C = epilogue(A B), where A and B
 * are rounded to bf16 (cast_bf16.h), products are exact and sums are fp32.
 *
 * Sums are taken in another order on every level; rows with instructions for
 * it take subnormal operands and sums for zeros.  Against the exact product
 * of the rounded operands the error is at most (k + 4) * 2^-23 * sum |a b|;
 * rounding the operands themselves adds up to 2^-8 * sum |a b|.
 *
 * Packed B is [n/16][k/2][16][2], n rounded up to blocks and k/2 to the
 * quad_unit of the kernel, filled with zeros.  A is rounded while it is copied
 * to scratch.
 */
#ifndef MD_KERNELS_GEMM_BF16_H
#define MD_KERNELS_GEMM_BF16_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/cast_bf16.h"
#include "kernels/dot_tile.h"
#include "kernels/finish_f32.h"

/* The rows of the list: tiles of pairs of bf16, see dot_tile.h. */
typedef md_dot_kernel md_gemm_bf16_kernel;

#define K(isa, need, rows, wide, row_unit, quad_unit, size, use)               \
    md_dot_fn md_dot_bf16__##isa;
#include "kernels/gemm_bf16.def"
#undef K

md_dot_use_fn md_dot_bf16_use__amx_bf16;

extern const md_gemm_bf16_kernel md_gemm_bf16_kernels[]; /* dot NULL ends */

/* The first row whose flags are all in cpu_flags. */
const md_gemm_bf16_kernel *md_gemm_bf16_select(uint32_t cpu_flags);

/* Element (i, j) of [k, n] is b[i * rs + j * cs]. */
typedef struct md_gemm_bf16_b {
    const float *b;
    int64_t rs, cs;
    int64_t k, n;
} md_gemm_bf16_b;

/* Bytes of packed B; false when they overflow. */
bool md_gemm_bf16_packed_size(size_t *out, const md_gemm_bf16_kernel *kernel,
                              int64_t k, int64_t n);

/* Pack columns n0 .. n1 to their places in out; n0 is a multiple of 16, n1
 * too or n. */
void md_gemm_bf16_pack(uint16_t *out, const md_gemm_bf16_kernel *kernel,
                       const md_cast_bf16_kernel *cast, const md_gemm_bf16_b *b,
                       int64_t n0, int64_t n1);

/* Everything is borrowed.  c must not overlap a or b; it may be the
 * residual. */
typedef struct md_gemm_bf16_args {
    const md_gemm_bf16_kernel *kernel;
    const md_cast_bf16_kernel *cast;
    const md_finish_f32_kernel *finish;
    int64_t m, n, k;
    const float *a; /* [m][lda] */
    int64_t lda;
    const uint16_t *rounded; /* A by md_gemm_bf16_round; NULL: each chunk rounds
                              * the rows that it needs */
    const uint16_t *b;       /* packed */
    float *c;                /* [m][ldc] */
    int64_t ldc;
    md_epilogue ep; /* bias per column; residual has stride ldc */
} md_gemm_bf16_args;

/* How many chunks would round the same row. */
int64_t md_gemm_bf16_n_roundings(const md_gemm_bf16_args *g);

/* Bytes of `rounded`, on a cache line; SIZE_MAX: nobody has that. */
size_t md_gemm_bf16_rounded_size(const md_gemm_bf16_args *g);

/* Rows m0 .. m1 of A to their places in `rounded`. */
void md_gemm_bf16_round(const md_gemm_bf16_args *g, int64_t m0, int64_t m1,
                        uint16_t *rounded);

/* Independent pieces of work; any order, any thread. */
int64_t md_gemm_bf16_n_chunks(const md_gemm_bf16_args *g);

/* Bytes of scratch that one md_gemm_bf16_run needs. */
size_t md_gemm_bf16_scratch_size(const md_gemm_bf16_args *g);

/* scratch: 64-byte aligned, one per thread. */
void md_gemm_bf16_run(const md_gemm_bf16_args *g, int64_t chunk, void *scratch);

#endif
