#include <math.h>

#include "ops/common/elementwise.h"
#include "ops/grad.h"
#include "ops/lower.h"

static double apply(double x, const double *p)
{
    return x / (1.0 + exp(-p[0] * x));
}

static const md_unary unary = {
    .types = MD_TYPES_FLOAT,
    .f = apply,
    .param = { { "alpha", 1.0f } },
};

MD_UNARY_FUNCTIONS

static void unfold(md_grad *g)
{
    double alpha = md_node_attr_f(g->m.node, "alpha", 1.0f);
    md_part x = md_grad_in(g, 0);

    md_grad_result(
        g, 0,
        md_grad_mul(g, x, md_grad_1(g, "Sigmoid", md_grad_scale(g, x, alpha))));
}

const md_op md_op_swish = {
    .domain = "",
    .name = "Swish",
    .since = 24,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_INPLACE | MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .fast = &md_fast_unary,
    .unfold = unfold,
};
