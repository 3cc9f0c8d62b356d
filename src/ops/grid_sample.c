/* The input at places that a grid names, x first, between -1 and 1. */
#include <math.h>
#include <string.h>

#include "kernels/blend_f32.h"
#include "ops/common/channels.h"

enum {
    TAPS_MAX = 4,   /* along one axis */
    LOOKS_MAX = 64, /* elements of one place: over three axes 4 each */
    BLOCK = 64      /* places computed at a time */
};

enum padding {
    PAD_ZEROS,
    PAD_BORDER,
    PAD_REFLECTION
};

typedef struct sampler {
    int axes;
    int n_taps; /* 1: nearest, 2: linear, 4: cubic */
    enum padding padding;
    bool corners;
    int64_t size[MD_RANK_MAX], stride[MD_RANK_MAX];
} sampler;

static md_status read_attributes(sampler *s, const md_infer *c, md_error *err)
{
    const char *mode =
        md_node_attr_s(c->node, "mode", c->opset < 20 ? "bilinear" : "linear");
    const char *padding = md_node_attr_s(c->node, "padding_mode", "zeros");

    *s = (sampler){ .corners =
                        md_node_attr_i(c->node, "align_corners", 0) != 0 };
    if (strcmp(mode, "nearest") == 0)
        s->n_taps = 1;
    else if (strcmp(mode, c->opset < 20 ? "bilinear" : "linear") == 0)
        s->n_taps = 2;
    else if (strcmp(mode, c->opset < 20 ? "bicubic" : "cubic") == 0)
        s->n_taps = 4;
    else
        return md_fail(err, MD_INVALID,
                       "mode is '%s', which opset %lld does not name", mode,
                       (long long)c->opset);
    if (strcmp(padding, "border") == 0)
        s->padding = PAD_BORDER;
    else if (strcmp(padding, "reflection") == 0)
        s->padding = PAD_REFLECTION;
    else if (strcmp(padding, "zeros") != 0)
        return md_fail(err, MD_INVALID,
                       "padding_mode is '%s', zeros, border or reflection "
                       "expected",
                       padding);
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *x = c->in[0], *grid = c->in[1];
    md_type t = { 0 };
    sampler s;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_NUMBER | MD_T(BOOL), err));
    MD_TRY(md_infer__need(c, 1, MD_TYPES_FLOAT, err));
    MD_TRY(read_attributes(&s, c, err));
    MD_TRY(md_infer__rank(c, 0, c->opset < 20 ? 4 : 3,
                          c->opset < 20 ? 4 : MD_RANK_MAX, err));
    t.dtype = x->dtype;
    if (x->has_rank) {
        MD_TRY(md_infer__rank(c, 1, x->rank, x->rank, err));
        MD_TRY(md_infer__fresh_type(c, &t, t.dtype, x->rank, err));
        t.dim[0] = x->dim[0];
        t.dim[1] = x->dim[1];
        if (grid->has_rank) {
            MD_TRY(md_infer__must_equal(c, grid->dim[0], x->dim[0],
                                        "the grid's batch", err));
            MD_TRY(md_infer__must_equal(c, grid->dim[x->rank - 1],
                                        MD_DIM(x->rank - 2),
                                        "the grid's last axis", err));
            for (int i = 2; i < x->rank; i++)
                t.dim[i] = grid->dim[i - 1];
        }
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

/* v mirrored at lo and hi until it lies between them. */
static double reflect(double v, double lo, double hi)
{
    double span = hi - lo, rest;

    if (span <= 0.0)
        return lo;
    rest = fmod(fabs(v - lo), 2.0 * span);
    return lo + (rest > span ? 2.0 * span - rest : rest);
}

/* floor without a call, but for what is too large to have a fraction. */
static double floor_of(double v)
{
    double whole;

    if (!(fabs(v) < 0x1p52))
        return floor(v);
    whole = (double)(int64_t)v;
    return whole > v ? whole - 1.0 : whole;
}

/* Index of tap i along an axis of n; -1 where the input counts as 0. */
static int64_t clamp_tap(const sampler *s, double i, int64_t n)
{
    double last = (double)n - 1.0;

    if (i >= 0.0 && i <= last)
        return (int64_t)i;
    if (s->padding == PAD_ZEROS || isnan(i))
        return -1;
    if (s->padding == PAD_REFLECTION)
        i = s->corners ? reflect(i, 0.0, last) : reflect(i, -0.5, last + 0.5);
    i = i < 0.0 ? 0.0 : i;
    return (int64_t)(i > last ? last : i);
}

/* Weights of the taps around a place, `t` behind the second (of two the
 * first).  Cubic: Keys with a = -0.75. */
static void weigh(double w[TAPS_MAX], int n, double t)
{
    const double a = -0.75;

    if (n == 1) {
        w[0] = 1.0;
    } else if (n == 2) {
        w[0] = 1.0 - t;
        w[1] = t;
    } else {
        double u = t + 1.0, v = 1.0 - t, z = 2.0 - t;

        w[0] = ((a * u - 5.0 * a) * u + 8.0 * a) * u - 4.0 * a;
        w[1] = ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0;
        w[2] = ((a + 2.0) * v - (a + 3.0)) * v * v + 1.0;
        w[3] = ((a * z - 5.0 * a) * z + 8.0 * a) * z - 4.0 * a;
    }
}

/* Taps and weights along axis d for the normalized coordinate g. */
static void place(const sampler *s, int d, double g, int64_t *tap, double *w)
{
    double n = (double)s->size[d], v, first;
    double lo = s->corners ? 0.0 : -0.5, hi = s->corners ? n - 1.0 : n - 0.5;

    v = s->corners ? (g + 1.0) / 2.0 * (n - 1.0) : ((g + 1.0) * n - 1.0) / 2.0;
    if (s->n_taps == 1)
        v = rint(v);
    if (s->padding == PAD_BORDER && (v < lo || v > hi))
        v = v < 0.0 ? 0.0 : n - 1.0;
    if (s->padding == PAD_REFLECTION && (v < lo || v > hi))
        v = reflect(v, lo, hi);
    first = s->n_taps == 1 ? v : floor_of(v) - (s->n_taps == 4 ? 1.0 : 0.0);
    weigh(w, s->n_taps, s->n_taps == 1 ? 0.0 : v - floor_of(v));
    for (int i = 0; i < s->n_taps; i++)
        tap[i] = clamp_tap(s, first + i, s->size[d]);
}

/* Where the places of a block look: the `n` elements of each, one place's
 * behind the other's, with weights, also as floats. */
typedef struct look {
    int n;
    int64_t at[BLOCK * LOOKS_MAX];
    double w[BLOCK * LOOKS_MAX];
    float narrow[BLOCK * LOOKS_MAX];
    bool inside[BLOCK]; /* all of a place's */
} look;

typedef struct sampling {
    sampler s;
    const md_tensor *in, *grid;
    md_tensor *out;
    int64_t channels, plane, places, blocks;
    int n_looks; /* elements of one place */
    /* The input with its channels last, and a tile [BLOCK, channels] for each
     * thread; NULL: a channel at a time. */
    const float *rows;
    float *tiles;
    look *looks; /* of each thread */
    uint32_t cpu;
} sampling;

static void put_look(look *l, int64_t i, int k, int64_t at, double weight)
{
    k += (int)i * l->n;
    l->at[k] = at;
    l->w[k] = weight;
    l->narrow[k] = (float)weight;
    l->inside[i] = l->inside[i] && at >= 0;
}

/* Linear interpolation of images, which is most of all. */
static void combine_four(const sampler *s, int64_t tap[][TAPS_MAX],
                         double w[][TAPS_MAX], look *l, int64_t i)
{
    l->inside[i] = true;
    for (int k = 0; k < 4; k++) {
        int64_t y = tap[0][k / 2], x = tap[1][k % 2];
        bool inside = y >= 0 && x >= 0;

        put_look(l, i, k, inside ? y * s->stride[0] + x : -1,
                 w[0][k / 2] * w[1][k % 2]);
    }
}

/* All combinations of the axes' taps. */
static void combine(const sampler *s, int64_t tap[][TAPS_MAX],
                    double w[][TAPS_MAX], look *l, int64_t i)
{
    int64_t k[MD_RANK_MAX] = { 0 }, n[MD_RANK_MAX];
    int to = 0;

    l->inside[i] = true;
    for (int d = 0; d < s->axes; d++)
        n[d] = s->n_taps;
    do {
        int64_t at = 0;
        double weight = 1.0;
        bool inside = true;

        for (int d = 0; d < s->axes; d++) {
            inside = inside && tap[d][k[d]] >= 0;
            at += tap[d][k[d]] * s->stride[d];
            weight *= w[d][k[d]];
        }
        put_look(l, i, to++, inside ? at : -1, weight);
    } while (md_step_index(k, n, s->axes));
}

/* One channel of a block.  What lies outside is left out, not multiplied by 0:
 * the input may hold NaN. */
#define SEE(name, T, weights)                                                  \
    static void name(const T *in, T *out, const look *l, int64_t n)            \
    {                                                                          \
        for (int64_t i = 0; i < n; i++) {                                      \
            const int64_t *at = l->at + i * l->n;                              \
            const T *w = l->weights + i * l->n;                                \
            T sum = 0;                                                         \
                                                                               \
            if (l->n == 4 && l->inside[i]) {                                   \
                out[i] = w[0] * in[at[0]] + w[1] * in[at[1]] +                 \
                         w[2] * in[at[2]] + w[3] * in[at[3]];                  \
                continue;                                                      \
            }                                                                  \
            for (int k = 0; k < l->n; k++) {                                   \
                if (at[k] >= 0)                                                \
                    sum += w[k] * in[at[k]];                                   \
            }                                                                  \
            out[i] = sum;                                                      \
        }                                                                      \
    }
SEE(see_f32, float, narrow)
SEE(see_f64, double, w)

static void see_any(const sampling *g, int64_t from, int64_t to, const look *l,
                    int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double sum = 0.0, v;

        for (int64_t k = i * l->n; k < (i + 1) * l->n; k++) {
            if (l->at[k] < 0)
                continue;
            md_load_f64(&v, g->in, from + l->at[k], 1);
            sum += l->w[k] * v;
        }
        md_store_f64(g->out, to + i, &sum, 1);
    }
}

/* All channels of the n places of a block together. */
static void see_rows(const sampling *g, int64_t batch, int64_t first, look *l,
                     int64_t n, float *tile)
{
    for (int64_t k = 0; k < n * l->n; k++)
        l->at[k] *= g->channels; /* -1 stays negative */
    md_blend_f32_select(g->cpu)->run(
        &(md_blend_f32_args){ .y = tile,
                              .x = g->rows + batch * g->plane * g->channels,
                              .at = l->at,
                              .w = l->narrow,
                              .places = n,
                              .looks = l->n,
                              .stride = l->n,
                              .n = g->channels,
                              .y_stride = g->channels });
    md_channels__first((float *)g->out->data + batch * g->channels * g->places +
                           first,
                       g->places, tile, n, g->channels, g->cpu);
}

/* BLOCK places of one batch element, in all channels. */
static void sample_block(void *ctx, int64_t chunk, int worker)
{
    const sampling *g = ctx;
    const sampler *s = &g->s;
    int64_t tap[MD_RANK_MAX][TAPS_MAX] = { { 0 } };
    int64_t batch = chunk / g->blocks, first = chunk % g->blocks * BLOCK;
    int64_t n = md_min_i64(BLOCK, g->places - first);
    double w[MD_RANK_MAX][TAPS_MAX] = { { 0 } }, v[BLOCK * MD_RANK_MAX];
    look *l = &g->looks[worker];

    l->n = g->n_looks;
    md_load_f64(v, g->grid, (batch * g->places + first) * s->axes, n * s->axes);
    for (int64_t i = 0; i < n; i++) {
        for (int d = 0; d < s->axes; d++)
            place(s, d, v[i * s->axes + s->axes - 1 - d], tap[d], w[d]);
        if (s->axes == 2 && s->n_taps == 2)
            combine_four(s, tap, w, l, i);
        else
            combine(s, tap, w, l, i);
    }
    if (g->rows) {
        see_rows(g, batch, first, l, n,
                 g->tiles + (int64_t)worker * BLOCK * g->channels);
        return;
    }
    for (int64_t c = batch * g->channels; c < (batch + 1) * g->channels; c++) {
        int64_t from = c * g->plane, to = c * g->places + first;

        if (g->in->dtype == MD_DTYPE_F32)
            see_f32((const float *)g->in->data + from,
                    (float *)g->out->data + to, l, n);
        else if (g->in->dtype == MD_DTYPE_F64)
            see_f64((const double *)g->in->data + from,
                    (double *)g->out->data + to, l, n);
        else
            see_any(g, from, to, l, n);
    }
}

static md_status prepare(sampler *s, md_exec *x, md_arena *ar, md_error *err)
{
    const md_shape *in = &x->in[0]->shape;
    int64_t stride[MD_RANK_MAX];
    md_infer c;

    MD_TRY(md_exec__infer_view(x, &c, ar, err));
    MD_TRY(read_attributes(s, &c, err));
    md_shape_strides(stride, in);
    s->axes = in->rank - 2;
    for (int d = 0; d < s->axes; d++) {
        s->size[d] = in->dim[2 + d];
        s->stride[d] = stride[2 + d];
    }
    return MD_OK;
}

/* What threads write before they read it. */
static md_status make_scratch(sampling *g, const md_exec *x, md_arena *ar,
                              md_error *err)
{
    size_t n = (size_t)md_pool_width(x->pool), size;

    if (!md_mul_size(&size, (size_t)g->channels * BLOCK, sizeof(float)) ||
        !md_mul_size(&size, size, n))
        return md_fail_nomem(err, SIZE_MAX);
    g->looks = md_arena_alloc(ar, n * sizeof(*g->looks));
    g->tiles = md_arena_alloc(ar, size);
    return g->looks && g->tiles ? MD_OK : md_fail_nomem(err, size);
}

/* Put the channels last where that pays: the input is read once more. */
static md_status make_rows(sampling *g, const md_exec *x, md_arena *ar,
                           md_error *err)
{
    if (g->in->dtype != MD_DTYPE_F32 || g->channels < MD_CHANNELS_FEW ||
        g->places * g->n_looks < g->plane)
        return MD_OK;
    return md_channels__last(&g->rows, x, g->in->data, g->in->shape.dim[0],
                             g->channels, g->plane, ar, err);
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *in = &x->in[0]->shape, *o = &out->shape;
    sampling g = { .in = x->in[0],
                   .grid = x->in[1],
                   .out = out,
                   .channels = o->dim[1],
                   .plane = md_shape_span(in, 2, in->rank),
                   .places = md_shape_span(o, 2, o->rank),
                   .n_looks = 1,
                   .cpu = x->cpu };

    MD_TRY(prepare(&g.s, x, ar, err));
    if (g.plane == 0)
        return md_fail(err, MD_INVALID, "the input has no elements to sample");
    for (int d = 0; d < g.s.axes; d++)
        g.n_looks *= g.s.n_taps;
    g.blocks = md_div_up(g.places, BLOCK);
    MD_TRY(make_scratch(&g, x, ar, err));
    MD_TRY(make_rows(&g, x, ar, err));
    md_pool_run(x->pool, MD_POOL_WIDTH_MAX, o->dim[0] * g.blocks, sample_block,
                &g);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_grid_sample = {
    .domain = "",
    .name = "GridSample",
    .since = 16,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
};
