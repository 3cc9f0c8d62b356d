#include "ops/common/elementwise.h"
#include "ops/grad.h"
#include "ops/lower.h"

static double apply(double x, const double *p)
{
    return x < 0.0 ? p[0] * x : x;
}

static const md_unary unary = {
    .types = MD_TYPES_FLOAT,
    .f = apply,
    .param = { { "alpha", 0.01f } },
};

MD_UNARY_FUNCTIONS

static void grad(md_grad *g)
{
    md_part x = md_grad_in(g, 0);
    double alpha = md_node_attr_f(g->m.node, "alpha", 0.01f);

    md_grad_chain(
        g, md_grad_where(g, md_grad_2(g, "Greater", x, md_grad_num(g, x, 0)),
                         md_grad_num(g, x, 1), md_grad_num(g, x, alpha)));
}

const md_op md_op_leaky_relu = {
    .domain = "",
    .name = "LeakyRelu",
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
