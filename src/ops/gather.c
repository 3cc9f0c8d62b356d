/* Slices of an axis, by index. */
#include "ops/common/gather.h"

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *in = c->in[0], *at = c->in[1];
    md_type t = { 0 };
    int axis;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_ANY, err));
    MD_TRY(md_infer__need(c, 1, MD_TYPES_INDEX, err));
    MD_TRY(md_infer__rank(c, 0, 1, MD_RANK_MAX, err));
    t.dtype = in->dtype;
    if (in->has_rank)
        MD_TRY(md_axis_normalize(&axis, md_node_attr_i(c->node, "axis", 0),
                                 in->rank, err));
    if (in->has_rank && at->has_rank) {
        if (in->rank + at->rank - 1 > MD_RANK_MAX)
            return md_fail(err, MD_UNSUPPORTED, "rank %d, at most %d expected",
                           in->rank + at->rank - 1, MD_RANK_MAX);
        t.has_rank = true;
        for (int i = 0; i < axis; i++)
            t.dim[t.rank++] = in->dim[i];
        for (int i = 0; i < at->rank; i++)
            t.dim[t.rank++] = at->dim[i];
        for (int i = axis + 1; i < in->rank; i++)
            t.dim[t.rank++] = in->dim[i];
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *in = &x->in[0]->shape;
    int64_t n = md_tensor_n(x->in[1]);
    md_place to = { .t = out, .stride = { 0, 1 } };
    md_place from = { .t = (md_tensor *)x->in[0], .stride = { 0, 1 } };
    md_shape block = { 2, { 0 } };
    int64_t size, inner;
    int axis;

    (void)ar;
    MD_TRY(md_axis_normalize(&axis, md_node_attr_i(x->node, "axis", 0),
                             in->rank, err));
    size = in->dim[axis];
    inner = md_shape_span(in, axis + 1, in->rank);
    block.dim[0] = md_shape_span(in, 0, axis);
    block.dim[1] = inner;
    to.stride[0] = n * inner;
    from.stride[0] = size * inner;
    for (int64_t i = 0; i < n; i++) {
        int64_t at = 0;

        MD_TRY(md_gather__index(&at, x->in[1], i, size, err));
        to.at = i * inner;
        from.at = at * inner;
        md_move(&to, &from, &block);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_gather = {
    .domain = "",
    .name = "Gather",
    .since = 1,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_GATHERS,
    .infer = infer,
    .run = run,
};
