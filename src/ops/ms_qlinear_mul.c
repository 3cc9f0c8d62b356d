/* com.microsoft's QLinearMul: dequantize, multiply, quantize, each step in
 * float32. */
#include "ops/common/elementwise.h"
#include "ops/common/quantize.h"
#include "ops/lower.h"

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t = { 0 };

    MD_TRY(md_infer__need(c, 0, MD_TYPES_Q8, err));
    MD_TRY(md_infer__need(c, 3, MD_TYPES_Q8, err));
    MD_TRY(md_infer__same_dtype(c, 0, 3, err));
    MD_TRY(md_qlinear__check(c, 1, 2, 0, err));
    MD_TRY(md_qlinear__check(c, 4, 5, 0, err));
    MD_TRY(md_qlinear__check(c, 6, 7, 0, err));
    for (uint32_t i = 1; i < c->node->n_in; i++) {
        if (i != 3 && md_infer_has(c, i))
            MD_TRY(md_infer__length(c->in[i], MD_DIM(1), "scale or zero point",
                                    err));
    }
    MD_TRY(md_infer__broadcast(c, &t, c->in[0], c->in[3], err));
    t.dtype = c->in[0]->dtype ? c->in[0]->dtype : c->in[3]->dtype;
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_tensor *in[2] = { x->in[0], x->in[3] };
    float scale[2] = { (float)md_exec__scalar(x, 1, 1.0),
                       (float)md_exec__scalar(x, 4, 1.0) };
    int64_t zero[2] = { (int64_t)md_exec__scalar(x, 2, 0.0),
                        (int64_t)md_exec__scalar(x, 5, 0.0) };
    float out_scale = (float)md_exec__scalar(x, 6, 1.0);
    int64_t out_zero = (int64_t)md_exec__scalar(x, 7, 0.0);
    md_rows r;

    (void)ar;
    (void)err;
    md_rows__begin(&r, &out->shape, 2, in);
    while (md_rows__next(&r)) {
        for (int64_t i = 0; i < r.n; i++) {
            float v[2];

            for (int k = 0; k < 2; k++)
                v[k] =
                    scale[k] *
                    (float)(md_tensor_get_i64(in[k], r.at[k] + i * r.step[k]) -
                            zero[k]);
            md_quantize__set(out, r.row * r.n + i, v[0] * v[1], out_scale,
                             out_zero, true);
        }
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ms_qlinear_mul = {
    .domain = "com.microsoft",
    .name = "QLinearMul",
    .since = 1,
    .in_min = 7,
    .in_max = 8,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
    .fast = &md_fast_qlinear_binary,
};
