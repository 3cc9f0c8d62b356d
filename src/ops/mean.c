#include "ops/common/elementwise.h"
#include "ops/grad.h"

static const md_binary binary = {
    .types = MD_TYPES_FLOAT,
    .op = MD_VBINARY_ADD,
};

static const md_binary divide = {
    .types = MD_TYPES_FLOAT,
    .op = MD_VBINARY_DIV,
};

static md_status infer(const md_infer *c, md_error *err)
{
    return md_variadic__infer(c, &binary, err);
}

static md_status run(md_exec *x, md_error *err)
{
    double count = x->node->n_in;
    float rounded = (float)count; /* for the narrower types */
    md_tensor n = { .dtype = MD_DTYPE_F32, .data = &rounded };

    if (md_exec_has(x, 0) && x->in[0]->dtype == MD_DTYPE_F64)
        n = (md_tensor){ .dtype = MD_DTYPE_F64, .data = &count };
    return md_variadic__run(x, &binary, infer, &(md_link){ &divide, &n }, err);
}

static void grad(md_grad *g)
{
    md_part d = md_grad_scale(g, md_grad_of(g, 0), 1.0 / g->m.node->n_in);

    for (uint32_t i = 0; i < g->m.node->n_in; i++)
        md_grad_give_sum(g, i, d);
}

const md_op md_op_mean = {
    .domain = "",
    .name = "Mean",
    .since = 1,
    .in_min = 1,
    .in_max = -1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .grad = grad,
};
