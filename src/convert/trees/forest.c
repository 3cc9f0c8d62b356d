#include "convert/trees/forest.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "convert/trees/parts.h"

enum {
    OPSET = 21,
    IR_VERSION = 10,
    TRIAL_BATCH = 40
};

md_forest *md_forest_new(md_arena *arena, const char *compare)
{
    md_forest *f = md_arena_calloc(arena, 1, sizeof(*f));

    if (f)
        *f = (md_forest){ .arena = arena, .compare = compare };
    return f;
}

static md_status fail_node(const md_forest *f, uint32_t i, const char *why,
                           md_error *err)
{
    return md_fail(err, MD_CORRUPT, "tree %u: node %u %s", f->n_trees, i, why);
}

static md_status add_part(md_forest *f, const md_forest_node *nodes, uint32_t i,
                          uint32_t target, double scale, md_error *err)
{
    md_forest_part p = { nodes[i], f->n_trees, i, target };

    if (p.node.yes < 0) {
        p.node.value *= scale;
        f->n_leaves++;
    }
    MD_TRY(md_arena_grow(f->arena, &f->parts, &f->cap, f->n, sizeof(*f->parts),
                         err));
    f->parts[f->n++] = p;
    return MD_OK;
}

md_status md_forest_add(md_forest *f, const md_forest_node *nodes, uint32_t n,
                        uint32_t target, double scale, uint32_t n_features,
                        md_error *err)
{
    uint32_t *left = md_arena_calloc(f->arena, (size_t)n + 1, sizeof(*left));
    bool *seen = md_arena_calloc(f->arena, (size_t)n + 1, sizeof(*seen));
    uint32_t n_left = 1;

    if (!left || !seen)
        return md_fail_nomem(err, n);
    if (n == 0)
        return md_fail(err, MD_CORRUPT, "tree %u has no nodes", f->n_trees);
    seen[0] = true;
    while (n_left > 0) {
        uint32_t i = left[--n_left];
        const int64_t to[] = { nodes[i].no, nodes[i].yes };

        MD_TRY(add_part(f, nodes, i, target, scale, err));
        if (nodes[i].yes < 0)
            continue;
        if (nodes[i].feature < 0 || nodes[i].feature >= n_features)
            return fail_node(f, i, "looks at a feature that there is not", err);
        for (int k = 0; k < 2; k++) {
            if (to[k] < 0 || to[k] >= n || seen[to[k]])
                return fail_node(f, i, "has a child that is none", err);
            seen[to[k]] = true;
            left[n_left++] = (uint32_t)to[k];
        }
    }
    f->n_trees++;
    return MD_OK;
}

/* --- the ensemble --- */

/* Attributes, in the model's arena. */
typedef struct lists {
    int64_t *tree, *id, *feature, *yes, *no, *nan;
    float *value, *weight, *base;
    md_str *mode;
    int64_t *leaf_tree, *leaf_id, *target;
} lists;

static bool make_lists(lists *l, const md_forest *f, md_arena *ar, uint32_t n)
{
    const size_t nodes = (size_t)f->n + 1, leaves = (size_t)f->n_leaves + 1;
    int64_t **const of_nodes[] = { &l->tree, &l->id, &l->feature,
                                   &l->yes,  &l->no, &l->nan };
    int64_t **const of_leaves[] = { &l->leaf_tree, &l->leaf_id, &l->target };
    bool ok = true;

    for (size_t i = 0; i < MD_COUNT(of_nodes); i++) {
        *of_nodes[i] = md_arena_calloc(ar, nodes, sizeof(int64_t));
        ok = ok && *of_nodes[i];
    }
    for (size_t i = 0; i < MD_COUNT(of_leaves); i++) {
        *of_leaves[i] = md_arena_calloc(ar, leaves, sizeof(int64_t));
        ok = ok && *of_leaves[i];
    }
    l->value = md_arena_calloc(ar, nodes, sizeof(*l->value));
    l->mode = md_arena_calloc(ar, nodes, sizeof(*l->mode));
    l->weight = md_arena_calloc(ar, leaves, sizeof(*l->weight));
    l->base = md_arena_calloc(ar, (size_t)n + 1, sizeof(*l->base));
    return ok && l->value && l->mode && l->weight && l->base;
}

static void fill_lists(const lists *l, const md_forest *f, double share)
{
    const md_str leaf = { "LEAF", 4 };
    const md_str branch = { f->compare, strlen(f->compare) };
    uint32_t k = 0;

    for (uint32_t i = 0; i < f->n; i++) {
        const md_forest_part *p = &f->parts[i];
        bool inner = p->node.yes >= 0;

        l->tree[i] = p->tree;
        l->id[i] = p->id;
        l->mode[i] = inner ? branch : leaf;
        if (inner) {
            l->feature[i] = p->node.feature;
            l->value[i] = (float)p->node.value;
            l->yes[i] = p->node.yes;
            l->no[i] = p->node.no;
            l->nan[i] = p->node.nan_yes;
            continue;
        }
        l->leaf_tree[k] = p->tree;
        l->leaf_id[k] = p->id;
        l->target[k] = p->target;
        l->weight[k++] = (float)(p->node.value * share);
    }
}

static md_value_id ensemble(md_emit *e, const md_forest *f,
                            const md_forest_about *about, md_value_id x)
{
    lists l;

    if (!make_lists(&l, f, &e->model->arena, about->n_targets)) {
        md_emit_ok(e, md_fail_nomem(e->err, f->n));
        return MD_VALUE_NONE;
    }
    fill_lists(&l, f, about->share);
    for (uint32_t i = 0; i < about->n_targets; i++)
        l.base[i] = (float)about->base[i];
    return md_emit_op_ml(
        e, "TreeEnsembleRegressor", &x, 1,
        EMIT_ATTRS(EMIT_I("n_targets", about->n_targets),
                   EMIT_FS("base_values", l.base, about->n_targets),
                   EMIT_IS("nodes_treeids", l.tree, f->n),
                   EMIT_IS("nodes_nodeids", l.id, f->n),
                   EMIT_IS("nodes_featureids", l.feature, f->n),
                   EMIT_SS("nodes_modes", l.mode, f->n),
                   EMIT_FS("nodes_values", l.value, f->n),
                   EMIT_IS("nodes_truenodeids", l.yes, f->n),
                   EMIT_IS("nodes_falsenodeids", l.no, f->n),
                   EMIT_IS("nodes_missing_value_tracks_true", l.nan, f->n),
                   EMIT_IS("target_treeids", l.leaf_tree, f->n_leaves),
                   EMIT_IS("target_nodeids", l.leaf_id, f->n_leaves),
                   EMIT_IS("target_ids", l.target, f->n_leaves),
                   EMIT_FS("target_weights", l.weight, f->n_leaves)));
}

/* --- what becomes of the sums --- */

static md_value_id sigmoid(md_emit *e, md_value_id x, double slope)
{
    if (slope != 1)
        x = md_emit_op2(e, "Mul", x, md_emit_float(e, slope));
    return md_emit_op1(e, "Sigmoid", x);
}

/* The class of a condition [batch, 1]. */
static void label_of(md_emit *e, md_value_id x)
{
    x = md_emit_cast(e, md_emit_squeeze(e, x, 1), MD_DTYPE_I64);
    md_emit_add_output(e, x, "label");
}

static void binary(md_emit *e, md_value_id p)
{
    md_value_id other = md_emit_op2(e, "Sub", md_emit_float(e, 1), p);

    label_of(e, md_emit_op2(e, "Greater", p, md_emit_float(e, 0.5)));
    md_emit_add_output(e,
                       md_emit_op(e, "Concat", (md_value_id[]){ other, p }, 2,
                                  EMIT_ATTRS(EMIT_I("axis", 1))),
                       "probabilities");
}

static void classes(md_emit *e, md_value_id x, md_value_id p)
{
    md_emit_add_output(
        e,
        md_emit_op(e, "ArgMax", &x, 1,
                   EMIT_ATTRS(EMIT_I("axis", 1), EMIT_I("keepdims", 0))),
        "label");
    md_emit_add_output(e, p, "probabilities");
}

static void finish_sums(md_emit *e, md_value_id x, const md_forest_about *about)
{
    switch (about->link) {
    case MD_FOREST_BINARY:
        binary(e, sigmoid(e, x, about->slope));
        return;
    case MD_FOREST_SOFTMAX:
        classes(e, x,
                md_emit_op(e, "Softmax", &x, 1, EMIT_ATTRS(EMIT_I("axis", 1))));
        return;
    case MD_FOREST_SIGMOIDS:
        classes(e, x, sigmoid(e, x, about->slope));
        return;
    case MD_FOREST_SIGN:
        label_of(e, md_emit_op2(e, "Greater", x, md_emit_float(e, 0)));
        return;
    case MD_FOREST_EXP:
        x = md_emit_op1(e, "Exp", x);
        break;
    case MD_FOREST_SQUARE:
        x = md_emit_op2(e, "Mul", x, md_emit_op1(e, "Abs", x));
        break;
    case MD_FOREST_SIGMOID:
        x = sigmoid(e, x, about->slope);
        break;
    case MD_FOREST_SUM:
        break;
    }
    md_emit_add_output(e, x, "variable");
}

static void set_meta(md_emit *e, const char *key, const char *value)
{
    if (value && value[0] && e->status == MD_OK)
        md_emit_ok(e, md_model_set_meta(e->model, key, value, e->err));
}

/* Numbers on both sides of all that is compared with, some missing. */
static void set_trial(md_convert_trial *t, const md_forest *f)
{
    double lo = HUGE_VAL, hi = -HUGE_VAL;

    for (uint32_t i = 0; i < f->n; i++) {
        const md_forest_node *n = &f->parts[i].node;

        if (n->yes < 0 || !isfinite(n->value))
            continue;
        lo = fmin(lo, n->value);
        hi = fmax(hi, n->value);
    }
    if (lo > hi)
        lo = hi = 0;
    *t = (md_convert_trial){ .from = lo - 0.2 * (hi - lo) - 0.5,
                             .to = hi + 0.2 * (hi - lo) + 0.5,
                             .batch = TRIAL_BATCH,
                             .missing = true };
}

md_status md_forest_emit(md_model *model, md_convert_report *report,
                         md_forest *f, const md_forest_about *about,
                         md_error *err)
{
    md_emit e = {
        .model = model, .arena = f->arena, .source = about->source, .err = err
    };
    md_type t = { .dtype = MD_DTYPE_F32, .has_rank = true, .rank = 2 };
    md_value_id x, sums;

    MD_TRY(md_model_set_opset(model, "", OPSET, err));
    e.s = md_emit_scope_new(&e, model->graph);
    t.dim[0] = (md_dim){ .scale = 1 };
    t.dim[1] = MD_DIM(about->n_features);
    md_emit_ok(&e, md_model_symbol(&t.dim[0].sym, model, "batch", err));
    if (e.status != MD_OK)
        return e.status;
    x = md_emit_input(&e, &t, "input");
    sums = about->plain ? md_forest__walk(&e, f, about, x) : MD_VALUE_NONE;
    if (sums == MD_VALUE_NONE)
        sums = ensemble(&e, f, about, x);
    finish_sums(&e, sums, about);
    if (e.status == MD_OK)
        md_emit_finish(&e);
    model->ir_version = IR_VERSION;
    model->producer_name = "modeld";
    model->producer_version = MODELD_VERSION;
    set_meta(&e, "modeld.source", about->source);
    set_meta(&e, "modeld.source_version", about->version);
    if (e.status == MD_OK)
        md_emit_ok(&e, md_graph_verify(model->graph, err));
    set_trial(&report->trial, f);
    report->n_layers = f->n_trees;
    report->n_parameters = f->n_leaves;
    snprintf(report->version, sizeof(report->version), "%s", about->version);
    return e.status;
}
