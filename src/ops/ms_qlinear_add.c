/* com.microsoft's QLinearAdd: dequantize, add, quantize, each step in
 * float32. */
#include "ops/common/quantize.h"
#include "ops/lower.h"

static float add(float a, float b)
{
    return a + b;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    (void)ar;
    (void)err;
    md_qlinear__binary(x, out, add);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, md_qlinear__infer_binary, compute, err);
}

const md_op md_op_ms_qlinear_add = {
    .domain = "com.microsoft",
    .name = "QLinearAdd",
    .since = 1,
    .in_min = 7,
    .in_max = 8,
    .out_min = 1,
    .out_max = 1,
    .may_lack = 1u << 2 | 1u << 5,
    .flags = MD_OP_SYMBOLIC,
    .infer = md_qlinear__infer_binary,
    .run = run,
    .fast = &md_fast_qlinear_binary,
};
