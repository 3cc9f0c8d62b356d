/* Sizes (`paddings` in opset 1) and the value are attributes before opset 11,
 * then inputs. */
#include <string.h>

#include "ops/common/util.h"

enum pad_mode {
    PAD_CONSTANT,
    PAD_REFLECT,
    PAD_EDGE,
    PAD_WRAP
};

typedef struct pads {
    enum pad_mode mode;
    bool known;
    int64_t lo[MD_RANK_MAX], hi[MD_RANK_MAX];
} pads;

static md_status read_mode(pads *p, const md_node *n, int64_t opset,
                           md_error *err)
{
    static const char *const names[] = { "constant", "reflect", "edge",
                                         "wrap" };
    const char *mode = md_node_attr_s(n, "mode", "constant");

    size_t n_names = MD_COUNT(names) - (opset < 19);

    for (size_t i = 0; i < n_names; i++) {
        if (strcmp(mode, names[i]) == 0) {
            p->mode = (enum pad_mode)i;
            return MD_OK;
        }
    }
    return md_fail(err, MD_INVALID,
                   "mode is '%s', constant, reflect%s expected", mode,
                   opset < 19 ? " or edge" : ", edge or wrap");
}

static md_status read_pads(pads *p, const md_infer *c, int rank, md_error *err)
{
    md_ints sizes, axes = { .known = true };

    *p = (pads){ .known = true };
    MD_TRY(read_mode(p, c->node, c->opset, err));
    MD_TRY(md_infer__moved_ints(c, c->opset < 2 ? "paddings" : "pads", 11, 1,
                                &sizes, err));
    MD_TRY(md_infer__moved(c, "value", 11, 2, err));
    if (c->opset < 18 && md_infer_has(c, 3))
        return md_fail(err, MD_INVALID, "axes is an input from opset 18 on");
    if (c->opset >= 11)
        MD_TRY(md_infer__input_ints(c, 3, &axes, err));
    if (!sizes.given)
        return md_fail(err, MD_INVALID, "Pad lacks pads");
    if (!axes.given) {
        axes.n = rank;
        for (int i = 0; i < rank; i++)
            axes.v[i] = i;
    }
    p->known = sizes.known && axes.known;
    if (axes.n >= 0 && sizes.n >= 0 && sizes.n != 2 * axes.n)
        return md_fail(err, MD_INVALID, "pads has %d values, %d expected",
                       sizes.n, 2 * axes.n);
    if (!p->known)
        return MD_OK;
    MD_TRY(md_infer__axes(&axes, rank, err));
    for (int i = 0; i < axes.n; i++) {
        int64_t limit = INT64_MAX / 4;

        if (sizes.v[i] < -limit || sizes.v[i] > limit ||
            sizes.v[axes.n + i] < -limit || sizes.v[axes.n + i] > limit)
            return md_fail(err, MD_TOO_LARGE, "pads of axis %d overflow",
                           (int)axes.v[i]);
        p->lo[axes.v[i]] = sizes.v[i];
        p->hi[axes.v[i]] = sizes.v[axes.n + i];
    }
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *in = c->in[0];
    md_type t;
    pads p;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_ANY, err));
    MD_TRY(md_infer__same_dtype(c, 0, 2, err));
    if (md_infer_has(c, 2))
        MD_TRY(md_infer__length(c->in[2], MD_DIM(1), "value", err));
    t = *in;
    if (in->has_rank)
        MD_TRY(read_pads(&p, c, in->rank, err));
    for (int i = 0; in->has_rank && i < in->rank; i++) {
        int64_t sum = p.lo[i] + p.hi[i];

        if (!p.known) {
            MD_TRY(md_infer__fresh(c, &t.dim[i], err));
            continue;
        }
        MD_TRY(md_dim__affine(&t.dim[i], in->dim[i], 1, sum, err));
        if (p.mode != PAD_CONSTANT && md_dim_is_const(in->dim[i]) &&
            in->dim[i].k == 0 && sum > 0)
            return md_fail(err, MD_INVALID, "axis %d has nothing to repeat", i);
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

/* Input position of output position o, -1: the constant. */
static int64_t source(const pads *p, int axis, int64_t o, int64_t n)
{
    int64_t i = o - p->lo[axis], period;

    if (i >= 0 && i < n)
        return i;
    switch (p->mode) {
    case PAD_EDGE:
        return i < 0 ? 0 : n - 1;
    case PAD_WRAP:
        return ((i % n) + n) % n;
    case PAD_REFLECT:
        period = n > 1 ? 2 * (n - 1) : 1;
        i = ((i % period) + period) % period;
        return i < n ? i : period - i;
    default:
        return -1;
    }
}

/* What a row of the result is made of. */
typedef struct row {
    const pads *p;
    md_place to, from;      /* from.at: where the row's input begins */
    const md_tensor *value; /* NULL: old */
    double old;
    int axis; /* the last */
    int64_t n_in, n_out;
} row;

/* The constant at n places from output position `at` of the row on; there are
 * zeros. */
static void pad_constant(const row *r, int64_t at, int64_t n)
{
    md_place to = r->to, from = { .t = (md_tensor *)r->value };
    md_shape dims = { .rank = 1, .dim = { n } };

    to.at += at;
    if (r->value)
        md_move(&to, &from, &dims);
    else if (r->old != 0.0)
        for (int64_t i = 0; i < n; i++)
            md_tensor_set_f64(to.t, to.at + i, r->old);
}

/* Output positions [at, end) of the row, which are outside of the input. */
static void pad_run(const row *r, int64_t at, int64_t end)
{
    md_shape one = { 0 };

    if (r->p->mode == PAD_CONSTANT) {
        pad_constant(r, at, end - at);
        return;
    }
    for (; at < end; at++) {
        md_place to = r->to, from = r->from;

        to.at += at;
        from.at += source(r->p, r->axis, at, r->n_in);
        md_move(&to, &from, &one);
    }
}

static void pad_row(const row *r)
{
    int64_t lo = r->p->lo[r->axis];
    int64_t begin = lo < 0 ? 0 : lo < r->n_out ? lo : r->n_out;
    int64_t end = lo + r->n_in < r->n_out ? lo + r->n_in : r->n_out;
    md_place to = r->to, from = r->from;

    end = end < begin ? begin : end;
    to.at += begin;
    from.at += begin - lo;
    md_move(&to, &from, &(md_shape){ .rank = 1, .dim = { end - begin } });
    pad_run(r, 0, begin);
    pad_run(r, end, r->n_out);
}

static void pad_rows(row *r, const md_shape *in, const md_shape *out)
{
    int64_t index[MD_RANK_MAX] = { 0 }, stride[MD_RANK_MAX];

    md_shape_strides(stride, in);
    do {
        bool inside = true;

        r->from.at = 0;
        for (int d = 0; d < r->axis; d++) {
            int64_t i = source(r->p, d, index[d], in->dim[d]);

            inside = inside && i >= 0;
            r->from.at += i * stride[d];
        }
        if (inside)
            pad_row(r);
        else
            pad_constant(r, 0, r->n_out);
        r->to.at += r->n_out;
    } while (md_step_index(index, out->dim, r->axis));
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_tensor *in = x->in[0];
    int axis = in->shape.rank - 1;
    md_infer c;
    pads p;
    row r = { .p = &p,
              .to = { .t = out, .stride = { 1 } },
              .from = { .t = (md_tensor *)in, .stride = { 1 } },
              .value = md_exec_has(x, 2) ? x->in[2] : NULL,
              .old = md_node_attr_f(x->node, "value", 0.0f),
              .axis = axis };

    MD_TRY(md_exec__infer_view(x, &c, ar, err));
    MD_TRY(read_pads(&p, &c, in->shape.rank, err));
    if (axis < 0) {
        md_move_all(out, in);
        return MD_OK;
    }
    r.n_in = in->shape.dim[axis];
    r.n_out = out->shape.dim[axis];
    if (p.mode == PAD_CONSTANT || md_dtype_bits(out->dtype) < 8)
        md_exec__zero(out);
    pad_rows(&r, &in->shape, &out->shape);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_pad = {
    .domain = "",
    .name = "Pad",
    .since = 1,
    .in_min = 1,
    .in_max = 4,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
