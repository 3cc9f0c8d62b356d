/* com.microsoft's ExpandDims: Unsqueeze of one axis, which is an input. */
#include "ops/common/util.h"
#include "ops/common/view.h"

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *x = c->in[0];
    md_type y = { .dtype = x->dtype };
    int axis;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_ANY, err));
    MD_TRY(md_infer__need(c, 1, MD_T(I32), err));
    MD_TRY(md_infer__length(c, c->in[1], MD_DIM(1), "axis", err));
    MD_TRY(md_infer__rank(c, 0, 0, MD_RANK_MAX - 1, err));
    if (x->has_rank)
        MD_TRY(md_infer__fresh_type(c, &y, x->dtype, x->rank + 1, err));
    if (x->has_rank && c->cin[1] && md_tensor_n(c->cin[1]) == 1) {
        MD_TRY(md_axis_normalize(&axis, md_tensor_get_i64(c->cin[1], 0),
                                 x->rank + 1, err));
        for (int i = 0; i < y.rank; i++)
            y.dim[i] = i == axis ? MD_DIM(1) : x->dim[i < axis ? i : i - 1];
    }
    md_infer__give(c, 0, &y);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_view__run(x, infer, err);
}

const md_op md_op_ms_expand_dims = {
    .domain = "com.microsoft",
    .name = "ExpandDims",
    .since = 1,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_VIEW,
    .infer = infer,
    .run = run,
};
