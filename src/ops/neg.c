#include <math.h>

#include "ops/common/data.h"
#include "ops/common/elementwise.h"
#include "ops/grad.h"
#include "ops/lower.h"

static double apply(double x, const double *p)
{
    (void)p;
    return -x;
}

static const md_unary unary = {
    .types = MD_TYPES_FLOAT | MD_TYPES_SIGNED,
    .f = apply,
    .map = MD_MAP_F64_NEG,
    .whole = { { MD_VBINARY_MUL, -1 } },
};

MD_UNARY_FUNCTIONS

static void grad(md_grad *g)
{
    md_grad_give(g, 0, md_grad_1(g, "Neg", md_grad_of(g, 0)));
}

const md_op md_op_neg = {
    .domain = "",
    .name = "Neg",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_INPLACE | MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .data = md_data__neg,
    .fast = &md_fast_unary,
    .grad = grad,
};
