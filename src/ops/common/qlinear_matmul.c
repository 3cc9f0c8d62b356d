#include "ops/common/qlinear_matmul.h"

#include "ops/common/product.h"
#include "ops/common/quantize.h"

md_status md_qlinear_matmul__infer(const md_infer *c, md_dtype dtype,
                                   md_error *err)
{
    const md_type *b = c->in[3];

    MD_TRY(md_infer__need(c, 0, MD_TYPES_Q8, err));
    MD_TRY(md_infer__need(c, 3, MD_TYPES_Q8, err));
    MD_TRY(md_qlinear__check(c, 1, 2, 0, err));
    MD_TRY(md_qlinear__check(c, 4, 5, 3, err));
    MD_TRY(md_infer__need(c, 6, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__need(c, 7, MD_TYPES_Q8, err));
    for (uint32_t i = 1; i < 8; i++) {
        if (i == 3 || !md_infer_has(c, i))
            continue;
        if (i != 4 && i != 5)
            MD_TRY(md_infer__length(c, c->in[i], MD_DIM(1),
                                    "scale or zero point", err));
        else if (b->has_rank)
            MD_TRY(md_infer__one_or(
                c, c->in[i], b->rank > 1 ? b->dim[b->rank - 1] : MD_DIM(1),
                "scale or zero point of b", err));
    }
    return md_matmul__infer(
        c, 0, 3, dtype == MD_DTYPE_NONE ? c->in[7]->dtype : dtype, err);
}

md_status md_qlinear_matmul__codes(const md_exec *x, md_tensor *out,
                                   md_arena *ar, md_error *err)
{
    md_requantize r = { 0 };
    int32_t *a, *b, *acc;
    float *mult;
    md_matmul m;

    md_matmul__sizes(&m, &x->in[0]->shape, &x->in[3]->shape);
    MD_TRY(md_quantize__centre(&a, x->in[0], x->in[2], 1, ar, err));
    MD_TRY(md_quantize__centre(&b, x->in[3], x->in[5], 1, ar, err));
    MD_TRY(md_exec__scratch(&acc, ar, m.one.m * m.one.n, sizeof(*acc), err));
    MD_TRY(md_quantize__mult(&mult, (float)md_exec__scalar(x, 1, 1.0), x->in[4],
                             (float)md_exec__scalar(x, 6, 1.0), ar, err));
    r.mult = mult;
    r.mult_step = md_tensor_n(x->in[4]) > 1;
    r.zero = (int32_t)md_exec__scalar(x, 7, 0.0);
    for (int64_t i = 0; i < m.n_batch; i++) {
        int64_t at_a, at_b;

        md_matmul__at(&m, i, &at_a, &at_b);
        for (int64_t k = 0; k < m.one.m * m.one.n; k++)
            acc[k] = 0;
        md_product__i32(&m.one, acc, a + at_a, b + at_b);
        md_quantize__rows(out, i * m.one.m * m.one.n, acc, m.one.m, m.one.n,
                          &r);
    }
    return MD_OK;
}

int64_t md_qlinear_matmul__macs(const md_node *n, const md_shape *const *in,
                                const md_shape *const *out)
{
    (void)n;
    return md_matmul__macs(in[0], out[0]);
}
