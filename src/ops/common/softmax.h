/* Softmax and its kin over one axis (or, before opset 13, over all axes from
 * `axis` on). */
#ifndef MD_OPS_COMMON_SOFTMAX_H
#define MD_OPS_COMMON_SOFTMAX_H

#include "ops/common/util.h"
#include "ops/grad.h"

md_status md_softmax__infer(const md_infer *c, md_error *err);

/* n elements of v in place. */
typedef void md_softmax_fn(double *v, int64_t n);

/* softmax(v) */
void md_softmax__exp(double *v, int64_t n);

/* log(softmax(v)) */
void md_softmax__log(double *v, int64_t n);

md_status md_softmax__run(md_exec *x, md_tensor *out, md_softmax_fn *fn,
                          md_arena *ar, md_error *err);

/* The axes of one row of the node, for its adjoint; their number. */
int md_softmax__axes(md_grad *g, int64_t axes[MD_RANK_MAX]);

#endif
