/*
 * Sums of decision trees to ONNX: a TreeEnsembleRegressor of ai.onnx.ml, and
 * what becomes of its sums.
 *
 * The model's input is `input` [batch, features], float32, NaN where a feature
 * is missing.  Classes give `label` [batch] and `probabilities`
 * [batch, classes], all else `variable` [batch, targets].
 */
#ifndef MD_CONVERT_TREES_FOREST_H
#define MD_CONVERT_TREES_FOREST_H

#include "convert/convert.h"

/* What becomes of the sums. */
typedef enum md_forest_link {
    MD_FOREST_SUM,      /* nothing */
    MD_FOREST_EXP,      /* e to the sum */
    MD_FOREST_SQUARE,   /* its square, with its sign */
    MD_FOREST_SIGMOID,  /* a number from 0 to 1 */
    MD_FOREST_BINARY,   /* two classes, by the sigmoid */
    MD_FOREST_SOFTMAX,  /* classes */
    MD_FOREST_SIGMOIDS, /* classes, each by itself */
    MD_FOREST_SIGN      /* two classes, by the sum's sign, no probabilities */
} md_forest_link;

/* A node as a file has it; a leaf has no children. */
typedef struct md_forest_node {
    int64_t feature;
    int64_t yes, no; /* of the tree's nodes; -1: a leaf */
    double value;    /* compared with, or a leaf's */
    bool nan_yes;    /* where what is missing goes */
} md_forest_node;

typedef struct md_forest md_forest;

/* An empty forest in the arena, or NULL: `compare` is "BRANCH_LT" or another
 * mode of TreeEnsembleRegressor. */
md_forest *md_forest_new(md_arena *arena, const char *compare);

/* Add a tree to the sum of a target; node 0 is its root.  Nodes that it does
 * not reach are left out.  MD_CORRUPT when they are no tree or look at features
 * beyond n_features. */
md_status md_forest_add(md_forest *f, const md_forest_node *nodes, uint32_t n,
                        uint32_t target, double scale, uint32_t n_features,
                        md_error *err);

/* What a model is made of besides. */
typedef struct md_forest_about {
    const char *source, *version;
    uint32_t n_features, n_targets;
    const double *base; /* [n_targets], added to the sums */
    md_forest_link link;
    double slope; /* the sums are multiplied with it before a sigmoid */
    bool plain;   /* the import form (plain.c) */
    double share; /* of each leaf in the sum: 1, or one of n for a mean */
} md_forest_about;

md_status md_forest_emit(md_model *model, md_convert_report *report,
                         md_forest *f, const md_forest_about *about,
                         md_error *err);

#endif
