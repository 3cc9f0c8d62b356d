/*
 * MaxPool and AveragePool of float64 without places, a row of the result at a
 * time: first down the columns of all its windows, which lie side by side, then
 * along it.
 */
#include <assert.h>
#include <math.h>

#include "kernels/array_f64.h"
#include "ops/common/pool.h"

enum {
    COLUMNS = 1024 /* of a row that are looked at together */
};

typedef struct job {
    const md_pool_plan *p;
    const md_array_f64_kernel *kernel;
    const double *in;
    double *out;
    const double *counts; /* averages: of the last axis, by place */
    bool count_pad;
} job;

bool md_pool__has_rows_f64(const md_pool_plan *p)
{
    return p->w.kernel[2] - 1 < COLUMNS / 2 / p->w.dilation[2];
}

/* Columns [from, from + n) of the windows between the spans of the axes before
 * the last. */
static void fold_columns(const job *j, double *column, const double *x,
                         const md_span *s, int64_t from, int64_t n)
{
    const md_fold_f64 op = j->counts ? MD_FOLD_F64_SUM : MD_FOLD_F64_MAX;
    const md_pool_plan *p = j->p;
    const int64_t *step = p->w.dilation;

    for (int64_t k = s[0].lo; k < s[0].hi && s[1].lo < s[1].hi && n > 0; k++) {
        const int64_t slice = (s[0].first + k * step[0]) * p->in[1];
        const int64_t row = slice + s[1].first + s[1].lo * step[1];

        j->kernel->fold_columns(op, column, x + row * p->in[2] + from,
                                (size_t)(s[1].hi - s[1].lo),
                                (size_t)(step[1] * p->in[2]), (size_t)n);
    }
}

/* y[o] and column[o * stride], n of them, are combined into y; NaN wins. */
static void add_tap(double *y, const double *column, int64_t n, int64_t stride)
{
    for (int64_t o = 0; o < n; o++)
        y[o] += column[o * stride];
}

static void max_tap(double *y, const double *column, int64_t n, int64_t stride)
{
    for (int64_t o = 0; o < n; o++) {
        const double v = column[o * stride];

        y[o] = ((y[o] > v) | (y[o] != y[o])) ? y[o] : v;
    }
}

/* Places [from, to) of row y, whose windows are COLUMNS wide together: columns
 * outside the input change nothing. */
static void pool_piece(const job *j, double *y, const double *x,
                       const md_span *s, int64_t from, int64_t to)
{
    const md_window *w = &j->p->w;
    const double none = j->counts ? 0.0 : -INFINITY;
    const int64_t width = j->p->in[2], taps = w->kernel[2];
    const int64_t stride = w->stride[2], n = to - from;
    const int64_t first = from * stride - w->lo[2];
    const int64_t size = (n - 1) * stride + (taps - 1) * w->dilation[2] + 1;
    const int64_t lo = md_min_i64(md_max_i64(first, 0), width);
    const int64_t hi = md_max_i64(md_min_i64(first + size, width), lo);
    double column[COLUMNS];

    assert(size > 0 && size <= COLUMNS);
    for (int64_t i = 0; i < size; i++)
        column[i] = none;
    if (hi > lo)
        fold_columns(j, column + (lo - first), x, s, lo, hi - lo);
    for (int64_t o = 0; o < n; o++)
        y[from + o] = column[o * stride];
    for (int64_t t = 1; t < taps; t++)
        (j->counts ? add_tap : max_tap)(y + from, column + t * w->dilation[2],
                                        n, stride);
}

/* Sums become means; windows without any place become 0. */
static void divide(const job *j, double *y, const md_span *s)
{
    const double by = j->count_pad
                          ? (double)s[0].padded * (double)s[1].padded
                          : (double)md_max_i64(s[0].hi - s[0].lo, 0) *
                                (double)md_max_i64(s[1].hi - s[1].lo, 0);

    for (int64_t o = 0; o < j->p->out[2]; o++) {
        const double n = by * j->counts[o];

        y[o] = n > 0.0 ? y[o] / n : 0.0;
    }
}

/* Rows [from, to) of the result. */
static void pool_rows(void *ctx, int64_t from, int64_t to)
{
    const job *j = ctx;
    const md_pool_plan *p = j->p;
    const int64_t n_rows = p->out[0] * p->out[1], n = p->out[2];
    const int64_t window = (p->w.kernel[2] - 1) * p->w.dilation[2] + 1;
    const int64_t piece = (COLUMNS - window) / p->w.stride[2] + 1;

    for (int64_t row = from; row < to; row++) {
        const double *x = j->in + row / n_rows * p->in_size;
        double *y = j->out + row * n;
        md_span s[MD_SPATIAL_MAX];

        md_pool__spans(s, p, row % n_rows * n);
        for (int64_t o = 0; o < n; o += piece)
            pool_piece(j, y, x, s, o, md_min_i64(o + piece, n));
        if (j->counts)
            divide(j, y, s);
    }
}

void md_pool__rows_f64(const md_exec *x, const md_pool_plan *p, double *out,
                       const double *counts, bool count_pad)
{
    double window = 1.0;

    for (int i = 0; i < MD_SPATIAL_MAX; i++)
        window *= (double)p->w.kernel[i];
    md_exec__share(x, p->n_planes * p->out_size / p->out[2],
                   20.0 + (double)p->out[2] * (2.0 + window / 4), pool_rows,
                   &(job){ .p = p,
                           .kernel = md_array_f64_select(x->cpu),
                           .in = x->in[0]->data,
                           .out = out,
                           .counts = counts,
                           .count_pad = count_pad });
}

/* --- whole planes -------------------------------------------------------- */

typedef struct planes_job {
    const md_array_f64_kernel *kernel;
    const double *in;
    double *out;
    int64_t size; /* of a plane */
    bool average;
} planes_job;

/* Planes [from, to). */
static void pool_planes(void *ctx, int64_t from, int64_t to)
{
    const planes_job *j = ctx;
    const md_fold_f64 op = j->average ? MD_FOLD_F64_SUM : MD_FOLD_F64_MAX;
    const size_t size = (size_t)j->size;

    for (int64_t i = from; i < to; i++)
        j->out[i] = md_fold_f64_start(op);
    if (size > 0)
        j->kernel->fold_rows(op, j->out + from, j->in + from * j->size,
                             (size_t)(to - from), size, size, 0.0);
    for (int64_t i = from; i < to && size > 0 && j->average; i++)
        j->out[i] /= (double)size;
}

void md_pool__planes_f64(const md_exec *x, md_tensor *out, bool average)
{
    const md_shape *in = &x->in[0]->shape;
    const int64_t size = md_shape_span(in, 2, in->rank);

    md_exec__share(x, md_tensor_n(out), 5.0 + 0.4 * (double)size, pool_planes,
                   &(planes_job){ .kernel = md_array_f64_select(x->cpu),
                                  .in = x->in[0]->data,
                                  .out = out->data,
                                  .size = size,
                                  .average = average });
}
