/* Integers: towards zero; x / 0 is 0, so that a model cannot trap. */
#include "ops/common/elementwise.h"
#include "ops/lower.h"

/* INT64_MIN / -1 wraps to itself. */
static int64_t divide(int64_t x, int64_t y)
{
    if (y == 0)
        return 0;
    return y == -1 ? (int64_t)(0 - (uint64_t)x) : x / y;
}

MD_ROW(row_f64, double, x / y)
MD_ROW(row_i64, int64_t, divide(x, y))
MD_ROW(row_u64, uint64_t, y ? x / y : 0)

static const md_binary binary = {
    .types = MD_TYPES_NUMBER,
    .f = row_f64,
    .i = row_i64,
    .u = row_u64,
};

MD_BINARY_FUNCTIONS

const md_op md_op_div = {
    .domain = "",
    .name = "Div",
    .since = 1,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_INPLACE,
    .infer = infer,
    .run = run,
    .fast = &md_fast_binary,
};
