#include "ops/common/elementwise.h"

MD_ROW(row_i64, int64_t, x | y)

static const md_binary binary = {
    .types = MD_TYPES_INT,
    .i = row_i64,
};

MD_BINARY_FUNCTIONS

const md_op md_op_bitwise_or = {
    .domain = "",
    .name = "BitwiseOr",
    .since = 18,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_INPLACE,
    .infer = infer,
    .run = run,
};
