/*
 * BatchNormalization in training mode, in float32, and its gradients: first
 * what is needed of each channel, a channel being one thread's, then the
 * planes, in pieces that stay in the first cache while kernels pass over them.
 */
#include <math.h>

#include "base/size.h"
#include "kernels/binary_f32.h"
#include "kernels/norm_f32.h"
#include "kernels/reduce_f32.h"
#include "ops/lower/common.h"

enum {
    PIECE = 2048, /* floats at once: with x, dy and two copies 32 KiB */
    FEW = 16      /* elements of a plane that are better taken one by one */
};

typedef struct state {
    const md_reduce_f32_kernel *reduce;
    const md_binary_f32_kernel *binary;
    const md_norm_f32_kernel *norm;
    float epsilon, keep; /* keep: of running statistics */
    bool is_grad;
} state;

typedef struct args {
    int64_t n, channels, plane;
    int64_t rows; /* planes in all */
} args;

/* What is known of the channels: arrays of so many in shared memory. */
typedef struct sums {
    float *mean, *var;
    float *scale, *bias; /* of the normalized values, in dx */
    float *slope;        /* of dy in dx */
} sums;

static sums sums_of(const md_step *st)
{
    const args *a = st->args;
    float *p = st->shared;
    const int64_t n = a->channels;

    return (sums){ p, p + n, p + 2 * n, p + 3 * n, p + 4 * n };
}

static md_status lower(md_lower *lo, bool is_grad, md_error *err)
{
    const uint32_t n_in = is_grad ? 3 : 5;
    state *s;

    for (uint32_t i = 0; i < n_in; i++) {
        if (!md_lower__is(lo, i, MD_DTYPE_F32, -1))
            return md_fail(err, MD_UNSUPPORTED, "needs float32");
    }
    if (lo->in[0]->rank < 2)
        return md_fail(err, MD_UNSUPPORTED, "needs channels");
    MD_TRY(md_lower__state(lo, (void *)&s, sizeof(*s), err));
    s->reduce = md_reduce_f32_select(lo->cpu);
    s->binary = md_binary_f32_select(lo->cpu);
    s->norm = md_norm_f32_select(lo->cpu);
    s->epsilon = md_node_attr_f(lo->node, "epsilon", 1e-5f);
    s->keep = md_node_attr_f(lo->node, "momentum", 0.9f);
    s->is_grad = is_grad;
    lo->kernel = s->norm->name;
    return MD_OK;
}

static md_status lower_training(md_lower *lo, md_error *err)
{
    return lower(lo, false, err);
}

static md_status lower_grad(md_lower *lo, md_error *err)
{
    return lower(lo, true, err);
}

static md_status plan(md_step *st, int width, md_arena *arena, md_error *err)
{
    const md_shape *x = &st->in_shape[0];
    int64_t count;
    args *a;

    MD_TRY(md_step__args(st, arena, (void *)&a, sizeof(*a), err));
    a->n = x->dim[0];
    a->channels = x->dim[1];
    a->plane = md_shape_span(x, 2, x->rank);
    a->rows = a->n * a->channels;
    st->n_chunks = 0;
    if (a->channels == 0)
        return MD_OK;
    if (((const state *)st->state)->is_grad &&
        !md_shape_equal(x, &st->in_shape[2]))
        return md_fail(err, MD_INVALID, "input 2 is not of input 0's shape");
    count = md_max_i64(1, a->rows * a->plane);
    st->n_chunks = md_step__chunks(count, a->channels, width);
    st->n_more[0] = md_step__chunks(count, md_max_i64(1, a->rows), width);
    st->scratch_size = (size_t)2 * PIECE * sizeof(float);
    st->shared_size = (size_t)a->channels * 5 * sizeof(float);
    return MD_OK;
}

/* ---- channels ---- */

static float reduce(const state *s, md_reduce op, const float *x, int64_t n)
{
    float y;

    s->reduce->run(&(md_reduce_f32_args){ .y = &y,
                                          .x = x,
                                          .outer = 1,
                                          .m = 1,
                                          .n = n,
                                          .inner = 1,
                                          .n_stride = 1,
                                          .op = op });
    return y;
}

static void combine(const state *s, md_binary op, float *y, const float *a,
                    const float *b, int64_t n, int b_step)
{
    const md_binary_op o = { .op = op, .act = MD_ACT_NONE };

    s->binary->run(y, a, b, (size_t)n, 1, b_step, &o);
}

static double sum_of(const state *s, const args *a, const float *x)
{
    double sum = 0.0;

    for (int64_t n = 0; n < a->n; n++, x += a->channels * a->plane) {
        if (a->plane >= FEW) {
            sum += reduce(s, MD_REDUCE_SUM, x, a->plane);
            continue;
        }
        for (int64_t i = 0; i < a->plane; i++)
            sum += x[i];
    }
    return sum;
}

/* Sums of (x - mean)^2 and, with dy, of dy * (x - mean). */
static void sum_products(const state *s, const args *a, const float *x,
                         const float *dy, float mean, float *scratch,
                         double out[2])
{
    out[0] = out[1] = 0.0;
    for (int64_t n = 0; n < a->n; n++) {
        const float *p = x + n * a->channels * a->plane;
        const float *q = dy ? dy + n * a->channels * a->plane : NULL;

        for (int64_t i = 0; i < a->plane && a->plane < FEW; i++) {
            const double d = (double)p[i] - mean;

            out[0] += d * d;
            out[1] += q ? d * q[i] : 0.0;
        }
        for (int64_t i = 0; i < a->plane && a->plane >= FEW; i += PIECE) {
            const int64_t some = md_min_i64(PIECE, a->plane - i);

            combine(s, MD_BINARY_SUB, scratch, p + i, &mean, some, 0);
            out[0] += reduce(s, MD_REDUCE_SUM_SQUARE, scratch, some);
            if (!q)
                continue;
            combine(s, MD_BINARY_MUL, scratch, scratch, q + i, some, 1);
            out[1] += reduce(s, MD_REDUCE_SUM, scratch, some);
        }
    }
}

static void find_channel(const md_step *st, int64_t c, float *scratch)
{
    const state *s = st->state;
    const args *a = st->args;
    const sums k = sums_of(st);
    const double count = (double)a->n * (double)a->plane;
    const float *x = (const float *)st->in[0] + c * a->plane;
    const float *dy =
        s->is_grad ? (const float *)st->in[2] + c * a->plane : NULL;
    double products[2];

    k.mean[c] = (float)(sum_of(s, a, x) / count);
    sum_products(s, a, x, dy, k.mean[c], scratch, products);
    k.var[c] = (float)(products[0] / count);
    if (s->is_grad) {
        const double root = sqrt((double)k.var[c] + s->epsilon);
        const double gain = ((const float *)st->in[1])[c] / root;
        const double flat = sum_of(s, a, dy), along = products[1] / root;

        k.slope[c] = (float)gain;
        k.scale[c] = (float)(-gain * along / count);
        k.bias[c] = (float)(-gain * flat / count);
        if (st->node->n_out > 1 && st->out[1])
            ((float *)st->out[1])[c] = (float)along;
        if (st->node->n_out > 2 && st->out[2])
            ((float *)st->out[2])[c] = (float)flat;
        return;
    }
    k.scale[c] = ((const float *)st->in[1])[c];
    k.bias[c] = ((const float *)st->in[2])[c];
    for (uint32_t i = 1; i <= 2; i++) {
        const float now = i == 1 ? k.mean[c] : k.var[c];

        if (i < st->node->n_out && st->out[i])
            ((float *)st->out[i])[c] =
                ((const float *)st->in[i + 2])[c] * s->keep +
                now * (1.0f - s->keep);
    }
}

/* ---- planes ---- */

/* n elements of a plane. */
static void normalize(const md_step *st, float *y, const float *x, int64_t n,
                      int64_t channel)
{
    const state *s = st->state;
    const sums k = sums_of(st);

    s->norm->run(&(md_norm_f32_args){ .y = y,
                                      .x = x,
                                      .rows = 1,
                                      .n = n,
                                      .span = n,
                                      .cycle = 1,
                                      .scale = &k.scale[channel],
                                      .bias = &k.bias[channel],
                                      .mean = &k.mean[channel],
                                      .var = &k.var[channel],
                                      .eps = s->epsilon,
                                      .kind = MD_NORM_LAYER });
}

static void finish_few(const md_step *st, int64_t row)
{
    const state *s = st->state;
    const args *a = st->args;
    const sums k = sums_of(st);
    const int64_t c = row % a->channels;
    const float *x = (const float *)st->in[0] + row * a->plane;
    const float *dy =
        s->is_grad ? (const float *)st->in[2] + row * a->plane : NULL;
    const float scale = k.scale[c] / sqrtf(k.var[c] + s->epsilon);
    float *y = (float *)st->out[0] + row * a->plane;

    for (int64_t i = 0; i < a->plane; i++) {
        float v = (x[i] - k.mean[c]) * scale + k.bias[c];

        y[i] = dy ? v + dy[i] * k.slope[c] : v;
    }
}

static void finish_plane(const md_step *st, int64_t row, float *scratch)
{
    const state *s = st->state;
    const args *a = st->args;
    const sums k = sums_of(st);
    const int64_t c = row % a->channels, at = row * a->plane;
    const float *x = (const float *)st->in[0] + at;
    const float *dy = s->is_grad ? (const float *)st->in[2] + at : NULL;
    float *y = (float *)st->out[0] + at;

    for (int64_t i = 0; i < a->plane; i += PIECE) {
        const int64_t some = md_min_i64(PIECE, a->plane - i);

        if (!dy) {
            normalize(st, y + i, x + i, some, c);
            continue;
        }
        normalize(st, scratch, x + i, some, c);
        combine(s, MD_BINARY_MUL, scratch + PIECE, dy + i, &k.slope[c], some,
                0);
        combine(s, MD_BINARY_ADD, y + i, scratch, scratch + PIECE, some, 1);
    }
}

static void run(const md_step *st, int64_t chunk, void *scratch)
{
    const args *a = st->args;
    const bool first = st->phase == 0;
    const int64_t n = first ? a->channels : a->rows;
    const int64_t parts = first ? st->n_chunks : st->n_more[0];

    if (!first && !st->out[0])
        return;
    for (int64_t i = n * chunk / parts; i < n * (chunk + 1) / parts; i++) {
        if (first)
            find_channel(st, i, scratch);
        else if (a->plane < FEW)
            finish_few(st, i);
        else
            finish_plane(st, i, scratch);
    }
}

const md_fast md_fast_batchnorm_training = { lower_training, plan, run, NULL,
                                             NULL };
const md_fast md_fast_batchnorm_grad = { lower_grad, plan, run, NULL, NULL };
