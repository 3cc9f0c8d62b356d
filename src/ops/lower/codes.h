/*
 * Matrices of 8-bit codes on the right of products by gemm_s8, which takes
 * int8 without zero points: uint8 is moved by -128, and what zero points then
 * lack is taken from the sums:
 *
 *   sum (a - az)(b - bz) = sum a b - az * sum b - bz * sum (a - az)
 *
 * columns: the sums of the columns of b, as packed.
 */
#ifndef MD_OPS_LOWER_CODES_H
#define MD_OPS_LOWER_CODES_H

#include "kernels/gemm_s8.h"
#include "kernels/quantize.h"
#include "ops/lower/common.h"

/* n codes as int8. */
void md_codes__as_s8(int8_t *to, const uint8_t *from, int64_t n,
                     bool is_signed);

/* Pack b, int8, and add up its columns, [n up to a multiple of 16]. */
void md_codes__pack(int8_t *packed, int32_t *columns,
                    const md_gemm_s8_kernel *kernel, const md_gemm_s8_b *b);

/* Element i of a zero point (one for all, or more) of codes, as moved. */
int32_t md_codes__zero(const void *zero, int64_t n_zero, bool is_signed,
                       int64_t i);

/* The sum of n codes, modulo 2^32. */
uint32_t md_codes__sum(const uint8_t *q, int64_t n, bool is_signed);

/*
 * Constant matrices [n_matrices][k][n] that floats are multiplied by, after
 * being quantized to the 256 codes that span them.
 */
typedef struct md_codes {
    const md_gemm_s8_kernel *kernel;
    const md_requant_s8_kernel *requant;
    const md_quantize_kernel *quantize;
    int64_t k, n;
    int64_t k_padded, width; /* as packed */
    int64_t size;            /* bytes of one packed */
    int8_t *packed;
    int32_t *columns; /* [n_matrices][width], as the next two */
    int32_t *zero;    /* NULL: they are 0 */
    float *scale;
} md_codes;

/* From inputs `matrix`, `scale` and `scale` + 1, the zero point; one scale
 * and zero point for a matrix or for a column.  Column i becomes what is column
 * order[i] there.  MD_UNSUPPORTED unless they are constants.  Freed by
 * release. */
md_status md_codes__make(md_codes *out, const md_lower *lo, uint32_t matrix,
                         uint32_t scale, const int64_t *order, md_error *err);
void md_codes__release(const md_codes *c, const md_alloc *alloc);

/* Columns n0 .. n1 of c[m][ldc] = a[m][lda] times a matrix, + bias, +
 * residual; n0 is a multiple of 16, n1 too or n. */
typedef struct md_codes_product {
    int64_t matrix;
    int64_t m, n0, n1;
    const float *a;
    int64_t lda;
    const md_qparam *given; /* of all rows; NULL: each row has its own */
    float *c;
    int64_t ldc;
    const float *bias;     /* [n up to a multiple of 16], or NULL */
    const float *residual; /* as c, which it may be; or NULL */
} md_codes_product;

/* Bytes that a product of at most `m` rows needs; false on overflow. */
bool md_codes__scratch_size(size_t *out, const md_codes *c, int64_t m);

/* scratch: on a cache line. */
void md_codes__multiply(const md_codes *c, const md_codes_product *p,
                        void *scratch);

#endif
