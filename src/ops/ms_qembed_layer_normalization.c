/* com.microsoft's QEmbedLayerNormalization: EmbedLayerNormalization whose
 * tables, gamma and beta are 8-bit codes. */
#include "ops/common/embed.h"

static const md_embed form = { .quantized = true };

static md_status infer(const md_infer *c, md_error *err)
{
    return md_embed__infer(c, &form, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_embed__run(x, &form, infer, err);
}

const md_op md_op_ms_qembed_layer_normalization = {
    .domain = "com.microsoft",
    .name = "QEmbedLayerNormalization",
    .since = 1,
    .in_min = 1,
    .in_max = 18,
    .out_min = 1,
    .out_max = 2,
    .infer = infer,
    .run = run,
};
