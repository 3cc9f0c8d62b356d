/* com.microsoft's QLinearGlobalAveragePool, channels first. */
#include "ops/common/pool.h"
#include "ops/common/quantize.h"
#include "ops/lower.h"

static md_status infer(const md_infer *c, md_error *err)
{
    MD_TRY(md_qlinear__check_unary(c, err));
    if (md_node_attr_i(c->node, "channels_last", 0))
        return md_fail(err, MD_UNSUPPORTED, "channels_last");
    return md_pool__infer_global(c, err);
}

/* The sum is exact; its mean is rounded once to float32. */
static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *in = &x->in[0]->shape;
    float scale = (float)md_exec__scalar(x, 1, 1.0);
    int64_t zero = (int64_t)md_exec__scalar(x, 2, 0.0);
    float out_scale = (float)md_exec__scalar(x, 3, 1.0);
    int64_t out_zero = (int64_t)md_exec__scalar(x, 4, 0.0);
    int64_t size = md_shape_span(in, 2, in->rank);

    (void)ar;
    (void)err;
    for (int64_t i = 0; i < md_tensor_n(out); i++) {
        int64_t sum = 0;

        for (int64_t k = 0; k < size; k++)
            sum += md_tensor_get_i64(x->in[0], i * size + k) - zero;
        md_quantize__set(
            out, i, scale * (size ? (float)((double)sum / (double)size) : 0.0f),
            out_scale, out_zero, true);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ms_qlinear_global_average_pool = {
    .domain = "com.microsoft",
    .name = "QLinearGlobalAveragePool",
    .since = 1,
    .in_min = 4,
    .in_max = 5,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
    .fast = &md_fast_qlinear_global_pool,
};
