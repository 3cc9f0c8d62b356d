/* (x - mean) / (deviation + 1e-9), both over the axes given. */
#include <math.h>

#include "ops/common/util.h"
#include "ops/grad.h"

static md_status find_axes(const md_node *n, int rank, md_ints *axes,
                           md_error *err)
{
    static const md_ints channels = { .known = true, .n = 3, .v = { 0, 2, 3 } };

    MD_TRY(md_infer__attr_ints(n, "axes", axes, err));
    if (!axes->given)
        *axes = channels;
    return md_infer__axes(axes, rank, err);
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_ints axes;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT, err));
    if (c->in[0]->has_rank)
        MD_TRY(find_axes(c->node, c->in[0]->rank, &axes, err));
    md_infer__give(c, 0, c->in[0]);
    return MD_OK;
}

enum {
    LANES = 8 /* elements summed together: a constant, for vectors */
};

enum step_kind {
    STEP_SUM,
    STEP_SQUARES,
    STEP_SCALE
};

/* Rows of the last axis, and which group of elements each belongs to. */
typedef struct groups {
    const md_tensor *in;
    md_shape shape;
    int64_t stride[MD_RANK_MAX]; /* in the list of groups; 0: reduced */
    int64_t n, size;             /* groups, elements of one */
    double *mean, *scale;        /* of each group */
} groups;

typedef void row_fn(const groups *g, int64_t at, int64_t n, int64_t group,
                    int64_t step, void *ctx);

static void each_row(const groups *g, row_fn *fn, void *ctx)
{
    int64_t index[MD_RANK_MAX] = { 0 }, at = 0;
    int last = g->shape.rank - 1;
    int64_t n = g->shape.dim[last];

    do {
        int64_t group = 0;

        for (int d = 0; d < last; d++)
            group += index[d] * g->stride[d];
        for (int64_t i = 0; i < n; i += MD_CHUNK)
            fn(g, at + i, md_min_i64(n - i, MD_CHUNK),
               group + i * g->stride[last], g->stride[last], ctx);
        at += n;
    } while (md_step_index(index, g->shape.dim, last));
}

/* Sums of v and of the squares of its distance to `mean`; four at a time, for
 * one addition waits for the one before. */
static double sum_of(const double *v, int64_t n)
{
    double sum[4] = { 0 };
    int64_t i = 0;

    for (; i + 4 <= n; i += 4) {
        for (int k = 0; k < 4; k++)
            sum[k] += v[i + k];
    }
    for (; i < n; i++)
        sum[0] += v[i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

static double sum_of_squares(double *v, int64_t n, double mean)
{
    for (int64_t i = 0; i < n; i++) {
        double d = v[i] - mean;

        v[i] = d * d;
    }
    return sum_of(v, n);
}

/* The same of float32, and the result. */
static double sum_f32(const float *v, int64_t n, double mean, bool squares)
{
    double sum[LANES] = { 0 };
    int64_t i = 0;

    for (; squares && i + LANES <= n; i += LANES) {
        for (int k = 0; k < LANES; k++) {
            double d = (double)v[i + k] - mean;

            sum[k] += d * d;
        }
    }
    for (; !squares && i + LANES <= n; i += LANES) {
        for (int k = 0; k < LANES; k++)
            sum[k] += (double)v[i + k];
    }
    for (; i < n; i++) {
        double d = (double)v[i] - mean;

        sum[0] += squares ? d * d : (double)v[i];
    }
    for (int k = 1; k < LANES; k++)
        sum[0] += sum[k];
    return sum[0];
}

static void scale_f32(float *restrict to, const float *v, int64_t n,
                      double mean, double scale)
{
    int64_t i = 0;

    for (; i + LANES <= n; i += LANES) {
        for (int k = 0; k < LANES; k++)
            to[i + k] = (float)(((double)v[i + k] - mean) * scale);
    }
    for (; i < n; i++)
        to[i] = (float)(((double)v[i] - mean) * scale);
}

/* All three steps for the rows of one group each. */
static bool run_f32(const groups *g, int64_t at, int64_t n, int64_t group,
                    int64_t step, enum step_kind what, md_tensor *out)
{
    const float *v = (const float *)g->in->data + at;

    if (g->in->dtype != MD_DTYPE_F32 || step != 0)
        return false;
    if (what == STEP_SUM)
        g->mean[group] += sum_f32(v, n, 0.0, false);
    else if (what == STEP_SQUARES)
        g->scale[group] += sum_f32(v, n, g->mean[group], true);
    else
        scale_f32((float *)out->data + at, v, n, g->mean[group],
                  g->scale[group]);
    return true;
}

static void add_row(const groups *g, int64_t at, int64_t n, int64_t group,
                    int64_t step, void *ctx)
{
    double v[MD_CHUNK];

    (void)ctx;
    if (run_f32(g, at, n, group, step, STEP_SUM, NULL))
        return;
    md_load_f64(v, g->in, at, n);
    if (step == 0)
        g->mean[group] += sum_of(v, n);
    for (int64_t i = 0; step != 0 && i < n; i++)
        g->mean[group + i * step] += v[i];
}

static void add_squares(const groups *g, int64_t at, int64_t n, int64_t group,
                        int64_t step, void *ctx)
{
    double v[MD_CHUNK];

    (void)ctx;
    if (run_f32(g, at, n, group, step, STEP_SQUARES, NULL))
        return;
    md_load_f64(v, g->in, at, n);
    if (step == 0)
        g->scale[group] += sum_of_squares(v, n, g->mean[group]);
    for (int64_t i = 0; step != 0 && i < n; i++) {
        double d = v[i] - g->mean[group + i * step];

        g->scale[group + i * step] += d * d;
    }
}

static void write_row(const groups *g, int64_t at, int64_t n, int64_t group,
                      int64_t step, void *ctx)
{
    double v[MD_CHUNK], mean = g->mean[group], scale = g->scale[group];

    if (run_f32(g, at, n, group, step, STEP_SCALE, ctx))
        return;
    md_load_f64(v, g->in, at, n);
    for (int64_t i = 0; step == 0 && i < n; i++)
        v[i] = (v[i] - mean) * scale;
    for (int64_t i = 0; step != 0 && i < n; i++) {
        int64_t k = group + i * step;

        v[i] = (v[i] - g->mean[k]) * g->scale[k];
    }
    md_store_f64(ctx, at, v, n);
}

static bool is_reduced(const md_ints *axes, int d)
{
    for (int i = 0; i < axes->n; i++) {
        if (axes->v[i] == d)
            return true;
    }
    return false;
}

/* The last axes as one, as long as all are reduced or all are not: rows become
 * as long as they can be. */
static void join_axes(md_shape *s, const md_ints *axes)
{
    while (s->rank > 1 &&
           is_reduced(axes, s->rank - 1) == is_reduced(axes, s->rank - 2)) {
        s->dim[s->rank - 2] *= s->dim[s->rank - 1];
        s->rank--;
    }
}

static md_status prepare(groups *g, md_exec *x, md_arena *ar, md_error *err)
{
    md_ints axes;

    *g = (groups){ .in = x->in[0], .shape = x->in[0]->shape, .n = 1 };
    MD_TRY(find_axes(x->node, g->shape.rank, &axes, err));
    if (g->shape.rank == 0) { /* a row of one, not reduced */
        g->shape.rank = 1;
        g->shape.dim[0] = 1;
    }
    join_axes(&g->shape, &axes);
    for (int d = g->shape.rank; d-- > 0;) {
        bool reduced = is_reduced(&axes, d);

        g->stride[d] = reduced ? 0 : g->n;
        g->n *= reduced ? 1 : g->shape.dim[d];
    }
    g->size = md_tensor_n(g->in) / g->n;
    MD_TRY(md_exec__scratch(&g->mean, ar, g->n, sizeof(*g->mean), err));
    return md_exec__scratch(&g->scale, ar, g->n, sizeof(*g->scale), err);
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    groups g;

    MD_TRY(prepare(&g, x, ar, err));
    each_row(&g, add_row, NULL);
    for (int64_t i = 0; i < g.n; i++)
        g.mean[i] /= (double)g.size;
    each_row(&g, add_squares, NULL);
    for (int64_t i = 0; i < g.n; i++)
        g.scale[i] = 1.0 / (sqrt(g.scale[i] / (double)g.size) + 1e-9);
    each_row(&g, write_row, out);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

static void unfold(md_grad *g)
{
    static const int64_t usual[] = { 0, 2, 3 };
    uint32_t n;
    const int64_t *axes = md_node_attr_is(g->m.node, "axes", &n);
    md_part x = md_grad_in(g, 0), deviation;

    if (!axes) {
        axes = usual;
        n = 3;
    }
    x = md_grad_sub(g, x,
                    md_grad_reduce(g, "ReduceMean", x, axes, (int)n, true));
    deviation = md_grad_1(g, "Sqrt",
                          md_grad_reduce(g, "ReduceMean", md_grad_mul(g, x, x),
                                         axes, (int)n, true));
    deviation = md_grad_add(g, deviation, md_grad_num(g, x, 1e-9));
    md_grad_result(g, 0, md_grad_div(g, x, deviation));
}

const md_op md_op_mean_variance_normalization = {
    .domain = "",
    .name = "MeanVarianceNormalization",
    .since = 9,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .unfold = unfold,
};
