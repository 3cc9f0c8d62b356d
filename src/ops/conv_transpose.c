/* Each input element adds its weighted kernel to the output. */
#include "ops/common/window.h"

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
    md_dim oc;

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
    MD_TRY(
        md_infer__same_dim(w->dim[0], x->dim[1], "input channels of w", err));
    if (md_dim_is_const(x->dim[1]) && x->dim[1].k % group != 0)
        return md_fail(err, MD_INVALID,
                       "%lld channels are not divisible by group %lld",
                       (long long)x->dim[1].k, (long long)group);
    MD_TRY(md_dim__mul(c, &oc, w->dim[1], MD_DIM(group), err));
    if (md_infer_has(c, 2))
        MD_TRY(md_infer__length(c->in[2], oc, "bias", err));
    return MD_OK;
}

/* Window and output sizes; false in *known when the weight's are not. */
static md_status resolve(const md_infer *c, md_window *w, md_type *t,
                         bool *known, md_error *err)
{
    const md_type *x = c->in[0], *tw = c->in[1];
    int64_t kernel[MD_SPATIAL_MAX];
    md_ints extra, shape;

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
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
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

/* y[oz][oy][ox] += v * w at every tap; the roles of input and output of a
 * convolution are exchanged. */
static void scatter(const md_window *k, const int64_t *in, const int64_t *out,
                    double *y, const double *x, const double *w)
{
    int64_t lo[3], hi[3], at[3], tap = 0;
    int64_t t[3] = { 0 };

    do {
        for (int i = 0; i < 3; i++)
            md_window__range(k, i, t[i], out[i], in[i], &lo[i], &hi[i], &at[i]);
        for (int64_t z = lo[0]; z < hi[0]; z++) {
            for (int64_t r = lo[1]; r < hi[1]; r++) {
                const double *row = x + (z * in[1] + r) * in[2];
                double *o = y + ((at[0] + z * k->stride[0]) * out[1] + at[1] +
                                 r * k->stride[1]) *
                                    out[2];

                for (int64_t c = lo[2]; c < hi[2]; c++)
                    o[at[2] + c * k->stride[2]] += w[tap] * row[c];
            }
        }
        tap++;
    } while (md_step_index(t, k->kernel, 3));
}

static md_status load(double **out, const md_tensor *t, md_arena *ar,
                      md_error *err)
{
    int64_t n = md_tensor_n(t);

    MD_TRY(md_exec__scratch(out, ar, n, sizeof(**out), err));
    md_load_f64(*out, t, 0, n);
    return MD_OK;
}

/* In double, rounded once. */
static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *s = &x->in[0]->shape;
    int64_t group = md_node_attr_i(x->node, "group", 1);
    int64_t in[3], on[3], cg = s->dim[1] / group;
    int64_t og = x->in[1]->shape.dim[1], oc = og * group;
    int64_t in_size = md_shape_span(s, 2, s->rank);
    int64_t out_size = md_shape_span(&out->shape, 2, s->rank), taps;
    double *px, *pw, *y, *bias = NULL;
    md_infer c;
    md_window w;
    md_type t = { 0 };
    bool known;

    MD_TRY(md_exec__infer_view(x, &c, ar, err));
    MD_TRY(resolve(&c, &w, &t, &known, err));
    md_window__widen(&w);
    md_window__sizes(in, s);
    md_window__sizes(on, &out->shape);
    taps = w.kernel[0] * w.kernel[1] * w.kernel[2];
    MD_TRY(load(&px, x->in[0], ar, err));
    MD_TRY(load(&pw, x->in[1], ar, err));
    if (md_exec_has(x, 2))
        MD_TRY(load(&bias, x->in[2], ar, err));
    MD_TRY(md_exec__scratch(&y, ar, md_tensor_n(out), sizeof(*y), err));
    for (int64_t i = 0; i < s->dim[0] * oc; i++) {
        int64_t n = i / oc, o = i % oc, g = o / og;

        for (int64_t k = 0; bias && k < out_size; k++)
            y[i * out_size + k] = bias[o];
        for (int64_t k = 0; k < cg; k++)
            scatter(&w, in, on, y + i * out_size,
                    px + (n * s->dim[1] + g * cg + k) * in_size,
                    pw + ((g * cg + k) * og + o % og) * taps);
    }
    md_store_f64(out, 0, y, md_tensor_n(out));
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

static int64_t macs(const md_node *n, const md_shape *const *in,
                    const md_shape *const *out)
{
    (void)n;
    (void)out;
    return md_macs__times(md_shape_n(in[0]),
                          md_shape_span(in[1], 1, in[1]->rank));
}

const md_op md_op_conv_transpose = {
    .domain = "",
    .name = "ConvTranspose",
    .since = 1,
    .in_min = 2,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
    .macs = macs,
};
