#include <math.h>

#include "ops/common/reduce.h"

static double step(double acc, double v)
{
    return acc + fabs(v);
}

static int64_t step_int(int64_t acc, int64_t v)
{
    return (int64_t)((uint64_t)acc + (v < 0 ? 0 - (uint64_t)v : (uint64_t)v));
}

static uint64_t step_u64(uint64_t acc, uint64_t v)
{
    return acc + v;
}

static const md_reduce reduce = {
    .types = MD_TYPES_NUMBER,
    .axes_input = 18,
    .start = 0.0,
    .step = step,
    .start_int = 0,
    .step_int = step_int,
    .step_u64 = step_u64,
};

MD_REDUCE_FUNCTIONS

const md_op md_op_reduce_l1 = {
    .domain = "",
    .name = "ReduceL1",
    .since = 1,
    .in_min = 1,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
