#include <math.h>

#include "ops/common/data.h"
#include "ops/common/elementwise.h"
#include "ops/grad.h"
#include "ops/lower.h"

static double apply(double x, const double *p)
{
    (void)p;
    return fabs(x);
}

static const md_unary unary = {
    .types = MD_TYPES_NUMBER,
    .f = apply,
    .map = MD_MAP_F64_ABS,
    .whole = { { MD_VBINARY_PRELU, -1 } },
};

MD_UNARY_FUNCTIONS

static void grad(md_grad *g)
{
    md_part x = md_grad_in(g, 0);

    md_grad_chain(g, md_grad_1(g, "Sign", x));
}

const md_op md_op_abs = {
    .domain = "",
    .name = "Abs",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_INPLACE | MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .data = md_data__abs,
    .fast = &md_fast_unary,
    .grad = grad,
};
