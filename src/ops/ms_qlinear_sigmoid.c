/* com.microsoft's QLinearSigmoid. */
#include <math.h>

#include "ops/common/quantize.h"

static md_status infer(const md_infer *c, md_error *err)
{
    MD_TRY(md_qlinear__check_unary(c, err));
    md_infer__give(c, 0, c->in[0]);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    float scale = (float)md_exec__scalar(x, 1, 1.0);
    int64_t zero = (int64_t)md_exec__scalar(x, 2, 0.0);
    float out_scale = (float)md_exec__scalar(x, 3, 1.0);
    int64_t out_zero = (int64_t)md_exec__scalar(x, 4, 0.0);

    (void)ar;
    (void)err;
    for (int64_t i = 0; i < md_tensor_n(out); i++) {
        float v = scale * (float)(md_tensor_get_i64(x->in[0], i) - zero);

        v = (float)(1.0 / (1.0 + exp(-(double)v)));
        md_quantize__set(out, i, v, out_scale, out_zero, true);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ms_qlinear_sigmoid = {
    .domain = "com.microsoft",
    .name = "QLinearSigmoid",
    .since = 1,
    .in_min = 4,
    .in_max = 5,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
