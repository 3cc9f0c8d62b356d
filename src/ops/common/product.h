/* Matrix products by definition: MatMul and its relatives. */
#ifndef MD_OPS_COMMON_PRODUCT_H
#define MD_OPS_COMMON_PRODUCT_H

#include "ops/common/util.h"

/* One product: c[m][n] (row-major) += a[m][k] * b[k][n], with strides in
 * elements for a and b. */
typedef struct md_product {
    int64_t m, n, k;
    int64_t a_row, a_col; /* strides of a */
    int64_t b_row, b_col;
} md_product;

void md_product__f32(const md_product *p, float *c, const float *a,
                     const float *b);
void md_product__f64(const md_product *p, double *c, const double *a,
                     const double *b);
/* Integers wrap. */
void md_product__i32(const md_product *p, int32_t *c, const int32_t *a,
                     const int32_t *b);
void md_product__i64(const md_product *p, int64_t *c, const int64_t *a,
                     const int64_t *b);

/* NumPy matmul's result for inputs a and b of c. */
md_status md_matmul__infer(const md_infer *c, uint32_t a, uint32_t b,
                           md_dtype dtype, md_error *err);

/* A batch of products with matmul's shapes. */
typedef struct md_matmul {
    md_product one;
    int64_t n_batch;
    int rank; /* of the batch */
    int64_t batch[MD_RANK_MAX];
    int64_t a_stride[MD_RANK_MAX]; /* in matrices; 0: repeated */
    int64_t b_stride[MD_RANK_MAX];
} md_matmul;

/* Sizes for shapes that inference has accepted. */
void md_matmul__sizes(md_matmul *out, const md_shape *a, const md_shape *b);

/* Offsets in elements of batch i's matrices. */
void md_matmul__at(const md_matmul *m, int64_t i, int64_t *a, int64_t *b);

int64_t md_matmul__macs(const md_shape *a, const md_shape *out);

#endif
