/*
 * Conv in float32 on row-major tensors, of one to three spatial axes, any
 * groups and any weights: blocks of output positions are unfolded into panels
 * and multiplied by the weights as they are.  For what conv.c, which works on
 * blocks of channels, does not take: 1-D, 3-D, and groups of odd sizes.
 *
 * A bias is one more column of the weights, which meets a row of ones.
 *
 * Where a group has one channel along one axis and windows lie side by side,
 * nothing is unfolded: the taps' rows are one row, read from each tap on.
 */
#include <string.h>

#include "base/attr.h"
#include "base/size.h"
#include "kernels/gemm_f32.h"
#include "kernels/gemv_f32.h"
#include "kernels/unary_f32.h"
#include "ops/common/convolve.h"
#include "ops/lower/common.h"
#include "ops/lower/unfold.h"

typedef struct state {
    const md_gemm_f32_kernel *kernel;
    const md_gemv_f32_kernel *gemv;
    const md_unary_f32_kernel *unary;
    bool has_bias;
    bool strict;
    float *w; /* weights with their bias; NULL: made in every run */
} state;

typedef struct args {
    md_convolve v;
    md_unfold u;
    int64_t k;              /* columns of the weights, the bias too */
    int64_t step, n_blocks; /* columns of a block, blocks of a group */
    bool slides;            /* see above */
    const float *(*w)(const md_step *st); /* the weights of this run */
} args;

static void release(void *p, const md_alloc *alloc)
{
    state *s = p;

    md_free(alloc, s->w);
}

/* [rows][k] and a column of `bias` (NULL: none) behind it. */
static void join(float *to, const float *w, const float *bias, int64_t rows,
                 int64_t k)
{
    for (int64_t i = 0; i < rows; i++, w += k) {
        if (k > 0)
            memcpy(to, w, (size_t)k * sizeof(*to));
        to += k;
        if (bias)
            *to++ = bias[i];
    }
}

static bool weights_size(size_t *out, int64_t oc, int64_t k)
{
    return md_mul_size(out, (size_t)oc, (size_t)k) &&
           md_mul_size(out, *out, sizeof(float));
}

static md_status join_constants(state *s, md_lower *lo, md_error *err)
{
    const md_tensor *w = md_lower__const(lo, 1, MD_DTYPE_F32);
    const md_tensor *b = md_lower__const(lo, 2, MD_DTYPE_F32);
    int64_t k;
    size_t size;

    if (!w || (s->has_bias && !b))
        return MD_OK;
    k = md_shape_span(&w->shape, 1, w->shape.rank);
    if (!weights_size(&size, w->shape.dim[0], k + s->has_bias))
        return md_fail_nomem(err, SIZE_MAX);
    s->w = md_malloc_aligned(lo->alloc, size + MD_CACHE_LINE);
    if (!s->w)
        return md_fail_nomem(err, size);
    join(s->w, w->data, b ? b->data : NULL, w->shape.dim[0], k);
    lo->packed[1] = true;
    return MD_OK;
}

static md_status lower(md_lower *lo, md_error *err)
{
    state *s;

    if (!md_lower__may_be(lo, 0, MD_DTYPE_F32, -1) ||
        !md_lower__is(lo, 1, MD_DTYPE_F32, -1))
        return md_fail(err, MD_UNSUPPORTED, "needs float32");
    MD_TRY(md_lower__state(lo, (void *)&s, sizeof(*s), err));
    s->kernel = md_gemm_f32_select(lo->cpu);
    s->gemv = md_gemv_f32_select(lo->cpu);
    s->unary = md_unary_f32_select(lo->cpu);
    s->strict = lo->precision == MD_PRECISION_STRICT;
    s->has_bias = lo->node->n_in > 2 && lo->in[2];
    lo->kernel = s->kernel->name;
    lo->why = lo->precision == MD_PRECISION_BF16 ? "unfolded rows: fp32"
                                                 : lo->why_fp32;
    return join_constants(s, lo, err);
}

static const float *own_weights(const md_step *st)
{
    return ((const state *)st->state)->w;
}

static const float *given_weights(const md_step *st)
{
    return st->in[1];
}

static const float *joined_weights(const md_step *st)
{
    return st->shared;
}

/* Offsets of the taps of every axis. */
static md_status set_windows(args *a, md_arena *arena, md_error *err)
{
    const md_window *w = &a->v.w;
    int64_t n = w->kernel[0] + w->kernel[1] + w->kernel[2];
    int64_t *at = md_arena_calloc(arena, (size_t)n, sizeof(*at));

    if (!at)
        return md_fail_nomem(err, (size_t)n * sizeof(*at));
    for (int i = 0; i < MD_SPATIAL_MAX; i++) {
        a->u.axis[i] = (md_unfold_axis){ .in = a->v.in[i],
                                         .out = a->v.out[i],
                                         .stride = w->stride[i],
                                         .n_taps = w->kernel[i],
                                         .offset = at };
        for (int64_t t = 0; t < w->kernel[i]; t++)
            *at++ = t * w->dilation[i] - w->lo[i];
    }
    return MD_OK;
}

/* Positions behind the first that a window reaches. */
static int64_t reach_of(const args *a)
{
    return (a->v.w.kernel[2] - 1) * a->v.w.dilation[2];
}

static bool can_slide(const state *s, const args *a)
{
    const md_convolve *v = &a->v;

    return !s->strict && a->u.n_channels == 1 && v->w.stride[2] == 1 &&
           v->in[0] * v->in[1] == 1 && v->out[0] * v->out[1] == 1 &&
           v->w.kernel[0] * v->w.kernel[1] == 1;
}

/* Blocks that fit the cache, and as many as threads can use. */
static md_status cut(md_step *st, args *a, int width, md_error *err)
{
    const state *s = st->state;
    const int64_t n = md_unfold_n(&a->u);
    const int64_t groups = a->v.n * a->v.group;
    size_t size;

    a->step = md_unfold_step(n, a->k, a->k, a->v.oc / a->v.group, s->kernel->nr,
                             md_div_up((int64_t)width * 2, groups));
    a->n_blocks = md_div_up(n, a->step);
    if (!md_mul_size(&size, (size_t)a->step * sizeof(float), (size_t)a->k))
        return md_fail_nomem(err, SIZE_MAX);
    st->scratch_size = size;
    if (a->slides) {
        if (!md_add_size(&size, (size_t)a->step, (size_t)reach_of(a)) ||
            !md_mul_size(&size, size, sizeof(float)))
            return md_fail_nomem(err, SIZE_MAX);
        st->scratch_size = size > st->scratch_size ? size : st->scratch_size;
    }
    st->n_chunks = groups * a->n_blocks;
    return MD_OK;
}

static md_status plan(md_step *st, int width, md_arena *arena, md_error *err)
{
    const state *s = st->state;
    args *a;

    MD_TRY(md_step__args(st, arena, (void *)&a, sizeof(*a), err));
    MD_TRY(md_convolve__sizes(&a->v, st->node, &st->in_shape[0],
                              &st->in_shape[1], err));
    st->n_chunks = 0;
    if (md_shape_n(&st->out_shape[0]) == 0)
        return MD_OK;
    a->u.n_channels = a->v.c / a->v.group;
    a->u.has_ones = s->has_bias;
    MD_TRY(set_windows(a, arena, err));
    a->k = md_unfold_k(&a->u);
    a->slides = can_slide(s, a);
    MD_TRY(cut(st, a, width, err));
    a->w = s->w ? own_weights : given_weights;
    if (s->w || !s->has_bias)
        return MD_OK;
    a->w = joined_weights;
    if (!weights_size(&st->shared_size, a->v.oc, a->k))
        return md_fail_nomem(err, SIZE_MAX);
    st->n_more[0] = st->n_chunks; /* behind joining */
    st->n_chunks = 1;
    return MD_OK;
}

/* Positions n0 .. n1 of the outputs of a group, the first of which begins at
 * y; w are its weights. */
static void slide(const md_step *st, float *y, const float *x, const float *w,
                  int64_t n0, int64_t n1, float *row)
{
    const state *s = st->state;
    const args *a = st->args;
    const md_epilogue ep = md_step__epilogue(st, NULL);
    const int64_t taps = a->v.w.kernel[2], n = n1 - n0;
    const int64_t first = n0 - a->v.w.lo[2], end = first + n + reach_of(a);
    const int64_t from = md_max_i64(md_min_i64(end, 0), first);
    const int64_t to = md_max_i64(md_min_i64(end, a->v.in[2]), from);

    memset(row, 0, (size_t)(from - first) * sizeof(*row));
    if (to > from)
        memcpy(row + (from - first), x + from,
               (size_t)(to - from) * sizeof(*row));
    memset(row + (to - first), 0, (size_t)(end - to) * sizeof(*row));
    for (int64_t o = a->v.oc / a->v.group; o-- > 0;) {
        s->gemv->sum(&(md_gemv_f32_args){ .y = y,
                                          .x = w,
                                          .rows = row,
                                          .n = taps,
                                          .size = n,
                                          .step = a->v.w.dilation[2] });
        if (s->has_bias) {
            MD_SIMD
            for (int64_t i = 0; i < n; i++)
                y[i] += w[taps];
        }
        if (ep.act != MD_ACT_NONE)
            s->unary->act(y, y, (size_t)n, ep.act, ep.a, ep.b);
        y += md_unfold_n(&a->u);
        w += a->k;
    }
}

static void run(const md_step *st, int64_t chunk, void *scratch)
{
    const state *s = st->state;
    const args *a = st->args;
    const md_convolve *v = &a->v;
    const int64_t block = chunk % a->n_blocks, at = chunk / a->n_blocks;
    const int64_t n = md_unfold_n(&a->u), og = v->oc / v->group;
    const int64_t n0 = block * a->step, n1 = md_min_i64(n, n0 + a->step);
    const int64_t y = at * og * n + n0;
    const float *x = (const float *)st->in[0] +
                     at * a->u.n_channels * v->in[0] * v->in[1] * v->in[2];
    md_gemm_f32_args g = { .m = og,
                           .n = n1 - n0,
                           .k = a->k,
                           .lda = a->k,
                           .b = scratch,
                           .c = (float *)st->out[0] + y,
                           .ldc = n,
                           .ep = md_step__epilogue(st, NULL),
                           .strict = s->strict };

    if (st->n_more[0] > 0 && st->phase == 0) {
        join(st->shared, st->in[1], st->in[2], v->oc, a->k - 1);
        return;
    }
    g.a = a->w(st) + at % v->group * og * a->k;
    if (a->slides && !g.ep.residual) {
        slide(st, g.c, x, g.a, n0, n1, scratch);
        return;
    }
    md_unfold_pack(scratch, &a->u, x, n0, n1, s->kernel->nr);
    if (g.ep.residual)
        g.ep.residual += y;
    s->kernel->run(&g, 0, g.m, 0, g.n);
}

const md_fast md_fast_conv_rows = { lower, plan, run, release,
                                    md_lower__residual_input };
