/*
 * One step of an optimizer: Adagrad, Adam, Momentum.
 *
 * Inputs: the rate R, the number of the step T, then the tensors X, their
 * gradients, and what the optimizer keeps of them, each list of the same
 * length.  Outputs: the new X, and what is kept.
 */
#ifndef MD_OPS_COMMON_TRAINING_H
#define MD_OPS_COMMON_TRAINING_H

#include "ops/common/util.h"

enum {
    MD_TRAINING_KEPT = 2 /* lists that an optimizer keeps, at most */
};

/* Elements of one tensor; x and kept change. */
typedef struct md_training_rows {
    double *x, *g, *kept[MD_TRAINING_KEPT];
    int64_t n;
} md_training_rows;

typedef struct md_training {
    const md_node *node;
    double rate; /* R */
    double t;    /* T */
} md_training;

typedef void md_training_fn(const md_training *o, md_training_rows *r);

md_status md_training__infer(const md_infer *c, uint32_t n_kept, md_error *err);
md_status md_training__run(md_exec *x, uint32_t n_kept, md_infer_fn *infer,
                           md_training_fn *step, md_error *err);

#endif
