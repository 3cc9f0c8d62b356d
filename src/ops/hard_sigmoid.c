#include "ops/common/elementwise.h"
#include "ops/grad.h"
#include "ops/lower.h"

static double apply(double x, const double *p)
{
    double y = p[0] * x + p[1];

    y = y < 0.0 ? 0.0 : y;
    return y > 1.0 ? 1.0 : y; /* NaN stays */
}

static const md_unary unary = {
    .types = MD_TYPES_FLOAT,
    .f = apply,
    .param = { { "alpha", 0.2f }, { "beta", 0.5f } },
};

MD_UNARY_FUNCTIONS

static void grad(md_grad *g)
{
    double alpha = md_node_attr_f(g->m.node, "alpha", 0.2f);
    md_part y = md_grad_out(g, 0), zero = md_grad_num(g, y, 0), slopes;

    slopes = md_grad_2(g, "And", md_grad_2(g, "Greater", y, zero),
                       md_grad_2(g, "Less", y, md_grad_num(g, y, 1)));
    md_grad_chain(g, md_grad_where(g, slopes, md_grad_num(g, y, alpha), zero));
}

const md_op md_op_hard_sigmoid = {
    .domain = "",
    .name = "HardSigmoid",
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
