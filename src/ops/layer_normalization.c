#include "ops/common/normalize.h"
#include "ops/grad.h"
#include "ops/lower.h"

static md_status infer(const md_infer *c, md_error *err)
{
    int64_t stash = md_node_attr_i(c->node, "stash_type", MD_DTYPE_F32);
    md_type t;
    int axis;

    if (stash != MD_DTYPE_F32 && stash != MD_DTYPE_BF16)
        return md_fail(err, MD_INVALID, "stash_type is %lld, 1 or 16 expected",
                       (long long)stash);
    MD_TRY(md_normalize__infer_rows(c, &axis, err));
    MD_TRY(md_infer__same_dtype(c, 0, 1, err));
    MD_TRY(md_infer__same_dtype(c, 0, 2, err));
    t = *c->in[0];
    for (int i = axis; t.has_rank && i < t.rank; i++)
        t.dim[i] = MD_DIM(1);
    t.dtype = (md_dtype)stash;
    md_infer__give(c, 1, &t);
    md_infer__give(c, 2, &t);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    md_tensor *out[3];
    int axis;

    MD_TRY(md_exec__outputs(x, infer, out, 3, err));
    MD_TRY(md_axis_normalize(&axis, md_node_attr_i(x->node, "axis", -1),
                             x->in[0]->shape.rank, err));
    md_normalize__rows(x, out, axis, false);
    return MD_OK;
}

static void grad(md_grad *g)
{
    md_normalize__grad(g, true);
}

const md_op md_op_layer_normalization = {
    .domain = "",
    .name = "LayerNormalization",
    .since = 1, /* onnxruntime fuses it into models of any opset */
    .in_min = 2,
    .in_max = 3,
    .out_min = 1,
    .out_max = 3,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .fast = &md_fast_layernorm,
    .grad = grad,
};
