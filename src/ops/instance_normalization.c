#include "ops/common/normalize.h"
#include "ops/grad.h"
#include "ops/lower.h"

static md_status infer(const md_infer *c, md_error *err)
{
    md_dim n = MD_DIM(0);

    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__rank(c, 0, 3, MD_RANK_MAX, err));
    if (c->in[0]->has_rank)
        n = c->in[0]->dim[1];
    for (uint32_t i = 1; i < 3; i++) {
        MD_TRY(md_infer__need(c, i, MD_TYPES_FLOAT, err));
        MD_TRY(md_infer__same_dtype(c, 0, i, err));
        if (c->in[0]->has_rank)
            MD_TRY(md_infer__length(c, c->in[i], n, "scale or bias", err));
    }
    md_infer__give(c, 0, c->in[0]);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    (void)ar;
    (void)err;
    md_normalize__groups(x, out, out->shape.dim[1], true);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

/* Each plane by itself; scale and bias lie along the channels. */
static void grad(md_grad *g)
{
    md_part x = md_grad_in(g, 0), dy = md_grad_of(g, 0);
    int rank = md_grad_rank(g, x);
    int64_t axes[MD_RANK_MAX] = { 0 };
    md_grad_norm r = { .axes = axes + 1,
                       .n_axes = rank - 2,
                       .epsilon = md_node_attr_f(g->m.node, "epsilon", 1e-5f),
                       .centered = true };
    md_part scale;

    if (rank < 3) {
        md_grad_refuse(g, "rank %d", rank);
        return;
    }
    for (int d = 2; d < rank; d++) /* those of the planes behind the batch's */
        axes[d - 1] = d;
    md_grad_norm_begin(g, &r, x);
    md_grad_give(g, 1,
                 md_grad_reduce(g, "ReduceSum", md_grad_mul(g, dy, r.n), axes,
                                rank - 1, false));
    md_grad_give(g, 2,
                 md_grad_reduce(g, "ReduceSum", dy, axes, rank - 1, false));
    for (int d = 1; d < rank - 1; d++)
        axes[d - 1] = d;
    scale = md_grad_unsqueeze(g, md_grad_in(g, 1), axes, rank - 2);
    for (int d = 2; d < rank; d++)
        axes[d - 1] = d;
    md_grad_give(g, 0, md_grad_norm_end(g, &r, md_grad_mul(g, dy, scale)));
}

const md_op md_op_instance_normalization = {
    .domain = "",
    .name = "InstanceNormalization",
    .since = 1,
    .in_min = 3,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .fast = &md_fast_instancenorm,
    .grad = grad,
};
