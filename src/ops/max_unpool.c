/*
 * MaxPool undone: each element goes to the index that MaxPool told, 0 lies
 * between.  The indices are those of the size that follows from kernel, strides
 * and pads; a larger output_shape adds zeros behind.
 */
#include "ops/common/window.h"

enum { /* inputs */
    IN_X,
    IN_INDICES,
    IN_SHAPE
};

static md_status parse(md_window *w, const md_node *n, int axes, md_error *err)
{
    return md_window__parse(w, n, axes, NULL, err);
}

/* The size that follows from the attributes. */
static md_status find_size(const md_infer *c, md_type *t, md_error *err)
{
    const md_type *x = c->in[IN_X];
    md_window w;

    MD_TRY(parse(&w, c->node, x->rank - 2, err));
    *t = *x;
    for (int i = 0; i < w.n; i++) {
        int64_t more = w.kernel[i] - w.stride[i] - w.lo[i] - w.hi[i];

        MD_TRY(md_dim__affine(&t->dim[2 + i], x->dim[2 + i], w.stride[i], more,
                              err));
    }
    return MD_OK;
}

static md_status check_shape(const md_type *t, const md_ints *dims,
                             md_error *err)
{
    if (dims->n >= 0 && dims->n != t->rank)
        return md_fail(err, MD_INVALID,
                       "output_shape has %d sizes, %d expected", dims->n,
                       t->rank);
    for (int i = 0; dims->known && i < t->rank; i++) {
        int64_t least = t->dim[i].k;

        if (!md_dim_is_const(t->dim[i]) ||
            (i < 2 ? dims->v[i] == least : dims->v[i] >= least))
            continue;
        return md_fail(err, MD_INVALID,
                       "axis %d of output_shape is %lld, %s%lld expected", i,
                       (long long)dims->v[i], i < 2 ? "" : "at least ",
                       (long long)least);
    }
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *x = c->in[IN_X], *at = c->in[IN_INDICES];
    md_type t = { .dtype = md_infer__dtype(c, IN_X) };
    md_ints dims;

    MD_TRY(md_infer__need(c, IN_X, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__need(c, IN_INDICES, MD_T(I64), err));
    MD_TRY(md_infer__may(c, IN_SHAPE, MD_T(I64), err));
    MD_TRY(md_infer__rank(c, IN_X, 3, 2 + MD_SPATIAL_MAX, err));
    if (x->has_rank) {
        MD_TRY(md_infer__rank(c, IN_INDICES, x->rank, x->rank, err));
        for (int i = 0; at->has_rank && i < x->rank; i++)
            MD_TRY(md_infer__must_equal(c, at->dim[i], x->dim[i],
                                        "a dimension of the indices", err));
        MD_TRY(find_size(c, &t, err));
    }
    MD_TRY(md_infer__shape_input(c, IN_SHAPE, &dims, err));
    if (!dims.given) {
        md_infer__give(c, 0, &t);
        return MD_OK;
    }
    if (x->has_rank)
        MD_TRY(check_shape(&t, &dims, err));
    t.has_rank = false;
    return md_infer__give_shape(c, &t, &dims, err);
}

/* Where element i of a tensor of shape `from` lies in the larger `to`. */
static int64_t move_index(int64_t i, const md_shape *from,
                          const int64_t *stride)
{
    int64_t at = 0;

    for (int d = from->rank; d-- > 0;) {
        at += i % from->dim[d] * stride[d];
        i /= from->dim[d];
    }
    return at;
}

/* Floats are of 2, 4 or 8 bytes. */
static void put(md_tensor *out, int64_t at, const md_tensor *in, int64_t i)
{
    if (out->dtype == MD_DTYPE_F32)
        ((uint32_t *)out->data)[at] = ((const uint32_t *)in->data)[i];
    else if (out->dtype == MD_DTYPE_F64)
        ((uint64_t *)out->data)[at] = ((const uint64_t *)in->data)[i];
    else
        ((uint16_t *)out->data)[at] = ((const uint16_t *)in->data)[i];
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const int64_t *index = x->in[IN_INDICES]->data;
    int64_t stride[MD_RANK_MAX], total, n = md_tensor_n(x->in[IN_X]);
    md_shape size;
    md_infer c;
    md_type t;
    bool same;

    MD_TRY(md_exec__infer_view(x, &c, ar, err));
    MD_TRY(find_size(&c, &t, err));
    (void)md_type_static(&t, &size);
    total = md_shape_n(&size);
    same = md_shape_equal(&size, &out->shape);
    md_shape_strides(stride, &out->shape);
    md_exec__zero(out);
    for (int64_t i = 0; i < n; i++) {
        int64_t at = index[i];

        if (at < 0 || at >= total)
            return md_fail(err, MD_INVALID,
                           "index %lld is out of range for %lld elements",
                           (long long)at, (long long)total);
        if (!same)
            at = move_index(at, &size, stride);
        put(out, at, x->in[IN_X], i);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_max_unpool = {
    .domain = "",
    .name = "MaxUnpool",
    .since = 9,
    .in_min = 2,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
