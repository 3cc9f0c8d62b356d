/* Before opset 21 scale and bias are per group, since then per channel. */
#include "ops/common/normalize.h"
#include "ops/grad.h"
#include "ops/lower.h"

static md_status infer(const md_infer *c, md_error *err)
{
    md_dim n = MD_DIM(0), per;
    int64_t groups = md_node_attr_i(c->node, "num_groups", 0);

    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__rank(c, 0, 2, MD_RANK_MAX, err));
    if (groups < 1)
        return md_fail(err, MD_INVALID, "num_groups is %lld",
                       (long long)groups);
    if (c->in[0]->has_rank)
        n = c->in[0]->dim[1];
    if (c->in[0]->has_rank && md_dim_is_const(n) && n.k % groups != 0)
        return md_fail(err, MD_INVALID,
                       "%lld channels do not divide into %lld groups",
                       (long long)n.k, (long long)groups);
    if (c->in[0]->has_rank)
        MD_TRY(md_dim__derive(c, &per, MD_EXPR_EXACT, n, MD_DIM(groups), err));
    if (c->opset < 21)
        n = MD_DIM(groups);
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
    md_normalize__groups(x, out, md_node_attr_i(x->node, "num_groups", 1),
                         x->opset >= 21);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

/* Groups of channels side by side, each by itself; scale and bias are those of
 * the channels, before opset 21 of the groups. */
static void unfold(md_grad *g)
{
    static const int64_t last = 2;
    int64_t groups = md_node_attr_i(g->m.node, "num_groups", 0);
    md_part x = md_grad_in(g, 0), scale = md_grad_in(g, 1), y;
    md_part bias = md_grad_in(g, 2);
    int rank = md_grad_rank(g, x);
    int64_t behind[MD_RANK_MAX] = { 0 };
    bool by_group = g->m.opset < 21;
    md_grad_norm r = { .axes = &last,
                       .n_axes = 1,
                       .epsilon = md_node_attr_f(g->m.node, "epsilon", 1e-5f),
                       .centered = true };

    for (int d = 1; d < rank - 1; d++)
        behind[d - 1] = d;
    if (by_group)
        behind[0] = 1;
    y = md_grad_2(g, "Reshape", x,
                  md_grad_ints(g, (const int64_t[]){ 0, groups, -1 }, 3));
    md_grad_norm_begin(g, &r, y);
    y = by_group ? r.n : md_grad_reshape(g, r.n, x);
    scale = md_grad_unsqueeze(g, scale, behind, by_group ? 1 : rank - 2);
    bias = md_grad_unsqueeze(g, bias, behind, by_group ? 1 : rank - 2);
    y = md_grad_add(g, md_grad_mul(g, y, scale), bias);
    md_grad_result(g, 0, md_grad_reshape(g, y, x));
}

const md_op md_op_group_normalization = {
    .domain = "",
    .name = "GroupNormalization",
    .since = 18,
    .in_min = 3,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .fast = &md_fast_groupnorm,
    .unfold = unfold,
};
