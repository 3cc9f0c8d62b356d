/* A window without any input position gives the type's lowest value. */
#include <math.h>

#include "kernels/array_f64.h"
#include "ops/common/pool.h"
#include "ops/grad.h"
#include "ops/lower.h"

static md_status infer(const md_infer *c, md_error *err)
{
    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT | MD_TYPES_Q8, err));
    return md_pool__infer(c, c->in[0]->dtype, MD_DTYPE_I64, err);
}

/* Offset in a plane counted with the last spatial axis slowest. */
static int64_t column_major(const md_pool_plan *p, int64_t at)
{
    int64_t r = 0, scale = 1;
    int64_t c[MD_SPATIAL_MAX];

    for (int i = MD_SPATIAL_MAX; i-- > 0; at /= p->in[i])
        c[i] = at % p->in[i];
    for (int i = 0; i < MD_SPATIAL_MAX; i++) {
        r += c[i] * scale;
        scale *= p->in[i];
    }
    return r;
}

enum {
    COLUMNS = 1024 /* of a row that are looked at together */
};

typedef struct job {
    const md_pool_plan *p;
    const md_tensor *in;
    md_tensor *const *out;
    double lowest;
    bool columns; /* the place is counted with the last axis slowest */
} job;

/* The largest so far and where, in the plane; -1: there was none. */
typedef struct best {
    double v;
    int64_t at;
} best;

/* n <= MD_CHUNK elements of a row of the window, `step` apart. */
static void look_at(const job *j, best *b, int64_t base, int64_t at, int64_t n,
                    int64_t step)
{
    double room[MD_CHUNK];
    const double *v = room;

    if (j->in->dtype == MD_DTYPE_F64 && step == 1)
        v = (const double *)j->in->data + base + at;
    else if (step == 1)
        md_load_f64(room, j->in, base + at, n);
    for (int64_t i = 0; i < n && step != 1; i++)
        md_load_f64(room + i, j->in, base + at + i * step, 1);
    for (int64_t i = 0; i < n; i++) {
        if (b->at < 0 || v[i] > b->v || isnan(v[i])) {
            b->v = v[i];
            b->at = at + i * step;
        }
    }
}

/* The largest of the window of output o of the plane at `base`. */
static best search(const job *j, int64_t base, int64_t o)
{
    enum {
        LAST = MD_SPATIAL_MAX - 1
    };
    const md_pool_plan *p = j->p;
    const int64_t *step = p->w.dilation;
    best b = { j->lowest, -1 };
    md_span s[MD_SPATIAL_MAX];

    md_pool__spans(s, p, o);
    for (int64_t k = s[0].lo; k < s[0].hi; k++) {
        int64_t slice = (s[0].first + k * step[0]) * p->in[1];

        for (int64_t l = s[1].lo; l < s[1].hi; l++) {
            int64_t row =
                (slice + s[1].first + l * step[1]) * p->in[2] + s[2].first;

            for (int64_t m = s[2].lo; m < s[2].hi; m += MD_CHUNK)
                look_at(j, &b, base, row + m * step[LAST],
                        md_min_i64(MD_CHUNK, s[2].hi - m), step[LAST]);
        }
    }
    return b;
}

/* Outputs [from, to). */
static void pool_part(void *ctx, int64_t from, int64_t to)
{
    const job *j = ctx;
    const md_pool_plan *p = j->p;

    for (int64_t i = from; i < to; i++) {
        int64_t base = i / p->out_size * p->in_size;
        best b = search(j, base, i % p->out_size);

        if (j->out[0])
            md_store_f64(j->out[0], i, &b.v, 1);
        if (j->columns && b.at >= 0)
            b.at = column_major(p, b.at);
        if (j->out[1])
            ((int64_t *)j->out[1]->data)[i] = b.at < 0 ? -1 : base + b.at;
    }
}

/* Rows of float64, without the places: first down the columns of all windows
 * of a row, which lie side by side, then along it. */
typedef struct rows {
    const md_pool_plan *p;
    const md_array_f64_kernel *kernel;
    const double *in;
    double *out;
} rows;

/* Columns [from, from + n) of the windows between the spans of the axes before
 * the last. */
static void fold_columns(const rows *r, double *column, const double *x,
                         const md_span *s, int64_t from, int64_t n)
{
    const md_pool_plan *p = r->p;
    const int64_t *step = p->w.dilation;

    for (int64_t i = 0; i < n; i++)
        column[i] = -INFINITY;
    for (int64_t k = s[0].lo; k < s[0].hi && s[1].lo < s[1].hi && n > 0; k++) {
        const int64_t slice = (s[0].first + k * step[0]) * p->in[1];
        const int64_t row = slice + s[1].first + s[1].lo * step[1];

        r->kernel->fold_columns(MD_FOLD_F64_MAX, column,
                                x + row * p->in[2] + from,
                                (size_t)(s[1].hi - s[1].lo),
                                (size_t)(step[1] * p->in[2]), (size_t)n);
    }
}

/* The largest of n numbers, `step` apart; NaN wins. */
static double largest(const double *v, int64_t n, int64_t step)
{
    double most = -INFINITY;

    for (int64_t i = 0; i < n; i++)
        most = v[i * step] > most || isnan(v[i * step]) ? v[i * step] : most;
    return most;
}

/* Places [from, to) of row y, whose windows are COLUMNS wide together. */
static void pool_piece(const rows *r, double *y, const double *x,
                       const md_span *s, int64_t from, int64_t to)
{
    const md_window *w = &r->p->w;
    const int64_t width = r->p->in[2], step = w->dilation[2];
    const int64_t taps = w->kernel[2], first = from * w->stride[2] - w->lo[2];
    const int64_t end = (to - 1) * w->stride[2] - w->lo[2] + (taps - 1) * step;
    const int64_t lo = md_min_i64(md_max_i64(first, 0), width);
    const int64_t hi = md_max_i64(md_min_i64(end + 1, width), lo);
    double column[COLUMNS];

    fold_columns(r, column, x, s, lo, hi - lo);
    for (int64_t o = from, at = first; o < to; o++, at += w->stride[2]) {
        const int64_t skip = at < lo ? md_div_up(lo - at, step) : 0;
        const int64_t left = at < hi ? md_div_up(hi - at, step) : 0;

        const int64_t n = md_min_i64(left, taps) - skip;

        y[o] = n > 0 ? largest(column + (at - lo + skip * step), n, step)
                     : -INFINITY;
    }
}

/* Rows [from, to) of the result. */
static void pool_rows(void *ctx, int64_t from, int64_t to)
{
    const rows *r = ctx;
    const md_pool_plan *p = r->p;
    const int64_t n_rows = p->out[0] * p->out[1], n = p->out[2];
    const int64_t window = (p->w.kernel[2] - 1) * p->w.dilation[2] + 1;
    const int64_t piece = (COLUMNS - window) / p->w.stride[2] + 1;

    for (int64_t row = from; row < to; row++) {
        const double *x = r->in + row / n_rows * p->in_size;
        md_span s[MD_SPATIAL_MAX];

        md_pool__spans(s, p, row % n_rows * n);
        for (int64_t o = 0; o < n; o += piece)
            pool_piece(r, r->out + row * n, x, s, o, md_min_i64(o + piece, n));
    }
}

/* Is it that? */
static bool are_rows(const md_exec *x, const md_pool_plan *p, md_tensor **out)
{
    return x->in[0]->dtype == MD_DTYPE_F64 && !out[1] &&
           (p->w.kernel[2] - 1) < COLUMNS / 2 / p->w.dilation[2];
}

static void pool(const md_exec *x, const md_pool_plan *p, md_tensor **out)
{
    md_dtype type = x->in[0]->dtype;
    double window = 1.0;

    for (int i = 0; i < MD_SPATIAL_MAX; i++)
        window *= (double)p->w.kernel[i];
    if (are_rows(x, p, out)) {
        md_exec__share(x, p->n_planes * p->out_size / p->out[2],
                       20.0 + (double)p->out[2] * (2.0 + window / 4), pool_rows,
                       &(rows){ .p = p,
                                .kernel = md_array_f64_select(x->cpu),
                                .in = x->in[0]->data,
                                .out = out[0]->data });
        return;
    }
    md_exec__share(
        x, p->n_planes * p->out_size, 20.0 + 2.0 * window, pool_part,
        &(job){ .p = p,
                .in = x->in[0],
                .out = out,
                .lowest = md_dtype_is_float(type)
                              ? -INFINITY
                              : (double)md_dtype_int_min(type),
                .columns = md_node_attr_i(x->node, "storage_order", 0) != 0 });
}

static md_status run(md_exec *x, md_error *err)
{
    md_tensor *out[2];
    const md_tensor *any;
    md_pool_plan p;

    MD_TRY(md_exec__outputs(x, infer, out, 2, err));
    any = out[0] ? out[0] : out[1];
    if (!any || md_tensor_n(any) == 0)
        return MD_OK;
    MD_TRY(md_pool__plan(&p, x->node, &x->in[0]->shape, &any->shape, err));
    pool(x, &p, out);
    return MD_OK;
}

/* To where each maximum was found, the first of those that are equal. */
static void grad(md_grad *g)
{
    static const char *const keep[] = { "auto_pad",  "ceil_mode",
                                        "dilations", "kernel_shape",
                                        "pads",      "strides",
                                        NULL };
    md_part x = md_grad_in(g, 0), at;

    at = MD_GRAD_STEP(g, .op = "MaxPool", .in = { x }, .n_in = 1, .n_out = 2,
                      .keep = keep);
    if (at != MD_PART_NONE)
        md_grad_give(g, 0, md_grad_collect(g, md_grad_of(g, 0), at + 1, x));
}

const md_op md_op_max_pool = {
    .domain = "",
    .name = "MaxPool",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 2,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .fast = &md_fast_pool,
    .grad = grad,
};
