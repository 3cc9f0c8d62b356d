#include <math.h>

#include "ops/common/elementwise.h"
#include "ops/grad.h"
#include "ops/lower.h"

static double apply(double x, const double *p)
{
    (void)p;
    return sqrt(x);
}

static const md_unary unary = {
    .types = MD_TYPES_FLOAT,
    .f = apply,
    .map = MD_MAP_F64_SQRT,
};

MD_UNARY_FUNCTIONS

static void grad(md_grad *g)
{
    md_part y = md_grad_out(g, 0);

    md_grad_chain(g, md_grad_div(g, md_grad_num(g, y, 0.5), y));
}

const md_op md_op_sqrt = {
    .domain = "",
    .name = "Sqrt",
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
