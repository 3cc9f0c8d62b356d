/* A NaN among the operands is the result. */
#include <math.h>

#include "ops/common/elementwise.h"
#include "ops/lower.h"

MD_ROW(row_f64, double, isnan(x) || x > y ? x : y)
MD_ROW(row_i64, int64_t, x > y ? x : y)
MD_ROW(row_u64, uint64_t, x > y ? x : y)

static const md_binary binary = {
    .types = MD_TYPES_NUMBER,
    .f = row_f64,
    .i = row_i64,
    .u = row_u64,
};

MD_VARIADIC_FUNCTIONS

const md_op md_op_max = {
    .domain = "",
    .name = "Max",
    .since = 1,
    .in_min = 1,
    .in_max = -1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_INPLACE,
    .infer = infer,
    .run = run,
    .fast = &md_fast_binary,
};
