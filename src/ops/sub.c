#include "ops/common/data.h"
#include "ops/common/elementwise.h"
#include "ops/grad.h"
#include "ops/lower.h"

static const md_binary binary = {
    .types = MD_TYPES_NUMBER,
    .op = MD_VBINARY_SUB,
};

MD_BINARY_FUNCTIONS

static void grad(md_grad *g)
{
    md_part dy = md_grad_of(g, 0);

    if (!md_grad_plain(g))
        return;
    md_grad_give_sum(g, 0, dy);
    if (md_grad_wants(g, 1))
        md_grad_give_sum(g, 1, md_grad_1(g, "Neg", dy));
}

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
    .grad = grad,
};
