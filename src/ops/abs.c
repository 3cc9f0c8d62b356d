#include <math.h>

#include "ops/common/elementwise.h"
#include "ops/lower.h"

static double apply(double x, const double *p)
{
    (void)p;
    return fabs(x);
}

static int64_t apply_int(int64_t x)
{
    return x < 0 ? (int64_t)(0 - (uint64_t)x) : x;
}

static uint64_t apply_u64(uint64_t x)
{
    return x;
}

static const md_unary unary = {
    .types = MD_TYPES_NUMBER,
    .f = apply,
    .i = apply_int,
    .u = apply_u64,
};

MD_UNARY_FUNCTIONS

const md_op md_op_abs = {
    .domain = "",
    .name = "Abs",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_INPLACE,
    .infer = infer,
    .run = run,
    .fast = &md_fast_unary,
};
