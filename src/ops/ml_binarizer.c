/* 1 where X is above the threshold, else 0. */
#include "ops/common/ml.h"

static md_status infer(const md_infer *c, md_error *err)
{
    return md_infer__elementwise(c, MD_TYPES_FEATURE, err);
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    double threshold = md_node_attr_f(x->node, "threshold", 0.0F);
    int64_t n = md_tensor_n(out);
    double v[MD_CHUNK];

    (void)ar;
    (void)err;
    for (int64_t at = 0; at < n; at += MD_CHUNK) {
        int64_t m = n - at < MD_CHUNK ? n - at : MD_CHUNK;

        md_load_f64(v, x->in[0], at, m);
        for (int64_t i = 0; i < m; i++)
            v[i] = v[i] > threshold;
        md_store_f64(out, at, v, m);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ml_binarizer = {
    .domain = "ai.onnx.ml",
    .name = "Binarizer",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
