#include "ops/common/data.h"
#include "ops/common/reduce.h"
#include "ops/grad.h"
#include "ops/lower.h"

static const md_reduction reduce = {
    .types = MD_TYPES_NUMBER | MD_T(BOOL),
    .axes_input = 18,
    .op = MD_REDUCE_MAX,
    .ints = true,
};

MD_REDUCE_FUNCTIONS

/* Shared by all that are equal to y. */
static void grad(md_grad *g)
{
    md_part x = md_grad_in(g, 0), y, dy = md_grad_reduced(g, &y), those, n;

    those =
        md_grad_cast(g, md_grad_2(g, "Equal", x, y), md_grad_type(g, x)->dtype);
    n = md_grad_again(g, "ReduceSum", those, y);
    md_grad_give(g, 0, md_grad_mul(g, those, md_grad_div(g, dy, n)));
}

const md_op md_op_reduce_max = {
    .domain = "",
    .name = "ReduceMax",
    .since = 1,
    .in_min = 1,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .data = md_data__reduce_max,
    .fast = &md_fast_reduce,
    .grad = grad,
};
