/*
 * The loss of labels, which NegativeLogLikelihoodLoss and
 * SoftmaxCrossEntropyLoss share: scores [N, C, ...], labels [N, ...], weights
 * [C] (optional), attributes ignore_index and reduction.
 */
#ifndef MD_OPS_COMMON_LOSS_H
#define MD_OPS_COMMON_LOSS_H

#include "ops/common/util.h"
#include "ops/grad.h"

/* Output 0 is the loss, shaped as the labels or reduced to a scalar; output
 * 1, if the node has it, is shaped as the scores. */
md_status md_loss__infer(const md_infer *c, md_error *err);

/* What becomes of the n scores of one place before one of them is taken. */
typedef void md_loss_fn(double *v, int64_t n);

/* Losses -fn(scores)[label] times its weight; `out` as inferred, NULL where
 * absent.  fn may be NULL: scores are taken as they are.  MD_INVALID for a
 * label that is no class and not ignore_index. */
md_status md_loss__run(md_exec *x, md_tensor *const *out, md_loss_fn *fn,
                       md_arena *ar, md_error *err);

/* Output 0 from the scores of which one is taken for each label, in steps. */
md_part md_loss__steps(md_grad *g, md_part scores);

#endif
