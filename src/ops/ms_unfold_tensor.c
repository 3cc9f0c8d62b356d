/* com.microsoft's UnfoldTensor: all windows of `size` elements along an axis,
 * `step` apart; what is in a window lies along a new last axis. */
#include "ops/common/util.h"

typedef struct windows {
    int axis;
    int64_t size, step;
} windows;

static md_status find(windows *w, const md_node *n, int rank, md_error *err)
{
    *w = (windows){ .size = md_node_attr_i(n, "size", 0),
                    .step = md_node_attr_i(n, "step", 1) };
    MD_TRY(
        md_axis_normalize(&w->axis, md_node_attr_i(n, "dim", -1), rank, err));
    if (w->size < 1 || w->step < 1)
        return md_fail(err, MD_INVALID,
                       "size is %lld and step %lld, at least 1 expected",
                       (long long)w->size, (long long)w->step);
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t;
    windows w;
    md_dim room;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_ANY, err));
    MD_TRY(md_infer__rank(c, 0, 1, MD_RANK_MAX - 1, err));
    t = *c->in[0];
    if (t.has_rank) {
        MD_TRY(find(&w, c->node, t.rank, err));
        room = t.dim[w.axis];
        if (md_dim_is_const(room) && room.k < w.size)
            return md_fail(err, MD_INVALID,
                           "windows of %lld in an axis of %lld",
                           (long long)w.size, (long long)room.k);
        MD_TRY(md_dim__affine(&room, room, 1, w.step - w.size, err));
        if (md_dim_is_const(room))
            t.dim[w.axis] = MD_DIM(room.k / w.step);
        else
            MD_TRY(md_infer__fresh(c, &t.dim[w.axis], err));
        t.dim[t.rank++] = MD_DIM(w.size);
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    md_place to = { .t = out }, from = { .t = (md_tensor *)x->in[0] };
    int rank = x->in[0]->shape.rank;
    windows w;

    (void)ar;
    MD_TRY(find(&w, x->node, rank, err));
    md_shape_strides(to.stride, &out->shape);
    md_shape_strides(from.stride, &x->in[0]->shape);
    from.stride[rank] = from.stride[w.axis];
    from.stride[w.axis] *= w.step;
    md_exec__move(x, &to, &from, &out->shape);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ms_unfold_tensor = {
    .domain = "com.microsoft",
    .name = "UnfoldTensor",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
