/*
 * C = epilogue(A B), fp32.
 *
 *   A [m, k] row-major, row stride lda >= k; never read outside [m, k].
 *   B [k, n] with any strides, brought into panels once by pack_b: weights at
 *     load, activations (attention) in every run.
 *   C [m, n] row-major, row stride ldc >= n; only [m, n] is written.
 *
 * Packed B: panels of nr columns, the last one narrower but rounded up to 16
 * and filled with zeros; within a panel [k][width].  Panel p begins at element
 * p * nr * k, so that panels can be packed and used in any order.  The layout
 * belongs to the kernel: run only takes what the same row packed.
 *
 * No alignment is needed; 64 bytes for packed B is faster.  C may be the
 * residual but must not overlap A or B.  k == 0 gives epilogue(0).
 *
 * Where few rows are left for a tile, its spare accumulators take a part of
 * the products, so a row computed alone may differ from the same row among
 * others in its last bits.  Not when `strict`: then each sum is taken in the
 * order of k, whatever m is.
 *
 * Sums are fp32 in blocks of at most kc products; error <= (kc / 8 + k / kc +
 * 8) * 2^-24 * sum |a b| in the worst case, about 2e-7 of it in practice.
 */
#ifndef MD_KERNELS_GEMM_F32_H
#define MD_KERNELS_GEMM_F32_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/epilogue.h"

typedef struct md_gemm_f32_args {
    int64_t m, n, k; /* all >= 0 */
    const float *a;
    int64_t lda;
    const float *b; /* packed */
    float *c;
    int64_t ldc;
    md_epilogue ep; /* bias per column; residual has stride ldc */
    bool strict;    /* see above */
} md_gemm_f32_args;

/* Element (i, j) of [k, n] is b[i * rs + j * cs]. */
typedef struct md_gemm_f32_b {
    const float *b;
    int64_t rs, cs;
    int64_t k, n;
} md_gemm_f32_b;

/* Pack columns n0 .. n1 of B to their places in dst; n0 is a multiple of nr,
 * n1 too or n. */
typedef void md_gemm_f32_pack_fn(float *dst, const md_gemm_f32_b *b, int64_t n0,
                                 int64_t n1);

/* Compute C[m0 .. m1, n0 .. n1]; n0 is a multiple of nr, n1 too or n. */
typedef void md_gemm_f32_run_fn(const md_gemm_f32_args *x, int64_t m0,
                                int64_t m1, int64_t n0, int64_t n1);

typedef struct md_gemm_f32_kernel {
    const char *name;
    uint32_t required; /* enum md_cpu_flags, all must be present */
    int mr, nr;        /* rows and columns of a register tile */
    md_gemm_f32_pack_fn *pack_b;
    md_gemm_f32_run_fn *run;
} md_gemm_f32_kernel;

#define K(isa, need, mr, nr)                                                   \
    md_gemm_f32_pack_fn md_gemm_f32_pack_b__##isa;                             \
    md_gemm_f32_run_fn md_gemm_f32_run__##isa;
#include "kernels/gemm_f32.def"
#undef K

extern const md_gemm_f32_kernel md_gemm_f32_kernels[]; /* ends: run NULL */

/* The first row that cpu_flags allow; ref always fits. */
const md_gemm_f32_kernel *md_gemm_f32_select(uint32_t cpu_flags);

/* Bytes of a packed [k, n]; false when they overflow size_t. */
bool md_gemm_f32_packed_size(size_t *out, int64_t k, int64_t n);

/* How C is cut for threads: chunk i is rows (i % m_chunks) * m_step and so on,
 * see md_gemm_f32_chunk_run. */
typedef struct md_gemm_f32_grid {
    int64_t m_step, n_step;
    int64_t m_chunks, n_chunks;
} md_gemm_f32_grid;

/* Cut [m, n] into about `threads` or a small multiple of it chunks that are
 * equal and keep tiles whole; 1 x 1 when there is too little work to share. */
void md_gemm_f32_split(md_gemm_f32_grid *out, const md_gemm_f32_kernel *kernel,
                       int64_t m, int64_t n, int64_t k, int threads);

/* Compute chunk i of grid, 0 <= i < m_chunks * n_chunks. */
void md_gemm_f32_chunk_run(const md_gemm_f32_kernel *kernel,
                           const md_gemm_f32_args *x,
                           const md_gemm_f32_grid *grid, int64_t i);

#endif
