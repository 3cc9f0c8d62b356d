/* log(sum(exp(x))), in an order that overflows only when the result does. */
#include <math.h>

#include "ops/common/reduce.h"

/* log(exp(acc) + exp(v)) */
static double step(double acc, double v)
{
    double hi = acc > v ? acc : v, lo = acc > v ? v : acc;

    if (isnan(acc) || isnan(v))
        return NAN;
    if (isinf(hi))
        return hi;
    return hi + log1p(exp(lo - hi));
}

static const md_reduce reduce = {
    .types = MD_TYPES_NUMBER,
    .axes_input = 18,
    .start = -INFINITY,
    .step = step,
};

MD_REDUCE_FUNCTIONS

const md_op md_op_reduce_log_sum_exp = {
    .domain = "",
    .name = "ReduceLogSumExp",
    .since = 1,
    .in_min = 1,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
