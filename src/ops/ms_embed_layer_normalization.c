/* com.microsoft's EmbedLayerNormalization: the embeddings of words, positions
 * and segments, added and normalized. */
#include "ops/common/embed.h"
#include "ops/lower.h"

static const md_embed form = { .quantized = false };

static md_status infer(const md_infer *c, md_error *err)
{
    return md_embed__infer(c, &form, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_embed__run(x, &form, infer, err);
}

const md_op md_op_ms_embed_layer_normalization = {
    .domain = "com.microsoft",
    .name = "EmbedLayerNormalization",
    .since = 1,
    .in_min = 1,
    .in_max = 9,
    .out_min = 1,
    .out_max = 3,
    .infer = infer,
    .run = run,
    .fast = &md_fast_embed,
};
