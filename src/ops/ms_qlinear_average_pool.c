/* com.microsoft's QLinearAveragePool, channels first. */
#include "ops/common/pool.h"
#include "ops/common/quantize.h"

static md_status infer(const md_infer *c, md_error *err)
{
    MD_TRY(md_qlinear__check_unary(c, err));
    if (md_node_attr_i(c->node, "channels_last", 0))
        return md_fail(err, MD_UNSUPPORTED, "channels_last");
    return md_pool__infer(c, c->in[0]->dtype, MD_DTYPE_NONE, err);
}

typedef struct target {
    md_tensor *out;
    float scale, out_scale;
    int64_t out_zero;
} target;

/* Padding that counts is real zero, so its mean is that of x - zero. */
static void emit(void *ctx, int64_t i, double mean)
{
    const target *t = ctx;

    md_quantize__set(t->out, i, t->scale * (float)mean, t->out_scale,
                     t->out_zero, true);
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    bool count_pad = md_node_attr_i(x->node, "count_include_pad", 0) != 0;
    target t = { .out = out,
                 .scale = (float)md_exec__scalar(x, 1, 1.0),
                 .out_scale = (float)md_exec__scalar(x, 3, 1.0),
                 .out_zero = (int64_t)md_exec__scalar(x, 4, 0.0) };
    md_tensor centred = { .dtype = MD_DTYPE_I32, .shape = x->in[0]->shape };
    int32_t *v;
    md_pool_plan p;

    MD_TRY(md_pool__plan(&p, x->node, &x->in[0]->shape, &out->shape, err));
    MD_TRY(md_quantize__centre(
        &v, x->in[0], md_exec_has(x, 2) ? x->in[2] : NULL, 1, ar, err));
    centred.data = v;
    md_pool__average(&p, &centred, count_pad, emit, &t);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ms_qlinear_average_pool = {
    .domain = "com.microsoft",
    .name = "QLinearAveragePool",
    .since = 1,
    .in_min = 4,
    .in_max = 5,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
