/*
 * modeld's own: the gradients of BatchNormalization in training mode, whose
 * mean and variance are those of x.
 *
 * Inputs x [N, C, ...], scale [C], and dy of x's shape; with n = (x - mean) /
 * sqrt(variance + epsilon), and means over all but the channels:
 *   output 2: sum(dy), output 1: sum(dy * n),
 *   output 0: scale / sqrt(variance + epsilon) * (dy - mean(dy) - n * mean(dy *
 *   n))
 */
#include <math.h>

#include "ops/common/util.h"
#include "ops/grad.h"
#include "ops/lower.h"

static md_status infer(const md_infer *c, md_error *err)
{
    for (uint32_t i = 0; i < 3; i++)
        MD_TRY(md_infer__need(c, i, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__same_dtype(c, 0, 2, err));
    MD_TRY(md_infer__rank(c, 0, 2, MD_RANK_MAX, err));
    if (c->in[0]->has_rank)
        MD_TRY(md_infer__length(c, c->in[1], c->in[0]->dim[1], "scale", err));
    md_infer__give(c, 0, c->in[0]);
    md_infer__give(c, 1, c->in[1]);
    md_infer__give(c, 2, c->in[1]);
    return MD_OK;
}

/* The elements of one channel, x and dy in turn. */
static void load(double *x, double *dy, const md_exec *e, int64_t c)
{
    const md_shape *s = &e->in[0]->shape;
    const int64_t plane = md_shape_span(s, 2, s->rank);

    for (int64_t n = 0; n < s->dim[0]; n++) {
        const int64_t at = (n * s->dim[1] + c) * plane;

        md_load_f64(x + n * plane, e->in[0], at, plane);
        md_load_f64(dy + n * plane, e->in[2], at, plane);
    }
}

static double mean_of(const double *v, int64_t n)
{
    double sum = 0.0;

    for (int64_t i = 0; i < n; i++)
        sum += v[i];
    return sum / (double)n;
}

/* x becomes n, dy becomes dx; *along is the mean of dy * n. */
static void differentiate(double *x, double *dy, int64_t n, double scale,
                          double epsilon, double *flat, double *along)
{
    const double mean = mean_of(x, n);
    double variance = 0.0, root;

    for (int64_t i = 0; i < n; i++)
        variance += (x[i] - mean) * (x[i] - mean);
    root = sqrt(variance / (double)n + epsilon);
    *flat = mean_of(dy, n);
    *along = 0.0;
    for (int64_t i = 0; i < n; i++) {
        x[i] = (x[i] - mean) / root;
        *along += dy[i] * x[i] / (double)n;
    }
    for (int64_t i = 0; i < n; i++)
        dy[i] = scale / root * (dy[i] - *flat - x[i] * *along);
}

static md_status compute(md_exec *e, md_tensor *const *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *s = &e->in[0]->shape;
    const int64_t plane = md_shape_span(s, 2, s->rank), n = s->dim[0] * plane;
    const double epsilon = md_node_attr_f(e->node, "epsilon", 1e-5f);
    double *x, *dy, flat = 0.0, along = 0.0;

    if (!md_shape_equal(s, &e->in[2]->shape))
        return md_fail(err, MD_INVALID, "input 2 is not of input 0's shape");
    MD_TRY(md_exec__scratch(&x, ar, n, sizeof(*x), err));
    MD_TRY(md_exec__scratch(&dy, ar, n, sizeof(*dy), err));
    for (int64_t c = 0; c < s->dim[1]; c++) {
        if (n > 0) {
            load(x, dy, e, c);
            differentiate(x, dy, n, md_tensor_get_f64(e->in[1], c), epsilon,
                          &flat, &along);
        }
        for (int64_t i = 0; i < s->dim[0] && out[0]; i++)
            md_store_f64(out[0], (i * s->dim[1] + c) * plane, dy + i * plane,
                         plane);
        if (out[1])
            md_tensor_set_f64(out[1], c, along * (double)n);
        if (out[2])
            md_tensor_set_f64(out[2], c, flat * (double)n);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__several(x, infer, 3, compute, err);
}

/* A vector of channels beside the planes of x. */
static md_part beside(md_grad *g, md_part v, int rank)
{
    int64_t axes[MD_RANK_MAX];

    for (int d = 1; d < rank - 1; d++)
        axes[d - 1] = d;
    v = md_grad_cast(g, v, md_grad_type(g, md_grad_in(g, 0))->dtype);
    return md_grad_unsqueeze(g, v, axes, rank > 2 ? rank - 2 : 0);
}

/* The same by steps, for gradients of gradients. */
static void unfold(md_grad *g)
{
    int rank = md_grad_rank(g, md_grad_in(g, 0)), n = 0;
    md_part scale = md_grad_in(g, 1), dy = md_grad_in(g, 2), p;
    const md_dtype dtype = md_grad_type(g, scale)->dtype;
    int64_t axes[MD_RANK_MAX];
    md_grad_norm r = { .axes = axes,
                       .epsilon = md_node_attr_f(g->m.node, "epsilon", 1e-5f),
                       .centered = true };

    for (int d = 0; d < rank; d++) {
        if (d != 1)
            axes[n++] = d;
    }
    r.n_axes = n;
    md_grad_norm_begin(g, &r, md_grad_in(g, 0));
    p = md_grad_mul(g, dy, r.n);
    p = md_grad_reduce(g, "ReduceSum", p, axes, n, false);
    md_grad_result(g, 1, md_grad_cast(g, p, dtype));
    p = md_grad_reduce(g, "ReduceSum", dy, axes, n, false);
    md_grad_result(g, 2, md_grad_cast(g, p, dtype));
    p = md_grad_mul(g, dy, beside(g, scale, rank));
    md_grad_result(g, 0, md_grad_norm_end(g, &r, p));
}

const md_op md_op_batch_norm_grad = {
    .domain = "modeld",
    .name = "BatchNormalizationGrad",
    .since = 1,
    .in_min = 3,
    .in_max = 3,
    .out_min = 1,
    .out_max = 3,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .fast = &md_fast_batchnorm_grad,
    .unfold = unfold,
};
