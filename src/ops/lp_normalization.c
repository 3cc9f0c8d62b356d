/* x / norm along an axis; rows of norm 0 stay 0. */
#include <math.h>

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
} job;

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

    for (int64_t m; from < to; from += m) {
        m = md_min_i64(to - from, j->inner - from % j->inner);
        m = md_min_i64(m, MD_CHUNK);
        normalize(j, from / j->inner * j->n * j->inner + from % j->inner, m);
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
    md_exec__share(x, md_shape_n(s) / j.n, 5.0 + 4.0 * (double)j.n,
                   normalize_part, &j);
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
