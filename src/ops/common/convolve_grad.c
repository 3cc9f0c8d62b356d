/*
 * Adjoints of convolutions, as convolutions, which have the kernels.
 *
 * With y[o] = sum of w[k] * x[o * stride + k * dilation - pad], the gradient of
 * x is a ConvTranspose of dy and w with the same window; that of w has an
 * operator of its own, ConvWeights.  Elements of x behind the last window get
 * zeros.
 */
#include "ops/common/convolve.h"

#include <string.h>

/* The node's windows over `in`, whose channels are in front of them. */
typedef struct geometry {
    md_window w;
    int64_t group;
    int64_t pads[2 * MD_SPATIAL_MAX];
    int rank;
} geometry;

static bool find_kernel(md_grad *g, md_part w, int rank, int64_t *kernel)
{
    const md_type *t = md_grad_type(g, w);

    for (int i = 0; i < rank - 2; i++) {
        if (!t->has_rank || t->rank != rank || !md_dim_is_const(t->dim[2 + i]))
            return false;
        kernel[i] = t->dim[2 + i].k;
    }
    return true;
}

/* `x` is what the windows move over; false after a refusal. */
static bool find(md_grad *g, geometry *o, md_part x, md_part w)
{
    int64_t kernel[MD_SPATIAL_MAX];
    bool same;

    o->rank = md_grad_rank(g, x);
    o->group = md_node_attr_i(g->m.node, "group", 1);
    if (o->rank < 3 || o->rank > 2 + MD_SPATIAL_MAX ||
        !find_kernel(g, w, o->rank, kernel) ||
        md_window__parse(&o->w, g->m.node, o->rank - 2, kernel, NULL) !=
            MD_OK) {
        md_grad_refuse(g, "the window is not known");
        return false;
    }
    same = o->w.auto_pad == MD_PAD_SAME_UPPER ||
           o->w.auto_pad == MD_PAD_SAME_LOWER;
    for (int i = 0; i < o->rank - 2 && same; i++) {
        md_dim in = md_grad_type(g, x)->dim[2 + i], unused;

        if (!md_dim_is_const(in) ||
            md_window__out(NULL, &o->w, i, in, &unused, NULL) != MD_OK) {
            md_grad_refuse(g, "the padding depends on sizes not known");
            return false;
        }
    }
    for (int i = 0; i < o->rank - 2; i++) {
        o->pads[i] = o->w.lo[i];
        o->pads[o->rank - 2 + i] = o->w.hi[i];
    }
    return g->status == MD_OK;
}

/* The node's windows in a step, without a bias; `like` (perhaps none) is input
 * 2. */
static md_part step(md_grad *g, const geometry *o, const char *op, md_part x,
                    md_part w, md_part like, const int64_t *extra)
{
    uint32_t n = (uint32_t)o->rank - 2;

    return MD_GRAD_STEP(
        g, .op = op, .domain = like == MD_PART_NONE ? NULL : "modeld",
        .in = { x, w, like }, .n_in = like == MD_PART_NONE ? 2 : 3,
        .attr = { MD_GIVE_IS("strides", o->w.stride, n),
                  MD_GIVE_IS("dilations", o->w.dilation, n),
                  MD_GIVE_IS("pads", o->pads, 2 * n),
                  MD_GIVE_I("group", o->group),
                  MD_GIVE_IS("output_padding", extra, n) },
        .n_attr = extra ? 5 : 4);
}

/* The gradient of x, which the windows move over: dy back through them. */
static md_part back_to(md_grad *g, const geometry *o, md_part dy, md_part w,
                       md_part x)
{
    int64_t rest[MD_SPATIAL_MAX];

    /* All sizes that have as many windows: the largest one, then cut. */
    for (int i = 0; i < o->rank - 2; i++) {
        md_dim in = md_grad_type(g, x)->dim[2 + i];
        int64_t span = (o->w.kernel[i] - 1) * o->w.dilation[i] + 1;
        int64_t room = in.k + o->w.lo[i] + o->w.hi[i] - span;

        rest[i] = o->w.stride[i] - 1;
        if (md_dim_is_const(in) && room >= 0)
            rest[i] = room % o->w.stride[i];
    }
    return md_grad_crop(
        g, step(g, o, "ConvTranspose", dy, w, MD_PART_NONE, rest), x, 2);
}

/* The gradient of w [S, B / group, k...], where the windows move over `big`
 * [N, B, ...] and give or take `small` [N, S, ...]. */
static md_part weights(md_grad *g, const geometry *o, md_part big,
                       md_part small, md_part w)
{
    return step(g, o, "ConvWeights", big, small, w, NULL);
}

static void give_bias(md_grad *g, const geometry *o)
{
    int64_t axes[MD_RANK_MAX];

    for (int d = 1; d < o->rank; d++)
        axes[d - 1] = d == 1 ? 0 : d;
    if (md_grad_wants(g, 2))
        md_grad_give(g, 2,
                     md_grad_reduce(g, "ReduceSum", md_grad_of(g, 0), axes,
                                    o->rank - 1, false));
}

void md_convolve__grad(md_grad *g)
{
    md_part x = md_grad_in(g, 0), w = md_grad_in(g, 1), dy = md_grad_of(g, 0);
    geometry o;

    if (!find(g, &o, x, w))
        return;
    if (md_grad_wants(g, 0))
        md_grad_give(g, 0, back_to(g, &o, dy, w, x));
    if (md_grad_wants(g, 1))
        md_grad_give(g, 1, weights(g, &o, x, dy, w));
    give_bias(g, &o);
}

/* Where the sizes of the output are given, the padding follows from them. */
static bool pads_from_sizes(md_grad *g, geometry *o)
{
    const md_type *x = md_grad_type(g, md_grad_in(g, 0));
    const md_type *y = md_grad_type(g, md_grad_out(g, 0));
    uint32_t n;
    const int64_t *extra = md_node_attr_is(g->m.node, "output_padding", &n);

    for (int i = 0; i < o->rank - 2; i++) {
        int64_t span = (o->w.kernel[i] - 1) * o->w.dilation[i] + 1, total;

        if (!md_dim_is_const(x->dim[2 + i]) ||
            !md_dim_is_const(y->dim[2 + i])) {
            md_grad_refuse(g, "the padding depends on sizes not known");
            return false;
        }
        total = (x->dim[2 + i].k - 1) * o->w.stride[i] + span - y->dim[2 + i].k;
        total += extra ? extra[i] : 0;
        total = total < 0 ? 0 : total;
        o->pads[i] =
            o->w.auto_pad == MD_PAD_SAME_UPPER ? total / 2 : total - total / 2;
        o->pads[o->rank - 2 + i] = total - o->pads[i];
    }
    return true;
}

void md_deconvolve__grad(md_grad *g)
{
    const char *pad = md_node_attr_s(g->m.node, "auto_pad", "NOTSET");
    md_part x = md_grad_in(g, 0), w = md_grad_in(g, 1), dy = md_grad_of(g, 0);
    geometry o;

    if (!find(g, &o, md_grad_out(g, 0), w))
        return;
    if ((md_node_attr(g->m.node, "output_shape") ||
         strncmp(pad, "SAME", 4) == 0) &&
        !pads_from_sizes(g, &o))
        return;
    if (md_grad_wants(g, 0))
        md_grad_give(
            g, 0,
            md_grad_crop(g, step(g, &o, "Conv", dy, w, MD_PART_NONE, NULL), x,
                         2));
    if (md_grad_wants(g, 1))
        md_grad_give(g, 1, weights(g, &o, dy, x, w));
    give_bias(g, &o);
}

/* Linear in both: of dw flows a ConvTranspose into the one, a Conv into the
 * other. */
void md_convolve__weights_grad(md_grad *g)
{
    md_part big = md_grad_in(g, 0), small = md_grad_in(g, 1),
            dw = md_grad_of(g, 0);
    geometry o;

    if (!find(g, &o, big, md_grad_in(g, 2)))
        return;
    if (md_grad_wants(g, 0))
        md_grad_give(g, 0, back_to(g, &o, small, dw, big));
    if (md_grad_wants(g, 1))
        md_grad_give(g, 1, step(g, &o, "Conv", big, dw, MD_PART_NONE, NULL));
}
