/* (x - mean) / (deviation + 1e-9), both over the axes given. */
#include <math.h>

#include "kernels/array_f64.h"
#include "kernels/vcast.h"
#include "ops/common/util.h"
#include "ops/grad.h"

static md_status find_axes(const md_node *n, int rank, md_ints *axes,
                           md_error *err)
{
    static const md_ints channels = { .known = true, .n = 3, .v = { 0, 2, 3 } };

    MD_TRY(md_infer__attr_ints(n, "axes", axes, err));
    if (!axes->given)
        *axes = channels;
    return md_infer__axes(axes, rank, err);
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_ints axes;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT, err));
    if (c->in[0]->has_rank)
        MD_TRY(find_axes(c->node, c->in[0]->rank, &axes, err));
    md_infer__give(c, 0, c->in[0]);
    return MD_OK;
}

/* Rows of the last axis, and which group of elements each belongs to. */
typedef struct groups {
    const md_tensor *in;
    md_shape shape;
    int64_t stride[MD_RANK_MAX]; /* in the list of groups; 0: reduced */
    int64_t n, size;             /* groups, elements of one */
    double *mean, *scale;        /* of each group */
} groups;

typedef void row_fn(const groups *g, int64_t at, int64_t n, int64_t group,
                    int64_t step, void *ctx);

static void each_row(const groups *g, row_fn *fn, void *ctx)
{
    int64_t index[MD_RANK_MAX] = { 0 }, at = 0;
    int last = g->shape.rank - 1;
    int64_t n = g->shape.dim[last];

    do {
        int64_t group = 0;

        for (int d = 0; d < last; d++)
            group += index[d] * g->stride[d];
        for (int64_t i = 0; i < n; i += MD_CHUNK)
            fn(g, at + i, md_min_i64(n - i, MD_CHUNK),
               group + i * g->stride[last], g->stride[last], ctx);
        at += n;
    } while (md_step_index(index, g->shape.dim, last));
}

static void add_row(const groups *g, int64_t at, int64_t n, int64_t group,
                    int64_t step, void *ctx)
{
    double v[MD_CHUNK];

    (void)ctx;
    md_load_f64(v, g->in, at, n);
    for (int64_t i = 0; i < n; i++)
        g->mean[group + i * step] += v[i];
}

static void add_squares(const groups *g, int64_t at, int64_t n, int64_t group,
                        int64_t step, void *ctx)
{
    double v[MD_CHUNK];

    (void)ctx;
    md_load_f64(v, g->in, at, n);
    for (int64_t i = 0; i < n; i++) {
        double d = v[i] - g->mean[group + i * step];

        g->scale[group + i * step] += d * d;
    }
}

static void write_row(const groups *g, int64_t at, int64_t n, int64_t group,
                      int64_t step, void *ctx)
{
    double v[MD_CHUNK];

    md_load_f64(v, g->in, at, n);
    for (int64_t i = 0; i < n; i++) {
        int64_t k = group + i * step;

        v[i] = (v[i] - g->mean[k]) * g->scale[k];
    }
    md_store_f64(ctx, at, v, n);
}

/* 1 / (deviation + 1e-9) of the sum of n squares. */
static double scale_of(double squares, int64_t n)
{
    return 1.0 / (sqrt(squares / (double)n) + 1e-9);
}

/* --- groups of whole rows, one after the other ------------------------- */

enum {
    PIECE = 512 /* elements as doubles at once, which stay in the first cache */
};

typedef struct rows_job {
    const md_tensor *in;
    md_tensor *out;
    md_shape kept, gone; /* axes before the last one, which is gone */
    int64_t kept_stride[MD_RANK_MAX], gone_stride[MD_RANK_MAX];
    int64_t row, size; /* elements of a row and of a group */
    int64_t element;   /* bytes */
    const md_array_f64_kernel *kernel;
    md_vcast_fn *widen, *narrow; /* NULL: they are doubles */
    double ones[PIECE];
} rows_job;

/* m elements from `at` on; to is used where they are no doubles. */
static const double *as_doubles(double *to, const rows_job *j, int64_t at,
                                int64_t m)
{
    const char *p = (const char *)j->in->data + at * j->element;

    if (!j->widen)
        return (const double *)(const void *)p;
    j->widen(to, p, (size_t)m);
    return to;
}

static void write_piece(const rows_job *j, int64_t at, int64_t m, double mean,
                        double scale)
{
    char *to = (char *)j->out->data + at * j->element;
    double v[PIECE], *y = j->narrow ? v : (double *)(void *)to;

    j->kernel->norm(y, as_doubles(v, j, at, m), (size_t)m, mean, scale, j->ones,
                    NULL);
    if (j->narrow)
        j->narrow(to, v, (size_t)m);
}

/* All of a group whose first element is at `base`: with `op`, what is added up
 * of the distances to `mean`; without one the result is written. */
static double walk_group(const rows_job *j, int64_t base, const md_fold_f64 *op,
                         double mean, double scale)
{
    int64_t index[MD_RANK_MAX] = { 0 };
    double v[PIECE], sum = 0.0;

    do {
        int64_t at = base;

        for (int i = 0; i < j->gone.rank; i++)
            at += index[i] * j->gone_stride[i];
        for (int64_t i = 0; i < j->row; i += PIECE) {
            const int64_t m = md_min_i64(j->row - i, PIECE);

            if (op)
                j->kernel->fold_rows(*op, &sum, as_doubles(v, j, at + i, m), 1,
                                     (size_t)m, (size_t)m, mean);
            else
                write_piece(j, at + i, m, mean, scale);
        }
    } while (md_step_index(index, j->gone.dim, j->gone.rank));
    return sum;
}

/* Groups [from, to): each stays in the caches over its three steps. */
static void normalize_groups(void *ctx, int64_t from, int64_t to)
{
    static const md_fold_f64 add = MD_FOLD_F64_SUM;
    static const md_fold_f64 squares = MD_FOLD_F64_SUM_SQUARE;
    const rows_job *j = ctx;

    for (int64_t g = from; g < to; g++) {
        int64_t base = 0, rest = g;
        double mean, scale;

        for (int i = j->kept.rank; i-- > 0; rest /= j->kept.dim[i])
            base += rest % j->kept.dim[i] * j->kept_stride[i];
        mean = walk_group(j, base, &add, 0.0, 0.0) / (double)j->size;
        scale = scale_of(walk_group(j, base, &squares, mean, 0.0), j->size);
        walk_group(j, base, NULL, mean, scale);
    }
}

/* The last axis is reduced. */
static void run_rows(md_exec *x, md_tensor *out, const groups *g)
{
    const md_vcast_kernel *cast = md_vcast_select(x->cpu);
    const md_dtype type = out->dtype;
    const int last = g->shape.rank - 1;
    rows_job j = { .in = g->in,
                   .out = out,
                   .row = g->shape.dim[last],
                   .size = g->size,
                   .element = md_dtype_bits(type) / 8,
                   .kernel = md_array_f64_select(x->cpu) };

    if (type != MD_DTYPE_F64) {
        j.widen = cast->find(MD_DTYPE_F64, type);
        j.narrow = cast->find(type, MD_DTYPE_F64);
    }
    for (int i = 0; i < PIECE; i++)
        j.ones[i] = 1.0;
    for (int d = 0; d < last; d++) {
        md_shape *s = g->stride[d] ? &j.kept : &j.gone;
        int64_t *strides = g->stride[d] ? j.kept_stride : j.gone_stride;

        strides[s->rank] = md_shape_span(&g->shape, d + 1, g->shape.rank);
        s->dim[s->rank++] = g->shape.dim[d];
    }
    md_exec__share(x, g->n, 20.0 + 0.5 * (double)g->size, normalize_groups, &j);
}

static bool is_reduced(const md_ints *axes, int d)
{
    for (int i = 0; i < axes->n; i++) {
        if (axes->v[i] == d)
            return true;
    }
    return false;
}

/* The last axes as one, as long as all are reduced or all are not: rows become
 * as long as they can be. */
static void join_axes(md_shape *s, const md_ints *axes)
{
    while (s->rank > 1 &&
           is_reduced(axes, s->rank - 1) == is_reduced(axes, s->rank - 2)) {
        s->dim[s->rank - 2] *= s->dim[s->rank - 1];
        s->rank--;
    }
}

static md_status prepare(groups *g, md_exec *x, md_arena *ar, md_error *err)
{
    md_ints axes;

    *g = (groups){ .in = x->in[0], .shape = x->in[0]->shape, .n = 1 };
    MD_TRY(find_axes(x->node, g->shape.rank, &axes, err));
    if (g->shape.rank == 0) { /* a row of one, not reduced */
        g->shape.rank = 1;
        g->shape.dim[0] = 1;
    }
    join_axes(&g->shape, &axes);
    for (int d = g->shape.rank; d-- > 0;) {
        bool reduced = is_reduced(&axes, d);

        g->stride[d] = reduced ? 0 : g->n;
        g->n *= reduced ? 1 : g->shape.dim[d];
    }
    g->size = md_tensor_n(g->in) / g->n;
    MD_TRY(md_exec__scratch(&g->mean, ar, g->n, sizeof(*g->mean), err));
    return md_exec__scratch(&g->scale, ar, g->n, sizeof(*g->scale), err);
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    groups g;

    MD_TRY(prepare(&g, x, ar, err));
    if (g.stride[g.shape.rank - 1] == 0) {
        run_rows(x, out, &g);
        return MD_OK;
    }
    each_row(&g, add_row, NULL);
    for (int64_t i = 0; i < g.n; i++)
        g.mean[i] /= (double)g.size;
    each_row(&g, add_squares, NULL);
    for (int64_t i = 0; i < g.n; i++)
        g.scale[i] = scale_of(g.scale[i], g.size);
    each_row(&g, write_row, out);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

static void unfold(md_grad *g)
{
    static const int64_t usual[] = { 0, 2, 3 };
    uint32_t n;
    const int64_t *axes = md_node_attr_is(g->m.node, "axes", &n);
    md_part x = md_grad_in(g, 0), deviation;

    if (!axes) {
        axes = usual;
        n = 3;
    }
    x = md_grad_sub(g, x,
                    md_grad_reduce(g, "ReduceMean", x, axes, (int)n, true));
    deviation = md_grad_1(g, "Sqrt",
                          md_grad_reduce(g, "ReduceMean", md_grad_mul(g, x, x),
                                         axes, (int)n, true));
    deviation = md_grad_add(g, deviation, md_grad_num(g, x, 1e-9));
    md_grad_result(g, 0, md_grad_div(g, x, deviation));
}

const md_op md_op_mean_variance_normalization = {
    .domain = "",
    .name = "MeanVarianceNormalization",
    .since = 9,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .unfold = unfold,
};
