/* CumSum and CumProd: each element combined with all before it on an axis. */
#ifndef MD_OPS_COMMON_CUMULATE_H
#define MD_OPS_COMMON_CUMULATE_H

#include "ops/common/util.h"

typedef struct md_cumulate {
    uint32_t types; /* of the data */
    uint64_t start; /* what nothing combined gives */
    bool product;   /* instead of sums; integers wrap */
} md_cumulate;

md_status md_cumulate__infer(const md_infer *c, const md_cumulate *how,
                             md_error *err);

/* All of out, which is not empty; attributes exclusive and reverse. */
md_status md_cumulate__compute(md_exec *x, md_tensor *out,
                               const md_cumulate *how, md_error *err);

#endif
