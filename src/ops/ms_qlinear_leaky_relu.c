/* com.microsoft's QLinearLeakyRelu. */
#include "ops/common/quantize.h"

static float leak(float v, float alpha)
{
    return v >= 0.0f ? v : alpha * v;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    (void)ar;
    (void)err;
    md_qlinear__unary(x, out, leak, md_node_attr_f(x->node, "alpha", 0.01f));
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, md_qlinear__infer_unary, compute, err);
}

const md_op md_op_ms_qlinear_leaky_relu = {
    .domain = "com.microsoft",
    .name = "QLinearLeakyRelu",
    .since = 1,
    .in_min = 4,
    .in_max = 5,
    .out_min = 1,
    .out_max = 1,
    .may_lack = 1u << 2,
    .flags = MD_OP_SYMBOLIC,
    .infer = md_qlinear__infer_unary,
    .run = run,
};
