#include "ops/common/normalize.h"
#include "ops/grad.h"
#include "ops/lower.h"

static md_status infer(const md_infer *c, md_error *err)
{
    int axis;

    return md_normalize__infer_rows(c, &axis, err);
}

static md_status run(md_exec *x, md_error *err)
{
    md_tensor *out[3] = { NULL };
    int axis;

    MD_TRY(md_exec__outputs(x, infer, out, 1, err));
    MD_TRY(md_axis_normalize(&axis, md_node_attr_i(x->node, "axis", -1),
                             x->in[0]->shape.rank, err));
    md_normalize__rows(x, out, axis, true);
    return MD_OK;
}

static void grad(md_grad *g)
{
    md_normalize__grad(g, false);
}

const md_op md_op_rms_normalization = {
    .domain = "",
    .name = "RMSNormalization",
    .since = 23,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .fast = &md_fast_layernorm,
    .grad = grad,
};
