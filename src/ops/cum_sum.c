/* Sums of all elements up to each one (or before it, with exclusive). */
#include "ops/common/cumulate.h"
#include "ops/grad.h"

static const md_cumulate how = {
    .types = MD_TYPES_NUMBER,
    .start = 0,
};

static md_status infer(const md_infer *c, md_error *err)
{
    return md_cumulate__infer(c, &how, err);
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    (void)ar;
    return md_cumulate__compute(x, out, &how, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

static void grad(md_grad *g)
{
    static const char *const keep[] = { "exclusive", NULL };
    int64_t reverse = md_node_attr_i(g->m.node, "reverse", 0);

    md_grad_give(g, 0,
                 MD_GRAD_STEP(g, .op = "CumSum",
                              .in = { md_grad_of(g, 0), md_grad_in(g, 1) },
                              .n_in = 2,
                              .attr = { MD_GIVE_I("reverse", !reverse) },
                              .n_attr = 1, .keep = keep));
}

const md_op md_op_cum_sum = {
    .domain = "",
    .name = "CumSum",
    .since = 11,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .grad = grad,
};
