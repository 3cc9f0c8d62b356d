/* The p-norm over each plane. */
#include <math.h>

#include "ops/common/pool.h"
#include "ops/grad.h"

static md_status infer(const md_infer *c, md_error *err)
{
    double p = md_pool__p(c->node, c->opset);

    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT, err));
    if (!(p >= 1.0))
        return md_fail(err, MD_INVALID, "p is %g, at least 1 expected", p);
    return md_pool__infer_global(c, err);
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *s = &x->in[0]->shape;
    double p = md_pool__p(x->node, x->opset);
    int64_t n = md_shape_span(s, 2, s->rank);

    (void)ar;
    (void)err;
    for (int64_t i = 0; i < md_tensor_n(out); i++) {
        double sum = 0.0, v;

        for (int64_t k = 0; k < n; k++) {
            md_load_f64(&v, x->in[0], i * n + k, 1);
            sum += pow(fabs(v), p);
        }
        v = pow(sum, 1.0 / p);
        md_store_f64(out, i, &v, 1);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

static void unfold(md_grad *g)
{
    double p = md_pool__p(g->m.node, g->m.opset);
    md_part x = md_grad_in(g, 0), y;
    int rank = md_grad_rank(g, x);
    int64_t axes[MD_RANK_MAX] = { 0 };

    for (int d = 2; d < rank; d++)
        axes[d - 2] = d;
    y = md_grad_2(g, "Pow", md_grad_1(g, "Abs", x), md_grad_num(g, x, p));
    y = md_grad_reduce(g, "ReduceSum", y, axes, rank - 2, true);
    md_grad_result(g, 0, md_grad_2(g, "Pow", y, md_grad_num(g, y, 1 / p)));
}

const md_op md_op_global_lp_pool = {
    .domain = "",
    .name = "GlobalLpPool",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .unfold = unfold,
};
