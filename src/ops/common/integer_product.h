/*
 * Products of quantized matrices: MatMulInteger, and what scales its sums to
 * floats.
 *
 * A parameter (zero point or scale) of a matrix is one number for all of it,
 * one for each row of a left matrix or each column of a right one, or has the
 * matrix's rank: one for each row or column of every matrix of a batch.
 */
#ifndef MD_OPS_COMMON_INTEGER_PRODUCT_H
#define MD_OPS_COMMON_INTEGER_PRODUCT_H

#include "ops/common/product.h"

/* Input `param`, if it is there, is a parameter of matrix input i, which
 * stands on the left or the right; `what` names it. */
md_status md_integer_product__check(const md_infer *c, uint32_t param,
                                    uint32_t i, bool left, const char *what,
                                    md_error *err);

/* So are what belongs to the right matrix, input b; its bias has an element for
 * each column. */
md_status md_integer_product__check_b(const md_infer *c, uint32_t b,
                                      uint32_t scale, uint32_t zero,
                                      uint32_t bias, md_error *err);

/* Matrices and their parameters; NULL where there is none. */
typedef struct md_integer_product {
    const md_tensor *a, *a_zero, *b, *b_zero;
    float a_scale; /* these three only for md_integer_product__scaled */
    const md_tensor *b_scale;
    const md_tensor *bias; /* one for each column, or NULL */
} md_integer_product;

/* out[batch, m, n] = (a - a_zero) * (b - b_zero), zeroed before. */
md_status md_integer_product__sums(const md_integer_product *p, int32_t *out,
                                   md_arena *ar, md_error *err);

/* out = sums * (a_scale * b_scale) + bias; the product of the scales, the
 * multiplication and the addition are each rounded to float32. */
md_status md_integer_product__scaled(const md_integer_product *p,
                                     md_tensor *out, md_arena *ar,
                                     md_error *err);

#endif
