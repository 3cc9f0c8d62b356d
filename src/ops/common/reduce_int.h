/* Reductions of integers in their own type, in which sums and products wrap
 * just as in a wider one that is cut afterwards. */
#ifndef MD_OPS_COMMON_REDUCE_INT_H
#define MD_OPS_COMMON_REDUCE_INT_H

#include <stdint.h>

#include "kernels/reduce_f32.h"
#include "tensor/dtype.h"

/* y[r] = y[r] op x[r * step] op x[r * step + stride] op ..., n numbers, for
 * r < rows; steps and strides count elements, y and x do not overlap. */
typedef void md_fold_int_fn(void *y, const void *x, int64_t rows, int64_t step,
                            int64_t n, int64_t stride);

/* The loop for SUM, PROD, MAX or MIN of a type, or NULL. */
md_fold_int_fn *md_fold_int__find(md_reduce op, md_dtype type);

#endif
