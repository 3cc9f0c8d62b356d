#include "ops/common/elementwise.h"

static const md_binary binary = {
    .types = MD_T(BOOL),
    .op = MD_VBINARY_EITHER,
    .result = MD_DTYPE_BOOL,
};

MD_BINARY_FUNCTIONS

const md_op md_op_or = {
    .domain = "",
    .name = "Or",
    .since = 1,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
};
