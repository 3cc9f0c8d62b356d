#include "ops/common/view.h"

static md_status infer(const md_infer *c, md_error *err)
{
    return md_infer__elementwise(c, MD_TYPES_ANY, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_view__run(x, infer, err);
}

const md_op md_op_identity = {
    .domain = "",
    .name = "Identity",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_VIEW,
    .infer = infer,
    .run = run,
};
