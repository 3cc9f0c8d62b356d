#include "ops/common/reduce.h"

static double step(double acc, double v)
{
    return acc + v;
}

static double finish(double acc, int64_t n)
{
    return acc / (double)n;
}

static const md_reduce reduce = {
    .types = MD_TYPES_NUMBER,
    .axes_input = 18,
    .start = 0.0,
    .step = step,
    .finish = finish,
};

MD_REDUCE_FUNCTIONS

const md_op md_op_reduce_mean = {
    .domain = "",
    .name = "ReduceMean",
    .since = 1,
    .in_min = 1,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
