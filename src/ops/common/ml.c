#include "ops/common/ml.h"

#include <math.h>
#include <string.h>

#include "base/hash.h"

enum {
    FEW = 16 /* searches that are not worth a table */
};

md_tensor md_ml__list(const md_node *n, const char *name)
{
    const md_attr *a = md_node_attr(n, name);
    md_tensor t = { .dtype = MD_DTYPE_NONE, .shape = { .rank = 1 } };
    const void *data = NULL;

    if (!a)
        return t;
    if (a->type == MD_ATTR_TENSOR) {
        t = *a->v.t;
        t.owner = NULL;
        return t;
    }
    t.shape.dim[0] = a->n;
    if (a->type == MD_ATTR_INTS) {
        t.dtype = MD_DTYPE_I64;
        data = a->v.is;
    } else if (a->type == MD_ATTR_FLOATS) {
        t.dtype = MD_DTYPE_F32;
        data = a->v.fs;
    } else if (a->type == MD_ATTR_STRINGS) {
        t.dtype = MD_DTYPE_STRING;
        data = a->v.ss;
    } else {
        t.shape.dim[0] = 0;
    }
    t.data = (void *)data;
    return t;
}

md_status md_ml__length(const md_node *n, const char *name, int64_t expected,
                        md_error *err)
{
    md_tensor t = md_ml__list(n, name);

    if (md_tensor_n(&t) == expected)
        return MD_OK;
    return md_fail(err, MD_INVALID, "%s has %lld elements, %lld expected", name,
                   (long long)md_tensor_n(&t), (long long)expected);
}

md_status md_ml__table(const md_infer *c, uint32_t i, md_dim *rows,
                       md_dim *cols, md_error *err)
{
    const md_type *t = c->in[i];

    MD_TRY(md_infer__rank(c, i, 1, 2, err));
    if (!t->has_rank) {
        MD_TRY(md_infer__fresh(c, rows, err));
        return md_infer__fresh(c, cols, err);
    }
    *rows = t->rank == 2 ? t->dim[0] : MD_DIM(1);
    *cols = t->dim[t->rank - 1];
    return MD_OK;
}

md_status md_ml__features(md_dim cols, int64_t expected, md_error *err)
{
    return md_infer__same_dim(cols, MD_DIM(expected), "the number of features",
                              err);
}

md_status md_ml__map(const md_infer *c, uint32_t keys, uint32_t values,
                     md_error *err)
{
    const md_type *t = c->in[0];

    if (!t)
        return md_fail(err, MD_INVALID, "input 0 of %s is missing",
                       c->node->op);
    if (t->kind != MD_KIND_MAP &&
        (t->kind != MD_KIND_TENSOR || t->dtype != MD_DTYPE_NONE))
        return md_fail(err, MD_INVALID, "input 0 is no map");
    if ((t->key != MD_DTYPE_NONE && !(keys >> t->key & 1)) ||
        (t->dtype != MD_DTYPE_NONE && !(values >> t->dtype & 1)))
        return md_fail(err, MD_INVALID,
                       "input 0 is a map of %s to %s, which %s does not take",
                       md_dtype_name(t->key), md_dtype_name(t->dtype),
                       c->node->op);
    return MD_OK;
}

/* Four sums, so that they do not wait for each other. */
double md_ml__dot(const float *a, const float *b, int64_t n)
{
    double sum[4] = { 0 };
    int64_t i = 0;

    for (; i + 4 <= n; i += 4) {
        for (int k = 0; k < 4; k++)
            sum[k] += (double)a[i + k] * b[i + k];
    }
    for (; i < n; i++)
        sum[0] += (double)a[i] * b[i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* --- search ------------------------------------------------------------ */

/* A number as bits that are equal where the numbers are. */
static uint64_t bits_of(const md_tensor *t, int64_t i)
{
    uint64_t bits;
    double v;

    if (!md_dtype_is_float(t->dtype))
        return (uint64_t)md_tensor_get_i64(t, i);
    v = md_tensor_get_f64(t, i);
    if (isnan(v))
        return UINT64_MAX;
    v += 0.0; /* -0 becomes 0 */
    memcpy(&bits, &v, sizeof(bits));
    return bits;
}

static bool equal(const md_tensor *a, int64_t i, const md_tensor *b, int64_t j)
{
    const md_str *s, *t;

    if (a->dtype != MD_DTYPE_STRING)
        return bits_of(a, i) == bits_of(b, j);
    s = (const md_str *)a->data + i;
    t = (const md_str *)b->data + j;
    return s->n == t->n && (s->n == 0 || memcmp(s->p, t->p, s->n) == 0);
}

static uint64_t hash_of(const md_tensor *t, int64_t i)
{
    const md_str *s = (const md_str *)t->data + i;
    uint64_t bits;

    if (t->dtype == MD_DTYPE_STRING)
        return md_hash(s->p, s->n);
    bits = bits_of(t, i);
    return md_hash(&bits, sizeof(bits));
}

/* The slot of an equal key, or the empty one where it would be. */
static uint32_t *slot_of(const md_lookup *l, const md_tensor *t, int64_t i)
{
    uint64_t at = hash_of(t, i) & l->mask;

    while (l->slot[at] && !equal(l->keys, l->slot[at] - 1, t, i))
        at = (at + 1) & l->mask;
    return &l->slot[at];
}

md_status md_lookup__make(md_lookup *out, const md_tensor *keys,
                          int64_t n_values, md_arena *ar, md_error *err)
{
    int64_t n = md_tensor_n(keys);
    uint64_t size = 16;

    *out = (md_lookup){ .keys = keys };
    if (n_values <= FEW || n <= FEW / 4)
        return MD_OK;
    if (n >= UINT32_MAX / 4)
        return md_fail(err, MD_TOO_LARGE, "%lld keys", (long long)n);
    while (size < 2 * (uint64_t)n)
        size *= 2;
    MD_TRY(md_exec__scratch(&out->slot, ar, (int64_t)size, sizeof(*out->slot),
                            err));
    out->mask = size - 1;
    for (int64_t i = 0; i < n; i++)
        *slot_of(out, keys, i) = (uint32_t)i + 1;
    return MD_OK;
}

int64_t md_lookup__find(const md_lookup *l, const md_tensor *t, int64_t i)
{
    int64_t k = md_tensor_n(l->keys);

    if (l->slot)
        return (int64_t)*slot_of(l, t, i) - 1;
    while (k-- > 0 && !equal(l->keys, k, t, i))
        continue;
    return k;
}

/* --- class labels ------------------------------------------------------ */

md_status md_labels__of(md_labels *out, const md_node *n, const char *ints,
                        const char *strings, md_error *err)
{
    md_tensor i = md_ml__list(n, ints), s = md_ml__list(n, strings);
    bool has_i = md_tensor_n(&i) > 0, has_s = md_tensor_n(&s) > 0;

    if (has_i == has_s)
        return md_fail(err, MD_INVALID,
                       "%s of %s and %s have elements, one expected",
                       has_i ? "both" : "none", ints, strings);
    out->list = has_i ? i : s;
    out->n = md_tensor_n(&out->list);
    return MD_OK;
}

void md_labels__store(const md_labels *l, void *out, int64_t at, int64_t i)
{
    bool none = l->n == 1 && i == 0;
    int64_t from = l->n == 1 ? 0 : i;

    if (l->list.dtype == MD_DTYPE_I64)
        ((int64_t *)out)[at] = none ? 0 : ((const int64_t *)l->list.data)[from];
    else
        ((md_str *)out)[at] =
            none ? (md_str){ "0", 1 } : ((const md_str *)l->list.data)[from];
}

/* --- classifiers ------------------------------------------------------- */

md_status md_ml__infer_classes(const md_infer *c, const md_labels *l,
                               int64_t n_features, int64_t n_scores,
                               md_error *err)
{
    md_type y = { .dtype = l->list.dtype, .has_rank = true, .rank = 1 };
    md_type z = { .dtype = MD_DTYPE_F32, .has_rank = true, .rank = 2 };
    md_dim cols;

    MD_TRY(md_ml__table(c, 0, &y.dim[0], &cols, err));
    MD_TRY(md_ml__features(cols, n_features, err));
    z.dim[0] = y.dim[0];
    z.dim[1] = MD_DIM(n_scores);
    md_infer__give(c, 0, &y);
    md_infer__give(c, 1, &z);
    return MD_OK;
}

md_status md_ml__run_classes(md_exec *x, md_infer_fn *infer,
                             md_ml_classify_fn *classify, md_error *err)
{
    md_tensor *out[2];
    md_status s = MD_OK;
    md_arena ar;

    MD_TRY(md_exec__outputs(x, infer, out, 2, err));
    md_arena_init(&ar, x->alloc, 0);
    if (out[0] || out[1])
        s = classify(x, out, &ar, err);
    md_arena_release(&ar);
    return s;
}

int64_t md_ml__n_rows(md_tensor *const *out)
{
    return out[0] ? out[0]->shape.dim[0] : out[1]->shape.dim[0];
}

void md_ml__put_class(md_tensor *const *out, const md_labels *l, int64_t r,
                      int64_t best, const double *scores, int64_t n_scores)
{
    if (out[0])
        md_labels__store(l, out[0]->data, r, best);
    for (int64_t i = 0; out[1] && i < n_scores; i++)
        ((float *)out[1]->data)[r * n_scores + i] = (float)scores[i];
}
