/*
 * Counts of n-grams of a pool in each row, items apart by 1 to
 * max_skip_count + 1 places; weighted by mode.  1-grams count once.
 *
 * The pool becomes a tree of items: a walk along the row tells of all lengths
 * at once which n-gram begins here.
 */
#include <string.h>

#include "base/hash.h"
#include "ops/common/ml.h"

typedef struct params {
    int64_t min, max, skips;
    bool counts, weighs; /* TF, IDF: one of them or both */
    md_tensor pool, weights;
    const int64_t *starts, *indexes; /* ngram_counts, ngram_indexes */
    uint32_t n_starts, n_indexes;
    int64_t n_out;
} params;

static md_status mode_of(params *p, const md_node *n, md_error *err)
{
    const char *mode = md_node_attr_s(n, "mode", "");

    p->counts = strcmp(mode, "TF") == 0 || strcmp(mode, "TFIDF") == 0;
    p->weighs = strcmp(mode, "IDF") == 0 || strcmp(mode, "TFIDF") == 0;
    if (!p->counts && !p->weighs)
        return md_fail(err, MD_INVALID,
                       "mode is '%s', TF, IDF or TFIDF expected", mode);
    return MD_OK;
}

static md_status lengths_of(params *p, const md_node *n, md_error *err)
{
    p->min = md_node_attr_i(n, "min_gram_length", 0);
    p->max = md_node_attr_i(n, "max_gram_length", 0);
    p->skips = md_node_attr_i(n, "max_skip_count", -1);
    if (p->min < 1 || p->max < p->min)
        return md_fail(err, MD_INVALID,
                       "n-grams of %lld to %lld items, 1 or more expected",
                       (long long)p->min, (long long)p->max);
    if (p->skips < 0)
        return md_fail(err, MD_INVALID, "max_skip_count is %lld",
                       (long long)p->skips);
    p->starts = md_node_attr_is(n, "ngram_counts", &p->n_starts);
    if (p->max > p->n_starts)
        return md_fail(err, MD_INVALID,
                       "ngram_counts has %u elements, %lld expected",
                       (unsigned)p->n_starts, (long long)p->max);
    return MD_OK;
}

/* Where in the pool the n-grams of `size` items end. */
static int64_t end_of(const params *p, int64_t size)
{
    return size < p->n_starts ? p->starts[size] : md_tensor_n(&p->pool);
}

static md_status check_pool(params *p, const md_node *n, md_error *err)
{
    int64_t count = 0;
    md_labels pool;

    MD_TRY(md_labels__of(&pool, n, "pool_int64s", "pool_strings", err));
    p->pool = pool.list;
    for (int64_t size = 1; size <= p->n_starts; size++) {
        int64_t from = p->starts[size - 1], to = end_of(p, size);

        if (from < 0 || to < from || to > pool.n || (to - from) % size)
            return md_fail(err, MD_INVALID,
                           "%lld-grams from %lld to %lld of a pool of %lld",
                           (long long)size, (long long)from, (long long)to,
                           (long long)pool.n);
        count += (to - from) / size;
    }
    p->indexes = md_node_attr_is(n, "ngram_indexes", &p->n_indexes);
    if (p->n_indexes == 0 || count > p->n_indexes)
        return md_fail(err, MD_INVALID,
                       "ngram_indexes has %u elements, %lld expected",
                       (unsigned)p->n_indexes, (long long)count);
    return MD_OK;
}

static md_status read_params(params *p, const md_node *n, md_error *err)
{
    *p = (params){ .n_out = 0 };
    MD_TRY(mode_of(p, n, err));
    MD_TRY(lengths_of(p, n, err));
    MD_TRY(check_pool(p, n, err));
    p->weights = md_ml__list(n, "weights");
    if (md_tensor_n(&p->weights))
        MD_TRY(md_ml__length(n, "weights", p->n_indexes, err));
    for (uint32_t i = 0; i < p->n_indexes; i++) {
        if (p->indexes[i] < 0 || p->indexes[i] == INT64_MAX)
            return md_fail(err, MD_INVALID, "ngram_indexes has %lld",
                           (long long)p->indexes[i]);
        if (p->indexes[i] >= p->n_out)
            p->n_out = p->indexes[i] + 1;
    }
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t = *c->in[0];
    params p;

    MD_TRY(md_infer__need(c, 0, MD_T(STRING) | MD_TYPES_INDEX, err));
    MD_TRY(md_infer__rank(c, 0, 1, 2, err));
    MD_TRY(read_params(&p, c->node, err));
    if (t.dtype != MD_DTYPE_NONE &&
        (t.dtype == MD_DTYPE_STRING) != (p.pool.dtype == MD_DTYPE_STRING))
        return md_fail(err, MD_INVALID,
                       "input 0 has element type %s, the pool %s",
                       md_dtype_name(t.dtype), md_dtype_name(p.pool.dtype));
    t.dtype = MD_DTYPE_F32;
    if (t.has_rank)
        t.dim[t.rank - 1] = MD_DIM(p.n_out);
    md_infer__give(c, 0, &t);
    return MD_OK;
}

/* --- the tree ---------------------------------------------------------- */

/* An edge leads from node `from` by an item, which is a place in the pool, to
 * the node that has the edge's number + 1; the root is node 0. */
typedef struct edge {
    uint32_t from, item;
    uint32_t gram; /* 1 + the n-gram that ends here; 0: none does */
} edge;

typedef struct tree {
    md_lookup items;
    edge *edges;
    uint32_t n_edges;
    uint32_t *slot; /* 1 + edge; 0: empty */
    uint64_t mask;
} tree;

static uint32_t *slot_of(const tree *t, uint32_t from, uint32_t item)
{
    uint32_t key[2] = { from, item };
    uint64_t at = md_hash(key, sizeof(key)) & t->mask;

    while (t->slot[at] && (t->edges[t->slot[at] - 1].from != from ||
                           t->edges[t->slot[at] - 1].item != item))
        at = (at + 1) & t->mask;
    return &t->slot[at];
}

/* The node by `item` from `from`, made when it is new. */
static uint32_t step_new(tree *t, uint32_t from, uint32_t item)
{
    uint32_t *slot = slot_of(t, from, item);

    if (!*slot) {
        t->edges[t->n_edges] = (edge){ from, item, 0 };
        *slot = ++t->n_edges;
    }
    return *slot;
}

static md_status make_tree(tree *t, const params *p, int64_t n_values,
                           md_arena *ar, md_error *err)
{
    int64_t n = md_tensor_n(&p->pool);
    uint32_t gram = 0;
    uint64_t size = 16;

    if (n >= UINT32_MAX / 4)
        return md_fail(err, MD_TOO_LARGE, "a pool of %lld", (long long)n);
    while (size < 2 * (uint64_t)n)
        size *= 2;
    t->mask = size - 1;
    MD_TRY(md_lookup__make(&t->items, &p->pool, n + n_values, ar, err));
    MD_TRY(md_exec__scratch(&t->edges, ar, n, sizeof(*t->edges), err));
    MD_TRY(
        md_exec__scratch(&t->slot, ar, (int64_t)size, sizeof(*t->slot), err));
    for (int64_t k = 1; k <= p->n_starts; k++) {
        for (int64_t at = p->starts[k - 1]; at < end_of(p, k); at += k) {
            uint32_t node = 0;

            gram++;
            if (k < p->min || k > p->max)
                continue;
            for (int64_t i = 0; i < k; i++)
                node = step_new(
                    t, node,
                    (uint32_t)md_lookup__find(&t->items, &p->pool, at + i));
            t->edges[node - 1].gram = gram;
        }
    }
    return MD_OK;
}

/* --- counting ---------------------------------------------------------- */

/* The n-grams that begin at item[0]; `apart` places between their items, n
 * items left. */
static void count_from(const params *p, const tree *t, const int64_t *item,
                       int64_t n, int64_t apart, float *y)
{
    uint32_t node = 0;

    for (int64_t k = 1, at = 0; k <= p->max && at < n; k++, at += apart) {
        uint32_t gram;

        if (item[at] < 0)
            return;
        node = *slot_of(t, node, (uint32_t)item[at]);
        if (!node)
            return;
        gram = t->edges[node - 1].gram;
        if (gram && (k > 1 || apart == 1))
            y[p->indexes[gram - 1]] += 1.0F;
    }
}

static void count_row(const params *p, const tree *t, const int64_t *item,
                      int64_t n, float *y)
{
    int64_t last = p->skips < n ? p->skips + 1 : n;

    if (p->max == 1)
        last = 1;
    for (int64_t apart = 1; apart <= last; apart++) {
        for (int64_t i = 0; i < n; i++)
            count_from(p, t, item + i, n - i, apart, y);
    }
}

static void weigh_row(const params *p, float *y)
{
    const float *w = p->weights.data;
    int64_t n_weights = md_tensor_n(&p->weights);

    for (int64_t i = 0; i < p->n_out; i++) {
        if (!p->counts)
            y[i] = y[i] > 0.0F ? 1.0F : 0.0F;
        if (p->weighs && i < n_weights)
            y[i] *= w[i];
    }
}

/* Items as places in the pool, -1 for those that are not in it. */
static md_status find_items(int64_t **out, const tree *t, const md_tensor *in,
                            md_arena *ar, md_error *err)
{
    int64_t n = md_tensor_n(in), *item;
    md_tensor one = { .dtype = MD_DTYPE_I64,
                      .shape = { .rank = 1, .dim = { 1 } } };

    MD_TRY(md_exec__scratch(&item, ar, n, sizeof(*item), err));
    for (int64_t i = 0; i < n; i++) {
        if (in->dtype == MD_DTYPE_STRING) {
            item[i] = md_lookup__find(&t->items, in, i);
        } else {
            int64_t v = md_tensor_get_i64(in, i);

            one.data = &v;
            item[i] = md_lookup__find(&t->items, &one, 0);
        }
    }
    *out = item;
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *s = &x->in[0]->shape;
    int64_t n = s->dim[s->rank - 1], rows = s->rank == 2 ? s->dim[0] : 1;
    int64_t *item;
    params p;
    tree t = { .n_edges = 0 };

    MD_TRY(read_params(&p, x->node, err));
    MD_TRY(make_tree(&t, &p, md_tensor_n(x->in[0]), ar, err));
    MD_TRY(find_items(&item, &t, x->in[0], ar, err));
    md_exec__zero(out);
    for (int64_t r = 0; r < rows; r++) {
        float *y = (float *)out->data + r * p.n_out;

        count_row(&p, &t, item + r * n, n, y);
        weigh_row(&p, y);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_tf_idf_vectorizer = {
    .domain = "",
    .name = "TfIdfVectorizer",
    .since = 9,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
