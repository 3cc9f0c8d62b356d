/* Integers: towards zero; x / 0 is 0, so that a model cannot trap. */
#include "ops/common/data.h"
#include "ops/common/elementwise.h"
#include "ops/grad.h"
#include "ops/lower.h"

static const md_binary binary = {
    .types = MD_TYPES_NUMBER,
    .op = MD_VBINARY_DIV,
};

MD_BINARY_FUNCTIONS

static void grad(md_grad *g)
{
    md_part by = md_grad_in(g, 1);
    md_part d = md_grad_div(g, md_grad_of(g, 0), by);

    if (!md_grad_plain(g))
        return;
    md_grad_give_sum(g, 0, d);
    if (md_grad_wants(g, 1))
        md_grad_give_sum(
            g, 1, md_grad_1(g, "Neg", md_grad_mul(g, d, md_grad_out(g, 0))));
}

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
    .grad = grad,
};
