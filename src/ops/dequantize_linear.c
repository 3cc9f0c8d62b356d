#include "ops/common/quantize.h"
#include "ops/lower.h"

md_status md_dequantize_linear__infer(const md_infer *c, md_error *err)
{
    int64_t given = md_node_attr_i(c->node, "output_dtype", 0);
    md_dtype dtype = md_infer__dtype(c, 1);

    MD_TRY(md_infer__need(c, 0, MD_TYPES_QUANT | MD_T(I32), err));
    MD_TRY(md_infer__need(c, 1, MD_TYPES_FLOAT | MD_T(F8E8M0), err));
    MD_TRY(md_infer__may(c, 2, MD_TYPES_QUANT | MD_T(I32), err));
    MD_TRY(md_infer__same_dtype(c, 0, 2, err));
    if (given > 0 && given < 32 && MD_TYPES_FLOAT >> given & 1)
        dtype = (md_dtype)given;
    else if (given)
        return md_fail(err, MD_INVALID, "output_dtype is %lld",
                       (long long)given);
    MD_TRY(md_qmap__infer(c, err));
    md_infer__like(c, 0, 0, dtype);
    return MD_OK;
}

/* Small floats have no zero point other than 0. */
static float centred(const md_tensor *q, int64_t i, const md_tensor *zero,
                     int64_t at)
{
    if (md_dtype_is_float(q->dtype))
        return (float)md_tensor_get_f64(q, i);
    return (float)(md_tensor_get_i64(q, i) -
                   (zero ? md_tensor_get_i64(zero, at) : 0));
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_tensor *zero = md_exec_has(x, 2) ? x->in[2] : NULL;
    int64_t n = md_tensor_n(out);
    md_qmap map;

    (void)ar;
    MD_TRY(md_qmap__make(&map, x, err));
    for (int64_t i = 0; i < n; i++) {
        int64_t at = md_qmap__at(&map, i);
        float v = centred(x->in[0], i, zero, at) *
                  (float)md_tensor_get_f64(x->in[1], at);

        md_store_f32(out, i, &v, 1);
    }
    return MD_OK;
}

md_status md_dequantize_linear__run(md_exec *x, md_error *err)
{
    return md_exec__single(x, md_dequantize_linear__infer, compute, err);
}

const md_op md_op_dequantize_linear = {
    .domain = "",
    .name = "DequantizeLinear",
    .since = 10,
    .in_min = 2,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .infer = md_dequantize_linear__infer,
    .run = md_dequantize_linear__run,
    .fast = &md_fast_dequantize,
};
