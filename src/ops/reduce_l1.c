#include "ops/common/reduce.h"
#include "ops/grad.h"
#include "ops/lower.h"

static const md_reduction reduce = {
    .types = MD_TYPES_NUMBER,
    .axes_input = 18,
    .op = MD_REDUCE_L1,
    .ints = true,
};

MD_REDUCE_FUNCTIONS

static void grad(md_grad *g)
{
    md_part x = md_grad_in(g, 0), dy = md_grad_reduced(g, NULL);

    md_grad_give(g, 0, md_grad_mul(g, md_grad_1(g, "Sign", x), dy));
}

const md_op md_op_reduce_l1 = {
    .domain = "",
    .name = "ReduceL1",
    .since = 1,
    .in_min = 1,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .fast = &md_fast_reduce,
    .grad = grad,
};
