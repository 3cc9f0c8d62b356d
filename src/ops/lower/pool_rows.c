/*
 * MaxPool and AveragePool of float32 along one to three axes, and global pools
 * of any rank, on row-major planes.
 *
 * A row of outputs at a time: the rows under its windows are combined, then
 * what they make along itself (kernels/pool_row_f32.h).
 */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "kernels/pool_row_f32.h"
#include "kernels/reduce_f32.h"
#include "ops/common/pool.h"
#include "ops/lower/common.h"

typedef struct state {
    const md_pool_row_f32_kernel *row;
    const md_reduce_f32_kernel *reduce;
    bool average, count_pad, global;
} state;

typedef struct args {
    md_pool_plan p;
    int64_t step;  /* planes of a chunk */
    float *counts; /* averages: taps along the last axis, by position */
    md_pool_row_f32_args row; /* but for what differs from row to row */
} args;

static md_status make_state(state **out, md_lower *lo, md_error *err)
{
    state *s;

    if (!md_lower__is(lo, 0, MD_DTYPE_F32, -1))
        return md_fail(err, MD_UNSUPPORTED, "needs float32 or 2-D 8 bits");
    MD_TRY(md_lower__state(lo, (void *)&s, sizeof(*s), err));
    s->row = md_pool_row_f32_select(lo->cpu);
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
    lo->kernel = s->row->name;
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

/* From one tap along an axis to the next: none lies behind another that is
 * farther away than the axis is long. */
static int64_t step_of(const md_pool_plan *p, int axis)
{
    const int64_t step = p->w.dilation[axis];

    return step < p->in[axis] ? step : 0;
}

/* What rows have in common; scratch is a line, which is as long as the row and
 * its padding but for odd attributes. */
static md_status plan_row(md_step *st, const state *s, args *a, md_error *err)
{
    enum {
        LINE_MAX_SIZE = 1 << 28 /* floats */
    };
    const md_pool_plan *p = &a->p;
    const md_window *w = &p->w;
    /* a single window stays where it is */
    const int64_t stride = p->out[2] == 1 ? 1 : w->stride[2];
    int64_t last, size;

    if (!md_mul_i64(&last, p->out[2] + MD_POOL_ROW_UNIT, stride) ||
        !md_mul_i64(&size, w->kernel[2], w->dilation[2]) ||
        !md_add_i64(&size, size, last) ||
        md_max_i64(size, w->lo[2]) > LINE_MAX_SIZE)
        return md_fail(err, MD_TOO_LARGE,
                       "windows that reach over more than %d columns",
                       LINE_MAX_SIZE);
    a->row = (md_pool_row_f32_args){ .plane_step =
                                         step_of(p, 0) * p->in[1] * p->in[2],
                                     .row_step = step_of(p, 1) * p->in[2],
                                     .width = p->in[2],
                                     .left = w->lo[2],
                                     .n = p->out[2],
                                     .stride = stride,
                                     .taps = w->kernel[2],
                                     .step = w->dilation[2],
                                     .counts = s->average ? a->counts : NULL };
    st->scratch_size = (size_t)md_pool_row_f32_line(&a->row) * sizeof(float);
    return MD_OK;
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
    cut(st, a, md_shape_n(x) / 4 + md_shape_n(&st->out_shape[0]) / 2, width);
    return plan_row(st, s, a, err);
}

/* --- run --------------------------------------------------------------- */

/* One row of outputs, under windows z and y of which `by` taps count. */
static void pool_row(const state *s, const args *a, float *to,
                     const float *plane, const md_span *z, const md_span *y,
                     int64_t by, float *line)
{
    const md_pool_plan *p = &a->p;
    const md_window *w = &p->w;
    md_pool_row_f32_args r = a->row;

    r.y = to;
    r.x = plane + ((z->first + z->lo * w->dilation[0]) * p->in[1] + y->first +
                   y->lo * w->dilation[1]) *
                      p->in[2];
    r.planes = z->hi - z->lo;
    r.rows = y->hi - y->lo;
    r.by = (float)by;
    r.line = line;
    if (r.planes > 0 && r.rows > 0) {
        s->row->run(&r);
        return;
    }
    for (int64_t i = 0; i < r.n; i++) /* windows without any pixel */
        to[i] = s->average ? 0.0f : -INFINITY;
}

static void pool_plane(const state *s, const args *a, float *y,
                       const float *plane, float *line)
{
    const md_pool_plan *p = &a->p;

    for (int64_t i = 0; i < p->out[0]; i++) {
        md_span z, v;
        const int64_t n_z = taps_at(p, 0, i, s->count_pad, &z);

        for (int64_t k = 0; k < p->out[1]; k++, y += p->out[2]) {
            const int64_t n_y = taps_at(p, 1, k, s->count_pad, &v);

            pool_row(s, a, y, plane, &z, &v, n_z * n_y, line);
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
