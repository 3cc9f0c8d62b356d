#include "ops/common/reduce.h"

static double step(double acc, double v)
{
    return acc * v;
}

static int64_t step_int(int64_t acc, int64_t v)
{
    return (int64_t)((uint64_t)acc * (uint64_t)v);
}

static const md_reduce reduce = {
    .types = MD_TYPES_NUMBER,
    .axes_input = 18,
    .start = 1.0,
    .step = step,
    .start_int = 1,
    .step_int = step_int,
};

MD_REDUCE_FUNCTIONS

const md_op md_op_reduce_prod = {
    .domain = "",
    .name = "ReduceProd",
    .since = 1,
    .in_min = 1,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
