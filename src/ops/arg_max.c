#include "ops/common/arg.h"
#include "ops/lower.h"

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    (void)ar;
    return md_arg__compute(x, out, 1, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, md_arg__infer, compute, err);
}

const md_op md_op_arg_max = {
    .domain = "",
    .name = "ArgMax",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = md_arg__infer,
    .run = run,
    .fast = &md_fast_arg,
};
