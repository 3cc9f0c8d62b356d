#include <math.h>

#include "ops/common/reduce.h"

static double step(double acc, double v)
{
    return isnan(v) || v > acc ? v : acc;
}

static int64_t step_int(int64_t acc, int64_t v)
{
    return v > acc ? v : acc;
}

static uint64_t step_u64(uint64_t acc, uint64_t v)
{
    return v > acc ? v : acc;
}

/* The lowest value of the type, which nothing is below. */
static int64_t start_of(md_dtype t)
{
    return md_dtype_int_min(t);
}

static const md_reduce reduce = {
    .types = MD_TYPES_NUMBER | MD_T(BOOL),
    .axes_input = 18,
    .start = -INFINITY,
    .step = step,
    .start_of = start_of,
    .step_int = step_int,
    .step_u64 = step_u64,
};

MD_REDUCE_FUNCTIONS

const md_op md_op_reduce_max = {
    .domain = "",
    .name = "ReduceMax",
    .since = 1,
    .in_min = 1,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
