/* A new axis of `depth`: values[1] where it equals the index, else
 * values[0]; an index outside has values[0] only.  From opset 11 on negative
 * indices count from the end. */
#include "ops/common/util.h"

static md_status find_depth(const md_infer *c, md_dim *out, md_error *err)
{
    double depth;

    if (!c->cin[1])
        return md_infer__fresh(c, out, err);
    depth = md_tensor_get_f64(c->cin[1], 0);
    if (!(depth >= 0.0 && depth < 0x1p63))
        return md_fail(err, MD_INVALID, "depth is %g", depth);
    *out = MD_DIM(md_tensor_get_i64(c->cin[1], 0));
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *at = c->in[0];
    md_type t = { .dtype = md_infer__dtype(c, 2) };
    md_dim depth;
    int axis;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_NUMBER, err));
    MD_TRY(md_infer__need(c, 1, MD_TYPES_NUMBER, err));
    MD_TRY(md_infer__need(c, 2, MD_TYPES_ANY, err));
    MD_TRY(md_infer__length(c, c->in[1], MD_DIM(1), "depth", err));
    MD_TRY(md_infer__rank(c, 2, 1, 1, err));
    MD_TRY(md_infer__length(c, c->in[2], MD_DIM(2), "values", err));
    MD_TRY(find_depth(c, &depth, err));
    if (at->has_rank) {
        if (at->rank == MD_RANK_MAX)
            return md_fail(err, MD_UNSUPPORTED, "the result's rank is above %d",
                           MD_RANK_MAX);
        MD_TRY(md_axis_normalize(&axis, md_node_attr_i(c->node, "axis", -1),
                                 at->rank + 1, err));
        t.has_rank = true;
        for (int i = 0; i < at->rank; i++) {
            if (i == axis)
                t.dim[t.rank++] = depth;
            t.dim[t.rank++] = at->dim[i];
        }
        if (axis == at->rank)
            t.dim[t.rank++] = depth;
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    md_place to = { .t = out, .stride = { 1 } };
    md_place from = { .t = (md_tensor *)x->in[2] };
    md_shape all = { .rank = 1, .dim = { md_tensor_n(out) } }, one = { 0 };
    int64_t n = md_tensor_n(x->in[0]), inner, depth;
    int axis;

    (void)ar;
    MD_TRY(md_axis_normalize(&axis, md_node_attr_i(x->node, "axis", -1),
                             out->shape.rank, err));
    depth = out->shape.dim[axis];
    inner = md_shape_span(&out->shape, axis + 1, out->shape.rank);
    md_exec__move(x, &to, &from, &all);
    from.at = 1;
    for (int64_t i = 0; i < n; i++) {
        int64_t v = md_tensor_get_i64(x->in[0], i);

        if (x->opset >= 11 && v < 0 && v >= -depth)
            v += depth;
        if (v < 0 || v >= depth)
            continue;
        to.at = (i / inner * depth + v) * inner + i % inner;
        md_move(&to, &from, &one);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_one_hot = {
    .domain = "",
    .name = "OneHot",
    .since = 9,
    .in_min = 3,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
};
