/* x + bias below -lambd, x - bias above lambd, else 0. */
#include "ops/common/elementwise.h"
#include "ops/grad.h"
#include "ops/lower.h"

static double apply(double x, const double *p)
{
    if (x < -p[0])
        return x + p[1];
    return x > p[0] ? x - p[1] : 0.0;
}

static const md_unary unary = {
    .types = MD_TYPES_NUMBER,
    .f = apply,
    .param = { { "lambd", 0.5f }, { "bias", 0.0f } },
};

MD_UNARY_FUNCTIONS

static void grad(md_grad *g)
{
    double lambd = md_node_attr_f(g->m.node, "lambd", 0.5f);
    md_part x = md_grad_in(g, 0), outside;

    outside = md_grad_2(g, "Greater", md_grad_1(g, "Abs", x),
                        md_grad_num(g, x, lambd));
    md_grad_give(
        g, 0,
        md_grad_where(g, outside, md_grad_of(g, 0), md_grad_num(g, x, 0)));
}

const md_op md_op_shrink = {
    .domain = "",
    .name = "Shrink",
    .since = 9,
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
