#include "ops/common/gelu.h"
#include "ops/lower.h"

#include <string.h>

static md_status infer(const md_infer *c, md_error *err)
{
    const char *how = md_node_attr_s(c->node, "approximate", "none");

    if (strcmp(how, "none") != 0 && strcmp(how, "tanh") != 0)
        return md_fail(err, MD_INVALID,
                       "approximate is '%s', none or tanh expected", how);
    return md_infer__elementwise(c, MD_TYPES_FLOAT, err);
}

static md_status run(md_exec *x, md_error *err)
{
    const char *how = md_node_attr_s(x->node, "approximate", "none");

    return md_unary__run(
        x, strcmp(how, "tanh") == 0 ? &md_gelu__tanh : &md_gelu__erf, infer,
        err);
}

const md_op md_op_gelu = {
    .domain = "",
    .name = "Gelu",
    .since = 20,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_INPLACE | MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .fast = &md_fast_unary,
};
