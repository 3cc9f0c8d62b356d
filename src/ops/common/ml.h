/*
 * What the operators of ai.onnx.ml share: lists of attributes as tensors,
 * search in them, class labels, tables of features.
 */
#ifndef MD_OPS_COMMON_ML_H
#define MD_OPS_COMMON_ML_H

#include "ops/common/util.h"

/* Element types of a table of features. */
#define MD_TYPES_FEATURE (MD_T(F32) | MD_T(F64) | MD_T(I32) | MD_T(I64))

/* A list attribute (INTS, FLOATS, STRINGS) as a tensor of rank 1 over its
 * elements, or a TENSOR attribute; a tensor of 0 elements when absent.
 * Borrowed from the model. */
md_tensor md_ml__list(const md_node *n, const char *name);

/* The attribute has `expected` elements, or MD_INVALID tells how many. */
md_status md_ml__length(const md_node *n, const char *name, int64_t expected,
                        md_error *err);

/* Input i is a table: [N,F], or one row [F]; its rows and columns. */
md_status md_ml__table(const md_infer *c, uint32_t i, md_dim *rows,
                       md_dim *cols, md_error *err);

/* The columns of input 0, when known, are `expected`. */
md_status md_ml__features(md_dim cols, int64_t expected, md_error *err);

/* Input 0 is a map of one of these key types (a set) and one of these value
 * types, where they are known. */
md_status md_ml__map(const md_infer *c, uint32_t keys, uint32_t values,
                     md_error *err);

/* Sum of the products of two lists of n numbers. */
double md_ml__dot(const float *a, const float *b, int64_t n);

/* --- search ------------------------------------------------------------ */

/* Which of many keys a value is.  The keys are a tensor of rank 1; values
 * have its type.  NaN is one value, as are 0 and -0. */
typedef struct md_lookup {
    const md_tensor *keys;
    uint32_t *slot; /* 1 + position in keys, 0: empty; NULL: few enough to
                     * be looked at one by one */
    uint64_t mask;
} md_lookup;

/* For about n_values searches.  Of equal keys the last counts. */
md_status md_lookup__make(md_lookup *out, const md_tensor *keys,
                          int64_t n_values, md_arena *ar, md_error *err);

/* Position of element i of t, or -1. */
int64_t md_lookup__find(const md_lookup *l, const md_tensor *t, int64_t i);

/* --- class labels ------------------------------------------------------ */

/* One and only one of two attributes, `ints` and `strings`, lists them. */
typedef struct md_labels {
    md_tensor list; /* int64 or string */
    int64_t n;
} md_labels;

md_status md_labels__of(md_labels *out, const md_node *n, const char *ints,
                        const char *strings, md_error *err);

/* Element `at` of out becomes label i.  A single label is that of i = 1: what
 * is not of its class is 0. */
void md_labels__store(const md_labels *l, void *out, int64_t at, int64_t i);

/* --- classifiers: labels [N], scores [N, n_scores] --------------------- */

/* What inference of one has to say. */
md_status md_ml__infer_classes(const md_infer *c, const md_labels *l,
                               int64_t n_features, int64_t n_scores,
                               md_error *err);

/* Computes all rows; of out[2], labels and scores, at least one is there. */
typedef md_status md_ml_classify_fn(md_exec *x, md_tensor **out, md_arena *ar,
                                    md_error *err);

/* The run of one. */
md_status md_ml__run_classes(md_exec *x, md_infer_fn *infer,
                             md_ml_classify_fn *classify, md_error *err);

/* Rows of these outputs. */
int64_t md_ml__n_rows(md_tensor *const *out);

/* Row r of them: class `best`, and its scores. */
void md_ml__put_class(md_tensor *const *out, const md_labels *l, int64_t r,
                      int64_t best, const double *scores, int64_t n_scores);

#endif
