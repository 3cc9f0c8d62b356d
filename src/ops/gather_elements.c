#include "ops/common/gather.h"

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t;
    int axis;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_ANY, err));
    MD_TRY(md_infer__need(c, 1, MD_TYPES_INDEX, err));
    MD_TRY(md_infer__rank(c, 0, 1, MD_RANK_MAX, err));
    t = *c->in[1];
    t.dtype = c->in[0]->dtype;
    if (c->in[0]->has_rank) {
        MD_TRY(md_axis_normalize(&axis, md_node_attr_i(c->node, "axis", 0),
                                 c->in[0]->rank, err));
        MD_TRY(md_infer__rank(c, 1, c->in[0]->rank, c->in[0]->rank, err));
    }
    for (int i = 0; c->in[0]->has_rank && t.has_rank && i < t.rank; i++) {
        md_dim a = t.dim[i], b = c->in[0]->dim[i];

        if (i != axis && md_dim_is_const(a) && md_dim_is_const(b) && a.k > b.k)
            return md_fail(err, MD_INVALID,
                           "indices reach %lld along axis %d of %lld",
                           (long long)a.k, i, (long long)b.k);
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *in = &x->in[0]->shape;
    int64_t index[MD_RANK_MAX] = { 0 }, stride[MD_RANK_MAX];
    md_place to = { .t = out }, from = { .t = (md_tensor *)x->in[0] };
    md_shape one = { 0 };
    int axis;

    (void)ar;
    MD_TRY(md_axis_normalize(&axis, md_node_attr_i(x->node, "axis", 0),
                             in->rank, err));
    md_shape_strides(stride, in);
    do {
        int64_t at = 0;

        MD_TRY(md_gather__index(&at, x->in[1], to.at, in->dim[axis], err));
        from.at = at * stride[axis];
        for (int d = 0; d < in->rank; d++)
            from.at += d == axis ? 0 : index[d] * stride[d];
        md_move(&to, &from, &one);
        to.at++;
    } while (md_step_index(index, out->shape.dim, in->rank));
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_gather_elements = {
    .domain = "",
    .name = "GatherElements",
    .since = 11,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
