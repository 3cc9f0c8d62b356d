/* At inference the input passes unchanged; the mask is all true, before opset
 * 10 all 1 in the input's type. */
#include "ops/common/view.h"

static md_status infer(const md_infer *c, md_error *err)
{
    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT | MD_TYPES_F8, err));
    MD_TRY(md_infer__may(c, 1, MD_TYPES_FLOAT | MD_TYPES_F8, err));
    MD_TRY(md_infer__may(c, 2, MD_T(BOOL), err));
    if (md_infer_has(c, 2) && c->cin[2] && md_tensor_n(c->cin[2]) == 1 &&
        md_tensor_get_i64(c->cin[2], 0))
        return md_fail(err, MD_UNSUPPORTED, "Dropout in training mode");
    if (c->opset < 7 && !md_node_attr_i(c->node, "is_test", 0))
        return md_fail(err, MD_UNSUPPORTED,
                       "Dropout in training mode, is_test is not set");
    md_infer__give(c, 0, c->in[0]);
    md_infer__like(c, 1, 0, c->opset < 10 ? c->in[0]->dtype : MD_DTYPE_BOOL);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    md_tensor *out[2];

    MD_TRY(md_exec__outputs(x, infer, out, 2, err));
    if (out[0])
        md_move_all(out[0], x->in[0]);
    for (int64_t i = 0; out[1] && i < md_tensor_n(out[1]); i++)
        md_tensor_set_f64(out[1], i, 1.0);
    return MD_OK;
}

const md_op md_op_dropout = {
    .domain = "",
    .name = "Dropout",
    .since = 1,
    .in_min = 1,
    .in_max = 3,
    .out_min = 1,
    .out_max = 2,
    .flags = MD_OP_VIEW,
    .infer = infer,
    .run = run,
};
