/*
 * C = scale * (A B), double.
 *
 *   A [m, k] row-major, row stride lda >= k.
 *   B [k, n], packed into panels of nr columns: [n / nr][k][nr], the last one
 *     filled up with zeros; or row-major with row stride ldb, as it lies,
 *     which pays where few rows pass over it.
 *   C [m, n] row-major, row stride ldc >= n; only [m, n] is written.
 *
 * Nothing outside of these is read.  C does not overlap A or B.  k == 0 gives
 * zeros.  Any alignment.
 *
 * Each element is summed in the order of k, whatever m and the cut are: with
 * fused multiply-adds but in ref, whose sums are rounded after each product
 * and each addition.  error <= (k + 2) * 2^-53 * scale * sum |a b|.
 */
#ifndef MD_KERNELS_GEMM_F64_H
#define MD_KERNELS_GEMM_F64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

typedef struct md_gemm_f64_args {
    int64_t m, n, k; /* all >= 0 */
    const double *a;
    int64_t lda;
    const double *b;
    int64_t ldb; /* of a row-major B; 0: B is packed */
    double *c;
    int64_t ldc;
    double scale; /* of the finished sum, rounded once more; 1: none */
} md_gemm_f64_args;

/* Compute C[m0 .. m1, n0 .. n1]; n0 is a multiple of nr, n1 too or n. */
typedef void md_gemm_f64_run_fn(const md_gemm_f64_args *x, int64_t m0,
                                int64_t m1, int64_t n0, int64_t n1);

typedef struct md_gemm_f64_kernel {
    const char *name;
    uint32_t required; /* enum md_cpu_flags, all must be present */
    int mr, nr;        /* rows and columns of a register tile */
    md_gemm_f64_run_fn *run;
} md_gemm_f64_kernel;

#define K(isa, need, mr, nr) md_gemm_f64_run_fn md_gemm_f64_run__##isa;
#include "kernels/gemm_f64.def"
#undef K

extern const md_gemm_f64_kernel md_gemm_f64_kernels[]; /* ends: run NULL */

/* The first row that cpu_flags allow; ref always fits. */
const md_gemm_f64_kernel *md_gemm_f64_select(uint32_t cpu_flags);

/* Bytes of a packed [k, n]; false when they overflow size_t. */
bool md_gemm_f64_packed_size(size_t *out, const md_gemm_f64_kernel *kernel,
                             int64_t k, int64_t n);

/* Element (i, j) of [k, n] is b[i * rs + j * cs]. */
typedef struct md_gemm_f64_b {
    const double *b;
    int64_t rs, cs;
    int64_t k, n;
} md_gemm_f64_b;

/* Pack columns n0 .. n1 of B to their places in dst; n0 is a multiple of nr,
 * n1 too or n. */
void md_gemm_f64_pack(double *dst, const md_gemm_f64_kernel *kernel,
                      const md_gemm_f64_b *b, int64_t n0, int64_t n1);

#endif
