/*
 * What ai.onnx.ml does to scores before they are given: post_transform.
 *
 * The standard names the transforms only; their formulas are those of its
 * reference evaluator.
 */
#ifndef MD_OPS_COMMON_SCORES_H
#define MD_OPS_COMMON_SCORES_H

#include "graph/graph.h"

/* With the numbers that TreeEnsemble-5 gives them. */
typedef enum md_post {
    MD_POST_NONE = 0,
    MD_POST_SOFTMAX,
    MD_POST_LOGISTIC,
    MD_POST_SOFTMAX_ZERO, /* scores of 0 stay 0 */
    MD_POST_PROBIT,
} md_post;

/* The string attribute post_transform. */
md_status md_post__of(md_post *out, const md_node *n, md_error *err);

/* n scores of one row, in place. */
void md_post__apply(md_post post, double *v, int64_t n);

/* Two scores from the one of the second class: of a probability (`share`) p
 * they are 1 - p and p, else -s and s, transformed. */
void md_post__pair(md_post post, bool share, double s, double out[2]);

#endif
