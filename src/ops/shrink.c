/* x + bias below -lambd, x - bias above lambd, else 0. */
#include "ops/common/elementwise.h"
#include "ops/lower.h"

static double apply(double x, const double *p)
{
    if (x < -p[0])
        return x + p[1];
    return x > p[0] ? x - p[1] : 0.0;
}

static const md_unary unary = {
    .types = MD_TYPES_NUMBER,
    .f = apply,
    .param = { { "lambd", 0.5f }, { "bias", 0.0f } },
};

MD_UNARY_FUNCTIONS

const md_op md_op_shrink = {
    .domain = "",
    .name = "Shrink",
    .since = 9,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_INPLACE | MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .fast = &md_fast_unary,
};
