#include "ops/common/elementwise.h"
#include "ops/lower.h"

static double apply(double x, const double *p)
{
    double y = p[0] * x + p[1];

    y = y < 0.0 ? 0.0 : y;
    return y > 1.0 ? 1.0 : y; /* NaN stays */
}

static const md_unary unary = {
    .types = MD_TYPES_FLOAT,
    .f = apply,
    .param = { { "alpha", 0.2f }, { "beta", 0.5f } },
};

MD_UNARY_FUNCTIONS

const md_op md_op_hard_sigmoid = {
    .domain = "",
    .name = "HardSigmoid",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_INPLACE | MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .fast = &md_fast_unary,
};
