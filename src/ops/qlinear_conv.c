/* Sums of (x - xz) * (w - wz) plus bias, exact in int32, then requantized. */
#include "ops/common/convolve.h"
#include "ops/common/quantize.h"
#include "ops/lower.h"

/* What there is one of for each channel of the weight, or one for all. */
static md_status check_channels(const md_infer *c, md_error *err)
{
    md_dim oc;

    if (!c->in[3]->has_rank || c->in[3]->rank == 0)
        return MD_OK;
    oc = c->in[3]->dim[0];
    MD_TRY(md_infer__one_or(c, c->in[4], oc, "scale of w", err));
    if (md_infer_has(c, 5))
        MD_TRY(md_infer__one_or(c, c->in[5], oc, "zero point of w", err));
    if (md_infer_has(c, 8))
        MD_TRY(md_infer__length(c, c->in[8], oc, "bias", err));
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    MD_TRY(md_infer__need(c, 0, MD_TYPES_Q8, err));
    MD_TRY(md_infer__need(c, 3, MD_TYPES_Q8, err));
    MD_TRY(md_qlinear__check(c, 1, 2, 0, err));
    MD_TRY(md_qlinear__check(c, 4, 5, 3, err));
    MD_TRY(md_infer__need(c, 6, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__need(c, 7, MD_TYPES_Q8, err));
    MD_TRY(md_infer__may(c, 8, MD_T(I32), err));
    for (uint32_t i = 1; i < 8; i++) {
        if (i != 3 && i != 4 && i != 5 && md_infer_has(c, i))
            MD_TRY(md_infer__length(c, c->in[i], MD_DIM(1),
                                    "scale or zero point of x or y", err));
    }
    MD_TRY(check_channels(c, err));
    return md_convolve__infer(c, 0, 3, c->in[7]->dtype, err);
}

static void preset(int32_t *acc, const md_tensor *bias, int64_t n, int64_t oc,
                   int64_t plane)
{
    for (int64_t i = 0; bias && i < n * oc; i++) {
        int32_t b = ((const int32_t *)bias->data)[i % oc];

        for (int64_t j = 0; j < plane; j++)
            acc[i * plane + j] = b;
    }
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_tensor *w = x->in[3], *ws = x->in[4];
    int32_t *a, *b, *acc;
    md_requantize r = { 0 };
    int64_t plane;
    float *mult;
    md_convolve v;

    MD_TRY(md_convolve__sizes(&v, x->node, &x->in[0]->shape, &w->shape, err));
    plane = v.out[0] * v.out[1] * v.out[2];
    MD_TRY(md_quantize__centre(
        &a, x->in[0], md_exec_has(x, 2) ? x->in[2] : NULL, 1, ar, err));
    MD_TRY(md_quantize__centre(&b, w, md_exec_has(x, 5) ? x->in[5] : NULL,
                               md_shape_span(&w->shape, 1, w->shape.rank), ar,
                               err));
    MD_TRY(md_exec__scratch(&acc, ar, md_tensor_n(out), sizeof(*acc), err));
    MD_TRY(md_quantize__mult(&mult, (float)md_exec__scalar(x, 1, 1.0), ws,
                             (float)md_exec__scalar(x, 6, 1.0), ar, err));
    preset(acc, md_exec_has(x, 8) ? x->in[8] : NULL, v.n, v.oc, plane);
    md_convolve__i32(&v, acc, a, b);
    r.zero = (int32_t)md_exec__scalar(x, 7, 0.0);
    for (int64_t i = 0; i < v.n * v.oc; i++) {
        r.mult = mult + (md_tensor_n(ws) > 1 ? i % v.oc : 0);
        md_quantize__rows(out, i * plane, acc + i * plane, 1, plane, &r);
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
    return md_convolve__macs(in[3], out[0]);
}

const md_op md_op_qlinear_conv = {
    .domain = "",
    .name = "QLinearConv",
    .since = 10,
    .in_min = 8,
    .in_max = 9,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .macs = macs,
    .fast = &md_fast_qlinear_conv,
};
