#include "ops/common/elementwise.h"

MD_ROW(row_i64, int64_t, !x != !y)

static const md_binary binary = {
    .types = MD_T(BOOL),
    .i = row_i64,
    .result = MD_DTYPE_BOOL,
};

MD_BINARY_FUNCTIONS

const md_op md_op_xor = {
    .domain = "",
    .name = "Xor",
    .since = 1,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
