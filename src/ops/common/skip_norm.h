/* The sum of input, skip and bias, normalized along its last axis. */
#ifndef MD_OPS_COMMON_SKIP_NORM_H
#define MD_OPS_COMMON_SKIP_NORM_H

#include "ops/common/util.h"

typedef struct md_skip_norm {
    uint32_t beta, bias; /* inputs; MD_VALUE_NONE: never there */
    bool rms;            /* root mean square, no mean */
} md_skip_norm;

md_status md_skip_norm__infer(const md_infer *c, const md_skip_norm *f,
                              md_error *err);
md_status md_skip_norm__run(md_exec *x, const md_skip_norm *f,
                            md_infer_fn *infer, md_error *err);

/* Rows of n doubles normalized in place; beta may be NULL.  *mean and *inv
 * are what LayerNormalization shows. */
void md_skip_norm__row(double *v, int64_t n, const double *gamma,
                       const double *beta, double epsilon, bool rms,
                       double *mean, double *inv);

#endif
