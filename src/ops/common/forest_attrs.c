/* Forests as attributes: TreeEnsemble-5's nodes and leaves by position, and
 * the older operators' by ids. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "ops/common/forest.h"

#define NONE UINT32_MAX

enum {
    LIST_MAX = 1 << 28 /* nodes, leaves, votes */
};

typedef struct reader {
    md_forest *f;
    const md_node *n;
    const md_alloc *alloc;
    md_arena *ar;  /* of the forest */
    md_arena temp; /* of the source */
    md_forest_source s;
} reader;

/* Element i of a list of integers must be in [0, end). */
static md_status check_ids(const md_tensor *list, const char *name, int64_t end,
                           md_error *err)
{
    const int64_t *v = list->data;

    for (int64_t i = 0; i < md_tensor_n(list); i++) {
        if (v[i] < 0 || v[i] >= end)
            return md_fail(err, MD_INVALID,
                           "%s has %lld at %lld, 0 to %lld expected", name,
                           (long long)v[i], (long long)i, (long long)end - 1);
    }
    return MD_OK;
}

/* The attribute `name` with n elements (-1: any number); `may_lack`: or
 * none. */
static md_status take_list(const reader *r, md_tensor *out, const char *name,
                           int64_t n, bool may_lack, md_error *err)
{
    *out = md_ml__list(r->n, name);
    if (may_lack && md_tensor_n(out) == 0)
        return MD_OK;
    if (md_tensor_n(out) > LIST_MAX)
        return md_fail(err, MD_TOO_LARGE,
                       "%s has %lld elements, at most %d "
                       "expected",
                       name, (long long)md_tensor_n(out), LIST_MAX);
    return n < 0 ? MD_OK : md_ml__length(r->n, name, n, err);
}

/* A list of floats that newer versions may give as a tensor of float or
 * double. */
static md_status take_numbers(const reader *r, md_tensor *out, const char *name,
                              int64_t n, bool may_lack, md_error *err)
{
    char as_tensor[64];

    snprintf(as_tensor, sizeof(as_tensor), "%s_as_tensor", name);
    if (!md_node_attr(r->n, as_tensor))
        return take_list(r, out, name, n, may_lack, err);
    if (md_node_attr(r->n, name))
        return md_fail(err, MD_INVALID, "%s and %s are given, one expected",
                       name, as_tensor);
    MD_TRY(take_list(r, out, as_tensor, n, may_lack, err));
    if (out->dtype != MD_DTYPE_F32 && out->dtype != MD_DTYPE_F64)
        return md_fail(err, MD_INVALID,
                       "%s has element type %s, float32 or float64 expected",
                       as_tensor, md_dtype_name(out->dtype));
    return MD_OK;
}

static md_status make_source(reader *r, int64_t n, int64_t n_trees,
                             md_error *err)
{
    md_forest_source *s = &r->s;

    s->n = (uint32_t)n;
    s->n_trees = (uint32_t)n_trees;
    MD_TRY(md_exec__scratch(&s->mode, &r->temp, n, sizeof(*s->mode), err));
    MD_TRY(
        md_exec__scratch(&s->missing, &r->temp, n, sizeof(*s->missing), err));
    MD_TRY(md_exec__scratch(&s->split, &r->temp, n, sizeof(*s->split), err));
    MD_TRY(
        md_exec__scratch(&s->feature, &r->temp, n, sizeof(*s->feature), err));
    MD_TRY(md_exec__scratch(&s->yes, &r->temp, n, sizeof(*s->yes), err));
    MD_TRY(md_exec__scratch(&s->no, &r->temp, n, sizeof(*s->no), err));
    return md_exec__scratch(&s->root, &r->temp, n_trees, sizeof(*s->root), err);
}

/* Votes in the order of their leaves: leaf_of[i] is that of vote i. */
static md_status sort_votes(reader *r, const uint32_t *leaf_of,
                            const md_tensor *target, const md_tensor *weight,
                            md_error *err)
{
    md_forest *f = r->f;
    int64_t m = md_tensor_n(target);
    uint32_t *next;

    MD_TRY(md_exec__scratch(&f->vote, r->ar, (int64_t)r->s.n + 1,
                            sizeof(*f->vote), err));
    MD_TRY(md_exec__scratch(&f->target, r->ar, m, sizeof(*f->target), err));
    MD_TRY(md_exec__scratch(&f->weight, r->ar, m, sizeof(*f->weight), err));
    MD_TRY(md_exec__scratch(&next, &r->temp, r->s.n + 1, sizeof(*next), err));
    for (int64_t i = 0; i < m; i++)
        f->vote[leaf_of[i] + 1]++;
    for (uint32_t l = 0; l < r->s.n; l++) {
        f->vote[l + 1] += f->vote[l];
        next[l] = f->vote[l];
    }
    for (int64_t i = 0; i < m; i++) {
        uint32_t at = next[leaf_of[i]]++;

        f->target[at] = (uint32_t)((const int64_t *)target->data)[i];
        f->weight[at] = md_tensor_get_f64(weight, i);
    }
    return MD_OK;
}

/* --- the older operators ----------------------------------------------- */

/* Names of the attributes with votes: of classes or of targets. */
typedef struct vote_names {
    const char *trees, *nodes, *ids, *weights;
} vote_names;

static const vote_names class_names = { "class_treeids", "class_nodeids",
                                        "class_ids", "class_weights" };
static const vote_names target_names = { "target_treeids", "target_nodeids",
                                         "target_ids", "target_weights" };

typedef struct node_lists {
    int64_t n;
    md_tensor tree, node, mode, feature, value, yes, no, missing;
} node_lists;

static md_status take_nodes(const reader *r, node_lists *l, md_error *err)
{
    MD_TRY(take_list(r, &l->tree, "nodes_treeids", -1, true, err));
    l->n = md_tensor_n(&l->tree);
    MD_TRY(take_list(r, &l->node, "nodes_nodeids", l->n, false, err));
    MD_TRY(take_list(r, &l->mode, "nodes_modes", l->n, false, err));
    MD_TRY(take_list(r, &l->feature, "nodes_featureids", l->n, false, err));
    MD_TRY(take_list(r, &l->yes, "nodes_truenodeids", l->n, false, err));
    MD_TRY(take_list(r, &l->no, "nodes_falsenodeids", l->n, false, err));
    MD_TRY(take_numbers(r, &l->value, "nodes_values", l->n, false, err));
    return take_list(r, &l->missing, "nodes_missing_value_tracks_true", l->n,
                     true, err);
}

static md_status mode_of(uint8_t *out, md_str name, md_error *err)
{
    static const char *const names[] = {
        "BRANCH_LEQ", "BRANCH_LT",  "BRANCH_GTE",    "BRANCH_GT",
        "BRANCH_EQ",  "BRANCH_NEQ", "BRANCH_MEMBER", "LEAF",
    };

    for (size_t i = 0; i < MD_COUNT(names); i++) {
        if (i != MD_BRANCH_MEMBER && strlen(names[i]) == name.n &&
            memcmp(names[i], name.p, name.n) == 0) {
            *out = (uint8_t)i;
            return MD_OK;
        }
    }
    return md_fail(err, MD_INVALID, "nodes_modes has '%.*s'",
                   name.n > 64 ? 64 : (int)name.n, name.p ? name.p : "");
}

/* Nodes by tree and id. */
typedef struct table {
    const int64_t *tree, *node;
    uint32_t *slot; /* 1 + position; 0: empty */
    uint64_t mask;
} table;

static uint32_t *slot_of(const table *t, int64_t tree, int64_t node)
{
    int64_t key[2] = { tree, node };
    uint64_t at = md_hash(key, sizeof(key)) & t->mask;

    while (t->slot[at] && (t->tree[t->slot[at] - 1] != tree ||
                           t->node[t->slot[at] - 1] != node))
        at = (at + 1) & t->mask;
    return &t->slot[at];
}

static md_status make_table(table *t, reader *r, const node_lists *l,
                            md_error *err)
{
    uint64_t size = 16;

    while (size < 2 * (uint64_t)l->n)
        size *= 2;
    *t = (table){ l->tree.data, l->node.data, NULL, size - 1 };
    MD_TRY(md_exec__scratch(&t->slot, &r->temp, (int64_t)size, sizeof(*t->slot),
                            err));
    for (int64_t i = 0; i < l->n; i++) {
        uint32_t *slot = slot_of(t, t->tree[i], t->node[i]);

        if (*slot)
            return md_fail(err, MD_INVALID,
                           "node %lld of tree %lld is there "
                           "twice",
                           (long long)t->node[i], (long long)t->tree[i]);
        *slot = (uint32_t)i + 1;
    }
    return MD_OK;
}

static md_status find_node(const table *t, int64_t tree, int64_t node,
                           uint32_t *out, md_error *err)
{
    uint32_t at = *slot_of(t, tree, node);

    if (!at)
        return md_fail(err, MD_INVALID, "tree %lld has no node %lld",
                       (long long)tree, (long long)node);
    *out = at - 1;
    return MD_OK;
}

/* The node's branches; `led_to` marks them. */
static md_status link_node(reader *r, const table *t, const node_lists *l,
                           int64_t i, uint8_t *led_to, md_error *err)
{
    md_forest_source *s = &r->s;
    int64_t feature = ((const int64_t *)l->feature.data)[i];

    MD_TRY(mode_of(&s->mode[i], ((const md_str *)l->mode.data)[i], err));
    if (s->mode[i] == MD_BRANCH_LEAF)
        return MD_OK;
    if (feature < 0 || feature > INT32_MAX)
        return md_fail(err, MD_INVALID, "nodes_featureids has %lld",
                       (long long)feature);
    s->feature[i] = (uint32_t)feature;
    s->split[i] = md_tensor_get_f64(&l->value, i);
    s->missing[i] =
        md_tensor_n(&l->missing) && ((const int64_t *)l->missing.data)[i] != 0;
    MD_TRY(find_node(t, t->tree[i], ((const int64_t *)l->yes.data)[i],
                     &s->yes[i], err));
    MD_TRY(find_node(t, t->tree[i], ((const int64_t *)l->no.data)[i], &s->no[i],
                     err));
    led_to[s->yes[i]] = led_to[s->no[i]] = 1;
    return MD_OK;
}

/* A root for each tree id: the first node that no branch leads to. */
static md_status find_roots(reader *r, const node_lists *l,
                            const uint8_t *led_to, md_error *err)
{
    const int64_t *tree = l->tree.data;
    uint8_t *has_root;
    md_lookup trees;

    MD_TRY(md_lookup__make(&trees, &l->tree, l->n, &r->temp, err));
    MD_TRY(md_exec__scratch(&has_root, &r->temp, l->n, 1, err));
    r->s.n_trees = 0;
    for (int64_t i = 0; i < l->n; i++) {
        int64_t last = md_lookup__find(&trees, &l->tree, i);

        if (led_to[i] || has_root[last])
            continue;
        has_root[last] = 1;
        r->s.root[r->s.n_trees++] = (uint32_t)i;
    }
    for (int64_t i = 0; i < l->n; i++) {
        if (!has_root[md_lookup__find(&trees, &l->tree, i)])
            return md_fail(err, MD_INVALID,
                           "tree %lld has no root: a branch leads to each node",
                           (long long)tree[i]);
    }
    return MD_OK;
}

static md_status read_votes(reader *r, const table *t, const vote_names *names,
                            md_error *err)
{
    md_tensor tree, node, id, weight;
    uint32_t *leaf_of;
    int64_t m;

    MD_TRY(take_list(r, &id, names->ids, -1, true, err));
    m = md_tensor_n(&id);
    MD_TRY(take_list(r, &tree, names->trees, m, false, err));
    MD_TRY(take_list(r, &node, names->nodes, m, false, err));
    MD_TRY(take_numbers(r, &weight, names->weights, m, false, err));
    MD_TRY(check_ids(&id, names->ids, r->f->n_targets, err));
    MD_TRY(md_exec__scratch(&leaf_of, &r->temp, m, sizeof(*leaf_of), err));
    for (int64_t i = 0; i < m; i++) {
        MD_TRY(find_node(t, ((const int64_t *)tree.data)[i],
                         ((const int64_t *)node.data)[i], &leaf_of[i], err));
        if (r->s.mode[leaf_of[i]] != MD_BRANCH_LEAF)
            return md_fail(err, MD_INVALID,
                           "%s has node %lld of tree %lld, which is no leaf",
                           names->nodes,
                           (long long)((const int64_t *)node.data)[i],
                           (long long)((const int64_t *)tree.data)[i]);
    }
    return sort_votes(r, leaf_of, &id, &weight, err);
}

static md_status read_by_ids(reader *r, const vote_names *names, md_error *err)
{
    node_lists l;
    uint8_t *led_to;
    table t;

    MD_TRY(take_nodes(r, &l, err));
    MD_TRY(make_source(r, l.n, l.n, err));
    MD_TRY(make_table(&t, r, &l, err));
    MD_TRY(md_exec__scratch(&led_to, &r->temp, l.n, 1, err));
    for (int64_t i = 0; i < l.n; i++)
        MD_TRY(link_node(r, &t, &l, i, led_to, err));
    MD_TRY(find_roots(r, &l, led_to, err));
    MD_TRY(read_votes(r, &t, names, err));
    return md_forest__build(r->f, &r->s, r->alloc, r->ar, err);
}

/* Base values: one for each target, or of a classifier whose votes are all
 * for one of two classes a single one. */
static md_status read_base(reader *r, md_error *err)
{
    md_forest *f = r->f;
    md_tensor base;
    double *v;
    int64_t n;

    MD_TRY(take_numbers(r, &base, "base_values", -1, true, err));
    n = md_tensor_n(&base);
    if (n == 0)
        return MD_OK;
    if (n != f->n_targets && !(f->one_sided && n == 1))
        return md_fail(err, MD_INVALID,
                       "base_values has %lld elements, %lld expected",
                       (long long)n, (long long)f->n_targets);
    MD_TRY(md_exec__scratch(&v, r->ar, f->n_targets, sizeof(*v), err));
    for (int64_t i = 0; i < f->n_targets; i++)
        v[i] = md_tensor_get_f64(&base, n == 1 ? 0 : i);
    f->base = v;
    return MD_OK;
}

static md_status read_classifier(reader *r, md_error *err)
{
    md_forest *f = r->f;
    uint32_t n_votes;

    MD_TRY(md_post__of(&f->post, r->n, err));
    MD_TRY(md_labels__of(&f->labels, r->n, "classlabels_int64s",
                         "classlabels_strings", err));
    f->aggregate = MD_AGGREGATE_SUM;
    f->n_targets = f->labels.n;
    MD_TRY(read_by_ids(r, &class_names, err));
    n_votes = f->vote[r->s.n];
    f->one_sided = f->n_targets == 2 && n_votes > 0;
    f->all_positive = true;
    f->side = n_votes ? f->target[0] : 0;
    for (uint32_t i = 0; i < n_votes; i++) {
        f->one_sided &= f->target[i] == f->side;
        f->all_positive &= !(f->weight[i] < 0.0);
    }
    return read_base(r, err);
}

static md_status count_targets(reader *r, md_error *err)
{
    int64_t n = md_node_attr_i(r->n, "n_targets", 0);

    if (n < 1 || n > INT32_MAX)
        return md_fail(err, MD_INVALID, "n_targets is %lld", (long long)n);
    r->f->n_targets = n;
    return MD_OK;
}

static md_status read_regressor(reader *r, md_error *err)
{
    static const char *const names[] = { "AVERAGE", "SUM", "MIN", "MAX" };
    const char *name = md_node_attr_s(r->n, "aggregate_function", "SUM");
    size_t i = 0;

    while (i < MD_COUNT(names) && strcmp(name, names[i]) != 0)
        i++;
    if (i == MD_COUNT(names))
        return md_fail(err, MD_INVALID,
                       "aggregate_function is '%s', AVERAGE, SUM, MIN or MAX "
                       "expected",
                       name);
    r->f->aggregate = (md_aggregate)i;
    MD_TRY(count_targets(r, err));
    MD_TRY(md_post__of(&r->f->post, r->n, err));
    MD_TRY(read_by_ids(r, &target_names, err));
    return read_base(r, err);
}

/* --- TreeEnsemble ------------------------------------------------------ */

static md_status read_number(int64_t *out, const md_node *n, const char *name,
                             int64_t otherwise, int64_t last, md_error *err)
{
    *out = md_node_attr_i(n, name, otherwise);
    if (*out < 0 || *out > last)
        return md_fail(err, MD_INVALID, "%s is %lld, 0 to %lld expected", name,
                       (long long)*out, (long long)last);
    return MD_OK;
}

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

/* Sets of members, each ended by NaN: sorted, each value once. */
static md_status read_members(reader *r, md_error *err)
{
    md_forest_source *s = &r->s;
    md_tensor list;
    uint32_t n_sets = 0, k = 0, n = 0;

    MD_TRY(take_list(r, &list, "membership_values", -1, true, err));
    MD_TRY(md_exec__scratch(&s->member_of, &r->temp, s->n,
                            sizeof(*s->member_of), err));
    for (uint32_t i = 0; i < s->n; i++) {
        s->member_of[i] = n_sets;
        n_sets += s->mode[i] == MD_BRANCH_MEMBER;
    }
    MD_TRY(md_exec__scratch(&s->member, &r->temp, md_tensor_n(&list),
                            sizeof(*s->member), err));
    MD_TRY(md_exec__scratch(&s->member_from, &r->temp, (int64_t)n_sets + 1,
                            sizeof(*s->member_from), err));
    for (int64_t i = 0; i < md_tensor_n(&list); i++) {
        double v = md_tensor_get_f64(&list, i);
        uint32_t from = s->member_from[k < n_sets ? k : n_sets], to = from;

        if (!isnan(v)) {
            s->member[n++] = v;
            continue;
        }
        if (k < n_sets) {
            qsort(s->member + from, n - from, sizeof(*s->member), compare);
            for (uint32_t m = from; m < n; m++) {
                if (to == from || s->member[to - 1] != s->member[m])
                    s->member[to++] = s->member[m];
            }
            n = s->member_from[k + 1] = to;
        }
        k++;
    }
    if (k != n_sets || n != s->member_from[n_sets])
        return md_fail(err, MD_INVALID,
                       "membership_values has %u sets ended by NaN, %u nodes "
                       "of mode BRANCH_MEMBER",
                       (unsigned)k, (unsigned)n_sets);
    return MD_OK;
}

typedef struct by_place {
    int64_t n_nodes, n_leaves;
    md_tensor feature, mode, split, missing;
    md_tensor yes, yes_leaf, no, no_leaf;
    md_tensor target, weight, root;
} by_place;

static md_status take_nodes_by_place(const reader *r, by_place *p,
                                     md_error *err)
{
    int64_t n;

    MD_TRY(take_list(r, &p->feature, "nodes_featureids", -1, false, err));
    n = p->n_nodes = md_tensor_n(&p->feature);
    MD_TRY(take_list(r, &p->mode, "nodes_modes", n, false, err));
    MD_TRY(take_list(r, &p->split, "nodes_splits", n, false, err));
    MD_TRY(take_list(r, &p->yes, "nodes_truenodeids", n, false, err));
    MD_TRY(take_list(r, &p->no, "nodes_falsenodeids", n, false, err));
    MD_TRY(take_list(r, &p->yes_leaf, "nodes_trueleafs", n, false, err));
    MD_TRY(take_list(r, &p->no_leaf, "nodes_falseleafs", n, false, err));
    if (p->mode.dtype != MD_DTYPE_U8 && n)
        return md_fail(err, MD_INVALID,
                       "nodes_modes has element type %s, uint8 expected",
                       md_dtype_name(p->mode.dtype));
    MD_TRY(check_ids(&p->feature, "nodes_featureids", INT32_MAX, err));
    return take_list(r, &p->missing, "nodes_missing_value_tracks_true", n, true,
                     err);
}

static md_status take_by_place(const reader *r, by_place *p, md_error *err)
{
    MD_TRY(take_nodes_by_place(r, p, err));
    MD_TRY(take_list(r, &p->target, "leaf_targetids", -1, false, err));
    p->n_leaves = md_tensor_n(&p->target);
    MD_TRY(take_list(r, &p->weight, "leaf_weights", p->n_leaves, false, err));
    MD_TRY(take_list(r, &p->root, "tree_roots", -1, false, err));
    MD_TRY(check_ids(&p->root, "tree_roots", p->n_nodes, err));
    return check_ids(&p->target, "leaf_targetids", r->f->n_targets, err);
}

/* A branch: the place of a node, or behind all nodes that of a leaf. */
static md_status place_of(const by_place *p, const char *name,
                          const md_tensor *ids, const md_tensor *leafs,
                          int64_t i, uint32_t *out, md_error *err)
{
    int64_t id = ((const int64_t *)ids->data)[i];
    bool leaf = ((const int64_t *)leafs->data)[i] != 0;
    int64_t end = leaf ? p->n_leaves : p->n_nodes;

    if (id < 0 || id >= end)
        return md_fail(err, MD_INVALID,
                       "%s has %lld at %lld, 0 to %lld expected", name,
                       (long long)id, (long long)i, (long long)end - 1);
    *out = (uint32_t)(leaf ? p->n_nodes + id : id);
    return MD_OK;
}

static md_status link_by_place(reader *r, const by_place *p, md_error *err)
{
    md_forest_source *s = &r->s;

    for (int64_t i = 0; i < p->n_nodes; i++) {
        s->mode[i] = ((const uint8_t *)p->mode.data)[i];
        if (s->mode[i] > MD_BRANCH_MEMBER)
            return md_fail(err, MD_INVALID,
                           "nodes_modes has %d, 0 to %d expected", s->mode[i],
                           MD_BRANCH_MEMBER);
        s->feature[i] = (uint32_t)((const int64_t *)p->feature.data)[i];
        s->split[i] = md_tensor_get_f64(&p->split, i);
        s->missing[i] = md_tensor_n(&p->missing) &&
                        ((const int64_t *)p->missing.data)[i] != 0;
        MD_TRY(place_of(p, "nodes_truenodeids", &p->yes, &p->yes_leaf, i,
                        &s->yes[i], err));
        MD_TRY(place_of(p, "nodes_falsenodeids", &p->no, &p->no_leaf, i,
                        &s->no[i], err));
    }
    for (int64_t i = 0; i < p->n_leaves; i++)
        s->mode[p->n_nodes + i] = MD_BRANCH_LEAF;
    for (uint32_t i = 0; i < s->n_trees; i++)
        s->root[i] = (uint32_t)((const int64_t *)p->root.data)[i];
    return MD_OK;
}

static md_status read_by_place(reader *r, md_error *err)
{
    int64_t aggregate, post;
    uint32_t *leaf_of;
    by_place p;

    MD_TRY(read_number(&aggregate, r->n, "aggregate_function", MD_AGGREGATE_SUM,
                       MD_AGGREGATE_MAX, err));
    MD_TRY(read_number(&post, r->n, "post_transform", MD_POST_NONE,
                       MD_POST_PROBIT, err));
    r->f->aggregate = (md_aggregate)aggregate;
    r->f->post = (md_post)post;
    MD_TRY(count_targets(r, err));
    MD_TRY(take_by_place(r, &p, err));
    MD_TRY(make_source(r, p.n_nodes + p.n_leaves, md_tensor_n(&p.root), err));
    MD_TRY(link_by_place(r, &p, err));
    MD_TRY(read_members(r, err));
    MD_TRY(md_exec__scratch(&leaf_of, &r->temp, p.n_leaves, sizeof(*leaf_of),
                            err));
    for (int64_t i = 0; i < p.n_leaves; i++)
        leaf_of[i] = (uint32_t)(p.n_nodes + i);
    MD_TRY(sort_votes(r, leaf_of, &p.target, &p.weight, err));
    return md_forest__build(r->f, &r->s, r->alloc, r->ar, err);
}

md_status md_forest__make(md_forest *out, const md_node *n,
                          const md_alloc *alloc, md_arena *ar, md_error *err)
{
    reader r = { .f = out, .n = n, .alloc = alloc, .ar = ar };
    md_status s;

    *out = (md_forest){ .n_trees = 0 };
    md_arena_init(&r.temp, alloc, 0);
    if (strcmp(n->op, "TreeEnsembleClassifier") == 0)
        s = read_classifier(&r, err);
    else if (strcmp(n->op, "TreeEnsembleRegressor") == 0)
        s = read_regressor(&r, err);
    else
        s = read_by_place(&r, err);
    md_arena_release(&r.temp);
    return s;
}
