/* x / norm along an axis; rows of norm 0 stay 0. */
#include <math.h>

#include "ops/common/util.h"

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

static void normalize(md_tensor *out, const md_tensor *in, int64_t at,
                      int64_t step, int64_t n, int64_t p)
{
    double norm = 0.0;

    for (int64_t i = 0; i < n; i++) {
        double v = fabs(md_tensor_get_f64(in, at + i * step));

        norm += p == 1 ? v : v * v;
    }
    norm = p == 1 ? norm : sqrt(norm);
    for (int64_t i = 0; i < n; i++) {
        double v = md_tensor_get_f64(in, at + i * step);

        md_tensor_set_f64(out, at + i * step, norm == 0.0 ? 0.0 : v / norm);
    }
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *s = &out->shape;
    int64_t n, inner;
    int axis;

    (void)ar;
    MD_TRY(md_axis_normalize(&axis, md_node_attr_i(x->node, "axis", -1),
                             s->rank, err));
    n = s->dim[axis];
    inner = md_shape_span(s, axis + 1, s->rank);
    for (int64_t row = 0; row < md_shape_n(s) / n; row++)
        normalize(out, x->in[0], row / inner * n * inner + row % inner, inner,
                  n, md_node_attr_i(x->node, "p", 2));
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_lp_normalization = {
    .domain = "",
    .name = "LpNormalization",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
