/*
 * A forest as a walk that all trees take at once: where each tree is, as
 * [batch, trees], and one step down for all, as often as the deepest tree has
 * levels.  Leaves lead to themselves.  It is what the self-check compares the
 * TreeEnsembleRegressor with.
 */
#include <string.h>

#include "convert/trees/parts.h"

enum {
    DEPTH_MAX = 1000 /* levels, each some nodes of a graph */
};

/* Nodes of all trees side by side. */
typedef struct walk {
    int64_t *feature, *yes, *no, *nan, *root;
    float *value, *weight; /* compared with; a leaf's, else 0 */
    float *target;         /* [trees, targets]: 1 where a tree adds to it */
    int64_t n, n_trees, depth;
} walk;

static bool make_walk(walk *w, md_emit *e, const md_forest *f, uint32_t n)
{
    int64_t **const whole[] = { &w->feature, &w->yes, &w->no, &w->nan };

    w->n = f->n;
    w->n_trees = f->n_trees;
    for (size_t i = 0; i < MD_COUNT(whole); i++)
        *whole[i] = md_emit_alloc(e, f->n, sizeof(int64_t));
    w->root = md_emit_alloc(e, f->n_trees, sizeof(*w->root));
    w->value = md_emit_alloc(e, f->n, sizeof(*w->value));
    w->weight = md_emit_alloc(e, f->n, sizeof(*w->weight));
    w->target = md_emit_alloc(e, (size_t)f->n_trees * n, sizeof(*w->target));
    return e->status == MD_OK;
}

/* By its number in its tree, where a node lies; of the tree of part `from`. */
static void fill_places(int64_t *at, const md_forest *f, uint32_t from)
{
    for (uint32_t i = from; i < f->n && f->parts[i].tree == f->parts[from].tree;
         i++)
        at[f->parts[i].id] = i;
}

static int64_t largest_number(const md_forest *f)
{
    int64_t max = 0;

    for (uint32_t i = 0; i < f->n; i++)
        max = f->parts[i].id > max ? f->parts[i].id : max;
    return max;
}

static void fill_walk(walk *w, md_emit *e, const md_forest *f, uint32_t n,
                      double share)
{
    int64_t *level = md_emit_alloc(e, f->n, sizeof(*level));
    int64_t *at = md_emit_alloc(e, (size_t)largest_number(f) + 1, sizeof(*at));

    for (uint32_t i = 0; level && at && i < f->n; i++) {
        const md_forest_part *p = &f->parts[i];
        const bool leaf = p->node.yes < 0;

        if (i == 0 || p->tree != f->parts[i - 1].tree) {
            fill_places(at, f, i);
            w->root[p->tree] = i;
            w->target[p->tree * n + p->target] = 1;
        }
        w->yes[i] = leaf ? i : at[p->node.yes];
        w->no[i] = leaf ? i : at[p->node.no];
        w->feature[i] = leaf ? 0 : p->node.feature;
        w->nan[i] = p->node.nan_yes;
        w->value[i] = leaf ? 0 : (float)p->node.value;
        w->weight[i] = leaf ? (float)(p->node.value * share) : 0;
        level[w->yes[i]] = level[w->no[i]] = level[i] + !leaf;
        if (level[i] > w->depth)
            w->depth = level[i];
    }
}

static md_value_id floats(md_emit *e, const float *v, md_shape shape)
{
    md_tensor t = MD_TENSOR_INIT;

    if (e->status != MD_OK ||
        !md_emit_ok(e, md_tensor_alloc(&t, MD_DTYPE_F32, &shape,
                                       e->model->alloc, e->err)))
        return MD_VALUE_NONE;
    memcpy(t.data, v, md_tensor_size(&t));
    return md_emit_const(e, t);
}

/* The list at the places [batch, trees]. */
static md_value_id look(md_emit *e, md_value_id list, md_value_id at)
{
    return md_emit_op(e, "Gather", (md_value_id[]){ list, at }, 2,
                      EMIT_ATTRS(EMIT_I("axis", 0)));
}

/* Does the node lead to its first child? */
static md_value_id decide(md_emit *e, const char *compare, md_value_id v,
                          md_value_id with, md_value_id nan)
{
    const char *op = strcmp(compare, "BRANCH_LT") == 0 ? "Less" : "LessOrEqual";
    md_value_id in[] = { md_emit_op1(e, "IsNaN", v),
                         md_emit_cast(e, nan, MD_DTYPE_BOOL),
                         md_emit_op2(e, op, v, with) };

    return md_emit_op(e, "Where", in, 3, NULL);
}

md_value_id md_forest__walk(md_emit *e, const md_forest *f,
                            const md_forest_about *about, md_value_id x)
{
    const uint32_t n = about->n_targets;
    walk w = { .n = 0 };
    md_value_id feature, yes, no, nan, value, at;
    float *base = md_emit_alloc(e, n, sizeof(*base));

    if (!base || !make_walk(&w, e, f, n))
        return MD_VALUE_NONE;
    fill_walk(&w, e, f, n, about->share);
    if (w.depth > DEPTH_MAX)
        return MD_VALUE_NONE;
    feature = md_emit_ints(e, w.feature, w.n);
    yes = md_emit_ints(e, w.yes, w.n);
    no = md_emit_ints(e, w.no, w.n);
    nan = md_emit_ints(e, w.nan, w.n);
    value = floats(e, w.value, (md_shape){ 1, { w.n } });
    /* all roots for each sample: roots + 0 * the first feature */
    at = md_emit_op(e, "Slice",
                    (md_value_id[]){ x, md_emit_ints(e, (int64_t[]){ 0 }, 1),
                                     md_emit_ints(e, (int64_t[]){ 1 }, 1),
                                     md_emit_ints(e, (int64_t[]){ 1 }, 1) },
                    4, NULL);
    at = md_emit_cast(e, md_emit_op1(e, "IsInf", at), MD_DTYPE_I64);
    at = md_emit_op2(e, "Mul", at, md_emit_int(e, 0));
    at = md_emit_op2(e, "Add", at, md_emit_ints(e, w.root, w.n_trees));
    for (int64_t i = 0; i < w.depth; i++) {
        md_value_id in[3] = { x, look(e, feature, at) };

        in[0] = md_emit_op(e, "GatherElements", in, 2,
                           EMIT_ATTRS(EMIT_I("axis", 1)));
        in[0] =
            decide(e, f->compare, in[0], look(e, value, at), look(e, nan, at));
        in[1] = look(e, yes, at);
        in[2] = look(e, no, at);
        at = md_emit_op(e, "Where", in, 3, NULL);
    }
    at = look(e, floats(e, w.weight, (md_shape){ 1, { w.n } }), at);
    at = md_emit_op2(e, "MatMul", at,
                     floats(e, w.target, (md_shape){ 2, { w.n_trees, n } }));
    for (uint32_t i = 0; i < n; i++)
        base[i] = (float)about->base[i];
    return md_emit_op2(e, "Add", at, floats(e, base, (md_shape){ 1, { n } }));
}
