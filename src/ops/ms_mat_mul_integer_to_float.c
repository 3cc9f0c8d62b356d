/* com.microsoft's MatMulIntegerToFloat: (a - az) * (b - bz), scaled to floats,
 * and a bias. */
#include "ops/common/integer_product.h"
#include "ops/lower.h"

enum { /* inputs */
    IN_A,
    IN_B,
    IN_A_SCALE,
    IN_B_SCALE,
    IN_A_ZERO,
    IN_B_ZERO,
    IN_BIAS
};

#define TYPES (MD_T(F32) | MD_T(F16))

static md_status check_types(const md_infer *c, md_error *err)
{
    MD_TRY(md_infer__need(c, IN_A, MD_TYPES_Q8, err));
    MD_TRY(md_infer__need(c, IN_B, MD_TYPES_Q8, err));
    MD_TRY(md_infer__need(c, IN_A_SCALE, TYPES, err));
    MD_TRY(md_infer__need(c, IN_B_SCALE, TYPES, err));
    MD_TRY(md_infer__may(c, IN_BIAS, TYPES, err));
    MD_TRY(md_infer__same_dtype(c, IN_B_SCALE, IN_A_SCALE, err));
    MD_TRY(md_infer__same_dtype(c, IN_A_ZERO, IN_A, err));
    MD_TRY(md_infer__same_dtype(c, IN_B_ZERO, IN_B, err));
    return md_infer__same_dtype(c, IN_BIAS, IN_A_SCALE, err);
}

static md_status infer(const md_infer *c, md_error *err)
{
    MD_TRY(check_types(c, err));
    MD_TRY(
        md_infer__length(c, c->in[IN_A_SCALE], MD_DIM(1), "scale of a", err));
    if (md_infer_has(c, IN_A_ZERO))
        MD_TRY(md_infer__length(c, c->in[IN_A_ZERO], MD_DIM(1),
                                "zero point of a", err));
    MD_TRY(md_integer_product__check_b(c, IN_B, IN_B_SCALE, IN_B_ZERO, IN_BIAS,
                                       err));
    return md_matmul__infer(c, IN_A, IN_B, c->in[IN_A_SCALE]->dtype, err);
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    md_integer_product p = {
        .a = x->in[IN_A],
        .b = x->in[IN_B],
        .a_zero = md_exec_has(x, IN_A_ZERO) ? x->in[IN_A_ZERO] : NULL,
        .b_zero = md_exec_has(x, IN_B_ZERO) ? x->in[IN_B_ZERO] : NULL,
        .a_scale = (float)md_exec__scalar(x, IN_A_SCALE, 1.0),
        .b_scale = x->in[IN_B_SCALE],
        .bias = md_exec_has(x, IN_BIAS) ? x->in[IN_BIAS] : NULL,
    };

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

const md_op md_op_ms_mat_mul_integer_to_float = {
    .domain = "com.microsoft",
    .name = "MatMulIntegerToFloat",
    .since = 1,
    .in_min = 4,
    .in_max = 7,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
    .macs = macs,
    .flags = MD_OP_WEIGHTS | MD_OP_SYMBOLIC,
    .fast = &md_fast_matmul_integer,
};
