#include "ops/common/reduce.h"
#include "ops/grad.h"
#include "ops/lower.h"

static const md_reduction reduce = {
    .types = MD_TYPES_NUMBER,
    .axes_input = 18,
    .op = MD_REDUCE_L2,
};

MD_REDUCE_FUNCTIONS

static void grad(md_grad *g)
{
    md_part x = md_grad_in(g, 0), y, dy = md_grad_reduced(g, &y);

    md_grad_give(g, 0, md_grad_mul(g, x, md_grad_div(g, dy, y)));
}

const md_op md_op_reduce_l2 = {
    .domain = "",
    .name = "ReduceL2",
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
