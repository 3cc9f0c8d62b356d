/* Integers: towards zero; x / 0 is 0, so that a model cannot trap. */
#include "ops/common/data.h"
#include "ops/common/elementwise.h"
#include "ops/lower.h"

static const md_binary binary = {
    .types = MD_TYPES_NUMBER,
    .op = MD_VBINARY_DIV,
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
    .flags = MD_OP_INPLACE | MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .data = md_data__div,
    .fast = &md_fast_binary,
};
