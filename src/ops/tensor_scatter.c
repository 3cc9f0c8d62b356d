/* A cache with new elements written into it along one axis, from the index on
 * that each batch element has. */
#include <string.h>

#include "ops/common/util.h"

enum { /* inputs */
    IN_PAST,
    IN_UPDATE,
    IN_WHERE
};

static md_status check_mode(const md_node *n, bool *circular, md_error *err)
{
    const char *mode = md_node_attr_s(n, "mode", "linear");

    *circular = strcmp(mode, "circular") == 0;
    if (*circular || strcmp(mode, "linear") == 0)
        return MD_OK;
    return md_fail(err, MD_INVALID, "mode is '%s', linear or circular expected",
                   mode);
}

static md_status find_axis(const md_node *n, int rank, int *out, md_error *err)
{
    MD_TRY(md_axis_normalize(out, md_node_attr_i(n, "axis", -2), rank, err));
    if (*out == 0)
        return md_fail(err, MD_INVALID, "axis 0 is that of the batch");
    return MD_OK;
}

static md_status check_dims(const md_infer *c, md_error *err)
{
    const md_type *past = c->in[IN_PAST], *update = c->in[IN_UPDATE];
    int axis;

    MD_TRY(find_axis(c->node, past->rank, &axis, err));
    MD_TRY(md_infer__rank(c, IN_UPDATE, past->rank, past->rank, err));
    for (int i = 0; update->has_rank && i < past->rank; i++) {
        md_dim u = update->dim[i], p = past->dim[i];

        if (i != axis)
            MD_TRY(md_infer__must_equal(c, u, p, "a dimension of update", err));
        else if (md_dim_is_const(u) && md_dim_is_const(p) && u.k > p.k)
            return md_fail(err, MD_INVALID,
                           "update has %lld elements along axis %d, at most "
                           "%lld expected",
                           (long long)u.k, axis, (long long)p.k);
    }
    if (md_infer_has(c, IN_WHERE))
        MD_TRY(md_infer__length(c, c->in[IN_WHERE], past->dim[0],
                                "write_indices", err));
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    bool circular;

    MD_TRY(md_infer__need(c, IN_PAST, MD_TYPES_ANY, err));
    MD_TRY(md_infer__need(c, IN_UPDATE, MD_TYPES_ANY, err));
    MD_TRY(md_infer__same_dtype(c, IN_PAST, IN_UPDATE, err));
    MD_TRY(md_infer__may(c, IN_WHERE, MD_T(I64), err));
    MD_TRY(md_infer__rank(c, IN_PAST, 2, MD_RANK_MAX, err));
    MD_TRY(check_mode(c->node, &circular, err));
    if (c->in[IN_PAST]->has_rank)
        MD_TRY(check_dims(c, err));
    md_infer__give(c, 0, c->in[IN_PAST]);
    return MD_OK;
}

/* Where batch element b is written; linear: all of it in range. */
static md_status find_start(const md_exec *x, int64_t b, int64_t n,
                            int64_t room, bool circular, int64_t *out,
                            md_error *err)
{
    int64_t at = 0;

    if (md_exec_has(x, IN_WHERE) && x->in[IN_WHERE]->shape.rank > 0)
        at = ((const int64_t *)x->in[IN_WHERE]->data)[b];
    else if (md_exec_has(x, IN_WHERE))
        at = ((const int64_t *)x->in[IN_WHERE]->data)[0];
    if (circular)
        at = (at % room + room) % room;
    else if (at < 0 || at > room - n)
        return md_fail(err, MD_INVALID,
                       "write index %lld is out of range for %lld elements "
                       "into %lld",
                       (long long)at, (long long)n, (long long)room);
    *out = at;
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_tensor *update = x->in[IN_UPDATE];
    md_place to = { .t = out }, from = { .t = (md_tensor *)update };
    md_shape part = update->shape;
    int64_t room, n, batch = part.dim[0];
    bool circular;
    int axis;

    (void)ar;
    MD_TRY(check_mode(x->node, &circular, err));
    MD_TRY(find_axis(x->node, part.rank, &axis, err));
    md_exec__move_all(x, out, x->in[IN_PAST]);
    md_shape_strides(to.stride, &out->shape);
    md_shape_strides(from.stride, &update->shape);
    room = out->shape.dim[axis];
    n = part.dim[axis];
    part.dim[0] = 1;
    for (int64_t b = 0; b < batch; b++) {
        int64_t at = 0, first;

        MD_TRY(find_start(x, b, n, room, circular, &at, err));
        first = md_min_i64(n, room - at);
        to.at = b * to.stride[0] + at * to.stride[axis];
        from.at = b * from.stride[0];
        part.dim[axis] = first;
        md_move(&to, &from, &part);
        to.at = b * to.stride[0]; /* what goes around */
        from.at += first * from.stride[axis];
        part.dim[axis] = n - first;
        md_move(&to, &from, &part);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_tensor_scatter = {
    .domain = "",
    .name = "TensorScatter",
    .since = 24,
    .in_min = 2,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
