/* The p-norm over each window; what lies outside the input counts as 0. */
#include <math.h>

#include "ops/common/pool.h"

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
};
