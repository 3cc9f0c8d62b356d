/* Reductions over a set of axes, in double (float types) or 64-bit integers. */
#ifndef MD_OPS_COMMON_REDUCE_H
#define MD_OPS_COMMON_REDUCE_H

#include "kernels/reduce_f32.h"
#include "ops/common/util.h"

/* How one operator reduces: the steps are those of kernels/reduce_f32.h. */
typedef struct md_reduction {
    uint32_t types;
    int axes_input; /* opset from which axes are input 1 */
    md_reduce op;
    bool ints; /* integers stay integers and wrap; else in double */
} md_reduction;

md_status md_reduce__infer(const md_infer *c, const md_reduction *r,
                           md_error *err);
md_status md_reduce__run(md_exec *x, const md_reduction *r, md_infer_fn *infer,
                         md_error *err);

/* All of out, which is not empty. */
md_status md_reduce__compute(md_exec *x, const md_reduction *r, md_tensor *out,
                             md_arena *ar, md_error *err);

/* An operator's functions, from its `static const md_reduction reduce`. */
#define MD_REDUCE_FUNCTIONS                                                    \
    static md_status infer(const md_infer *c, md_error *err)                   \
    {                                                                          \
        return md_reduce__infer(c, &reduce, err);                              \
    }                                                                          \
    static md_status run(md_exec *x, md_error *err)                            \
    {                                                                          \
        return md_reduce__run(x, &reduce, infer, err);                         \
    }

#endif
