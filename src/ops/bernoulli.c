/* 1 with the probability that the input gives, else 0. */
#include "ops/common/random.h"
#include "ops/grad.h"

static md_status infer(const md_infer *c, md_error *err)
{
    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT, err));
    return md_random__infer_like(c, MD_TYPES_NUMBER | MD_T(BOOL), err);
}

/* The smaller of the two results is drawn, as NumPy's binomial does. */
static double draw(md_random *r, double p)
{
    double u = md_random__uniform(r);

    return p <= 0.5 ? u > 1.0 - p : u <= p;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    int64_t n = md_tensor_n(out);
    md_random r;

    (void)ar;
    md_random__start(&r, x->node);
    for (int64_t i = 0; i < n; i++) {
        double p;

        md_load_f64(&p, x->in[0], i, 1);
        if (!(p >= 0.0 && p <= 1.0))
            return md_fail(err, MD_INVALID,
                           "element %lld of the input is %g, a probability "
                           "expected",
                           (long long)i, p);
        p = draw(&r, p);
        md_store_f64(out, i, &p, 1);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_bernoulli = {
    .domain = "",
    .name = "Bernoulli",
    .since = 15,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_IMPURE | MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .grad = md_grad_zero,
};
