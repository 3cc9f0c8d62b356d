#include "ops/common/deconvolve.h"

/* Padding of axis i, and its output size. */
static md_status axis_out(md_window *w, int i, md_dim in, const md_ints *extra,
                          const md_ints *shape, md_dim *out, md_error *err)
{
    int64_t span = (w->kernel[i] - 1) * w->dilation[i] + 1;
    int64_t add = span - w->stride[i] + (extra->given ? extra->v[i] : 0);
    md_dim full;
    int64_t total;

    MD_TRY(md_dim__affine(&full, in, w->stride[i], add, err));
    if (!shape->given && w->auto_pad != MD_PAD_SAME_UPPER &&
        w->auto_pad != MD_PAD_SAME_LOWER)
        return md_dim__affine(out, full, 1, -w->lo[i] - w->hi[i], err);
    if (shape->given)
        *out = MD_DIM(shape->v[i]);
    else
        MD_TRY(md_dim__affine(out, in, w->stride[i], 0, err));
    if (!md_dim_is_const(in))
        return MD_OK;
    total = full.k - out->k;
    if (total < 0)
        total = 0;
    w->lo[i] = w->auto_pad == MD_PAD_SAME_UPPER ? total / 2 : total - total / 2;
    w->hi[i] = total - w->lo[i];
    return MD_OK;
}

static md_status read_lists(const md_node *n, int axes, md_ints *extra,
                            md_ints *shape, md_error *err)
{
    MD_TRY(md_infer__attr_ints(n, "output_padding", extra, err));
    MD_TRY(md_infer__attr_ints(n, "output_shape", shape, err));
    if ((extra->given && extra->n != axes) ||
        (shape->given && shape->n != axes))
        return md_fail(err, MD_INVALID,
                       "output_padding or output_shape has not %d values",
                       axes);
    for (int i = 0; i < axes; i++) {
        if (extra->v[i] < 0 || extra->v[i] > INT32_MAX || shape->v[i] < 0)
            return md_fail(err, MD_INVALID,
                           "output_padding %lld or output_shape %lld",
                           (long long)extra->v[i], (long long)shape->v[i]);
    }
    return MD_OK;
}

static md_status check(const md_infer *c, int64_t group, md_error *err)
{
    const md_type *x = c->in[0], *w = c->in[1];
    md_dim oc, channels;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__need(c, 1, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__may(c, 2, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__same_dtype(c, 0, 1, err));
    MD_TRY(md_infer__rank(c, 0, 3, 2 + MD_SPATIAL_MAX, err));
    if (group < 1 || group > INT32_MAX)
        return md_fail(err, MD_INVALID, "group is %lld", (long long)group);
    if (!x->has_rank || !w->has_rank)
        return MD_OK;
    MD_TRY(md_infer__rank(c, 1, x->rank, x->rank, err));
    MD_TRY(md_infer__must_equal(c, w->dim[0], x->dim[1], "input channels of w",
                                err));
    channels = md_dim_is_const(x->dim[1]) ? x->dim[1] : w->dim[0];
    if (md_dim_is_const(channels) && channels.k % group != 0)
        return md_fail(err, MD_INVALID,
                       "%lld channels are not divisible by group %lld",
                       (long long)channels.k, (long long)group);
    MD_TRY(md_dim__mul(c, &oc, w->dim[1], MD_DIM(group), err));
    if (md_infer_has(c, 2))
        MD_TRY(md_infer__length(c, c->in[2], oc, "bias", err));
    return MD_OK;
}

/* Window and output sizes; false in *known when the weight's are not. */
static md_status resolve(const md_infer *c, md_window *w, md_type *t,
                         bool *known, md_error *err)
{
    const md_type *x = c->in[0], *tw = c->in[1];
    int64_t kernel[MD_SPATIAL_MAX];
    md_ints extra, shape;
    md_dim unused;

    *known = tw->has_rank;
    for (int i = 2; *known && i < x->rank; i++) {
        *known = md_dim_is_const(tw->dim[i]);
        kernel[i - 2] = tw->dim[i].k;
        if (*known && (kernel[i - 2] < 1 || kernel[i - 2] > INT32_MAX))
            return md_fail(err, MD_INVALID,
                           "the weight's axis %d has size %lld", i,
                           (long long)kernel[i - 2]);
    }
    if (!*known)
        return MD_OK;
    MD_TRY(md_window__parse(w, c->node, x->rank - 2, kernel, err));
    MD_TRY(read_lists(c->node, w->n, &extra, &shape, err));
    for (int i = 0; i < w->n; i++)
        MD_TRY(
            axis_out(w, i, x->dim[2 + i], &extra, &shape, &t->dim[2 + i], err));
    for (int i = 2; i < t->rank; i++)
        MD_TRY(md_dim__derive(c, &unused, MD_EXPR_AT_LEAST, t->dim[i],
                              MD_DIM(0), err));
    return MD_OK;
}

md_status md_deconvolve__infer(const md_infer *c, md_error *err)
{
    int64_t group = md_node_attr_i(c->node, "group", 1);
    const md_type *x = c->in[0], *tw = c->in[1];
    md_type t = { 0 };
    md_window w;
    bool known;

    MD_TRY(check(c, group, err));
    t.dtype = x->dtype;
    if (x->has_rank) {
        MD_TRY(md_infer__fresh_type(c, &t, t.dtype, x->rank, err));
        t.dim[0] = x->dim[0];
        if (tw->has_rank)
            MD_TRY(md_dim__mul(c, &t.dim[1], tw->dim[1], MD_DIM(group), err));
        MD_TRY(resolve(c, &w, &t, &known, err));
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

md_status md_deconvolve__sizes(md_convolve *out, const md_node *node,
                               const md_shape *x, const md_shape *w,
                               md_error *err)
{
    const md_type tx = md_type_of_tensor(MD_DTYPE_F32, x);
    const md_type tw = md_type_of_tensor(MD_DTYPE_F32, w);
    const md_infer c = { .node = node,
                         .in = (const md_type *const[]){ &tx, &tw } };
    md_convolve v = { .n = x->dim[0],
                      .c = x->dim[1],
                      .group = md_node_attr_i(node, "group", 1) };
    md_shape y = { .rank = x->rank };
    md_type t = { 0 };
    bool known;

    MD_TRY(resolve(&c, &v.w, &t, &known, err));
    v.oc = w->dim[1] * v.group;
    for (int i = 2; i < y.rank; i++)
        y.dim[i] = t.dim[i].k;
    md_window__widen(&v.w);
    md_window__sizes(v.in, x);
    md_window__sizes(v.out, &y);
    *out = v;
    return MD_OK;
}
