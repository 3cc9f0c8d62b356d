#include "ops/common/elementwise.h"

static double apply(double x, const double *p)
{
    (void)p;
    return x == 0.0;
}

static int64_t apply_int(int64_t x)
{
    return !x;
}

static const md_unary unary = {
    .types = MD_T(BOOL),
    .f = apply,
    .i = apply_int,
};

MD_UNARY_FUNCTIONS

const md_op md_op_not = {
    .domain = "",
    .name = "Not",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_INPLACE,
    .infer = infer,
    .run = run,
};
