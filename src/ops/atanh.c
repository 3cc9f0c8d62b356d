#include <math.h>

#include "ops/common/elementwise.h"
#include "ops/grad.h"
#include "ops/lower.h"

static double apply(double x, const double *p)
{
    (void)p;
    return atanh(x);
}

static const md_unary unary = {
    .types = MD_TYPES_FLOAT,
    .f = apply,
};

MD_UNARY_FUNCTIONS

static void grad(md_grad *g)
{
    md_part x = md_grad_in(g, 0);
    md_part d = md_grad_sub(g, md_grad_num(g, x, 1), md_grad_mul(g, x, x));

    md_grad_chain(g, md_grad_1(g, "Reciprocal", d));
}

const md_op md_op_atanh = {
    .domain = "",
    .name = "Atanh",
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
