/*
 * MaxPool and AveragePool of float32 along one to three axes, and global pools
 * of any rank, on row-major planes.
 *
 * The rows under a window are combined first, element by element; then the
 * combined row along itself: its elements are dealt out by their remainder by
 * the stride, so that each tap reads neighbours.
 */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "kernels/binary_f32.h"
#include "kernels/reduce_f32.h"
#include "ops/common/pool.h"
#include "ops/lower/common.h"

typedef struct state {
    const md_binary_f32_kernel *binary;
    const md_reduce_f32_kernel *reduce;
    bool average, count_pad, global;
} state;

typedef struct args {
    md_pool_plan p;
    int64_t step;  /* planes of a chunk */
    float *counts; /* averages: taps along the last axis, by position */
} args;

static md_status make_state(state **out, md_lower *lo, md_error *err)
{
    state *s;

    if (!md_lower__is(lo, 0, MD_DTYPE_F32, -1))
        return md_fail(err, MD_UNSUPPORTED, "needs float32 or 2-D 8 bits");
    MD_TRY(md_lower__state(lo, (void *)&s, sizeof(*s), err));
    s->binary = md_binary_f32_select(lo->cpu);
    s->reduce = md_reduce_f32_select(lo->cpu);
    s->average = strstr(lo->node->op, "Average") != NULL;
    *out = s;
    return MD_OK;
}

static md_status lower(md_lower *lo, md_error *err)
{
    state *s;

    if (lo->node->n_out > 1 && lo->node->out[1] != MD_VALUE_NONE)
        return md_fail(err, MD_UNSUPPORTED, "indices are read");
    MD_TRY(make_state(&s, lo, err));
    s->count_pad = md_node_attr_i(lo->node, "count_include_pad", 0) != 0;
    lo->kernel = s->binary->name;
    return MD_OK;
}

static md_status lower_global(md_lower *lo, md_error *err)
{
    state *s;

    MD_TRY(make_state(&s, lo, err));
    s->global = true;
    lo->kernel = s->reduce->name;
    return MD_OK;
}

/* --- plan -------------------------------------------------------------- */

/* Taps of an axis that count at output position o. */
static int64_t taps_at(const md_pool_plan *p, int axis, int64_t o,
                       bool count_pad, md_span *out)
{
    const md_window *w = &p->w;
    const int64_t d = w->dilation[axis], k = w->kernel[axis];
    const int64_t first = o * w->stride[axis] - w->lo[axis];
    const int64_t end = p->in[axis] + w->hi[axis];
    md_span s = { .first = first };

    s.lo = first < 0 ? (-first + d - 1) / d : 0;
    s.hi = first < p->in[axis] ? (p->in[axis] - 1 - first) / d + 1 : 0;
    s.hi = md_min_i64(s.hi, k);
    s.padded = first < end ? md_min_i64((end - 1 - first) / d + 1, k) : 0;
    if (out)
        *out = s;
    return count_pad ? s.padded : md_max_i64(s.hi - s.lo, 0);
}

static void cut(md_step *st, args *a, int64_t cost, int width)
{
    st->n_chunks = md_step__chunks(cost, a->p.n_planes, width);
    a->step = md_div_up(a->p.n_planes, st->n_chunks);
}

static md_status plan(md_step *st, int width, md_arena *arena, md_error *err)
{
    const state *s = st->state;
    const md_shape *x = &st->in_shape[0];
    md_pool_plan *p;
    args *a;

    MD_TRY(md_step__args(st, arena, (void *)&a, sizeof(*a), err));
    st->n_chunks = 0;
    if (md_shape_n(&st->out_shape[0]) == 0)
        return MD_OK;
    p = &a->p;
    if (s->global) {
        *p = (md_pool_plan){ .n_planes = x->dim[0] * x->dim[1],
                             .in_size = md_shape_span(x, 2, x->rank) };
        cut(st, a, md_shape_n(x) / 4, width);
        return MD_OK;
    }
    MD_TRY(md_pool__plan(p, st->node, x, &st->out_shape[0], err));
    a->counts = md_arena_calloc(arena, (size_t)p->out[2], sizeof(*a->counts));
    if (!a->counts)
        return md_fail_nomem(err, (size_t)p->out[2] * sizeof(*a->counts));
    for (int64_t i = 0; i < p->out[2]; i++)
        a->counts[i] = (float)taps_at(p, 2, i, s->count_pad, NULL);
    cut(st, a, md_shape_n(x), width);
    /* a combined row, and the same dealt out */
    st->scratch_size =
        (size_t)(2 * p->in[2] + md_min_i64(p->w.stride[2], p->in[2])) *
        sizeof(float);
    return MD_OK;
}

/* --- run --------------------------------------------------------------- */

static void combine(const state *s, float *y, const float *a, const float *b,
                    int64_t n)
{
    static const md_binary_op max = { .op = MD_BINARY_MAX };
    static const md_binary_op sum = { .op = MD_BINARY_ADD };

    if (n > 0)
        s->binary->run(y, a, b, (size_t)n, 1, 1, s->average ? &sum : &max);
}

/* What the rows of a plane under windows z and y make together; NULL where
 * there is none. */
static const float *combine_rows(const state *s, const md_pool_plan *p,
                                 const float *plane, const md_span *z,
                                 const md_span *y, float *acc)
{
    const float *first = NULL;

    for (int64_t i = z->lo; i < z->hi; i++) {
        for (int64_t k = y->lo; k < y->hi; k++) {
            const float *row =
                plane + ((z->first + i * p->w.dilation[0]) * p->in[1] +
                         y->first + k * p->w.dilation[1]) *
                            p->in[2];

            if (!first) {
                first = row;
                continue;
            }
            combine(s, acc, first, row, p->in[2]);
            first = acc;
        }
    }
    return first;
}

/* to[r][i] = x[i * stride + r]; rows of `each`. */
static void deal(float *restrict to, const float *restrict x, int64_t n,
                 int64_t stride, int64_t each)
{
    const int64_t whole = n / stride;

    if (stride == 2) {
        for (int64_t i = 0; i < whole; i++) {
            to[i] = x[2 * i];
            to[each + i] = x[2 * i + 1];
        }
    } else if (stride == 4) {
        for (int64_t i = 0; i < whole; i++) {
            to[i] = x[4 * i];
            to[each + i] = x[4 * i + 1];
            to[2 * each + i] = x[4 * i + 2];
            to[3 * each + i] = x[4 * i + 3];
        }
    } else {
        for (int64_t r = 0; r < stride; r++) {
            for (int64_t i = 0; i < whole; i++)
                to[r * each + i] = x[i * stride + r];
        }
    }
    for (int64_t i = whole * stride; i < n; i++)
        to[i % stride * each + whole] = x[i];
}

/* What a window without any tap gives. */
static void fill(const state *s, float *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = s->average ? 0.0f : -INFINITY;
}

/* The windows along one combined row. */
static void slide(const state *s, const md_pool_plan *p, float *y,
                  const float *row, float *dealt)
{
    const md_window *w = &p->w;
    const int64_t stride = w->stride[2], n = p->in[2];
    const int64_t each = md_div_up(n, md_min_i64(stride, n));
    bool started = false; /* y holds something */

    if (!row) {
        fill(s, y, p->out[2]);
        return;
    }
    if (stride > 1 && stride <= n) {
        deal(dealt, row, n, stride, each);
        row = dealt;
    }
    for (int64_t t = 0; t < w->kernel[2]; t++) {
        const int64_t e = t * w->dilation[2] - w->lo[2];
        const int64_t rest = (e % stride + stride) % stride;
        const int64_t shift = (e - rest) / stride;
        const int64_t have = rest < n ? (n - 1 - rest) / stride + 1 : 0;
        const int64_t lo = md_max_i64(0, -shift);
        const int64_t hi = md_min_i64(p->out[2], have - shift);
        /* with a stride beyond the row each remainder is one element */
        const float *from = stride > n ? row + rest : row + rest * each;

        if (!started && lo == 0 && hi == p->out[2]) {
            memcpy(y, from + shift, (size_t)hi * sizeof(*y));
        } else if (hi > lo) {
            if (!started)
                fill(s, y, p->out[2]);
            combine(s, y + lo, y + lo, from + lo + shift, hi - lo);
        } else {
            continue;
        }
        started = true;
    }
    if (!started)
        fill(s, y, p->out[2]);
}

static void divide(float *y, const float *counts, int64_t n, int64_t rows)
{
    const float by = (float)rows;

    for (int64_t i = 0; i < n; i++)
        y[i] = by * counts[i] > 0 ? y[i] / (by * counts[i]) : 0.0f;
}

static void pool_plane(const state *s, const args *a, float *y,
                       const float *plane, float *scratch)
{
    const md_pool_plan *p = &a->p;

    for (int64_t i = 0; i < p->out[0]; i++) {
        md_span z, v;
        const int64_t n_z = taps_at(p, 0, i, s->count_pad, &z);

        for (int64_t k = 0; k < p->out[1]; k++, y += p->out[2]) {
            const int64_t n_y = taps_at(p, 1, k, s->count_pad, &v);
            const float *row = combine_rows(s, p, plane, &z, &v, scratch);

            slide(s, p, y, row, scratch + p->in[2]);
            if (s->average)
                divide(y, a->counts, p->out[2], n_z * n_y);
        }
    }
}

static void pool_global(const md_step *st, int64_t from, int64_t n)
{
    const state *s = st->state;
    const int64_t size = ((const args *)st->args)->p.in_size;
    float *y = (float *)st->out[0] + from;

    for (int64_t i = 0; i < n && size == 0; i++)
        y[i] = s->average ? 0.0f : -INFINITY;
    if (size > 0)
        s->reduce->run(&(md_reduce_f32_args){
            .y = y,
            .x = (const float *)st->in[0] + from * size,
            .outer = n,
            .m = 1,
            .n = size,
            .inner = 1,
            .outer_stride = size,
            .n_stride = 1,
            .op = s->average ? MD_REDUCE_MEAN : MD_REDUCE_MAX });
}

static void run(const md_step *st, int64_t chunk, void *scratch)
{
    const state *s = st->state;
    const args *a = st->args;
    const int64_t from = chunk * a->step;
    const int64_t n = md_min_i64(a->step, a->p.n_planes - from);

    if (s->global) {
        if (n > 0)
            pool_global(st, from, n);
        return;
    }
    for (int64_t i = from; i < from + n; i++)
        pool_plane(s, a, (float *)st->out[0] + i * a->p.out_size,
                   (const float *)st->in[0] + i * a->p.in_size, scratch);
}

const md_fast md_fast_pool_rows = { lower, plan, run, NULL, NULL };
const md_fast md_fast_global_pool_rows = { lower_global, plan, run, NULL,
                                           NULL };
