/* com.microsoft's QLinearSigmoid. */
#include <math.h>

#include "ops/common/quantize.h"

static float sigmoid(float v, float param)
{
    (void)param;
    return (float)(1.0 / (1.0 + exp(-(double)v)));
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    (void)ar;
    (void)err;
    md_qlinear__unary(x, out, sigmoid, 0.0f);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, md_qlinear__infer_unary, compute, err);
}

const md_op md_op_ms_qlinear_sigmoid = {
    .domain = "com.microsoft",
    .name = "QLinearSigmoid",
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
