/* A NaN among the operands is the result. */
#include "ops/common/data.h"
#include "ops/common/elementwise.h"
#include "ops/grad.h"
#include "ops/lower.h"

static const md_binary binary = {
    .types = MD_TYPES_NUMBER,
    .op = MD_VBINARY_MIN,
};

MD_VARIADIC_FUNCTIONS

const md_op md_op_min = {
    .domain = "",
    .name = "Min",
    .since = 1,
    .in_min = 1,
    .in_max = -1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_INPLACE | MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .data = md_data__min,
    .fast = &md_fast_binary,
    .grad = md_grad_extreme,
};
