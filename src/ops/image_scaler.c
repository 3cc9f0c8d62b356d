/* scale * x + bias of the channel.  Experimental in opset 1; gone from the
 * standard since, but in old files. */
#include "ops/common/util.h"

static md_status infer(const md_infer *c, md_error *err)
{
    uint32_t n;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__rank(c, 0, 4, 4, err));
    (void)md_node_attr_fs(c->node, "bias", &n);
    if (c->in[0]->has_rank && md_node_attr(c->node, "bias"))
        MD_TRY(md_infer__must_equal(c, MD_DIM(n), c->in[0]->dim[1],
                                    "the length of bias", err));
    md_infer__give(c, 0, c->in[0]);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *s = &out->shape;
    double scale = md_node_attr_f(x->node, "scale", 1.0f), v[MD_CHUNK];
    int64_t plane = s->dim[2] * s->dim[3], n = md_tensor_n(out);
    uint32_t n_bias;
    const float *bias = md_node_attr_fs(x->node, "bias", &n_bias);

    (void)ar;
    (void)err;
    for (int64_t at = 0; at < n; at += MD_CHUNK) {
        int64_t m = md_min_i64(n - at, MD_CHUNK);

        md_load_f64(v, x->in[0], at, m);
        for (int64_t i = 0; i < m; i++) {
            int64_t channel = (at + i) / plane % s->dim[1];

            v[i] = v[i] * scale + (bias ? bias[channel] : 0.0f);
        }
        md_store_f64(out, at, v, m);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_image_scaler = {
    .domain = "",
    .name = "ImageScaler",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
