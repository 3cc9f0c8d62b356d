/* Reductions over a set of axes, in double (float types) or int64. */
#ifndef MD_OPS_COMMON_REDUCE_H
#define MD_OPS_COMMON_REDUCE_H

#include "ops/common/util.h"

typedef struct md_reduce {
    uint32_t types;
    int axes_input; /* opset from which axes are input 1 */
    double start;
    double (*step)(double acc, double v);
    double (*finish)(double acc, int64_t n); /* NULL: acc */
    int64_t start_int;
    int64_t (*start_of)(md_dtype t);                /* NULL: start_int */
    int64_t (*step_int)(int64_t acc, int64_t v);    /* NULL: in double */
    uint64_t (*step_u64)(uint64_t acc, uint64_t v); /* NULL: step_int */
} md_reduce;

md_status md_reduce__infer(const md_infer *c, const md_reduce *r,
                           md_error *err);
md_status md_reduce__run(md_exec *x, const md_reduce *r, md_infer_fn *infer,
                         md_error *err);

/* All of out, which is not empty. */
md_status md_reduce__compute(md_exec *x, const md_reduce *r, md_tensor *out,
                             md_arena *ar, md_error *err);

/* An operator's functions, from its `static const md_reduce reduce`. */
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
