#include "ops/common/data.h"
#include "ops/common/view.h"
#include "ops/grad.h"

static md_status infer(const md_infer *c, md_error *err)
{
    int64_t axis = md_node_attr_i(c->node, "axis", 1);
    const md_type *in = c->in[0];
    md_type t;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_ANY, err));
    t = (md_type){ .dtype = in->dtype, .has_rank = true, .rank = 2 };
    if (!in->has_rank)
        MD_TRY(md_infer__fresh_type(c, &t, in->dtype, 2, err));
    if (in->has_rank) {
        if (axis < -in->rank || axis > in->rank)
            return md_fail(err, MD_INVALID,
                           "axis %lld is outside [%d, %d] of a rank %d tensor",
                           (long long)axis, -in->rank, in->rank, in->rank);
        if (axis < 0)
            axis += in->rank;
        MD_TRY(md_dim__span(c, &t.dim[0], in, 0, (int)axis, err));
        MD_TRY(md_dim__span(c, &t.dim[1], in, (int)axis, in->rank, err));
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_view__run(x, infer, err);
}

const md_op md_op_flatten = {
    .domain = "",
    .name = "Flatten",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_VIEW | MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .data = md_data__moves_0,
    .grad = md_grad_reshaped,
};
