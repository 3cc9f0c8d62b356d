/* com.microsoft's Gelu: always by erf. */
#include "ops/common/gelu.h"
#include "ops/lower.h"

static md_status infer(const md_infer *c, md_error *err)
{
    return md_infer__elementwise(c, MD_TYPES_FLOAT, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_unary__run(x, &md_gelu__erf, infer, err);
}

const md_op md_op_ms_gelu = {
    .domain = "com.microsoft",
    .name = "Gelu",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_INPLACE | MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .fast = &md_fast_unary,
};
