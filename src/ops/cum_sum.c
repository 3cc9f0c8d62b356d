/* Sums of all elements up to each one (or before it, with exclusive). */
#include "ops/common/cumulate.h"

static const md_cumulate how = {
    .types = MD_TYPES_NUMBER,
    .start = 0,
};

static md_status infer(const md_infer *c, md_error *err)
{
    return md_cumulate__infer(c, &how, err);
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    (void)ar;
    return md_cumulate__compute(x, out, &how, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_cum_sum = {
    .domain = "",
    .name = "CumSum",
    .since = 11,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
