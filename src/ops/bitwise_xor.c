#include "ops/common/elementwise.h"

static const md_binary binary = {
    .types = MD_TYPES_INT,
    .op = MD_VBINARY_XOR,
};

MD_BINARY_FUNCTIONS

const md_op md_op_bitwise_xor = {
    .domain = "",
    .name = "BitwiseXor",
    .since = 18,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_INPLACE | MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
};
