#include "ops/common/data.h"
#include "ops/common/view.h"
#include "ops/grad.h"

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *in = c->in[0];
    uint32_t added = 0;
    md_type t = { 0 };
    md_ints axes;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_ANY, err));
    MD_TRY(md_infer__moved_ints(c, "axes", 13, 1, &axes, err));
    if (!axes.given)
        return md_fail(err, MD_INVALID, "Unsqueeze lacks axes");
    t.dtype = in->dtype;
    if (!in->has_rank || axes.n < 0) {
        md_infer__give(c, 0, &t);
        return MD_OK;
    }
    if (in->rank + axes.n > MD_RANK_MAX)
        return md_fail(err, MD_UNSUPPORTED, "rank %d, at most %d expected",
                       in->rank + axes.n, MD_RANK_MAX);
    if (!axes.known) {
        MD_TRY(md_infer__fresh_type(c, &t, t.dtype, in->rank + axes.n, err));
        md_infer__give(c, 0, &t);
        return MD_OK;
    }
    t.has_rank = true;
    t.rank = in->rank + axes.n;
    MD_TRY(md_infer__axes(&axes, t.rank, err));
    for (int i = 0; i < axes.n; i++)
        added |= UINT32_C(1) << axes.v[i];
    for (int i = 0, j = 0; i < t.rank; i++)
        t.dim[i] = added >> i & 1 ? MD_DIM(1) : in->dim[j++];
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_view__run(x, infer, err);
}

const md_op md_op_unsqueeze = {
    .domain = "",
    .name = "Unsqueeze",
    .since = 1,
    .in_min = 1,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_VIEW | MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .data = md_data__moves_0,
    .grad = md_grad_reshaped,
};
