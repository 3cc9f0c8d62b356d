#include <math.h>

#include "ops/common/elementwise.h"
#include "ops/grad.h"
#include "ops/lower.h"

static double apply(double x, const double *p)
{
    (void)p;
    return exp(x);
}

static const md_unary unary = {
    .types = MD_TYPES_FLOAT,
    .f = apply,
    .map = MD_MAP_F64_EXP,
};

MD_UNARY_FUNCTIONS

static void grad(md_grad *g)
{
    md_part y = md_grad_out(g, 0);

    md_grad_chain(g, y);
}

const md_op md_op_exp = {
    .domain = "",
    .name = "Exp",
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
