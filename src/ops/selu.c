#include <math.h>

#include "ops/common/elementwise.h"
#include "ops/lower.h"

static double apply(double x, const double *p)
{
    return p[1] * (x < 0.0 ? p[0] * expm1(x) : x);
}

static const md_unary unary = {
    .types = MD_TYPES_FLOAT,
    .f = apply,
    .param = { { "alpha", 1.67326319217681884765625f },
               { "gamma", 1.05070102214813232421875f } },
};

MD_UNARY_FUNCTIONS

const md_op md_op_selu = {
    .domain = "",
    .name = "Selu",
    .since = 7,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_INPLACE,
    .infer = infer,
    .run = run,
    .fast = &md_fast_unary,
};
