/*
 * FlexAttention (ai.onnx.preview) and the two halves that it becomes where
 * graphs of the model change what is between them: scores of queries and keys,
 * and the sum of values by probabilities.
 */
#ifndef MD_OPS_COMMON_FLEX_H
#define MD_OPS_COMMON_FLEX_H

#include "ops/common/util.h"

/* What a part of it has; inputs that it has not are NULL.  Scores and
 * probabilities are [batch, q_heads, n_q, n_kv]. */
typedef struct md_flex {
    const md_tensor *q, *k, *v, *probabilities;
    md_tensor *scores, *y; /* one of them */
    double scale;
} md_flex;

/* Inputs i (queries) and j (keys or values) of rank 4, one type, and heads
 * that go together; `last`: their last axes are equal. */
md_status md_flex__check(const md_infer *c, uint32_t i, uint32_t j, bool last,
                         md_error *err);

/* Input v has as many heads and rows as input k, as far as both are known. */
md_status md_flex__check_values(const md_infer *c, uint32_t k, uint32_t v,
                                md_error *err);

/* The type of scores: the attribute softmax_precision. */
md_status md_flex__precision(const md_infer *c, md_dtype *out, md_error *err);

md_status md_flex__run(md_exec *x, md_flex *f, md_error *err);

/* The attribute scale, or 1 / sqrt(size). */
double md_flex__scale(const md_node *n, int64_t size);

#endif
