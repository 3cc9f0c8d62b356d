/* The spectrum of a signal along one axis, or the signal of a spectrum. */
#include "ops/common/spectrum.h"

enum { /* inputs */
    IN_X,
    IN_LENGTH,
    IN_AXIS
};

/* -1: not known. */
static md_status find_axis(const md_infer *c, int *out, md_error *err)
{
    md_ints axis = { .known = true, .n = 1, .v = { c->opset < 20 ? 1 : -2 } };
    int rank = c->in[IN_X]->rank;

    *out = -1;
    MD_TRY(md_infer__moved(c, "axis", 20, IN_AXIS, err));
    if (c->opset < 20)
        axis.v[0] = md_node_attr_i(c->node, "axis", 1);
    MD_TRY(md_infer__may(c, IN_AXIS, MD_T(I64), err));
    if (md_infer_has(c, IN_AXIS)) {
        MD_TRY(md_infer__length(c, c->in[IN_AXIS], MD_DIM(1), "axis", err));
        MD_TRY(md_infer__input_ints(c, IN_AXIS, &axis, err));
    }
    if (!axis.known || !c->in[IN_X]->has_rank)
        return MD_OK;
    MD_TRY(md_axis_normalize(out, axis.v[0], rank, err));
    if (*out == rank - 1)
        return md_fail(err, MD_INVALID,
                       "axis %d is that of real and imaginary parts", *out);
    return MD_OK;
}

static md_status check_input(const md_infer *c, bool *one_sided, bool *inverse,
                             md_error *err)
{
    const md_type *x = c->in[IN_X];
    md_dim parts;

    *one_sided = md_node_attr_i(c->node, "onesided", 0) != 0;
    *inverse = md_node_attr_i(c->node, "inverse", 0) != 0;
    MD_TRY(md_infer__need(c, IN_X, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__rank(c, IN_X, 2, MD_RANK_MAX, err));
    if (!x->has_rank || !md_dim_is_const(x->dim[x->rank - 1]))
        return MD_OK;
    parts = x->dim[x->rank - 1];
    if (parts.k != 1 && parts.k != 2)
        return md_fail(err, MD_INVALID,
                       "the input's last axis is %lld, 1 or 2 expected",
                       (long long)parts.k);
    if (*one_sided && parts.k != (*inverse ? 2 : 1))
        return md_fail(err, MD_INVALID,
                       "a one-sided %s takes %s numbers, the input has %s ones",
                       *inverse ? "inverse transform" : "transform",
                       *inverse ? "complex" : "real",
                       *inverse ? "real" : "complex");
    return MD_OK;
}

/* Length of the transform: dft_length or what axis `dim` gives. */
static md_status find_length(const md_infer *c, md_dim dim, bool both,
                             md_dim *out, md_error *err)
{
    int64_t given = -1;

    MD_TRY(md_spectrum__length(c, IN_LENGTH, "dft_length", &given, err));
    if (given > 0)
        *out = MD_DIM(given);
    else if (md_infer_has(c, IN_LENGTH))
        return md_infer__fresh(c, out, err);
    else if (both)
        return md_dim__affine(out, dim, 2, -2, err);
    else
        *out = dim;
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    bool one_sided, inverse;
    const md_type *x = c->in[IN_X];
    md_dim length;
    md_type t;
    int axis;

    MD_TRY(check_input(c, &one_sided, &inverse, err));
    MD_TRY(find_axis(c, &axis, err));
    if (!x->has_rank) {
        md_infer__give(c, 0, &(md_type){ .dtype = x->dtype });
        return md_spectrum__length(c, IN_LENGTH, "dft_length", &length.k, err);
    }
    MD_TRY(md_infer__fresh_type(c, &t, x->dtype, x->rank, err));
    t.dim[t.rank - 1] = MD_DIM(one_sided && inverse ? 1 : 2);
    for (int i = 0; axis >= 0 && i < t.rank - 1; i++) {
        if (i != axis)
            t.dim[i] = x->dim[i];
    }
    if (axis >= 0) {
        MD_TRY(
            find_length(c, x->dim[axis], one_sided && inverse, &length, err));
        if (md_dim_is_const(length) && length.k < 1)
            return md_fail(err, MD_INVALID,
                           "a transform of %lld elements, at least 1 expected",
                           (long long)length.k);
        if (!one_sided || inverse)
            t.dim[axis] = length;
        else if (md_dim_is_const(length))
            t.dim[axis] = MD_DIM(length.k / 2 + 1);
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

/* Rows [outer, n, inner]: a is inner, b and c are n * inner of both sides. */
static int64_t in_at(const md_spectrum *s, int64_t r)
{
    return r / s->a * s->b + r % s->a;
}

static int64_t out_at(const md_spectrum *s, int64_t r)
{
    return r / s->a * s->c + r % s->a;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *in = &x->in[IN_X]->shape;
    int last = in->rank - 1, axis;
    md_spectrum s = { .in = x->in[IN_X],
                      .out = out,
                      .in_at = in_at,
                      .out_at = out_at,
                      .in_complex = in->dim[last] == 2,
                      .out_complex = out->shape.dim[last] == 2 };
    bool one_sided;
    md_dim length;
    md_infer c;

    MD_TRY(md_exec__infer_view(x, &c, ar, err));
    MD_TRY(check_input(&c, &one_sided, &s.inverse, err));
    MD_TRY(find_axis(&c, &axis, err));
    s.mirrored = one_sided && s.inverse;
    MD_TRY(find_length(&c, MD_DIM(in->dim[axis]), s.mirrored, &length, err));
    s.n_in = in->dim[axis];
    s.n_out = out->shape.dim[axis];
    s.a = s.in_step = s.out_step = md_shape_span(in, axis + 1, last);
    s.b = s.n_in * s.a;
    s.c = s.n_out * s.a;
    s.n_rows = md_shape_span(in, 0, axis) * s.a;
    return md_spectrum__run(&s, length.k, x->pool, ar, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_dft = {
    .domain = "",
    .name = "DFT",
    .since = 17,
    .in_min = 1,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
