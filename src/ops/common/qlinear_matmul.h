/* QLinearMatMul and what ends in floats instead of its codes. */
#ifndef MD_OPS_COMMON_QLINEAR_MATMUL_H
#define MD_OPS_COMMON_QLINEAR_MATMUL_H

#include "ops/common/util.h"

/* QLinearMatMul's inputs; the result is of `dtype`, or of the dtype of its zero
 * point where that is MD_DTYPE_NONE. */
md_status md_qlinear_matmul__infer(const md_infer *c, md_dtype dtype,
                                   md_error *err);

/* Its codes, into a tensor of the result's shape and the zero point's dtype. */
md_status md_qlinear_matmul__codes(const md_exec *x, md_tensor *out,
                                   md_arena *ar, md_error *err);

int64_t md_qlinear_matmul__macs(const md_node *n, const md_shape *const *in,
                                const md_shape *const *out);

#endif
