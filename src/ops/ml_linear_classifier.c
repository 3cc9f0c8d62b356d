/*
 * X times the coefficients of each class, + its intercept; the class of the
 * highest score.  Of two classes the second one alone may have coefficients.
 */
#include "ops/common/ml.h"
#include "ops/common/scores.h"

typedef struct classifier {
    md_labels labels;
    md_post post;
    int64_t n_sets;   /* of coefficients */
    int64_t n_scores; /* given for each row */
    int64_t n_features;
    const float *coef, *intercepts;
} classifier;

/* Whether one set of coefficients stands for both classes. */
static bool is_pair(const classifier *k)
{
    return k->n_sets == 1 && k->labels.n == 2;
}

static md_status read_attrs(classifier *k, const md_node *n, md_error *err)
{
    md_tensor coef = md_ml__list(n, "coefficients");
    md_tensor intercepts = md_ml__list(n, "intercepts");
    int64_t n_coef = md_tensor_n(&coef);

    MD_TRY(md_post__of(&k->post, n, err));
    MD_TRY(md_labels__of(&k->labels, n, "classlabels_ints",
                         "classlabels_strings", err));
    k->n_sets = md_tensor_n(&intercepts);
    if (k->n_sets == 0)
        k->n_sets = k->labels.n;
    if (k->n_sets != 1 && k->n_sets != k->labels.n)
        return md_fail(err, MD_INVALID,
                       "intercepts has %lld elements, 1 or %lld expected",
                       (long long)k->n_sets, (long long)k->labels.n);
    if (n_coef == 0 || n_coef % k->n_sets != 0)
        return md_fail(
            err, MD_INVALID,
            "coefficients has %lld elements, a multiple of %lld expected",
            (long long)n_coef, (long long)k->n_sets);
    k->n_features = n_coef / k->n_sets;
    k->n_scores = is_pair(k) ? 2 : k->n_sets;
    k->coef = coef.data;
    k->intercepts = intercepts.data;
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    classifier k;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_FEATURE, err));
    MD_TRY(read_attrs(&k, c->node, err));
    return md_ml__infer_classes(c, &k.labels, k.n_features, k.n_scores, err);
}

/* Scores of one row; returns the class. */
static int64_t classify(const classifier *k, const float *x, double *scores)
{
    int64_t best = 0;

    for (int64_t i = 0; i < k->n_sets; i++) {
        scores[i] = md_ml__dot(x, k->coef + i * k->n_features, k->n_features) +
                    (k->intercepts ? k->intercepts[i] : 0.0F);
        best = scores[i] > scores[best] ? i : best;
    }
    if (k->n_sets == 1)
        best = scores[0] > 0.0;
    if (is_pair(k))
        md_post__pair(k->post, k->post == MD_POST_NONE, scores[0], scores);
    else
        md_post__apply(k->post, scores, k->n_sets);
    return best;
}

static md_status compute(md_exec *x, md_tensor **out, md_arena *ar,
                         md_error *err)
{
    const int64_t rows = md_ml__n_rows(out);
    const float *in;
    double *scores;
    classifier k;

    MD_TRY(read_attrs(&k, x->node, err));
    MD_TRY(md_exec__as_f32(&in, x->in[0], ar, err));
    MD_TRY(md_exec__scratch(&scores, ar, k.n_scores, sizeof(*scores), err));
    for (int64_t r = 0; r < rows; r++) {
        int64_t best = classify(&k, in + r * k.n_features, scores);

        md_ml__put_class(out, &k.labels, r, best, scores, k.n_scores);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_ml__run_classes(x, infer, compute, err);
}

const md_op md_op_ml_linear_classifier = {
    .domain = "ai.onnx.ml",
    .name = "LinearClassifier",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 2,
    .infer = infer,
    .run = run,
};
