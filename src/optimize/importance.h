/* How much each unit counts, by itself: the lowest scores are cut. */
#ifndef MD_OPTIMIZE_IMPORTANCE_H
#define MD_OPTIMIZE_IMPORTANCE_H

#include "data/subset.h"
#include "optimize/cut.h"

/*
 * Scores from the weights that make a unit: the norm of its slice, times
 * |gamma| / sigma of a BatchNormalization behind it, in shares of the mean over
 * its layer; the mean of all layers that make it.
 */
md_status md_importance_weights(md_cut *c, md_error *err);

/*
 * Scores from gradients: the mean over batches of the square of what the loss
 * would change, to first order, without the slices that make the unit.
 * MD_INVALID and MD_UNSUPPORTED as md_step_model_make and for labels that are
 * no classes.
 */
md_status md_importance_taylor(md_cut *c, const md_dataset *data,
                               const md_subset *which, md_pool *pool,
                               md_error *err);

#endif
