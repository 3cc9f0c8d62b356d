/*
 * modeld's own: QLinearMatMul, then DequantizeLinear by the same scale and zero
 * point.  What the codes stand for is float32, so that bias, residual and
 * activation can be fused behind them.
 */
#include "ops/common/qlinear_matmul.h"
#include "ops/lower.h"

enum { /* inputs */
    IN_Y_SCALE = 6,
    IN_Y_ZERO
};

static md_status infer(const md_infer *c, md_error *err)
{
    MD_TRY(md_infer__need(c, IN_Y_SCALE, MD_T(F32), err));
    return md_qlinear_matmul__infer(c, MD_DTYPE_F32, err);
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const float scale = (float)md_exec__scalar(x, IN_Y_SCALE, 1.0);
    const int64_t zero = (int64_t)md_exec__scalar(x, IN_Y_ZERO, 0.0);
    const int64_t n = md_tensor_n(out);
    md_tensor codes = *out; /* of which only what it says is borrowed */
    uint8_t *q;

    MD_TRY(md_exec__scratch(&q, ar, n, sizeof(*q), err));
    codes.dtype = x->in[IN_Y_ZERO]->dtype;
    codes.data = q;
    MD_TRY(md_qlinear_matmul__codes(x, &codes, ar, err));
    for (int64_t i = 0; i < n; i++)
        ((float *)out->data)[i] =
            (float)(md_tensor_get_i64(&codes, i) - zero) * scale;
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_qlinear_mat_mul_to_float = {
    .domain = "modeld",
    .name = "QLinearMatMulToFloat",
    .since = 1,
    .in_min = 8,
    .in_max = 8,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .macs = md_qlinear_matmul__macs,
    .fast = &md_fast_qlinear_matmul_to_float,
};
