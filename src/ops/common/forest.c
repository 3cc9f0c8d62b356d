/* Forests by definition: each row through each tree, in the order of the
 * trees, in double. */
#include "ops/common/forest.h"

#include <math.h>
#include <string.h>

static bool is_classifier(const md_node *n)
{
    return strcmp(n->op, "TreeEnsembleClassifier") == 0;
}

static md_status infer_classifier(const md_infer *c, md_dim rows, md_error *err)
{
    md_type y = { .has_rank = true, .rank = 1 };
    md_type z = { .dtype = MD_DTYPE_F32, .has_rank = true, .rank = 2 };
    md_labels labels;

    MD_TRY(md_labels__of(&labels, c->node, "classlabels_int64s",
                         "classlabels_strings", err));
    y.dtype = labels.list.dtype;
    y.dim[0] = z.dim[0] = rows;
    z.dim[1] = MD_DIM(labels.n);
    md_infer__give(c, 0, &y);
    md_infer__give(c, 1, &z);
    return MD_OK;
}

/* The newest form has its numbers in the type of the features. */
static md_status check_numbers(const md_infer *c, md_error *err)
{
    static const char *const names[] = { "nodes_splits", "leaf_weights" };

    for (size_t i = 0; i < MD_COUNT(names); i++) {
        md_tensor t = md_ml__list(c->node, names[i]);

        if (md_tensor_n(&t) > 0 && c->in[0]->dtype &&
            t.dtype != c->in[0]->dtype)
            return md_fail(err, MD_INVALID,
                           "%s has element type %s, the input's, %s, expected",
                           names[i], md_dtype_name(t.dtype),
                           md_dtype_name(c->in[0]->dtype));
    }
    return MD_OK;
}

/* The attributes are read at load and in a run, not for each set of shapes. */
md_status md_forest__infer(const md_infer *c, md_error *err)
{
    md_type t = { .dtype = MD_DTYPE_F32, .has_rank = true, .rank = 2 };
    bool newest = strcmp(c->node->op, "TreeEnsemble") == 0;
    int64_t n_targets = md_node_attr_i(c->node, "n_targets", 0);
    md_dim cols;

    MD_TRY(md_infer__need(
        c, 0, newest ? MD_T(F32) | MD_T(F64) | MD_T(F16) : MD_TYPES_FEATURE,
        err));
    MD_TRY(md_ml__table(c, 0, &t.dim[0], &cols, err));
    if (is_classifier(c->node))
        return infer_classifier(c, t.dim[0], err);
    if (n_targets < 1 || n_targets > INT32_MAX)
        return md_fail(err, MD_INVALID, "n_targets is %lld",
                       (long long)n_targets);
    if (newest) {
        MD_TRY(check_numbers(c, err));
        t.dtype = c->in[0]->dtype;
    }
    t.dim[1] = MD_DIM(n_targets);
    md_infer__give(c, 0, &t);
    return MD_OK;
}

void md_forest__clear(const md_forest *f, double *sum, uint8_t *has)
{
    for (int64_t i = 0; i < f->n_targets; i++) {
        sum[i] = 0.0;
        has[i] = 0;
    }
}

void md_forest__vote(const md_forest *f, uint32_t leaf, double *sum,
                     uint8_t *has)
{
    bool adds = f->aggregate == MD_AGGREGATE_SUM ||
                f->aggregate == MD_AGGREGATE_AVERAGE;

    for (uint32_t v = f->vote[leaf]; v < f->vote[leaf + 1]; v++) {
        double w = f->weight[v];
        uint32_t t = f->target[v];

        if (adds)
            sum[t] += w;
        else if (!has[t] ||
                 (f->aggregate == MD_AGGREGATE_MIN ? w < sum[t] : w > sum[t]))
            sum[t] = w;
        has[t] = 1;
    }
}

uint32_t md_forest__find(const md_forest *f, uint32_t tree, const double *x)
{
    uint32_t at = f->root[tree];

    while (f->child[at] != at) {
        double v = x[f->feature[at]];
        bool first = isnan(v) ? f->nan_first[at] != 0 : v <= f->split[at];

        at = f->child[at] + !first;
    }
    return f->leaf[at];
}

static void store(md_tensor *z, int64_t at, const double *v, int64_t n)
{
    if (z)
        md_store_f64(z, at * n, v, n);
}

/* Two classes by the score of one: with weights that are all positive that is
 * a probability, if nothing is to be done to it. */
static int64_t finish_pair(const md_forest *f, double *sum)
{
    bool share = f->post == MD_POST_PROBIT ||
                 (f->post == MD_POST_NONE && f->all_positive);
    double s = sum[f->side];

    md_post__pair(f->post, share, s, sum);
    return share ? s > 0.5 : s > 0.0;
}

static int64_t finish_classes(const md_forest *f, double *sum)
{
    int64_t best = 0;

    for (int64_t i = 1; i < f->n_targets; i++)
        best = sum[i] > sum[best] ? i : best;
    if (f->n_targets == 1)
        best = sum[0] > 0.0;
    md_post__apply(f->post, sum, f->n_targets);
    return best;
}

void md_forest__finish(const md_forest *f, double *sum, void *y, md_tensor *z,
                       int64_t at)
{
    int64_t best;

    for (int64_t i = 0; i < f->n_targets; i++) {
        if (f->aggregate == MD_AGGREGATE_AVERAGE && f->n_trees)
            sum[i] /= f->n_trees;
        if (f->base)
            sum[i] += f->base[i];
    }
    if (f->labels.n == 0) {
        md_post__apply(f->post, sum, f->n_targets);
    } else {
        best = f->one_sided ? finish_pair(f, sum) : finish_classes(f, sum);
        if (y)
            md_labels__store(&f->labels, y, at, best);
    }
    store(z, at, sum, f->n_targets);
}

md_status md_forest__check(const md_forest *f, int64_t n_features,
                           md_error *err)
{
    if (n_features >= f->n_features)
        return MD_OK;
    return md_fail(err, MD_INVALID,
                   "input 0 has %lld features, at least %lld expected",
                   (long long)n_features, (long long)f->n_features);
}

/* Integers count as float32. */
void md_forest__load(double *x, const md_tensor *in, int64_t from, int64_t n)
{
    md_load_f64(x, in, from, n);
    for (int64_t i = 0; i < n && in->dtype != MD_DTYPE_F64; i++)
        x[i] = (float)x[i];
}

static md_status compute(md_exec *x, md_tensor **out, md_arena *ar,
                         md_error *err)
{
    const md_tensor *in = x->in[0];
    md_tensor *z = is_classifier(x->node) ? out[1] : out[0];
    int64_t n = in->shape.dim[in->shape.rank - 1];
    int64_t rows = in->shape.rank == 2 ? in->shape.dim[0] : 1;
    double *row, *sum;
    uint8_t *has;
    md_forest f;

    MD_TRY(md_forest__make(&f, x->node, x->alloc, ar, err));
    MD_TRY(md_forest__check(&f, n, err));
    MD_TRY(md_exec__scratch(&row, ar, n, sizeof(*row), err));
    MD_TRY(md_exec__scratch(&sum, ar, f.n_targets, sizeof(*sum), err));
    MD_TRY(md_exec__scratch(&has, ar, f.n_targets, 1, err));
    for (int64_t r = 0; r < rows; r++) {
        md_forest__load(row, in, r * n, n);
        md_forest__clear(&f, sum, has);
        for (uint32_t t = 0; t < f.n_trees; t++)
            md_forest__vote(&f, md_forest__find(&f, t, row), sum, has);
        md_forest__finish(&f, sum, f.labels.n && out[0] ? out[0]->data : NULL,
                          z, r);
    }
    return MD_OK;
}

md_status md_forest__run(md_exec *x, md_error *err)
{
    md_tensor *out[2];
    md_status s;
    md_arena ar;

    MD_TRY(md_exec__outputs(x, md_forest__infer, out, 2, err));
    md_arena_init(&ar, x->alloc, 0);
    s = compute(x, out, &ar, err);
    md_arena_release(&ar);
    return s;
}
