/* Operators over rows of the last axis: Softmax, LogSoftmax,
 * LayerNormalization. */
#include <string.h>

#include "base/size.h"
#include "kernels/norm_f32.h"
#include "kernels/softmax_f32.h"
#include "ops/lower/common.h"

typedef struct state {
    const md_softmax_f32_kernel *softmax;
    const md_norm_f32_kernel *norm;
    bool log;
    int axis; /* first axis of a row */
    const float *scale, *bias;
    float eps;
    bool rms;
} state;

typedef struct args {
    int64_t rows, n; /* rows of n values */
    int64_t step;    /* rows of a chunk */
} args;

/* The axis as the first of a row; rows must reach to the last axis. */
static md_status row_axis(const md_lower *lo, int *axis, int64_t otherwise,
                          md_error *err)
{
    int64_t given = md_node_attr_i(lo->node, "axis", otherwise);

    return md_axis_normalize(axis, given, lo->in[0]->rank, err);
}

static md_status lower_softmax(md_lower *lo, md_error *err)
{
    bool flat = lo->opset < 13; /* rows were all axes from `axis` on */
    state *s;

    if (!md_lower__is(lo, 0, MD_DTYPE_F32, -1) || lo->in[0]->rank == 0)
        return md_fail(err, MD_UNSUPPORTED, "needs float32");
    if (flat && md_node_attr_i(lo->node, "axis", 1) == lo->in[0]->rank)
        return md_fail(err, MD_UNSUPPORTED, "rows of one element");
    MD_TRY(md_lower__state(lo, (void *)&s, sizeof(*s), err));
    MD_TRY(row_axis(lo, &s->axis, flat ? 1 : -1, err));
    if (!flat && s->axis != lo->in[0]->rank - 1)
        return md_fail(err, MD_UNSUPPORTED, "the axis is not the last");
    s->log = strcmp(lo->node->op, "LogSoftmax") == 0;
    s->softmax = md_softmax_f32_select(lo->cpu);
    lo->kernel = s->softmax->name;
    return MD_OK;
}

static md_status lower_layernorm(md_lower *lo, md_error *err)
{
    const md_node *n = lo->node;
    const md_tensor *scale = md_lower__const(lo, 1, MD_DTYPE_F32);
    const md_tensor *bias = md_lower__const(lo, 2, MD_DTYPE_F32);
    int64_t row = 1;
    state *s;

    if (!md_lower__is(lo, 0, MD_DTYPE_F32, -1) || !scale ||
        (n->n_in > 2 && lo->in[2] && !bias))
        return md_fail(err, MD_UNSUPPORTED,
                       "needs float32 with constant scale and bias");
    if ((n->n_out > 1 && n->out[1] != MD_VALUE_NONE) ||
        (n->n_out > 2 && n->out[2] != MD_VALUE_NONE))
        return md_fail(err, MD_UNSUPPORTED, "mean or variance is read");
    MD_TRY(md_lower__state(lo, (void *)&s, sizeof(*s), err));
    MD_TRY(row_axis(lo, &s->axis, -1, err));
    for (int i = s->axis; i < lo->in[0]->rank && row >= 0; i++) {
        int64_t d = md_lower__dim(lo, 0, i);

        row = d < 0 ? -1 : row * d; /* unknown sizes fit nothing */
    }
    if (md_tensor_n(scale) != row || (bias && md_tensor_n(bias) != row))
        return md_fail(err, MD_UNSUPPORTED,
                       "scale or bias is not of a row's shape");
    s->scale = scale->data;
    s->bias = bias ? bias->data : NULL;
    s->eps = md_node_attr_f(n, "epsilon", 1e-5f);
    s->rms = strcmp(n->op, "RMSNormalization") == 0;
    s->norm = md_norm_f32_select(lo->cpu);
    lo->kernel = s->norm->name;
    return MD_OK;
}

static md_status plan(md_step *st, int width, md_arena *arena, md_error *err)
{
    const state *s = st->state;
    const md_shape *x = &st->in_shape[0];
    args *a;

    MD_TRY(md_step__args(st, arena, (void *)&a, sizeof(*a), err));
    a->rows = md_shape_span(x, 0, s->axis);
    a->n = md_shape_span(x, s->axis, x->rank);
    st->n_chunks = md_step__chunks(a->rows * a->n, a->rows, width);
    a->step = md_div_up(a->rows, st->n_chunks);
    return MD_OK;
}

static void run(const md_step *st, int64_t chunk, void *scratch)
{
    const state *s = st->state;
    const args *a = st->args;
    int64_t at = chunk * a->step;
    int64_t rows = md_min_i64(a->rows - at, a->step);
    const float *x = (const float *)st->in[0] + at * a->n;
    float *y = (float *)st->out[0] + at * a->n;

    (void)scratch;
    if (rows <= 0)
        return;
    if (s->softmax)
        s->softmax->run(y, x, rows, a->n, s->log);
    else
        s->norm->run(&(md_norm_f32_args){ .y = y,
                                          .x = x,
                                          .rows = rows,
                                          .n = a->n,
                                          .scale = s->scale,
                                          .bias = s->bias,
                                          .eps = s->eps,
                                          .rms = s->rms });
}

static int inplace(const md_node *n)
{
    (void)n;
    return 0;
}

const md_fast md_fast_softmax = { lower_softmax, plan, run, NULL, inplace };
const md_fast md_fast_layernorm = { lower_layernorm, plan, run, NULL, inplace };
