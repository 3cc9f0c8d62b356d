#include "ops/common/normalize.h"

#include <math.h>

#include "kernels/array_f64.h"
#include "kernels/vbinary.h"
#include "ops/common/elementwise.h"

md_moments md_normalize__moments(const md_tensor *t, int64_t from, int64_t n,
                                 double epsilon, bool root_mean_square)
{
    double sum = 0.0, squares = 0.0, v;
    md_moments m = { 0 };

    for (int64_t i = 0; i < n && !root_mean_square; i++) {
        md_load_f64(&v, t, from + i, 1);
        sum += v;
    }
    m.mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++) {
        md_load_f64(&v, t, from + i, 1);
        squares += (v - m.mean) * (v - m.mean);
    }
    m.inv = 1.0 / sqrt(squares / (double)n + epsilon);
    return m;
}

md_status md_normalize__infer_rows(const md_infer *c, int *axis, md_error *err)
{
    const md_type *in = c->in[0];
    md_type whole = { 0 };

    *axis = 0;
    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__rank(c, 0, 1, MD_RANK_MAX, err));
    for (uint32_t i = 1; i < c->node->n_in; i++) {
        MD_TRY(md_infer__may(c, i, MD_TYPES_FLOAT, err));
        if (!md_infer_has(c, i))
            continue;
        MD_TRY(md_infer__rank(c, i, 0, in->has_rank ? in->rank : MD_RANK_MAX,
                              err));
        MD_TRY(md_infer__broadcast(c, &whole, in, c->in[i], err));
        for (int d = 0; whole.has_rank && d < whole.rank; d++)
            MD_TRY(md_infer__must_equal(c, whole.dim[d], in->dim[d],
                                        "scale or bias broadcasts to what",
                                        err));
    }
    MD_TRY(md_infer__need(c, 1, MD_TYPES_FLOAT, err));
    if (in->has_rank)
        MD_TRY(md_axis_normalize(axis, md_node_attr_i(c->node, "axis", -1),
                                 in->rank, err));
    md_infer__give(c, 0, in);
    return MD_OK;
}

/* Rows of float64, whose scale and bias are of a row. */
typedef struct job {
    const md_array_f64_kernel *kernel;
    const double *in, *scale, *bias; /* NULL: no bias */
    double *out;
    int64_t n;
    double epsilon;
    bool centered;
} job;

static void rows_f64(void *ctx, int64_t from, int64_t to)
{
    const job *j = ctx;
    const md_array_f64_kernel *k = j->kernel;
    const size_t n = (size_t)j->n;

    for (int64_t row = from; row < to; row++) {
        const double *x = j->in + row * j->n;
        double mean = 0, squares = 0;

        if (j->centered)
            k->fold_rows(MD_FOLD_F64_SUM, &mean, x, 1, n, n, 0);
        mean /= (double)n;
        k->fold_rows(MD_FOLD_F64_SUM_SQUARE, &squares, x, 1, n, n, mean);
        k->norm(j->out + row * j->n, x, n, mean,
                1 / sqrt(squares / (double)n + j->epsilon), j->scale, j->bias);
    }
}

/* Is it that? */
static bool are_rows_f64(const md_exec *x, md_tensor *const *out, int64_t n)
{
    const uint32_t n_in = md_exec_has(x, 2) ? 3 : 2;

    for (uint32_t i = 0; i < n_in; i++) {
        if (x->in[i]->dtype != MD_DTYPE_F64 ||
            (i > 0 && md_tensor_n(x->in[i]) != n))
            return false;
    }
    return n > 0 && out[0] && !out[1] && !out[2];
}

void md_normalize__rows(md_exec *x, md_tensor **out, int axis,
                        bool root_mean_square)
{
    double epsilon = md_node_attr_f(x->node, "epsilon", 1e-5f);
    const md_tensor *in[2] = { x->in[1], md_exec_has(x, 2) ? x->in[2] : NULL };
    const md_shape *s = &x->in[0]->shape;
    int64_t n = md_shape_span(s, axis, s->rank);
    md_moments m = { 0 };
    md_rows r;

    if (are_rows_f64(x, out, n)) {
        md_exec__share(x, md_shape_n(s) / n, 2.0 * (double)n + 20.0, rows_f64,
                       &(job){ .kernel = md_array_f64_select(x->cpu),
                               .in = x->in[0]->data,
                               .scale = in[0]->data,
                               .bias = in[1] ? in[1]->data : NULL,
                               .out = out[0]->data,
                               .n = n,
                               .epsilon = epsilon,
                               .centered = !root_mean_square });
        return;
    }
    md_rows__begin(&r, s, in[1] ? 2 : 1, in);
    while (md_rows__next(&r)) {
        if (r.row * r.n % n == 0) {
            int64_t row = r.row * r.n / n;

            m = md_normalize__moments(x->in[0], row * n, n, epsilon,
                                      root_mean_square);
            if (out[1])
                md_tensor_set_f64(out[1], row, m.mean);
            if (out[2])
                md_tensor_set_f64(out[2], row, m.inv);
        }
        for (int64_t i = 0; i < r.n && out[0]; i++) {
            int64_t at = r.row * r.n + i;
            double v = (md_tensor_get_f64(x->in[0], at) - m.mean) * m.inv *
                       md_tensor_get_f64(in[0], r.at[0] + i * r.step[0]);

            if (in[1])
                v += md_tensor_get_f64(in[1], r.at[1] + i * r.step[1]);
            md_tensor_set_f64(out[0], at, v);
        }
    }
}

void md_normalize__grad(md_grad *g, bool centered)
{
    const md_node *node = g->m.node;
    md_part x = md_grad_in(g, 0), dy = md_grad_of(g, 0);
    int64_t axes[MD_RANK_MAX];
    md_grad_norm r = { .axes = axes,
                       .epsilon = md_node_attr_f(node, "epsilon", 1e-5f),
                       .centered = centered };
    int rank = md_grad_rank(g, x), axis;

    if (dy == MD_PART_NONE || md_grad_of(g, 1) != MD_PART_NONE ||
        md_grad_of(g, 2) != MD_PART_NONE ||
        md_axis_normalize(&axis, md_node_attr_i(node, "axis", -1), rank,
                          NULL) != MD_OK) {
        md_grad_refuse(g, "through mean or deviation, or axis of rank %d",
                       rank);
        return;
    }
    for (int d = axis; d < rank; d++)
        axes[r.n_axes++] = d;
    md_grad_norm_begin(g, &r, x);
    if (md_grad_wants(g, 1))
        md_grad_give_sum(g, 1, md_grad_mul(g, dy, r.n));
    md_grad_give_sum(g, 2, dy);
    if (md_grad_wants(g, 0))
        md_grad_give(
            g, 0,
            md_grad_norm_end(g, &r, md_grad_mul(g, dy, md_grad_in(g, 1))));
}

enum {
    PIECE = 512 /* elements of float64 at once, which stay in the first cache */
};

/* Groups of float64, side by side. */
typedef struct groups_job {
    const md_array_f64_kernel *kernel;
    md_vbinary_fn *subtract;
    const double *in, *scale, *bias;
    double *out;
    int64_t n, plane, groups; /* elements of a group and a plane */
    double epsilon;
    bool by_channel;
} groups_job;

/* A plane: first the distance to the mean, which may be much less than it. */
static void shift_plane(const groups_job *j, int64_t at, double mean,
                        double scale, double bias)
{
    for (int64_t i = 0; i < j->plane; i += PIECE) {
        const size_t m = (size_t)md_min_i64(j->plane - i, PIECE);
        double *y = j->out + at + i;

        j->subtract(y, j->in + at + i, &mean, m, 0);
        j->kernel->map(MD_MAP_F64_AFFINE, y, y, m, scale, bias);
    }
}

static void groups_f64(void *ctx, int64_t from, int64_t to)
{
    const groups_job *j = ctx;
    const size_t n = (size_t)j->n;

    for (int64_t row = from; row < to; row++) {
        const int64_t group = row % j->groups, per = j->n / j->plane;
        const double *x = j->in + row * j->n;
        double mean = 0.0, squares = 0.0, inv;

        j->kernel->fold_rows(MD_FOLD_F64_SUM, &mean, x, 1, n, n, 0.0);
        mean /= (double)n;
        j->kernel->fold_rows(MD_FOLD_F64_SUM_SQUARE, &squares, x, 1, n, n,
                             mean);
        inv = 1.0 / sqrt(squares / (double)n + j->epsilon);
        for (int64_t k = 0; k < per; k++) {
            const int64_t c = j->by_channel ? group * per + k : group;

            shift_plane(j, row * j->n + k * j->plane, mean, inv * j->scale[c],
                        j->bias[c]);
        }
    }
}

void md_normalize__groups(md_exec *x, md_tensor *out, int64_t groups,
                          bool by_channel)
{
    double epsilon = md_node_attr_f(x->node, "epsilon", 1e-5f);
    const md_shape *s = &out->shape;
    int64_t plane = md_shape_span(s, 2, s->rank);
    int64_t per = s->dim[1] / groups, n = per * plane;

    if (out->dtype == MD_DTYPE_F64 && n > 0) {
        md_exec__share(
            x, s->dim[0] * groups, 2.0 * (double)n + 20.0, groups_f64,
            &(groups_job){ .kernel = md_array_f64_select(x->cpu),
                           .subtract = md_vbinary_select(x->cpu)->find(
                               MD_VBINARY_SUB, MD_DTYPE_F64),
                           .in = x->in[0]->data,
                           .scale = x->in[1]->data,
                           .bias = x->in[2]->data,
                           .out = out->data,
                           .n = n,
                           .plane = plane,
                           .groups = groups,
                           .epsilon = epsilon,
                           .by_channel = by_channel });
        return;
    }
    for (int64_t row = 0; row < s->dim[0] * groups; row++) {
        md_moments m =
            md_normalize__moments(x->in[0], row * n, n, epsilon, false);

        for (int64_t i = 0; i < n; i++) {
            int64_t at = row * n + i, c = row % groups;
            double v = (md_tensor_get_f64(x->in[0], at) - m.mean) * m.inv;

            if (by_channel)
                c = c * per + i / plane;
            md_tensor_set_f64(out, at,
                              v * md_tensor_get_f64(x->in[1], c) +
                                  md_tensor_get_f64(x->in[2], c));
        }
    }
}
