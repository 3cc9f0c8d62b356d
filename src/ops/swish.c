#include <math.h>

#include "ops/common/elementwise.h"
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
};
