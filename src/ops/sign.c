#include <math.h>

#include "ops/common/elementwise.h"
#include "ops/grad.h"
#include "ops/lower.h"

static double apply(double x, const double *p)
{
    (void)p;
    return isnan(x) ? x : (double)((x > 0) - (x < 0));
}

static const md_unary unary = {
    .types = MD_TYPES_NUMBER,
    .f = apply,
    .whole = { { MD_VBINARY_MIN, 1 }, { MD_VBINARY_MAX, -1 } },
};

MD_UNARY_FUNCTIONS

const md_op md_op_sign = {
    .domain = "",
    .name = "Sign",
    .since = 9,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_INPLACE | MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .fast = &md_fast_unary,
    .grad = md_grad_zero,
};
