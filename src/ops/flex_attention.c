/*
 * softmax(Q K^T scale) V.  Where graphs of the model change scores or
 * probabilities, loading it has put FlexAttentionScores, the graphs and
 * FlexAttentionValues in its place (md_model_inline).
 */
#include "ops/common/flex.h"

enum { /* inputs */
    IN_Q,
    IN_K,
    IN_V
};

static md_status infer(const md_infer *c, md_error *err)
{
    md_dtype precision;
    md_type t;

    MD_TRY(md_flex__check(c, IN_Q, IN_K, true, err));
    MD_TRY(md_flex__check(c, IN_Q, IN_V, false, err));
    MD_TRY(md_infer__same_dtype(c, IN_Q, IN_K, err));
    MD_TRY(md_infer__same_dtype(c, IN_Q, IN_V, err));
    MD_TRY(md_flex__precision(c, &precision, err));
    MD_TRY(md_infer__fresh_type(c, &t, c->in[IN_Q]->dtype, 4, err));
    MD_TRY(md_flex__check_values(c, IN_K, IN_V, err));
    for (int i = 0; c->in[IN_Q]->has_rank && i < 3; i++)
        t.dim[i] = c->in[IN_Q]->dim[i];
    if (c->in[IN_V]->has_rank)
        t.dim[3] = c->in[IN_V]->dim[3];
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    md_flex f = { .q = x->in[IN_Q],
                  .k = x->in[IN_K],
                  .v = x->in[IN_V],
                  .y = out,
                  .scale = md_flex__scale(x->node, x->in[IN_Q]->shape.dim[3]) };

    (void)ar;
    if (md_node_attr(x->node, "score_mod") || md_node_attr(x->node, "prob_mod"))
        return md_fail(err, MD_UNSUPPORTED,
                       "FlexAttention with score_mod or prob_mod outside of a "
                       "model");
    return md_flex__run(x, &f, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_flex_attention = {
    .domain = "ai.onnx.preview",
    .name = "FlexAttention",
    .since = 1,
    .in_min = 3,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
