/*
 * Operators over rows: Softmax and LogSoftmax of any axis, and the
 * normalizations.  Their rows are the axes from one on (LayerNormalization,
 * RMSNormalization), a plane (InstanceNormalization, BatchNormalization), or
 * the planes of a group (GroupNormalization).
 */
#include <string.h>

#include "base/size.h"
#include "kernels/norm_f32.h"
#include "kernels/softmax_f32.h"
#include "ops/lower/common.h"

typedef struct state {
    const md_softmax_f32_kernel *softmax;
    const md_norm_f32_kernel *norm;
    bool log;
    bool columns; /* of softmax: what lies behind the axis is not in a row */
    int axis;     /* first axis of a row */
    const float *scale, *bias; /* of rows from an axis on */
    bool planes;               /* scale and bias are inputs, by channel: */
    int64_t groups;            /* 0: each channel is a row */
    bool by_group;             /* they are by group */
    bool given;                /* so are mean and variance */
    float eps;
    md_norm kind;
} state;

typedef struct args {
    int64_t rows, n, inner;   /* rows of n values, [n][inner] of softmax */
    int64_t span, cycle, per; /* as in norm_f32.h; spans of a row */
    int64_t step;             /* rows of a chunk */
} args;

/* The axis as the first of a row. */
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
    s->columns = !flat;
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
    s->kind =
        strcmp(n->op, "LayerNormalization") == 0 ? MD_NORM_LAYER : MD_NORM_RMS;
    s->norm = md_norm_f32_select(lo->cpu);
    lo->kernel = s->norm->name;
    return MD_OK;
}

static md_status lower_lpnorm(md_lower *lo, md_error *err)
{
    state *s;

    if (!md_lower__is(lo, 0, MD_DTYPE_F32, -1))
        return md_fail(err, MD_UNSUPPORTED, "needs float32");
    MD_TRY(md_lower__state(lo, (void *)&s, sizeof(*s), err));
    MD_TRY(row_axis(lo, &s->axis, -1, err));
    if (s->axis != lo->in[0]->rank - 1)
        return md_fail(err, MD_UNSUPPORTED, "the axis is not the last");
    s->kind = md_node_attr_i(lo->node, "p", 2) == 1 ? MD_NORM_L1 : MD_NORM_L2;
    s->norm = md_norm_f32_select(lo->cpu);
    lo->kernel = s->norm->name;
    return MD_OK;
}

/* Inputs 1 to n are float32; their lengths are checked by inference. */
static md_status lower_planes(md_lower *lo, uint32_t n, state **out,
                              md_error *err)
{
    state *s;

    for (uint32_t i = 0; i <= n; i++) {
        if (!md_lower__is(lo, i, MD_DTYPE_F32, -1))
            return md_fail(err, MD_UNSUPPORTED, "needs float32");
    }
    MD_TRY(md_lower__state(lo, (void *)&s, sizeof(*s), err));
    s->planes = true;
    s->eps = md_node_attr_f(lo->node, "epsilon", 1e-5f);
    s->norm = md_norm_f32_select(lo->cpu);
    lo->kernel = s->norm->name;
    *out = s;
    return MD_OK;
}

static md_status lower_instancenorm(md_lower *lo, md_error *err)
{
    state *s;

    return lower_planes(lo, 2, &s, err);
}

static md_status lower_groupnorm(md_lower *lo, md_error *err)
{
    state *s;

    MD_TRY(lower_planes(lo, 2, &s, err));
    s->groups = md_node_attr_i(lo->node, "num_groups", 1);
    s->by_group = lo->opset < 21;
    return MD_OK;
}

static md_status lower_batchnorm(md_lower *lo, md_error *err)
{
    const md_node *n = lo->node;
    state *s;

    if (lo->opset >= 14 && md_node_attr_i(n, "training_mode", 0)) {
        lo->fast = &md_fast_batchnorm_training;
        return lo->fast->lower(lo, err);
    }
    if (lo->in[0]->rank < 2 ||
        (lo->opset < 9 && !md_node_attr_i(n, "spatial", 1)) ||
        (lo->opset < 7 && !md_node_attr_i(n, "is_test", 0)))
        return md_fail(err, MD_UNSUPPORTED,
                       "needs the channels' given statistics");
    MD_TRY(lower_planes(lo, 4, &s, err));
    s->given = true;
    return MD_OK;
}

/* The rows of [batch][channels][plane]. */
static void plan_planes(const state *s, const md_shape *x, args *a)
{
    int64_t plane = md_shape_span(x, 2, x->rank), channels = x->dim[1];

    a->rows = x->dim[0] * channels;
    a->n = a->span = plane;
    a->cycle = channels;
    if (s->groups > 0) {
        a->rows = x->dim[0] * s->groups;
        a->cycle = s->groups;
        a->n = channels / s->groups * plane;
        a->span = s->by_group ? a->n : plane;
    } else if (s->given && plane == 1) { /* a row of channels */
        a->rows = x->dim[0];
        a->cycle = 1;
        a->n = channels;
    }
}

static md_status plan(md_step *st, int width, md_arena *arena, md_error *err)
{
    const state *s = st->state;
    const md_shape *x = &st->in_shape[0];
    args *a;

    MD_TRY(md_step__args(st, arena, (void *)&a, sizeof(*a), err));
    a->span = a->inner = 1;
    if (s->planes) {
        plan_planes(s, x, a);
    } else {
        a->rows = md_shape_span(x, 0, s->axis);
        a->n = md_shape_span(x, s->axis, x->rank);
    }
    if (s->columns) {
        a->n = x->dim[s->axis];
        a->inner = md_shape_span(x, s->axis + 1, x->rank);
    }
    if (a->rows * a->n * a->inner == 0) {
        st->n_chunks = 0;
        return MD_OK;
    }
    a->per = a->n / a->span;
    st->n_chunks = md_step__chunks(a->rows * a->n * a->inner, a->rows, width);
    a->step = md_div_up(a->rows, st->n_chunks);
    return MD_OK;
}

static void run_norm(const md_step *st, float *y, const float *x, int64_t at,
                     int64_t rows)
{
    const state *s = st->state;
    const args *a = st->args;
    md_norm_f32_args n = { .x = x,
                           .rows = rows,
                           .n = a->n,
                           .span = a->span,
                           .cycle = a->cycle,
                           .first = a->cycle ? at % a->cycle : 0,
                           .scale = s->scale,
                           .bias = s->bias,
                           .eps = s->eps,
                           .kind = s->kind };

    n.y = y;
    if (s->planes) {
        n.scale = st->in[1];
        n.bias = st->in[2];
    }
    if (s->given) {
        n.mean = st->in[3];
        n.var = st->in[4];
    }
    s->norm->run(&n);
}

static void run(const md_step *st, int64_t chunk, void *scratch)
{
    const state *s = st->state;
    const args *a = st->args;
    int64_t at = chunk * a->step, row = a->n * a->inner;
    int64_t rows = md_min_i64(a->rows - at, a->step);
    const float *x = (const float *)st->in[0] + at * row;
    float *y = (float *)st->out[0] + at * row;

    (void)scratch;
    if (rows <= 0)
        return;
    if (s->softmax)
        s->softmax->run(y, x, rows, a->n, a->inner, s->log);
    else
        run_norm(st, y, x, at, rows);
}

static int inplace(const md_node *n)
{
    (void)n;
    return 0;
}

const md_fast md_fast_softmax = { lower_softmax, plan, run, NULL, inplace };
const md_fast md_fast_layernorm = { lower_layernorm, plan, run, NULL, inplace };
const md_fast md_fast_lpnorm = { lower_lpnorm, plan, run, NULL, inplace };
const md_fast md_fast_instancenorm = { lower_instancenorm, plan, run, NULL,
                                       inplace };
const md_fast md_fast_groupnorm = { lower_groupnorm, plan, run, NULL, inplace };
const md_fast md_fast_batchnorm = { lower_batchnorm, plan, run, NULL, inplace };
