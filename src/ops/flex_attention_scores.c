/* Not of the standard: Q K^T scale, the part of FlexAttention before its
 * graphs, in the type of softmax_precision. */
#include "ops/common/flex.h"

enum { /* inputs */
    IN_Q,
    IN_K,
    IN_V /* whose shape goes with that of the keys; may be absent */
};

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *q = c->in[IN_Q], *k = c->in[IN_K];
    md_dtype precision;
    md_type t;

    MD_TRY(md_flex__check(c, IN_Q, IN_K, true, err));
    MD_TRY(md_infer__same_dtype(c, IN_Q, IN_K, err));
    if (md_infer_has(c, IN_V))
        MD_TRY(md_flex__check_values(c, IN_K, IN_V, err));
    MD_TRY(md_flex__precision(c, &precision, err));
    MD_TRY(md_infer__fresh_type(c, &t, precision, 4, err));
    for (int i = 0; q->has_rank && i < 3; i++)
        t.dim[i] = q->dim[i];
    if (k->has_rank)
        t.dim[3] = k->dim[2];
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    md_flex f = { .q = x->in[IN_Q],
                  .k = x->in[IN_K],
                  .scores = out,
                  .scale = md_flex__scale(x->node, x->in[IN_Q]->shape.dim[3]) };

    (void)ar;
    return md_flex__run(x, &f, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_flex_attention_scores = {
    .domain = "ai.onnx.preview",
    .name = "FlexAttentionScores",
    .since = 1,
    .in_min = 2,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
