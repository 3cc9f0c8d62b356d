/* Support vector regression: the sum of the kernels with the vectors, each
 * with its coefficient, + rho; of one class: 1 where that is above 0, else
 * -1. */
#include "ops/common/scores.h"
#include "ops/common/svm.h"

static md_status machine(md_svm *out, const md_node *n, md_error *err)
{
    int64_t n_vectors = md_node_attr_i(n, "n_supports", 0);
    md_post post;

    if (n_vectors < 0)
        return md_fail(err, MD_INVALID, "n_supports is %lld",
                       (long long)n_vectors);
    MD_TRY(md_post__of(&post, n, err));
    MD_TRY(md_svm__of(out, n, n_vectors, 1, err));
    return n_vectors ? md_ml__length(n, "coefficients", n_vectors, err) : MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t = { .dtype = MD_DTYPE_F32, .has_rank = true, .rank = 2 };
    md_dim cols;
    md_svm m;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_FEATURE, err));
    MD_TRY(machine(&m, c->node, err));
    MD_TRY(md_ml__table(c, 0, &t.dim[0], &cols, err));
    MD_TRY(md_ml__features(cols, m.n_features, err));
    t.dim[1] = MD_DIM(1);
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static double score(const md_svm *m, const float *x, double *kernels)
{
    const float *coef = m->coefficients.data;
    double sum = ((const float *)m->rho.data)[0];

    if (m->n_vectors == 0)
        return sum + md_ml__dot(x, coef, m->n_features);
    md_svm__kernels(m, x, kernels);
    for (int64_t i = 0; i < m->n_vectors; i++)
        sum += coef[i] * kernels[i];
    return sum;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    bool one_class = md_node_attr_i(x->node, "one_class", 0) != 0;
    float *y = out->data;
    const float *in;
    double *kernels;
    md_post post;
    md_svm m;

    MD_TRY(machine(&m, x->node, err));
    MD_TRY(md_post__of(&post, x->node, err));
    MD_TRY(md_exec__as_f32(&in, x->in[0], ar, err));
    MD_TRY(md_exec__scratch(&kernels, ar, m.n_vectors, sizeof(*kernels), err));
    for (int64_t r = 0; r < md_tensor_n(out); r++) {
        double s = score(&m, in + r * m.n_features, kernels);

        if (one_class)
            s = s > 0.0 ? 1.0 : -1.0;
        else
            md_post__apply(post, &s, 1);
        y[r] = (float)s;
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ml_svm_regressor = {
    .domain = "ai.onnx.ml",
    .name = "SVMRegressor",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
