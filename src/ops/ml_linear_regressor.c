/* X times the coefficients of each target, + its intercept. */
#include "ops/common/ml.h"
#include "ops/common/scores.h"

static md_status check_attrs(const md_node *n, int64_t *n_targets,
                             int64_t *n_features, md_error *err)
{
    md_tensor coef = md_ml__list(n, "coefficients");
    int64_t targets = md_node_attr_i(n, "targets", 1);
    int64_t n_coef = md_tensor_n(&coef);
    md_post post;

    MD_TRY(md_post__of(&post, n, err));
    if (targets < 1 || targets > INT32_MAX)
        return md_fail(err, MD_INVALID, "targets is %lld", (long long)targets);
    if (n_coef == 0 || n_coef % targets != 0)
        return md_fail(
            err, MD_INVALID,
            "coefficients has %lld elements, a multiple of %lld expected",
            (long long)n_coef, (long long)targets);
    if (md_node_attr(n, "intercepts"))
        MD_TRY(md_ml__length(n, "intercepts", targets, err));
    *n_targets = targets;
    *n_features = n_coef / targets;
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t = { .dtype = MD_DTYPE_F32, .has_rank = true, .rank = 2 };
    int64_t n_targets, n_features;
    md_dim cols;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_FEATURE, err));
    MD_TRY(check_attrs(c->node, &n_targets, &n_features, err));
    MD_TRY(md_ml__table(c, 0, &t.dim[0], &cols, err));
    MD_TRY(md_ml__features(cols, n_features, err));
    t.dim[1] = MD_DIM(n_targets);
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    md_tensor coef = md_ml__list(x->node, "coefficients");
    md_tensor intercepts = md_ml__list(x->node, "intercepts");
    const float *w = coef.data, *b = intercepts.data, *in;
    int64_t n_targets, n;
    float *y = out->data;
    double *scores;
    md_post post;

    MD_TRY(check_attrs(x->node, &n_targets, &n, err));
    MD_TRY(md_post__of(&post, x->node, err));
    MD_TRY(md_exec__as_f32(&in, x->in[0], ar, err));
    MD_TRY(md_exec__scratch(&scores, ar, n_targets, sizeof(*scores), err));
    for (int64_t r = 0; r < out->shape.dim[0]; r++, in += n, y += n_targets) {
        for (int64_t t = 0; t < n_targets; t++)
            scores[t] = md_ml__dot(in, w + t * n, n) + (b ? b[t] : 0.0F);
        md_post__apply(post, scores, n_targets);
        for (int64_t t = 0; t < n_targets; t++)
            y[t] = (float)scores[t];
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ml_linear_regressor = {
    .domain = "ai.onnx.ml",
    .name = "LinearRegressor",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
