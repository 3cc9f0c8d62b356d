/*
 * Support vector classification.  With vectors there is a decision for each
 * pair of classes; the class with most votes wins, and scores are those
 * decisions, or probabilities where prob_a and prob_b are given.  Without
 * them each class has a linear function.
 */
#include <math.h>

#include "ops/common/scores.h"
#include "ops/common/svm.h"

typedef struct classifier {
    md_svm svm;
    md_labels labels;
    md_post post;
    int64_t n_pairs;
    int64_t n_scores; /* given for each row */
    const int64_t *per_class;
    const float *prob_a, *prob_b; /* NULL: no probabilities */
} classifier;

static md_status count_vectors(int64_t *out, const md_node *n, md_error *err)
{
    uint32_t count;
    const int64_t *per_class = md_node_attr_is(n, "vectors_per_class", &count);

    *out = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (per_class[i] < 0 || per_class[i] > INT32_MAX - *out)
            return md_fail(err, MD_INVALID, "vectors_per_class has %lld",
                           (long long)per_class[i]);
        *out += per_class[i];
    }
    return MD_OK;
}

/* The list has at least one element for each pair of classes. */
static md_status check_pairs(const classifier *k, const md_node *n,
                             const char *name, md_error *err)
{
    md_tensor list = md_ml__list(n, name);

    if (md_tensor_n(&list) >= k->n_pairs)
        return MD_OK;
    return md_fail(err, MD_INVALID, "%s has %lld elements, %lld expected", name,
                   (long long)md_tensor_n(&list), (long long)k->n_pairs);
}

static md_status read_vectors(classifier *k, const md_node *n, md_error *err)
{
    md_tensor a = md_ml__list(n, "prob_a"), b = md_ml__list(n, "prob_b");
    uint32_t count;

    if (k->labels.n < 2)
        return md_fail(err, MD_INVALID, "one class given, at least 2 expected");
    MD_TRY(md_ml__length(n, "vectors_per_class", k->labels.n, err));
    MD_TRY(md_ml__length(n, "coefficients",
                         (k->labels.n - 1) * k->svm.n_vectors, err));
    MD_TRY(check_pairs(k, n, "rho", err));
    k->per_class = md_node_attr_is(n, "vectors_per_class", &count);
    k->n_scores = k->labels.n == 2 ? 2 : k->n_pairs;
    if (md_tensor_n(&a) == 0 && md_tensor_n(&b) == 0)
        return MD_OK;
    MD_TRY(check_pairs(k, n, "prob_a", err));
    MD_TRY(check_pairs(k, n, "prob_b", err));
    MD_TRY(md_ml__length(n, "prob_b", md_tensor_n(&a), err));
    k->prob_a = a.data;
    k->prob_b = b.data;
    k->n_scores = k->labels.n;
    return MD_OK;
}

enum {
    CLASSES_MAX = 65535 /* so that pairs can be counted */
};

static md_status read_attrs(classifier *k, const md_node *n, md_error *err)
{
    int64_t n_vectors;

    *k = (classifier){ .n_scores = 0 };
    MD_TRY(md_post__of(&k->post, n, err));
    MD_TRY(md_labels__of(&k->labels, n, "classlabels_ints",
                         "classlabels_strings", err));
    if (k->labels.n > CLASSES_MAX)
        return md_fail(err, MD_TOO_LARGE, "%lld classes, at most %d expected",
                       (long long)k->labels.n, CLASSES_MAX);
    MD_TRY(count_vectors(&n_vectors, n, err));
    MD_TRY(md_svm__of(&k->svm, n, n_vectors, k->labels.n, err));
    k->n_pairs = k->labels.n * (k->labels.n - 1) / 2;
    k->n_scores = k->labels.n;
    return n_vectors ? read_vectors(k, n, err) : MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    classifier k;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_FEATURE, err));
    MD_TRY(read_attrs(&k, c->node, err));
    return md_ml__infer_classes(c, &k.labels, k.svm.n_features, k.n_scores,
                                err);
}

typedef struct scratch {
    double *kernels; /* [n_vectors] */
    double *pairs;   /* [n_pairs]: above 0 where the first class wins */
    double *scores;  /* [classes, or n_scores if more] */
    double *r, *q;   /* [classes, classes], and [classes] more in q */
    int64_t *votes;  /* [classes] */
} scratch;

static md_status take_scratch(scratch *t, const classifier *k, md_arena *ar,
                              md_error *err)
{
    int64_t n = k->labels.n, square = k->prob_a ? n * n : 0;

    MD_TRY(md_exec__scratch(&t->kernels, ar, k->svm.n_vectors,
                            sizeof(*t->kernels), err));
    MD_TRY(md_exec__scratch(&t->pairs, ar, k->n_pairs, sizeof(*t->pairs), err));
    MD_TRY(md_exec__scratch(&t->scores, ar, k->n_scores > n ? k->n_scores : n,
                            sizeof(*t->scores), err));
    MD_TRY(md_exec__scratch(&t->r, ar, square, sizeof(*t->r), err));
    MD_TRY(md_exec__scratch(&t->q, ar, square + n, sizeof(*t->q), err));
    return md_exec__scratch(&t->votes, ar, n, sizeof(*t->votes), err);
}

/* The decision between classes i and j, whose vectors begin at vi and vj. */
static double decide(const classifier *k, const double *kernels, int64_t i,
                     int64_t vi, int64_t j, int64_t vj)
{
    const float *coef = k->svm.coefficients.data;
    const float *ci = coef + (j - 1) * k->svm.n_vectors + vi;
    const float *cj = coef + i * k->svm.n_vectors + vj;
    double sum = 0.0;

    for (int64_t m = 0; m < k->per_class[i]; m++)
        sum += ci[m] * kernels[vi + m];
    for (int64_t m = 0; m < k->per_class[j]; m++)
        sum += cj[m] * kernels[vj + m];
    return sum;
}

/* All decisions and their votes; returns the class. */
static int64_t vote(const classifier *k, const float *x, const scratch *t)
{
    const float *rho = k->svm.rho.data;
    int64_t n = k->labels.n, at = 0, vi = 0, best = 0;

    md_svm__kernels(&k->svm, x, t->kernels);
    for (int64_t i = 0; i < n; i++)
        t->votes[i] = 0;
    for (int64_t i = 0; i < n; vi += k->per_class[i++]) {
        int64_t vj = vi + k->per_class[i];

        for (int64_t j = i + 1; j < n; vj += k->per_class[j++], at++) {
            double s = decide(k, t->kernels, i, vi, j, vj) + rho[at];

            t->pairs[at] = s;
            t->votes[s > 0.0 ? i : j]++;
        }
    }
    for (int64_t i = 1; i < n; i++)
        best = t->votes[i] > t->votes[best] ? i : best;
    return best;
}

/* Platt's sigmoid of each decision, then the classes' probabilities. */
static void probabilities(const classifier *k, const scratch *t)
{
    int64_t n = k->labels.n, at = 0;

    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = i + 1; j < n; j++, at++) {
            double f = t->pairs[at] * k->prob_a[at] + k->prob_b[at];
            double p =
                f >= 0.0 ? exp(-f) / (1.0 + exp(-f)) : 1.0 / (1.0 + exp(f));

            p = p > 1e-7 ? p : 1e-7;
            p = p < 1.0 - 1e-7 ? p : 1.0 - 1e-7;
            t->r[i * n + j] = p;
            t->r[j * n + i] = 1.0 - p;
        }
    }
    md_svm__couple(n, t->r, t->scores, t->q);
}

static int64_t classify_linear(const classifier *k, const float *x,
                               double *scores)
{
    const float *coef = k->svm.coefficients.data;
    int64_t f = k->svm.n_features, best = 0;

    for (int64_t i = 0; i < k->labels.n; i++) {
        scores[i] = md_ml__dot(x, coef + i * f, f) +
                    ((const float *)k->svm.rho.data)[0];
        best = scores[i] > scores[best] ? i : best;
    }
    md_post__apply(k->post, scores, k->labels.n);
    return best;
}

/* Scores of one row; returns the class. */
static int64_t classify(const classifier *k, const float *x, const scratch *t)
{
    int64_t best;

    if (k->svm.n_vectors == 0)
        return classify_linear(k, x, t->scores);
    best = vote(k, x, t);
    if (k->prob_a) {
        probabilities(k, t);
        md_post__apply(k->post, t->scores, k->n_scores);
    } else if (k->labels.n == 2) {
        md_post__pair(k->post, false, t->pairs[0], t->scores);
    } else {
        for (int64_t i = 0; i < k->n_pairs; i++)
            t->scores[i] = t->pairs[i];
        md_post__apply(k->post, t->scores, k->n_scores);
    }
    return best;
}

static md_status compute(md_exec *x, md_tensor **out, md_arena *ar,
                         md_error *err)
{
    const int64_t rows = md_ml__n_rows(out);
    const float *in;
    classifier k;
    scratch t;

    MD_TRY(read_attrs(&k, x->node, err));
    MD_TRY(md_exec__as_f32(&in, x->in[0], ar, err));
    MD_TRY(take_scratch(&t, &k, ar, err));
    for (int64_t r = 0; r < rows; r++) {
        int64_t best = classify(&k, in + r * k.svm.n_features, &t);

        md_ml__put_class(out, &k.labels, r, best, t.scores, k.n_scores);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_ml__run_classes(x, infer, compute, err);
}

const md_op md_op_ml_svm_classifier = {
    .domain = "ai.onnx.ml",
    .name = "SVMClassifier",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 2,
    .infer = infer,
    .run = run,
};
