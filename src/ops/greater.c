#include "ops/common/data.h"
#include "ops/common/elementwise.h"

static const md_binary binary = {
    .types = MD_TYPES_NUMBER,
    .op = MD_VBINARY_LT,
    .swapped = true,
    .result = MD_DTYPE_BOOL,
};

MD_BINARY_FUNCTIONS

const md_op md_op_greater = {
    .domain = "",
    .name = "Greater",
    .since = 1,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .data = md_data__greater,
};
