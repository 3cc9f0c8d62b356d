/* Inference only: scale * (x - mean) / sqrt(var + epsilon) + bias. */
#include <math.h>

#include "base/size.h"
#include "ops/common/util.h"

static md_status infer(const md_infer *c, md_error *err)
{
    static const char *const what[] = { "x", "scale", "bias", "mean", "var" };

    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__rank(c, 0, 1, MD_RANK_MAX, err));
    if (md_node_attr_i(c->node, "training_mode", 0))
        return md_fail(err, MD_UNSUPPORTED,
                       "BatchNormalization in training mode");
    for (uint32_t i = 1; i < 5; i++) {
        md_dim channels = MD_DIM(1);

        MD_TRY(md_infer__need(c, i, MD_TYPES_FLOAT, err));
        if (c->in[0]->has_rank && c->in[0]->rank > 1)
            channels = c->in[0]->dim[1];
        if (c->in[0]->has_rank)
            MD_TRY(md_infer__length(c->in[i], channels, what[i], err));
    }
    MD_TRY(md_infer__same_dtype(c, 1, 2, err));
    MD_TRY(md_infer__same_dtype(c, 3, 4, err));
    md_infer__give(c, 0, c->in[0]);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *s = &x->in[0]->shape;
    double epsilon = md_node_attr_f(x->node, "epsilon", 1e-5f);
    int64_t channels = s->rank > 1 ? s->dim[1] : 1;
    int64_t plane = s->rank > 1 ? md_shape_span(s, 2, s->rank) : 1;
    int64_t n = md_tensor_n(out);
    double v[MD_CHUNK];

    (void)ar;
    (void)err;
    for (int64_t at = 0; at < n;) {
        int64_t c = at / plane % channels;
        int64_t m = md_min_i64(plane - at % plane, MD_CHUNK);
        double mul = md_tensor_get_f64(x->in[1], c) /
                     sqrt(md_tensor_get_f64(x->in[4], c) + epsilon);
        double mean = md_tensor_get_f64(x->in[3], c);
        double bias = md_tensor_get_f64(x->in[2], c);

        md_load_f64(v, x->in[0], at, m);
        for (int64_t i = 0; i < m; i++)
            v[i] = (v[i] - mean) * mul + bias;
        md_store_f64(out, at, v, m);
        at += m;
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_batch_normalization = {
    .domain = "",
    .name = "BatchNormalization",
    .since = 7,
    .in_min = 5,
    .in_max = 5,
    .out_min = 1,
    .out_max = 5,
    .flags = MD_OP_INPLACE,
    .infer = infer,
    .run = run,
};
