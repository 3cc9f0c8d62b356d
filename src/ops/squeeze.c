#include "ops/common/data.h"
#include "ops/common/view.h"
#include "ops/grad.h"

/* Axes that are known only while running: their number tells the rank.  But as
 * many as there are dimensions would make a scalar, whose shape is known, and
 * nobody would look at the axes any more. */
static md_status infer_later(const md_infer *c, int n, md_error *err)
{
    const md_type *in = c->in[0];
    md_type t = { .dtype = in->dtype };

    if (in->has_rank && n >= 0 && n < in->rank)
        MD_TRY(md_infer__fresh_type(c, &t, t.dtype, in->rank - n, err));
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *in = c->in[0];
    uint32_t drop = 0;
    md_type t = { 0 };
    md_ints axes;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_ANY, err));
    MD_TRY(md_infer__moved_ints(c, "axes", 13, 1, &axes, err));
    t.dtype = in->dtype;
    if (!in->has_rank || !axes.known)
        return infer_later(c, axes.n, err);
    MD_TRY(md_infer__axes(&axes, in->rank, err));
    for (int i = 0; i < axes.n; i++) {
        MD_TRY(md_infer__must_equal(c, in->dim[axes.v[i]], MD_DIM(1),
                                    "a squeezed dimension", err));
        drop |= UINT32_C(1) << axes.v[i];
    }
    t.has_rank = true;
    for (int i = 0; i < in->rank; i++) {
        bool one = md_dim_is_const(in->dim[i]) && in->dim[i].k == 1;

        if (!axes.given && !md_dim_is_const(in->dim[i]))
            t.has_rank = false; /* it may be 1 */
        if (axes.given ? !(drop >> i & 1) : !one)
            t.dim[t.rank++] = in->dim[i];
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_view__run(x, infer, err);
}

const md_op md_op_squeeze = {
    .domain = "",
    .name = "Squeeze",
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
