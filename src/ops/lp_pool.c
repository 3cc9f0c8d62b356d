/* The p-norm over each window; what lies outside the input counts as 0. */
#include <math.h>

#include "ops/common/pool.h"
#include "ops/grad.h"

static md_status infer(const md_infer *c, md_error *err)
{
    double p = md_pool__p(c->node, c->opset);

    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT, err));
    if (!(p >= 1.0))
        return md_fail(err, MD_INVALID, "p is %g, at least 1 expected", p);
    return md_pool__infer(c, c->in[0]->dtype, MD_DTYPE_NONE, err);
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    double p = md_pool__p(x->node, x->opset);
    md_pool_plan plan;

    (void)ar;
    MD_TRY(md_pool__plan(&plan, x->node, &x->in[0]->shape, &out->shape, err));
    for (int64_t i = 0; i < plan.n_planes * plan.out_size; i++) {
        int64_t base = i / plan.out_size * plan.in_size;
        int64_t k[MD_SPATIAL_MAX], at;
        md_span s[MD_SPATIAL_MAX];
        bool started = false;
        double sum = 0.0, v;

        md_pool__spans(s, &plan, i % plan.out_size);
        while (md_pool__next(&plan, s, k, &at, &started)) {
            md_load_f64(&v, x->in[0], base + at, 1);
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

/* y^p is the sum of |x|^p: dx = sign(x) |x|^(p - 1) y^(1 - p) dy */
static void grad(md_grad *g)
{
    double p = md_pool__p(g->m.node, g->m.opset);
    md_part x = md_grad_in(g, 0), y = md_grad_out(g, 0), d, slope;
    md_part zero = md_grad_num(g, x, 0);

    d = md_grad_2(g, "Pow", y, md_grad_num(g, y, 1 - p));
    d = md_grad_where(g, md_grad_2(g, "Equal", y, zero), zero, d);
    d = md_pool__spread(g, md_grad_mul(g, md_grad_of(g, 0), d), x, true);
    slope =
        md_grad_2(g, "Pow", md_grad_1(g, "Abs", x), md_grad_num(g, x, p - 1));
    slope = md_grad_mul(g, md_grad_1(g, "Sign", x), slope);
    md_grad_give(g, 0, md_grad_mul(g, d, slope));
}

const md_op md_op_lp_pool = {
    .domain = "",
    .name = "LpPool",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .grad = grad,
};
