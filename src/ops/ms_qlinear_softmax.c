/* com.microsoft's QLinearSoftmax: Softmax of the opset that attribute `opset`
 * tells, quantized. */
#include "ops/common/quantize.h"
#include "ops/common/softmax.h"

/* The version of Softmax.  Without an axis, which older ones take for 1, it is
 * the last, as in newer ones. */
static int64_t version(const md_node *n)
{
    int64_t opset = md_node_attr_i(n, "opset", 0);

    return opset < 13 && !md_node_attr(n, "axis") ? 13 : opset;
}

static md_status infer(const md_infer *c, md_error *err)
{
    int64_t opset = md_node_attr_i(c->node, "opset", 0);
    md_type real;
    const md_type *in = &real;
    md_infer v = *c;

    if (opset < 1 || opset > INT32_MAX)
        return md_fail(err, MD_INVALID, "opset is %lld, 1 to %d expected",
                       (long long)opset, INT32_MAX);
    MD_TRY(md_qlinear__check_unary(c, err));
    real = *c->in[0];
    real.dtype = MD_DTYPE_F32;
    v.in = &in;
    v.opset = version(c->node);
    MD_TRY(md_softmax__infer(&v, err));
    md_infer__give(c, 0, c->in[0]);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    float scale = (float)md_exec__scalar(x, 1, 1.0);
    float out_scale = (float)md_exec__scalar(x, 3, 1.0);
    int64_t zero = (int64_t)md_exec__scalar(x, 2, 0.0);
    int64_t out_zero = (int64_t)md_exec__scalar(x, 4, 0.0);
    md_tensor real = { .dtype = MD_DTYPE_F64, .shape = out->shape };
    const md_tensor *in = &real;
    md_exec v = *x;
    double *p;

    MD_TRY(md_exec__scratch(&p, ar, md_tensor_n(out), sizeof(*p), err));
    for (int64_t i = 0; i < md_tensor_n(out); i++)
        p[i] = scale * (float)(md_tensor_get_i64(x->in[0], i) - zero);
    real.data = p;
    v.in = &in;
    v.opset = version(x->node);
    MD_TRY(md_softmax__run(&v, &real, md_softmax__exp, ar, err));
    for (int64_t i = 0; i < md_tensor_n(out); i++)
        md_quantize__set(out, i, (float)p[i], out_scale, out_zero, true);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ms_qlinear_softmax = {
    .domain = "com.microsoft",
    .name = "QLinearSoftmax",
    .since = 1,
    .in_min = 5,
    .in_max = 5,
    .out_min = 1,
    .out_max = 1,
    .may_lack = 1u << 2,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
};
