#include "ops/common/data.h"
#include "ops/common/reduce.h"
#include "ops/grad.h"
#include "ops/lower.h"

static const md_reduction reduce = {
    .types = MD_TYPES_NUMBER | MD_T(BOOL),
    .axes_input = 18,
    .op = MD_REDUCE_MIN,
    .ints = true,
};

MD_REDUCE_FUNCTIONS

const md_op md_op_reduce_min = {
    .domain = "",
    .name = "ReduceMin",
    .since = 1,
    .in_min = 1,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .data = md_data__reduce_min,
    .fast = &md_fast_reduce,
    .grad = md_grad_reduced_extreme,
};
