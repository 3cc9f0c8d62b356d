#include "ops/common/quantize.h"
#include "ops/lower.h"

static md_dtype result(const md_infer *c)
{
    int64_t given = md_node_attr_i(c->node, "output_dtype", 0);

    if (md_infer_has(c, 2))
        return md_infer__dtype(c, 2);
    if (given) /* 0 < given < MD_DTYPE_N was checked */
        return (md_dtype)given;
    return MD_DTYPE_U8;
}

md_status md_quantize_linear__infer(const md_infer *c, md_error *err)
{
    int64_t given = md_node_attr_i(c->node, "output_dtype", 0);
    md_dtype dtype;

    if (given < 0 || given >= MD_DTYPE_N)
        return md_fail(err, MD_INVALID, "output_dtype is %lld",
                       (long long)given);
    dtype = result(c);
    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT | MD_T(I32), err));
    MD_TRY(
        md_infer__need(c, 1, MD_TYPES_FLOAT | MD_T(I32) | MD_T(F8E8M0), err));
    MD_TRY(md_infer__may(c, 2, MD_TYPES_QUANT, err));
    if (dtype != MD_DTYPE_NONE && !(MD_TYPES_QUANT >> dtype & 1))
        return md_fail(err, MD_INVALID,
                       "output_dtype %s is not a type to "
                       "quantize to",
                       md_dtype_name(dtype));
    if (given && dtype != MD_DTYPE_NONE && dtype != (md_dtype)given)
        return md_fail(err, MD_INVALID, "output_dtype is %s, the zero point %s",
                       md_dtype_name((md_dtype)given), md_dtype_name(dtype));
    MD_TRY(md_qmap__infer(c, err));
    md_infer__like(c, 0, 0, dtype);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    bool saturate = md_node_attr_i(x->node, "saturate", 1) != 0;
    const md_tensor *zero = md_exec_has(x, 2) ? x->in[2] : NULL;
    int64_t n = md_tensor_n(out);
    md_qmap map;

    (void)ar;
    MD_TRY(md_qmap__make(&map, x, err));
    for (int64_t i = 0; i < n; i++) {
        int64_t at = md_qmap__at(&map, i);

        md_quantize__set(out, i, (float)md_tensor_get_f64(x->in[0], i),
                         (float)md_tensor_get_f64(x->in[1], at),
                         zero ? md_tensor_get_i64(zero, at) : 0, saturate);
    }
    return MD_OK;
}

md_status md_quantize_linear__run(md_exec *x, md_error *err)
{
    return md_exec__single(x, md_quantize_linear__infer, compute, err);
}

const md_op md_op_quantize_linear = {
    .domain = "",
    .name = "QuantizeLinear",
    .since = 10,
    .in_min = 2,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .infer = md_quantize_linear__infer,
    .run = md_quantize_linear__run,
    .fast = &md_fast_quantize,
};
