/* (x - mean) / (deviation + 1e-9), both over the axes given. */
#include <math.h>

#include "ops/common/util.h"

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

static void add_row(const groups *g, int64_t at, int64_t n, int64_t group,
                    int64_t step, void *ctx)
{
    double v[MD_CHUNK];

    (void)ctx;
    md_load_f64(v, g->in, at, n);
    for (int64_t i = 0; i < n; i++)
        g->mean[group + i * step] += v[i];
}

static void add_squares(const groups *g, int64_t at, int64_t n, int64_t group,
                        int64_t step, void *ctx)
{
    double v[MD_CHUNK];

    (void)ctx;
    md_load_f64(v, g->in, at, n);
    for (int64_t i = 0; i < n; i++) {
        double d = v[i] - g->mean[group + i * step];

        g->scale[group + i * step] += d * d;
    }
}

static void write_row(const groups *g, int64_t at, int64_t n, int64_t group,
                      int64_t step, void *ctx)
{
    double v[MD_CHUNK];

    md_load_f64(v, g->in, at, n);
    for (int64_t i = 0; i < n; i++) {
        int64_t k = group + i * step;

        v[i] = (v[i] - g->mean[k]) * g->scale[k];
    }
    md_store_f64(ctx, at, v, n);
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
    for (int d = g->shape.rank; d-- > 0;) {
        bool reduced = false;

        for (int i = 0; i < axes.n; i++)
            reduced = reduced || axes.v[i] == d;
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

const md_op md_op_mean_variance_normalization = {
    .domain = "",
    .name = "MeanVarianceNormalization",
    .since = 9,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
