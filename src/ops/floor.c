#include <math.h>

#include "ops/common/data.h"
#include "ops/common/elementwise.h"
#include "ops/grad.h"
#include "ops/lower.h"

static double apply(double x, const double *p)
{
    (void)p;
    return floor(x);
}

static const md_unary unary = {
    .types = MD_TYPES_FLOAT,
    .f = apply,
};

MD_UNARY_FUNCTIONS

const md_op md_op_floor = {
    .domain = "",
    .name = "Floor",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_INPLACE | MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .data = md_data__same,
    .fast = &md_fast_unary,
    .grad = md_grad_zero,
};
