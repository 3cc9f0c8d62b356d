/* scale * (x - mean) / sqrt(var + epsilon) + bias.  In training mode mean and
 * variance are those of x, and what is given only runs along. */
#include <math.h>

#include "base/size.h"
#include "kernels/array_f64.h"
#include "ops/common/util.h"
#include "ops/grad.h"
#include "ops/lower.h"

static bool is_training(const md_node *n, int64_t opset)
{
    if (opset < 7)
        return md_node_attr_i(n, "is_test", 0) == 0;
    return opset >= 14 && md_node_attr_i(n, "training_mode", 0) != 0;
}

/* Before opset 9 the statistics may be those of each position of a plane. */
static bool is_spatial(const md_node *n, int64_t opset)
{
    return opset >= 9 || md_node_attr_i(n, "spatial", 1) != 0;
}

/* Statistics are an output of training, which from opset 7 to 13 has no
 * attribute; what only gradients use is not computed. */
static md_status check_outputs(const md_infer *c, md_error *err)
{
    for (uint32_t i = 1; i < c->node->n_out; i++) {
        if (c->node->out[i] == MD_VALUE_NONE ||
            (i < 3 && is_training(c->node, c->opset)))
            continue;
        return md_fail(err, MD_UNSUPPORTED,
                       "output %u of BatchNormalization in opset %lld%s",
                       (unsigned)i, (long long)c->opset,
                       i < 3 ? " without training_mode" : "");
    }
    return MD_OK;
}

/* Inputs 1 to 4: one number per channel, or per position of an image. */
static md_status check_parameter(const md_infer *c, uint32_t i, md_error *err)
{
    static const char *const what[] = { "x", "scale", "bias", "mean", "var" };
    const md_type *x = c->in[0], *t = c->in[i];
    md_dim channels = MD_DIM(1);

    MD_TRY(md_infer__need(c, i, MD_TYPES_FLOAT, err));
    if (!x->has_rank)
        return MD_OK;
    if (x->rank > 1)
        channels = x->dim[1];
    if (is_spatial(c->node, c->opset) || x->rank < 2)
        return md_infer__length(c, c->in[i], channels, what[i], err);
    MD_TRY(md_infer__rank(c, i, x->rank - 1, x->rank - 1, err));
    for (int d = 0; t->has_rank && d < t->rank; d++)
        MD_TRY(md_infer__must_equal(c, t->dim[d], x->dim[d + 1], what[i], err));
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__rank(c, 0, 1, MD_RANK_MAX, err));
    MD_TRY(check_outputs(c, err));
    for (uint32_t i = 1; i < 5; i++)
        MD_TRY(check_parameter(c, i, err));
    MD_TRY(md_infer__same_dtype(c, 1, 2, err));
    MD_TRY(md_infer__same_dtype(c, 3, 4, err));
    if (c->opset < 14) { /* one type for all */
        MD_TRY(md_infer__same_dtype(c, 0, 1, err));
        MD_TRY(md_infer__same_dtype(c, 0, 3, err));
    }
    md_infer__give(c, 0, c->in[0]);
    md_infer__give(c, 1, c->in[3]);
    md_infer__give(c, 2, c->in[4]);
    return MD_OK;
}

/* Of one channel over all batch elements. */
static void find_moments(const md_tensor *t, int64_t c, int64_t channels,
                         int64_t plane, double *mean, double *var)
{
    int64_t n = md_tensor_n(t) / channels;
    double sum = 0.0, squares = 0.0;

    for (int64_t i = 0; i < n; i++)
        sum += md_tensor_get_f64(t, (i / plane * channels + c) * plane +
                                        i % plane);
    *mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++) {
        double d = md_tensor_get_f64(t, (i / plane * channels + c) * plane +
                                            i % plane) -
                   *mean;

        squares += d * d;
    }
    *var = squares / (double)n;
}

/* Replace the statistics by those of x; the running ones go to out. */
static void train(md_exec *x, md_tensor *const *out, double *mean, double *var,
                  int64_t channels, int64_t plane)
{
    double keep = md_node_attr_f(x->node, "momentum", 0.9f);

    for (int64_t c = 0; c < channels; c++) {
        double m, v;

        find_moments(x->in[0], c, channels, plane, &m, &v);
        if (out[1])
            md_tensor_set_f64(out[1], c, mean[c] * keep + m * (1.0 - keep));
        if (out[2])
            md_tensor_set_f64(out[2], c, var[c] * keep + v * (1.0 - keep));
        mean[c] = m;
        var[c] = v;
    }
}

/* What is done to the planes, one number each of a channel. */
typedef struct job {
    const md_tensor *in;
    md_tensor *out;
    int64_t channels, plane;
    const double *mean, *mul, *bias;
    const md_array_f64_kernel *kernel;
} job;

/* n numbers of one channel: as one product and sum where that is finite. */
static void affine(const job *j, double *y, const double *x, int64_t n,
                   int64_t c)
{
    const double mean = j->mean[c], mul = j->mul[c], bias = j->bias[c];
    const double shift = bias - mean * mul;

    if (n >= MD_CHUNK / 8 && isfinite(mul) && isfinite(shift)) {
        j->kernel->map(MD_MAP_F64_AFFINE, y, x, (size_t)n, mul, shift);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        y[i] = (x[i] - mean) * mul + bias;
}

/* Planes [from, to). */
static void normalize_part(void *ctx, int64_t from, int64_t to)
{
    const job *j = ctx;
    double v[MD_CHUNK];

    for (int64_t plane = from; plane < to; plane++) {
        const int64_t c = plane % j->channels, end = (plane + 1) * j->plane;
        int64_t at = plane * j->plane, m;

        if (j->in->dtype == MD_DTYPE_F64) {
            affine(j, (double *)j->out->data + at,
                   (const double *)j->in->data + at, j->plane, c);
            continue;
        }
        for (; at < end; at += m) {
            m = md_min_i64(end - at, MD_CHUNK);
            md_load_f64(v, j->in, at, m);
            affine(j, v, v, m, c);
            md_store_f64(j->out, at, v, m);
        }
    }
}

static md_status compute(md_exec *x, md_tensor *const *outs, md_arena *ar,
                         md_error *err)
{
    const md_shape *s = &x->in[0]->shape;
    double epsilon = md_node_attr_f(x->node, "epsilon", 1e-5f);
    int64_t channels = s->rank > 1 ? s->dim[1] : 1;
    int64_t plane = s->rank > 1 ? md_shape_span(s, 2, s->rank) : 1;
    int64_t n = md_shape_n(s);
    double *mean, *var, *bias;

    if (!is_spatial(x->node, x->opset)) {
        channels *= plane;
        plane = 1;
    }
    MD_TRY(md_exec__scratch(&mean, ar, channels, sizeof(*mean), err));
    MD_TRY(md_exec__scratch(&var, ar, channels, sizeof(*var), err));
    MD_TRY(md_exec__scratch(&bias, ar, channels, sizeof(*bias), err));
    md_load_f64(mean, x->in[3], 0, channels);
    md_load_f64(var, x->in[4], 0, channels);
    if (is_training(x->node, x->opset))
        train(x, outs, mean, var, channels, plane);
    if (!outs[0] || n == 0)
        return MD_OK;
    md_load_f64(bias, x->in[2], 0, channels);
    for (int64_t c = 0; c < channels; c++) /* it becomes the factor */
        var[c] = md_tensor_get_f64(x->in[1], c) / sqrt(var[c] + epsilon);
    md_exec__share(x, n / plane, 10.0 + (double)plane, normalize_part,
                   &(job){ x->in[0], outs[0], channels, plane, mean, var, bias,
                           md_array_f64_select(x->cpu) });
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

/* What is summed over all but the channels becomes the gradient of input i. */
static void give_channels(md_grad *g, uint32_t i, md_part p,
                          const int64_t *axes, int n)
{
    md_dtype type = md_grad_type(g, md_grad_in(g, i))->dtype;

    if (md_grad_wants(g, i))
        md_grad_give(
            g, i,
            md_grad_cast(g, md_grad_reduce(g, "ReduceSum", p, axes, n, false),
                         type));
}

/* The mean and the variance depend on x too. */
static void grad_training(md_grad *g, md_part dy)
{
    static const char *const keep[] = { "epsilon", NULL };
    md_part dx =
        MD_GRAD_STEP(g, .domain = "modeld", .op = "BatchNormalizationGrad",
                     .in = { md_grad_in(g, 0), md_grad_in(g, 1), dy },
                     .n_in = 3, .n_out = 3, .keep = keep);

    for (uint32_t i = 0; i < 3 && dx != MD_PART_NONE; i++)
        md_grad_give(g, i, dx + (int)i);
}

static void grad(md_grad *g)
{
    int rank = md_grad_rank(g, md_grad_in(g, 0)), n = 0;
    double epsilon = md_node_attr_f(g->m.node, "epsilon", 1e-5f);
    md_part dy = md_grad_of(g, 0), var, scale, normal, dx;
    int64_t axes[MD_RANK_MAX];

    if (rank < 2 || !is_spatial(g->m.node, g->m.opset) || dy == MD_PART_NONE ||
        md_grad_of(g, 1) != MD_PART_NONE || md_grad_of(g, 2) != MD_PART_NONE) {
        md_grad_refuse(g, "rank %d, no channels, or through a running mean",
                       rank);
        return;
    }
    for (int d = 0; d < rank; d++) {
        if (d != 1)
            axes[n++] = d;
    }
    if (is_training(g->m.node, g->m.opset)) {
        grad_training(g, dy);
        return;
    }
    var = beside(g, md_grad_in(g, 4), rank);
    var = md_grad_add(g, var, md_grad_num(g, var, epsilon));
    scale = md_grad_1(g, "Reciprocal", md_grad_1(g, "Sqrt", var));
    normal =
        md_grad_sub(g, md_grad_in(g, 0), beside(g, md_grad_in(g, 3), rank));
    normal = md_grad_mul(g, normal, scale);
    give_channels(g, 1, md_grad_mul(g, dy, normal), axes, n);
    give_channels(g, 2, dy, axes, n);
    dx = md_grad_mul(g, dy, beside(g, md_grad_in(g, 1), rank));
    dx = md_grad_mul(g, dx, scale);
    md_grad_give(g, 0, dx);
    give_channels(g, 3, md_grad_1(g, "Neg", dx), axes, n);
    dx = md_grad_mul(g, md_grad_mul(g, dx, normal), scale);
    give_channels(g, 4, md_grad_scale(g, dx, -0.5), axes, n);
}

const md_op md_op_batch_normalization = {
    .domain = "",
    .name = "BatchNormalization",
    .since = 1,
    .in_min = 5,
    .in_max = 5,
    .out_min = 1,
    .out_max = 5,
    .flags = MD_OP_INPLACE | MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .fast = &md_fast_batchnorm,
    .grad = grad,
};
