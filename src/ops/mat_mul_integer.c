#include "ops/common/product.h"
#include "ops/common/quantize.h"

/* Input `zero` is one number, or one for each row or column along `axis` (from
 * behind) of input i; a vector is one row on the left, one column on the
 * right. */
static md_status check_zero(const md_infer *c, uint32_t zero, uint32_t i,
                            int axis, const char *what, md_error *err)
{
    const md_type *t = c->in[i];
    md_dim n = MD_DIM(1);

    if (!md_infer_has(c, zero) || !t->has_rank || t->rank == 0 ||
        md_infer__length(c->in[zero], n, what, NULL) == MD_OK)
        return MD_OK;
    if (t->rank > 1)
        n = t->dim[t->rank - axis];
    return md_infer__length(c->in[zero], n, what, err);
}

static md_status infer(const md_infer *c, md_error *err)
{
    MD_TRY(md_infer__need(c, 0, MD_TYPES_Q8, err));
    MD_TRY(md_infer__need(c, 1, MD_TYPES_Q8, err));
    MD_TRY(md_infer__same_dtype(c, 0, 2, err));
    MD_TRY(md_infer__same_dtype(c, 1, 3, err));
    MD_TRY(check_zero(c, 2, 0, 2, "zero point of a", err));
    MD_TRY(check_zero(c, 3, 1, 1, "zero point of b", err));
    return md_matmul__infer(c, 0, 1, MD_DTYPE_I32, err);
}

/* One zero point for all, or one for each row of a, each column of b. */
static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    int32_t *a, *b;
    md_matmul m;

    md_matmul__sizes(&m, &x->in[0]->shape, &x->in[1]->shape);
    MD_TRY(md_quantize__centre(&a, x->in[0],
                               md_exec_has(x, 2) ? x->in[2] : NULL,
                               m.one.k > 0 ? m.one.k : 1, ar, err));
    MD_TRY(md_quantize__centre(
        &b, x->in[1], md_exec_has(x, 3) ? x->in[3] : NULL, 1, ar, err));
    md_exec__zero(out);
    for (int64_t i = 0; i < m.n_batch; i++) {
        int64_t at_a, at_b;

        md_matmul__at(&m, i, &at_a, &at_b);
        md_product__i32(&m.one, (int32_t *)out->data + i * m.one.m * m.one.n,
                        a + at_a, b + at_b);
    }
    return MD_OK;
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
};
