#include <math.h>

#include "ops/common/elementwise.h"
#include "ops/grad.h"
#include "ops/lower.h"

static double apply(double x, const double *p)
{
    return p[1] * (x < 0.0 ? p[0] * expm1(x) : x);
}

static const md_unary unary = {
    .types = MD_TYPES_FLOAT,
    .f = apply,
    .param = { { "alpha", 1.67326319217681884765625f },
               { "gamma", 1.05070102214813232421875f } },
};

/* Before opset 6. */
static const md_unary rounded = {
    .types = MD_TYPES_FLOAT,
    .f = apply,
    .param = { { "alpha", 1.6732f }, { "gamma", 1.0507f } },
};

static md_status infer(const md_infer *c, md_error *err)
{
    return md_unary__infer(c, &unary, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_unary__run(x, x->opset < 6 ? &rounded : &unary, infer, err);
}

static void grad(md_grad *g)
{
    double alpha = md_node_attr_f(g->m.node, "alpha", 1.67326319217681884766f);
    double gamma = md_node_attr_f(g->m.node, "gamma", 1.05070102214813232422f);
    md_part x = md_grad_in(g, 0), above;

    above = md_grad_2(g, "Greater", x, md_grad_num(g, x, 0));
    md_grad_chain(g, md_grad_where(g, above, md_grad_num(g, x, gamma),
                                   md_grad_scale(g, md_grad_1(g, "Exp", x),
                                                 alpha * gamma)));
}

const md_op md_op_selu = {
    .domain = "",
    .name = "Selu",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_INPLACE | MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .fast = &md_fast_unary,
    .grad = grad,
};
