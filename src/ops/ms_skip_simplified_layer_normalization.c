/* com.microsoft's SkipSimplifiedLayerNormalization: RMSNormalization, over the
 * last axis, of input + skip + bias; the sum is output 3. */
#include "ops/common/skip_norm.h"
#include "ops/lower.h"

static const md_skip_norm form = { .beta = MD_VALUE_NONE,
                                   .bias = 3,
                                   .rms = true };

static md_status infer(const md_infer *c, md_error *err)
{
    return md_skip_norm__infer(c, &form, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_skip_norm__run(x, &form, infer, err);
}

const md_op md_op_ms_skip_simplified_layer_normalization = {
    .domain = "com.microsoft",
    .name = "SkipSimplifiedLayerNormalization",
    .since = 1,
    .in_min = 3,
    .in_max = 4,
    .out_min = 1,
    .out_max = 4,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .fast = &md_fast_skip_norm,
};
