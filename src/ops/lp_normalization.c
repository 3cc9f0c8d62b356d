/* x / norm along an axis; rows of norm 0 stay 0. */
#include <math.h>

#include "kernels/array_f64.h"
#include "kernels/vbinary.h"
#include "ops/common/util.h"
#include "ops/grad.h"
#include "ops/lower.h"

static md_status infer(const md_infer *c, md_error *err)
{
    int64_t p = md_node_attr_i(c->node, "p", 2);
    int axis;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT, err));
    if (p != 1 && p != 2)
        return md_fail(err, MD_INVALID, "p is %lld, 1 or 2 expected",
                       (long long)p);
    if (c->in[0]->has_rank)
        MD_TRY(md_axis_normalize(&axis, md_node_attr_i(c->node, "axis", -1),
                                 c->in[0]->rank, err));
    md_infer__give(c, 0, c->in[0]);
    return MD_OK;
}

typedef struct job {
    md_tensor *out;
    const md_tensor *in;
    int64_t n, inner; /* elements of the axis, and behind it */
    bool l1;
    const md_array_f64_kernel *kernel; /* of float64 */
    md_vbinary_fn *divide;             /* the same */
} job;

/* What to divide by: of norm 0 all becomes 0. */
static double divisor(const job *j, double norm)
{
    if (norm == 0.0)
        return INFINITY;
    return j->l1 ? norm : sqrt(norm);
}

/* m <= MD_CHUNK columns of float64, or rows where the axis is the last. */
static void normalize_f64(const job *j, int64_t at, int64_t m)
{
    const md_fold_f64 op = j->l1 ? MD_FOLD_F64_SUM_ABS : MD_FOLD_F64_SUM_SQUARE;
    const double *x = (const double *)j->in->data + at;
    double *y = (double *)j->out->data + at, norm[MD_CHUNK] = { 0 };
    const size_t n = (size_t)j->n, inner = (size_t)j->inner;

    if (j->inner == 1)
        j->kernel->fold_rows(op, norm, x, (size_t)m, n, n, 0.0);
    else
        j->kernel->fold_columns(op, norm, x, n, inner, (size_t)m);
    for (int64_t i = 0; i < m; i++)
        norm[i] = divisor(j, norm[i]);
    for (int64_t i = 0; i < m && j->inner == 1; i++)
        j->divide(y + i * j->n, x + i * j->n, norm + i, n, 0);
    for (int64_t k = 0; k < j->n && j->inner > 1; k++)
        j->divide(y + k * j->inner, x + k * j->inner, norm, (size_t)m, 1);
}

/* m <= MD_CHUNK columns, which begin at `at`. */
static void normalize(const job *j, int64_t at, int64_t m)
{
    double v[MD_CHUNK], norm[MD_CHUNK] = { 0 };

    for (int64_t k = 0; k < j->n; k++) {
        md_load_f64(v, j->in, at + k * j->inner, m);
        for (int64_t i = 0; i < m; i++)
            norm[i] += j->l1 ? fabs(v[i]) : v[i] * v[i];
    }
    for (int64_t i = 0; i < m && !j->l1; i++)
        norm[i] = sqrt(norm[i]);
    for (int64_t k = 0; k < j->n; k++) {
        md_load_f64(v, j->in, at + k * j->inner, m);
        for (int64_t i = 0; i < m; i++)
            v[i] = norm[i] == 0.0 ? 0.0 : v[i] / norm[i];
        md_store_f64(j->out, at + k * j->inner, v, m);
    }
}

/* Columns [from, to) of all outer indices. */
static void normalize_part(void *ctx, int64_t from, int64_t to)
{
    const job *j = ctx;

    for (int64_t m; from < to && j->kernel && j->inner == 1; from += m) {
        m = md_min_i64(to - from, MD_CHUNK);
        normalize_f64(j, from * j->n, m);
    }
    for (int64_t m; from < to; from += m) {
        m = md_min_i64(to - from, j->inner - from % j->inner);
        m = md_min_i64(m, MD_CHUNK);
        (j->kernel ? normalize_f64 : normalize)(
            j, from / j->inner * j->n * j->inner + from % j->inner, m);
    }
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *s = &out->shape;
    job j = { .out = out,
              .in = x->in[0],
              .l1 = md_node_attr_i(x->node, "p", 2) == 1 };
    int axis;

    (void)ar;
    MD_TRY(md_axis_normalize(&axis, md_node_attr_i(x->node, "axis", -1),
                             s->rank, err));
    j.n = s->dim[axis];
    j.inner = md_shape_span(s, axis + 1, s->rank);
    if (out->dtype == MD_DTYPE_F64) {
        j.kernel = md_array_f64_select(x->cpu);
        j.divide = md_vbinary_select(x->cpu)->find(MD_VBINARY_DIV, out->dtype);
    }
    md_exec__share(x, md_shape_n(s) / j.n,
                   5.0 + (j.kernel ? 1.0 : 4.0) * (double)j.n, normalize_part,
                   &j);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

/* x / |x|, where a row of zeros stays one. */
static void unfold(md_grad *g)
{
    int64_t p = md_node_attr_i(g->m.node, "p", 2);
    int64_t axis = md_node_attr_i(g->m.node, "axis", -1);
    md_part x = md_grad_in(g, 0), norm, zero = md_grad_num(g, x, 0);

    norm =
        md_grad_reduce(g, p == 1 ? "ReduceL1" : "ReduceL2", x, &axis, 1, true);
    norm = md_grad_where(g, md_grad_2(g, "Equal", norm, zero),
                         md_grad_num(g, x, 1), norm);
    md_grad_result(g, 0, md_grad_div(g, x, norm));
}

const md_op md_op_lp_normalization = {
    .domain = "",
    .name = "LpNormalization",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .fast = &md_fast_lpnorm,
    .unfold = unfold,
};
