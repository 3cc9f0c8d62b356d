#include <math.h>

#include "ops/common/elementwise.h"

static double apply(double x, const double *p)
{
    (void)p;
    return isnan(x);
}

static const md_unary unary = {
    .types = MD_TYPES_FLOAT | MD_TYPES_F8,
    .f = apply,
    .result = MD_DTYPE_BOOL,
};

MD_UNARY_FUNCTIONS

const md_op md_op_is_nan = {
    .domain = "",
    .name = "IsNaN",
    .since = 9,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
