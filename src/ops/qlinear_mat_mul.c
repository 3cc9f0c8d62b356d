/* Sums of (a - az) * (b - bz), exact in int32, then requantized; b's scale is
 * one for all or one for each column. */
#include "ops/common/qlinear_matmul.h"
#include "ops/lower.h"

static md_status infer(const md_infer *c, md_error *err)
{
    return md_qlinear_matmul__infer(c, MD_DTYPE_NONE, err);
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    return md_qlinear_matmul__codes(x, out, ar, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_qlinear_mat_mul = {
    .domain = "",
    .name = "QLinearMatMul",
    .since = 10,
    .in_min = 8,
    .in_max = 8,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .macs = md_qlinear_matmul__macs,
    .fast = &md_fast_qlinear_matmul,
};
