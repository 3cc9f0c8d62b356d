/*
 * modeld's own: the adjoint of AveragePool.  Each element of input 0 is spread
 * over its window in a tensor of input 1's shape: to equal parts, or (sum) as
 * it is.  Of input 1 only the shape counts.
 */
#include "ops/common/pool.h"

static md_status infer(const md_infer *c, md_error *err)
{
    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__need(c, 1, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__same_dtype(c, 0, 1, err));
    MD_TRY(md_infer__rank(c, 1, 3, 2 + MD_SPATIAL_MAX, err));
    md_infer__give(c, 0, c->in[1]);
    return MD_OK;
}

/* The shape of input 0 is that of the windows over input 1. */
static md_status check(const md_exec *x, md_error *err)
{
    const md_type t = md_type_of_tensor(x->in[1]->dtype, &x->in[1]->shape);
    md_type out = { 0 };
    const md_infer c = { .node = x->node,
                         .opset = x->opset,
                         .in = (const md_type *const[]){ &t },
                         .out = &out };
    md_shape want;

    MD_TRY(md_pool__infer(&c, t.dtype, MD_DTYPE_NONE, err));
    if (!md_type_static(&out, &want) ||
        !md_shape_equal(&want, &x->in[0]->shape))
        return md_fail(err, MD_INVALID,
                       "input 0 is not of the shape of the windows");
    return MD_OK;
}

static void spread(const md_pool_plan *p, const md_exec *x, double *to)
{
    bool sum = md_node_attr_i(x->node, "sum", 0) != 0;
    bool count_pad = md_node_attr_i(x->node, "count_include_pad", 0) != 0;

    for (int64_t i = 0; i < p->n_planes * p->out_size; i++) {
        int64_t base = i / p->out_size * p->in_size;
        int64_t k[MD_SPATIAL_MAX], at;
        md_span s[MD_SPATIAL_MAX];
        bool started = false;
        double v, n = 1.0;

        md_load_f64(&v, x->in[0], i, 1);
        md_pool__spans(s, p, i % p->out_size);
        for (int d = 0; d < MD_SPATIAL_MAX && !sum; d++)
            n *= (double)(count_pad ? s[d].padded : s[d].hi - s[d].lo);
        while (md_pool__next(p, s, k, &at, &started))
            to[base + at] += v / n;
    }
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    md_pool_plan p;
    double *to;

    MD_TRY(check(x, err));
    MD_TRY(md_exec__scratch(&to, ar, md_tensor_n(out), sizeof(*to), err));
    MD_TRY(md_pool__plan(&p, x->node, &out->shape, &x->in[0]->shape, err));
    spread(&p, x, to);
    md_store_f64(out, 0, to, md_tensor_n(out));
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

/* The windows again. */
static void grad(md_grad *g)
{
    static const char *const keep[] = {
        "auto_pad", "ceil_mode", "dilations",         "kernel_shape",
        "pads",     "strides",   "count_include_pad", NULL
    };

    if (md_node_attr_i(g->m.node, "sum", 0) != 0)
        md_grad_refuse(g, "second order");
    md_grad_give(g, 0,
                 MD_GRAD_STEP(g, .op = "AveragePool",
                              .in = { md_grad_of(g, 0) }, .n_in = 1,
                              .keep = keep));
}

const md_op md_op_pool_spread = {
    .domain = "modeld",
    .name = "PoolSpread",
    .since = 1,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
    .grad = grad,
};
