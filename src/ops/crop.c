/*
 * An image [n, c, h, w] without its border: left, top, right, bottom.  With
 * `scale`, height and width, the part of that size behind left and top.
 * Experimental in opset 1; gone from the standard since, but in old files.
 */
#include "ops/common/util.h"

/* The attributes; from[] and size[] of height and width, -1: up to the
 * border `last`. */
static md_status read_attributes(const md_node *n, int64_t from[2],
                                 int64_t last[2], int64_t size[2],
                                 md_error *err)
{
    md_ints border, scale;

    MD_TRY(md_infer__attr_ints(n, "border", &border, err));
    MD_TRY(md_infer__attr_ints(n, "scale", &scale, err));
    if (border.n != 4 || (scale.given && scale.n != 2))
        return md_fail(err, MD_INVALID,
                       "border has %d values and scale %d, 4 and 2 expected",
                       border.n, scale.n);
    for (int i = 0; i < 2; i++) {
        from[i] = border.v[1 - i];
        last[i] = border.v[3 - i];
        size[i] = scale.given ? scale.v[i] : -1;
        if (from[i] < 0 || last[i] < 0 || (scale.given && size[i] < 0))
            return md_fail(
                err, MD_INVALID, "border or scale has the value %lld",
                (long long)md_min_i64(md_min_i64(from[i], last[i]), size[i]));
    }
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    int64_t from[2], last[2], size[2];
    md_type t = *c->in[0];

    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__rank(c, 0, 4, 4, err));
    MD_TRY(read_attributes(c->node, from, last, size, err));
    for (int i = 0; t.has_rank && i < 2; i++) {
        md_dim *d = &t.dim[2 + i];

        if (md_dim_is_const(*d) &&
            (from[i] > d->k ||
             (size[i] < 0 ? last[i] : size[i]) > d->k - from[i]))
            return md_fail(err, MD_INVALID,
                           "axis %d of %lld has no part from %lld on with %s "
                           "%lld",
                           2 + i, (long long)d->k, (long long)from[i],
                           size[i] < 0 ? "a border of" : "the size",
                           (long long)(size[i] < 0 ? last[i] : size[i]));
        if (size[i] >= 0)
            *d = MD_DIM(size[i]);
        else
            MD_TRY(md_dim__affine(d, *d, 1, -from[i] - last[i], err));
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    md_place to = { .t = out }, from = { .t = (md_tensor *)x->in[0] };
    int64_t at[2], last[2], size[2];

    (void)ar;
    MD_TRY(read_attributes(x->node, at, last, size, err));
    md_shape_strides(to.stride, &out->shape);
    md_shape_strides(from.stride, &x->in[0]->shape);
    from.at = at[0] * from.stride[2] + at[1];
    md_move(&to, &from, &out->shape);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_crop = {
    .domain = "",
    .name = "Crop",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
