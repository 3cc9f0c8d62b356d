#include "ops/common/convolve.h"
#include "ops/grad.h"
#include "ops/lower.h"

static md_status infer(const md_infer *c, md_error *err)
{
    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__need(c, 1, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__may(c, 2, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__same_dtype(c, 0, 1, err));
    MD_TRY(md_infer__same_dtype(c, 0, 2, err));
    if (md_infer_has(c, 2) && c->in[1]->has_rank && c->in[1]->rank > 0)
        MD_TRY(md_infer__length(c, c->in[2], c->in[1]->dim[0], "bias", err));
    return md_convolve__infer(c, 0, 1, c->in[0]->dtype, err);
}

#define PRESET(name, T)                                                        \
    static void name(T *y, const T *bias, int64_t n, int64_t oc,               \
                     int64_t plane)                                            \
    {                                                                          \
        for (int64_t i = 0; bias && i < n * oc; i++) {                         \
            for (int64_t j = 0; j < plane; j++)                                \
                y[i * plane + j] = bias[i % oc];                               \
        }                                                                      \
    }

PRESET(preset_f32, float)
PRESET(preset_f64, double)

static void add_bias(double *y, const double *bias, int64_t n, int64_t oc,
                     int64_t plane)
{
    for (int64_t i = 0; i < n * oc; i++) {
        for (int64_t j = 0; j < plane; j++)
            y[i * plane + j] += bias[i % oc];
    }
}

/* As products where vectors pay: not for groups of one channel each. */
static md_status compute_f64(const md_exec *x, const md_convolve *v,
                             md_tensor *out, md_arena *ar, md_error *err)
{
    const double *bias = md_exec_has(x, 2) ? x->in[2]->data : NULL;
    int64_t plane = v->out[0] * v->out[1] * v->out[2];

    if (x->cpu && v->oc > v->group && md_tensor_n(out) > 0) {
        MD_TRY(md_convolve__product_f64(x, v, out->data, ar, err));
        if (bias)
            add_bias(out->data, bias, v->n, v->oc, plane);
        return MD_OK;
    }
    md_exec__zero(out);
    preset_f64(out->data, bias, v->n, v->oc, plane);
    md_convolve__f64(v, out->data, x->in[0]->data, x->in[1]->data);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const float *in, *w, *bias = NULL;
    md_convolve v;
    float *y;

    MD_TRY(md_convolve__sizes(&v, x->node, &x->in[0]->shape, &x->in[1]->shape,
                              err));
    if (out->dtype == MD_DTYPE_F64)
        return compute_f64(x, &v, out, ar, err);
    MD_TRY(md_exec__as_f32(&in, x->in[0], ar, err));
    MD_TRY(md_exec__as_f32(&w, x->in[1], ar, err));
    if (md_exec_has(x, 2))
        MD_TRY(md_exec__as_f32(&bias, x->in[2], ar, err));
    MD_TRY(md_exec__f32_of(&y, out, ar, err));
    preset_f32(y, bias, v.n, v.oc, v.out[0] * v.out[1] * v.out[2]);
    md_convolve__f32(&v, y, in, w);
    md_exec__from_f32(out, y);
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
    return md_convolve__macs(in[1], out[0]);
}

static void grad(md_grad *g)
{
    md_convolve__grad(g);
}

const md_op md_op_conv = {
    .domain = "",
    .name = "Conv",
    .since = 1,
    .in_min = 2,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
    .macs = macs,
    .flags = MD_OP_WEIGHTS | MD_OP_SYMBOLIC,
    .fast = &md_fast_conv,
    .grad = grad,
};
