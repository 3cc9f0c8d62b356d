#include "ops/common/data.h"
#include "ops/common/reduce.h"
#include "ops/grad.h"
#include "ops/lower.h"

static const md_reduction reduce = {
    .types = MD_TYPES_NUMBER,
    .axes_input = 18,
    .op = MD_REDUCE_PROD,
    .ints = true,
};

MD_REDUCE_FUNCTIONS

/* dy times the product of the others, which is y / x but for zeros: next to one
 * zero only that one has a gradient, next to more none has. */
static void grad(md_grad *g)
{
    md_part x = md_grad_in(g, 0), y, dy = md_grad_reduced(g, &y);
    md_part zero = md_grad_num(g, x, 0), one = md_grad_num(g, x, 1);
    md_part is_zero = md_grad_2(g, "Equal", x, zero), rest, product, zeros;

    rest = md_grad_where(g, is_zero, one, x);
    product = md_grad_again(g, "ReduceProd", rest, y);
    zeros = md_grad_again(
        g, "ReduceSum", md_grad_cast(g, is_zero, md_grad_type(g, x)->dtype), y);
    rest = md_grad_where(
        g, is_zero,
        md_grad_where(g, md_grad_2(g, "Equal", zeros, one), product, zero),
        md_grad_where(g, md_grad_2(g, "Equal", zeros, zero),
                      md_grad_div(g, product, rest), zero));
    md_grad_give(g, 0, md_grad_mul(g, rest, dy));
}

const md_op md_op_reduce_prod = {
    .domain = "",
    .name = "ReduceProd",
    .since = 1,
    .in_min = 1,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .data = md_data__reduce_prod,
    .fast = &md_fast_reduce,
    .grad = grad,
};
