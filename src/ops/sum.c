#include "ops/common/data.h"
#include "ops/common/elementwise.h"
#include "ops/grad.h"

static const md_binary binary = {
    .types = MD_TYPES_FLOAT,
    .op = MD_VBINARY_ADD,
};

MD_VARIADIC_FUNCTIONS

static void grad(md_grad *g)
{
    for (uint32_t i = 0; i < g->m.node->n_in; i++)
        md_grad_give_sum(g, i, md_grad_of(g, 0));
}

const md_op md_op_sum = {
    .domain = "",
    .name = "Sum",
    .since = 1,
    .in_min = 1,
    .in_max = -1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_INPLACE | MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .data = md_data__add,
    .grad = grad,
};
