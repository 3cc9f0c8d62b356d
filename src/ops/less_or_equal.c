#include "ops/common/data.h"
#include "ops/common/elementwise.h"

static const md_binary binary = {
    .types = MD_TYPES_NUMBER,
    .op = MD_VBINARY_LE,
    .result = MD_DTYPE_BOOL,
};

MD_BINARY_FUNCTIONS

const md_op md_op_less_or_equal = {
    .domain = "",
    .name = "LessOrEqual",
    .since = 12,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .data = md_data__less_or_equal,
};
