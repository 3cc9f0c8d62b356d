/*
 * modeld's own: the gradient of a convolution's weights.  Where the windows of
 * the node's attributes move over input 0 [N, B, ...] and meet the positions of
 * input 1 [N, S, ...],
 *
 *   y[s][b][tap] = sum over n and positions o of
 *                  x1[n][s][o] * x0[n][group's b][o * stride + tap * dilation -
 *                  pad]
 *
 * has the shape [S, B / group, taps...] of input 2, of which only that counts.
 */
#include "ops/common/convolve.h"
#include "ops/lower.h"

static md_status infer(const md_infer *c, md_error *err)
{
    for (uint32_t i = 0; i < 3; i++)
        MD_TRY(md_infer__need(c, i, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__same_dtype(c, 0, 1, err));
    MD_TRY(md_infer__same_dtype(c, 0, 2, err));
    MD_TRY(md_infer__rank(c, 0, 3, 2 + MD_SPATIAL_MAX, err));
    md_infer__give(c, 0, c->in[2]);
    return MD_OK;
}

/* The sum of one tap over one image. */
static double sum_tap(const md_convolve *v, const double *x, const double *dy,
                      const int64_t tap[3])
{
    const md_window *w = &v->w;
    int64_t lo[3], hi[3], at[3];
    double sum = 0.0;

    for (int i = 0; i < 3; i++)
        md_window__range(w, i, tap[i], v->in[i], v->out[i], &lo[i], &hi[i],
                         &at[i]);
    for (int64_t z = lo[0]; z < hi[0]; z++) {
        for (int64_t r = lo[1]; r < hi[1]; r++) {
            const double *from = x + ((at[0] + z * w->stride[0]) * v->in[1] +
                                      at[1] + r * w->stride[1]) *
                                         v->in[2];
            const double *row = dy + (z * v->out[1] + r) * v->out[2];

            for (int64_t c = lo[2]; c < hi[2]; c++)
                sum += row[c] * from[at[2] + c * w->stride[2]];
        }
    }
    return sum;
}

/* y of one image; x and dy are its planes. */
static void add_image(const md_convolve *v, double *y, const double *x,
                      const double *dy)
{
    const int64_t bg = v->c / v->group, sg = v->oc / v->group;
    const int64_t in = v->in[0] * v->in[1] * v->in[2];
    const int64_t out = v->out[0] * v->out[1] * v->out[2];

    for (int64_t s = 0; s < v->oc; s++) {
        for (int64_t b = 0; b < bg; b++) {
            int64_t tap[3] = { 0 };

            do
                *y++ +=
                    sum_tap(v, x + (s / sg * bg + b) * in, dy + s * out, tap);
            while (md_step_index(tap, v->w.kernel, 3));
        }
    }
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_tensor *big = x->in[0], *small = x->in[1];
    int64_t n_big, n_small;
    double *y, *a, *b;
    md_convolve v;

    MD_TRY(md_convolve__sizes(&v, x->node, &big->shape, &out->shape, err));
    if (!md_convolve__gives(&v, &small->shape))
        return md_fail(err, MD_INVALID,
                       "input 1 is not of the shape of the windows");
    n_big = md_shape_span(&big->shape, 1, big->shape.rank);
    n_small = md_shape_span(&small->shape, 1, small->shape.rank);
    MD_TRY(md_exec__scratch(&y, ar, md_tensor_n(out), sizeof(*y), err));
    MD_TRY(md_exec__scratch(&a, ar, n_big, sizeof(*a), err));
    MD_TRY(md_exec__scratch(&b, ar, n_small, sizeof(*b), err));
    for (int64_t i = 0; i < v.n; i++) {
        md_load_f64(a, big, i * n_big, n_big);
        md_load_f64(b, small, i * n_small, n_small);
        add_image(&v, y, a, b);
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
    return md_convolve__macs(out[0], in[1]);
}

static void grad(md_grad *g)
{
    md_convolve__weights_grad(g);
}

const md_op md_op_conv_weights = {
    .domain = "modeld",
    .name = "ConvWeights",
    .since = 1,
    .in_min = 3,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .macs = macs,
    .fast = &md_fast_conv_weights,
    .grad = grad,
};
