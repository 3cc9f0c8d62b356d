/* SimplifiedLayerNormalization, which onnxruntime writes into ai.onnx: what
 * became RMSNormalization, with the inverse deviation as an output. */
#include "ops/common/normalize.h"
#include "ops/grad.h"
#include "ops/lower.h"

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t;
    int axis;

    MD_TRY(md_normalize__infer_rows(c, &axis, err));
    t = *c->in[0];
    t.dtype = MD_DTYPE_F32;
    for (int i = axis; t.has_rank && i < t.rank; i++)
        t.dim[i] = MD_DIM(1);
    md_infer__give(c, 1, &t);
    if (md_infer__dtype(c, 1) != MD_DTYPE_NONE)
        md_infer__like(c, 0, 0, md_infer__dtype(c, 1));
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    md_tensor *out[3] = { NULL };
    int axis;

    MD_TRY(md_exec__outputs(x, infer, out, 2, err));
    MD_TRY(md_axis_normalize(&axis, md_node_attr_i(x->node, "axis", -1),
                             x->in[0]->shape.rank, err));
    out[2] = out[1];
    out[1] = NULL;
    md_normalize__rows(x, out, axis, true);
    return MD_OK;
}

static void grad(md_grad *g)
{
    md_normalize__grad(g, false);
}

const md_op md_op_simplified_layer_normalization = {
    .domain = "",
    .name = "SimplifiedLayerNormalization",
    .since = 1,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 2,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .fast = &md_fast_layernorm,
    .grad = grad,
};
