/* What ScatterElements was called before opset 11. */
#include "ops/common/scatter.h"
#include "ops/common/data.h"

static md_status infer(const md_infer *c, md_error *err)
{
    return md_scatter__infer_elements(c, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, md_scatter__elements, err);
}

const md_op md_op_scatter = {
    .domain = "",
    .name = "Scatter",
    .since = 9,
    .in_min = 3,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .until = 10,
    .infer = infer,
    .run = run,
    .data = md_data__moves_0_2,
};
