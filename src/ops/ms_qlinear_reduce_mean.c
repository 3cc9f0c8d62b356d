/* com.microsoft's QLinearReduceMean: sums are exact, the mean is rounded once
 * to float32 and quantized. */
#include "ops/common/quantize.h"
#include "ops/common/reduce.h"

static const md_reduction reduce = {
    .types = MD_TYPES_Q8 | MD_T(I32),
    .axes_input = 2, /* an attribute in the only opset there is */
    .op = MD_REDUCE_SUM,
};

/* The node as a reduction of its first input alone. */
static md_node reduction(const md_node *n)
{
    md_node one = *n;

    one.n_in = 1;
    return one;
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_node one = reduction(c->node);
    md_infer v = *c;

    MD_TRY(md_qlinear__check_unary(c, err));
    if (!md_node_attr(c->node, "axes"))
        return md_fail(err, MD_INVALID, "axes is missing");
    if (!md_node_attr(c->node, "keepdims"))
        return md_fail(err, MD_INVALID, "keepdims is missing");
    v.node = &one;
    return md_reduce__infer(&v, &reduce, err);
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    float scale = (float)md_exec__scalar(x, 1, 1.0);
    float out_scale = (float)md_exec__scalar(x, 3, 1.0);
    int64_t out_zero = (int64_t)md_exec__scalar(x, 4, 0.0);
    md_tensor centred = { .dtype = MD_DTYPE_I32, .shape = x->in[0]->shape };
    md_tensor sums = { .dtype = MD_DTYPE_F64, .shape = out->shape };
    const md_tensor *in = &centred;
    md_node one = reduction(x->node);
    md_exec v = *x;
    int64_t n = md_tensor_n(x->in[0]), rows = md_tensor_n(out);
    int64_t count = n > 0 ? n / rows : 1; /* of none: 0 */
    int32_t *codes;

    MD_TRY(md_quantize__centre(
        &codes, x->in[0], md_exec_has(x, 2) ? x->in[2] : NULL, 1, ar, err));
    MD_TRY(md_exec__scratch(&sums.data, ar, md_tensor_n(out), sizeof(double),
                            err));
    centred.data = codes;
    v.node = &one;
    v.in = &in;
    MD_TRY(md_reduce__compute(&v, &reduce, &sums, ar, err));
    for (int64_t i = 0; i < md_tensor_n(out); i++)
        md_quantize__set(
            out, i,
            scale * (float)(((const double *)sums.data)[i] / (double)count),
            out_scale, out_zero, true);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ms_qlinear_reduce_mean = {
    .domain = "com.microsoft",
    .name = "QLinearReduceMean",
    .since = 1,
    .in_min = 4,
    .in_max = 5,
    .out_min = 1,
    .out_max = 1,
    .may_lack = 1u << 2,
    .infer = infer,
    .run = run,
};
