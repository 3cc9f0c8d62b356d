#include "ops/common/integer_conv.h"

#include <string.h>

#include "ops/common/quantize.h"

md_status md_integer_conv__infer(const md_infer *c, md_dtype dtype,
                                 md_error *err)
{
    MD_TRY(md_infer__need(c, 0, MD_TYPES_Q8, err));
    MD_TRY(md_infer__need(c, 1, MD_TYPES_Q8, err));
    MD_TRY(md_infer__same_dtype(c, 0, 2, err));
    MD_TRY(md_infer__same_dtype(c, 1, 3, err));
    if (md_infer_has(c, 2))
        MD_TRY(
            md_infer__length(c, c->in[2], MD_DIM(1), "zero point of x", err));
    if (md_infer_has(c, 3) && c->in[1]->has_rank && c->in[1]->rank > 0)
        MD_TRY(md_infer__one_or(c, c->in[3], c->in[1]->dim[0],
                                "zero point of w", err));
    return md_convolve__infer(c, 0, 1, dtype, err);
}

md_status md_integer_conv__sums(const md_exec *x, int32_t *out, int64_t n,
                                md_arena *ar, md_error *err)
{
    const md_tensor *w = x->in[1];
    int32_t *a, *b;
    md_convolve v;

    MD_TRY(md_convolve__sizes(&v, x->node, &x->in[0]->shape, &w->shape, err));
    MD_TRY(md_quantize__centre(
        &a, x->in[0], md_exec_has(x, 2) ? x->in[2] : NULL, 1, ar, err));
    MD_TRY(md_quantize__centre(&b, w, md_exec_has(x, 3) ? x->in[3] : NULL,
                               md_shape_span(&w->shape, 1, w->shape.rank), ar,
                               err));
    memset(out, 0, (size_t)n * sizeof(*out));
    md_convolve__i32(&v, out, a, b);
    return MD_OK;
}

int64_t md_integer_conv__macs(const md_node *n, const md_shape *const *in,
                              const md_shape *const *out)
{
    (void)n;
    return md_convolve__macs(in[1], out[0]);
}
