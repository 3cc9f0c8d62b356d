/* alpha * x + beta. Experimental in opset 1; gone from the standard
 * since, but in old files. */
#include "ops/common/elementwise.h"

static double apply(double x, const double *p)
{
    return p[0] * x + p[1];
}

static const md_unary unary = {
    .types = MD_TYPES_FLOAT,
    .f = apply,
    .param = { { "alpha", 1.0f }, { "beta", 0.0f } },
};

MD_UNARY_FUNCTIONS

const md_op md_op_affine = {
    .domain = "",
    .name = "Affine",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_INPLACE,
    .infer = infer,
    .run = run,
};
