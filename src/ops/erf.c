#include <math.h>

#include "ops/common/elementwise.h"
#include "ops/grad.h"
#include "ops/lower.h"

static double apply(double x, const double *p)
{
    (void)p;
    return erf(x);
}

static const md_unary unary = {
    .types = MD_TYPES_NUMBER,
    .f = apply,
};

MD_UNARY_FUNCTIONS

/* 2 / sqrt(pi) * exp(-x^2) */
static void grad(md_grad *g)
{
    md_part x = md_grad_in(g, 0);
    md_part e = md_grad_1(g, "Exp", md_grad_1(g, "Neg", md_grad_mul(g, x, x)));

    md_grad_chain(g, md_grad_scale(g, e, 2.0 / sqrt(acos(-1.0))));
}

const md_op md_op_erf = {
    .domain = "",
    .name = "Erf",
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
