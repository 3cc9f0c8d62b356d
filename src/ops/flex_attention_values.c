/* Not of the standard: probabilities times V in V's type, the part of
 * FlexAttention behind its graphs. */
#include "ops/common/flex.h"

enum { /* inputs */
    IN_P,
    IN_V,
    IN_SCORES /* what the graphs began with: their results have its shape */
};

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *p = c->in[IN_P], *v = c->in[IN_V], *s = c->in[IN_SCORES];
    md_type t;

    MD_TRY(md_flex__check(c, IN_P, IN_V, false, err));
    MD_TRY(md_infer__rank(c, IN_SCORES, 4, 4, err));
    MD_TRY(md_infer__same_dtype(c, IN_P, IN_SCORES, err));
    MD_TRY(md_infer__fresh_type(c, &t, v->dtype, 4, err));
    for (int i = 0; p->has_rank && s->has_rank && i < 4; i++)
        MD_TRY(md_infer__must_equal(c, p->dim[i], s->dim[i],
                                    "a dimension of what score_mod or prob_mod "
                                    "gives",
                                    err));
    if (p->has_rank && v->has_rank)
        MD_TRY(md_infer__must_equal(c, v->dim[2], p->dim[3],
                                    "the number of values", err));
    for (int i = 0; p->has_rank && i < 3; i++)
        t.dim[i] = p->dim[i];
    if (v->has_rank)
        t.dim[3] = v->dim[3];
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    md_flex f = { .probabilities = x->in[IN_P], .v = x->in[IN_V], .y = out };

    (void)ar;
    return md_flex__run(x, &f, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_flex_attention_values = {
    .domain = "ai.onnx.preview",
    .name = "FlexAttentionValues",
    .since = 1,
    .in_min = 3,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
