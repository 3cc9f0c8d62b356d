#include "ops/common/data.h"
#include "ops/common/elementwise.h"
#include "ops/lower.h"

static const md_binary binary = {
    .types = MD_TYPES_NUMBER,
    .op = MD_VBINARY_SUB,
};

MD_BINARY_FUNCTIONS

const md_op md_op_sub = {
    .domain = "",
    .name = "Sub",
    .since = 1,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_INPLACE | MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .data = md_data__sub,
    .fast = &md_fast_binary,
};
