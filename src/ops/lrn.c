/* y = x / (bias + alpha / size * sum of squares over `size` channels)^beta
 * (Krizhevsky et al. 2012). */
#include <math.h>

#include "base/size.h"
#include "ops/common/util.h"
#include "ops/grad.h"

enum {
    BLOCK = 64 /* places computed at a time */
};

static md_status infer(const md_infer *c, md_error *err)
{
    int64_t size = md_node_attr_i(c->node, "size", 0);

    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__rank(c, 0, 2, MD_RANK_MAX, err));
    if (size < 1 || size > INT32_MAX)
        return md_fail(err, MD_INVALID, "size is %lld, at least 1 expected",
                       (long long)size);
    md_infer__give(c, 0, c->in[0]);
    return MD_OK;
}

typedef struct norm {
    const md_tensor *in;
    md_tensor *out;
    int64_t channels, plane, blocks, before, after;
    double alpha, beta, bias;
} norm;

/* A sum of squares from which some are taken away again: what is not finite is
 * counted, not added. */
typedef struct window {
    double sum[BLOCK];
    int64_t n_inf[BLOCK], n_nan[BLOCK];
} window;

static void add(window *w, const double *v, int64_t n, int sign)
{
    for (int64_t i = 0; i < n; i++) {
        double square = v[i] * v[i];

        if (isnan(square))
            w->n_nan[i] += sign;
        else if (isinf(square))
            w->n_inf[i] += sign;
        else
            w->sum[i] += sign * square;
    }
}

/* base^-beta; the powers that nets have are roots. */
static double power(double base, double beta)
{
    if (beta == 0.75)
        return 1.0 / (sqrt(base) * sqrt(sqrt(base)));
    if (beta == 0.5)
        return 1.0 / sqrt(base);
    return pow(base, -beta);
}

static void divide(const norm *m, const window *w, double *v, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double sum = w->n_nan[i] ? NAN : w->n_inf[i] ? INFINITY : w->sum[i];

        v[i] *= power(m->bias + m->alpha * sum, m->beta);
    }
}

/* Places of a plane, through all channels. */
static void normalize_block(void *ctx, int64_t chunk, int worker)
{
    const norm *m = ctx;
    int64_t at = chunk % m->blocks * BLOCK;
    int64_t n = md_min_i64(BLOCK, m->plane - at);
    double v[BLOCK];
    window w = { { 0 }, { 0 }, { 0 } };

    (void)worker;
    at += chunk / m->blocks * m->channels * m->plane;
    for (int64_t c = -m->after; c < m->channels; c++) {
        int64_t in = c + m->after, out = c - m->before - 1;

        if (in < m->channels) {
            md_load_f64(v, m->in, at + in * m->plane, n);
            add(&w, v, n, 1);
        }
        if (out >= 0) {
            md_load_f64(v, m->in, at + out * m->plane, n);
            add(&w, v, n, -1);
        }
        if (c < 0)
            continue;
        md_load_f64(v, m->in, at + c * m->plane, n);
        divide(m, &w, v, n);
        md_store_f64(m->out, at + c * m->plane, v, n);
    }
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *s = &out->shape;
    int64_t size = md_node_attr_i(x->node, "size", 0);
    norm m = { .in = x->in[0],
               .out = out,
               .channels = s->dim[1],
               .plane = md_shape_span(s, 2, s->rank),
               .alpha = md_node_attr_f(x->node, "alpha", 1e-4f),
               .beta = md_node_attr_f(x->node, "beta", 0.75f),
               .bias = md_node_attr_f(x->node, "bias", 1.0f) };

    (void)ar;
    (void)err;
    m.alpha /= (double)size;
    m.before = md_min_i64((size - 1) / 2, m.channels);
    m.after = md_min_i64(size / 2, m.channels);
    m.blocks = md_div_up(m.plane, BLOCK);
    md_pool_run(x->pool, MD_POOL_WIDTH_MAX, s->dim[0] * m.blocks,
                normalize_block, &m);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

/* x / (bias + alpha * the mean of squares in a window of channels)^beta, where
 * what lies beside the channels counts as 0. */
static void unfold(md_grad *g)
{
    static const int64_t front = 1;
    const md_node *n = g->m.node;
    int64_t size = md_node_attr_i(n, "size", 0);
    md_part x = md_grad_in(g, 0), mean;
    int rank = md_grad_rank(g, x), axes = rank - 1;
    int64_t kernel[3] = { size, 1, 1 }, pads[6] = { 0 };

    if (rank < 3 || rank > 4) {
        md_grad_refuse(g, "rank %d", rank);
        return;
    }
    pads[0] = (size - 1) / 2;
    pads[axes] = size - 1 - pads[0];
    mean = md_grad_unsqueeze(g, md_grad_mul(g, x, x), &front, 1);
    mean = MD_GRAD_STEP(
        g, .op = "AveragePool", .in = { mean }, .n_in = 1,
        .attr = { MD_GIVE_IS("kernel_shape", kernel, (uint32_t)axes),
                  MD_GIVE_IS("pads", pads, 2 * (uint32_t)axes),
                  MD_GIVE_I("count_include_pad", 1) },
        .n_attr = 3);
    mean = md_grad_scale(g, md_grad_squeeze(g, mean, &front, 1),
                         md_node_attr_f(n, "alpha", 0.0001f));
    mean = md_grad_add(g, mean,
                       md_grad_num(g, x, md_node_attr_f(n, "bias", 1.0f)));
    mean = md_grad_2(g, "Pow", mean,
                     md_grad_num(g, x, md_node_attr_f(n, "beta", 0.75f)));
    md_grad_result(g, 0, md_grad_div(g, x, mean));
}

const md_op md_op_lrn = {
    .domain = "",
    .name = "LRN",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .unfold = unfold,
};
