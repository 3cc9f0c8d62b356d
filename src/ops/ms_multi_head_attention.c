/* com.microsoft's MultiHeadAttention: queries, keys and values in heads. */
#include "ops/common/multi_head.h"
#include "ops/lower.h"

static const md_multi_head places = {
    .key = 1,
    .value = 2,
    .bias = 3,
    .mask = 4,
    .attention_bias = 5,
    .past_k = 6,
    .past_v = 7,
    .past_length = 8,
    .beam_width = MD_VALUE_NONE,
    .beams = 9,
};

static md_status infer(const md_infer *c, md_error *err)
{
    return md_multi_head__infer(c, &places, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_multi_head__run(x, &places, infer, err);
}

md_status md_multi_head_attention__attend(md_attend *a, md_attend_mask *mask,
                                          const md_exec *x,
                                          md_tensor *const *out, md_arena *ar,
                                          md_error *err)
{
    return md_multi_head__attend(a, mask, x, &places, out, ar, err);
}

const md_op md_op_ms_multi_head_attention = {
    .domain = "com.microsoft",
    .name = "MultiHeadAttention",
    .since = 1,
    .in_min = 1,
    .in_max = 10,
    .out_min = 1,
    .out_max = 4,
    .infer = infer,
    .run = run,
    .fast = &md_fast_attention,
};
