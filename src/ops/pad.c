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

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *in = &x->in[0]->shape;
    int64_t index[MD_RANK_MAX] = { 0 }, stride[MD_RANK_MAX];
    md_place to = { .t = out }, from = { .t = (md_tensor *)x->in[0] };
    md_place value = { .t = md_exec_has(x, 2) ? (md_tensor *)x->in[2] : NULL };
    float old = md_node_attr_f(x->node, "value", 0.0f);
    md_shape one = { 0 };
    md_infer c;
    pads p;

    MD_TRY(md_exec__infer_view(x, &c, ar, err));
    MD_TRY(read_pads(&p, &c, in->rank, err));
    md_shape_strides(stride, in);
    md_exec__zero(out);
    do {
        bool inside = true;

        from.at = 0;
        for (int d = 0; d < in->rank; d++) {
            int64_t i = source(&p, d, index[d], in->dim[d]);

            inside = inside && i >= 0;
            from.at += i * stride[d];
        }
        if (inside || value.t)
            md_move(&to, inside ? &from : &value, &one);
        else if (old != 0.0f)
            md_tensor_set_f64(out, to.at, old);
        to.at++;
    } while (md_step_index(index, out->shape.dim, in->rank));
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
