/* com.microsoft's DynamicQuantizeMatMul: a is quantized to uint8 by its own
 * range, as DynamicQuantizeLinear does it, and the product scaled back. */
#include "ops/common/integer_product.h"
#include "ops/common/quantize.h"
#include "ops/lower.h"

enum { /* inputs */
    IN_A,
    IN_B,
    IN_B_SCALE,
    IN_B_ZERO,
    IN_BIAS
};

static md_status infer(const md_infer *c, md_error *err)
{
    MD_TRY(md_infer__need(c, IN_A, MD_T(F32), err));
    MD_TRY(md_infer__need(c, IN_B, MD_TYPES_Q8, err));
    MD_TRY(md_infer__need(c, IN_B_SCALE, MD_T(F32), err));
    MD_TRY(md_infer__may(c, IN_BIAS, MD_T(F32), err));
    MD_TRY(md_infer__same_dtype(c, IN_B_ZERO, IN_B, err));
    MD_TRY(md_integer_product__check_b(c, IN_B, IN_B_SCALE, IN_B_ZERO, IN_BIAS,
                                       err));
    return md_matmul__infer(c, IN_A, IN_B, MD_DTYPE_F32, err);
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_tensor *a = x->in[IN_A];
    md_tensor q = { .dtype = MD_DTYPE_U8, .shape = a->shape };
    uint8_t zero;
    md_tensor az = { .dtype = MD_DTYPE_U8, .data = &zero };
    md_integer_product p = {
        .a = &q,
        .b = x->in[IN_B],
        .a_zero = &az,
        .b_zero = md_exec_has(x, IN_B_ZERO) ? x->in[IN_B_ZERO] : NULL,
        .b_scale = x->in[IN_B_SCALE],
        .bias = md_exec_has(x, IN_BIAS) ? x->in[IN_BIAS] : NULL,
    };

    MD_TRY(md_exec__scratch(&q.data, ar, md_tensor_n(a), 1, err));
    md_quantize__range(&p.a_scale, &zero, a->data, md_tensor_n(a));
    for (int64_t i = 0; i < md_tensor_n(a); i++)
        md_quantize__set(&q, i, ((const float *)a->data)[i], p.a_scale, zero,
                         true);
    return md_integer_product__scaled(&p, out, ar, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

static int64_t macs(const md_node *n, const md_shape *const *in,
                    const md_shape *const *out)
{
    (void)n;
    return md_matmul__macs(in[IN_A], out[0]);
}

const md_op md_op_ms_dynamic_quantize_mat_mul = {
    .domain = "com.microsoft",
    .name = "DynamicQuantizeMatMul",
    .since = 1,
    .in_min = 3,
    .in_max = 5,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
    .macs = macs,
    .flags = MD_OP_WEIGHTS | MD_OP_SYMBOLIC,
    .fast = &md_fast_matmul_integer,
};
