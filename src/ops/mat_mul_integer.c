#include "ops/common/integer_product.h"
#include "ops/lower.h"

static md_status infer(const md_infer *c, md_error *err)
{
    MD_TRY(md_infer__need(c, 0, MD_TYPES_Q8, err));
    MD_TRY(md_infer__need(c, 1, MD_TYPES_Q8, err));
    MD_TRY(md_infer__same_dtype(c, 0, 2, err));
    MD_TRY(md_infer__same_dtype(c, 1, 3, err));
    MD_TRY(md_integer_product__check(c, 2, 0, true, "zero point of a", err));
    MD_TRY(md_integer_product__check(c, 3, 1, false, "zero point of b", err));
    return md_matmul__infer(c, 0, 1, MD_DTYPE_I32, err);
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    md_integer_product p = { .a = x->in[0],
                             .b = x->in[1],
                             .a_zero = md_exec_has(x, 2) ? x->in[2] : NULL,
                             .b_zero = md_exec_has(x, 3) ? x->in[3] : NULL };

    md_exec__zero(out);
    return md_integer_product__sums(&p, out->data, ar, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

static int64_t macs(const md_node *n, const md_shape *const *in,
                    const md_shape *const *out)
{
    (void)n;
    return md_matmul__macs(in[0], out[0]);
}

const md_op md_op_mat_mul_integer = {
    .domain = "",
    .name = "MatMulInteger",
    .since = 10,
    .in_min = 2,
    .in_max = 4,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
    .macs = macs,
    .flags = MD_OP_WEIGHTS | MD_OP_SYMBOLIC,
    .fast = &md_fast_matmul_integer,
};
