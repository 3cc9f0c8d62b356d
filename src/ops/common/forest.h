/*
 * Ensembles of trees: TreeEnsemble, TreeEnsembleClassifier and
 * TreeEnsembleRegressor as one form.
 *
 * Whatever a node's mode, here it asks x <= split of one feature.  The other
 * comparisons become that with a neighbouring number or exchanged branches,
 * equality two nodes, membership a search in the sorted members; branches that
 * are met twice are shared.  Both children of a node stand beside each other,
 * behind it; a leaf is its own first child whatever x is, so that a walk may
 * go on in it.
 */
#ifndef MD_OPS_COMMON_FOREST_H
#define MD_OPS_COMMON_FOREST_H

#include "ops/common/ml.h"
#include "ops/common/scores.h"

typedef enum md_aggregate { /* with the numbers of TreeEnsemble-5 */
    MD_AGGREGATE_AVERAGE = 0,
    MD_AGGREGATE_SUM,
    MD_AGGREGATE_MIN,
    MD_AGGREGATE_MAX,
} md_aggregate;

typedef struct md_forest {
    uint32_t n_trees, n_nodes;
    uint32_t *root;  /* [n_trees]; trees follow each other, root first */
    uint32_t *depth; /* [n_trees]: steps from the root to the last leaf */
    /* [n_nodes] */
    double *split;
    uint32_t *feature;
    uint8_t *nan_first; /* NaN goes to the first child */
    uint32_t *child;    /* the first one */
    uint32_t *leaf;     /* of a leaf: which; else 0 */
    /* Leaf l votes vote[l] .. vote[l + 1] - 1. */
    uint32_t *vote;
    uint32_t *target;
    double *weight;
    int64_t n_targets;
    int64_t n_features; /* 1 + the largest that is asked for */
    md_aggregate aggregate;
    md_post post;
    const double *base; /* [n_targets], or NULL */
    /* Of a classifier; else labels.n is 0. */
    md_labels labels;
    bool one_sided;    /* of two classes, all votes are for one: `side` */
    bool all_positive; /* no weight is below 0 */
    uint32_t side;
} md_forest;

/* The node's forest, in the arena; MD_INVALID for attributes that are none:
 * lists of different lengths, ids that do not exist, branches that meet. */
md_status md_forest__make(md_forest *out, const md_node *n,
                          const md_alloc *alloc, md_arena *ar, md_error *err);

/* What inference of all three has to say. */
md_status md_forest__infer(const md_infer *c, md_error *err);

/* Running sums of one row; `has`: a vote was given (of MIN and MAX). */
void md_forest__clear(const md_forest *f, double *sum, uint8_t *has);
void md_forest__vote(const md_forest *f, uint32_t leaf, double *sum,
                     uint8_t *has);

/* The leaf of one tree that row x comes to, by definition. */
uint32_t md_forest__find(const md_forest *f, uint32_t tree, const double *x);

/* The results of row `at` from its sums, which are used up.  y: labels of a
 * classifier, z: scores; both may be NULL. */
void md_forest__finish(const md_forest *f, double *sum, void *y, md_tensor *z,
                       int64_t at);

/* The features that input 0 has suffice; MD_INVALID. */
md_status md_forest__check(const md_forest *f, int64_t n_features,
                           md_error *err);

/* A row of n features as the trees compare them. */
void md_forest__load(double *x, const md_tensor *in, int64_t from, int64_t n);

md_status md_forest__run(md_exec *x, md_error *err);

/* --- building (forest_attrs.c, forest_build.c) ------------------------- */

typedef enum md_branch { /* with the numbers of TreeEnsemble-5 */
    MD_BRANCH_LEQ = 0,
    MD_BRANCH_LT,
    MD_BRANCH_GTE,
    MD_BRANCH_GT,
    MD_BRANCH_EQ,
    MD_BRANCH_NEQ,
    MD_BRANCH_MEMBER,
    MD_BRANCH_LEAF,
} md_branch;

/* A forest as the attributes have it.  Leaves follow the other nodes or
 * stand among them; a leaf's number is its place. */
typedef struct md_forest_source {
    uint32_t n; /* nodes, below 2^30 */
    uint8_t *mode;
    uint8_t *missing; /* NaN goes to the true branch */
    double *split;
    uint32_t *feature;
    uint32_t *yes, *no;
    uint32_t n_trees;
    uint32_t *root;
    /* Of the k-th node of mode MEMBER: member[from[k]] .. */
    double *member;
    uint32_t *member_of;   /* [n]: k */
    uint32_t *member_from; /* [sets + 1] */
} md_forest_source;

/* Nodes, roots and depths of f from s. */
md_status md_forest__build(md_forest *f, const md_forest_source *s,
                           const md_alloc *alloc, md_arena *ar, md_error *err);

#endif
