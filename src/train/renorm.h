/*
 * Running statistics of BatchNormalization anew, without gradients: after
 * weights were changed, a few batches forward repair most of what that did.
 */
#ifndef MD_TRAIN_RENORM_H
#define MD_TRAIN_RENORM_H

#include "train/runner.h"

/*
 * Set mean and variance of each BatchNormalization of `model`, where they are
 * constants, to those over the samples of the sweep, batch by batch, each
 * normalized by its own statistics; *n becomes how many there are.  Without any
 * nothing is run.  MD_INVALID when they become not finite.
 */
md_status md_renorm(md_model *model, const md_sweep *sweep, uint32_t *n,
                    md_error *err);

#endif
