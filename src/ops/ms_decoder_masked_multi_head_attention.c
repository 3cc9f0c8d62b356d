/* com.microsoft's DecoderMaskedMultiHeadAttention: the
 * MultiHeadAttention of one new position. */
#include "ops/common/multi_head.h"
#include "ops/lower.h"

static const md_multi_head places = {
    .key = 1,
    .value = 2,
    .bias = 10,
    .mask = 3,
    .attention_bias = 4,
    .past_k = 5,
    .past_v = 6,
    .past_length = 7,
    .beam_width = 8,
    .beams = 9,
    .one = true,
};

static md_status infer(const md_infer *c, md_error *err)
{
    bool length = md_infer_has(c, (uint32_t)places.past_length);
    bool past = md_infer_has(c, (uint32_t)places.past_k);
    bool shared = md_node_attr_i(c->node, "past_present_share_buffer", 0) != 0;

    if (length && !shared)
        return md_fail(err, MD_INVALID,
                       "past_sequence_length, of a buffer with room, without "
                       "past_present_share_buffer");
    if (shared && past && !length)
        return md_fail(err, MD_INVALID,
                       "past_present_share_buffer without a "
                       "past_sequence_length");
    return md_multi_head__infer(c, &places, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_multi_head__run(x, &places, infer, err);
}

const md_op md_op_ms_decoder_masked_multi_head_attention = {
    .domain = "com.microsoft",
    .name = "DecoderMaskedMultiHeadAttention",
    .since = 1,
    .in_min = 1,
    .in_max = 11,
    .out_min = 1,
    .out_max = 4,
    .infer = infer,
    .run = run,
};
