/*
 * Which units to cut so that the products behind them lose least, and the
 * weights that make up for what is cut.
 *
 * A product sums over its inputs x, y = W x.  With H = E[x x'] over data, the
 * least squared error of y without input q, all other weights being free, is
 * |W_q|^2 / [H^-1]_qq, and the weights are then
 *   W - W_q [H^-1]_q / [H^-1]_qq
 * (B. Hassibi, D. Stork, "Second order derivatives for network pruning: Optimal
 * Brain Surgeon", 1992; for channels: E. Kurtic et al., "ZipLM", 2023).  For
 * convolutions W has a row for each output and place of the kernel, H is that of
 * the channels.  Where a bias or a BatchNormalization follows, x has a constant
 * 1 beside it that is never cut.
 *
 * Units are taken one by one, the least first, each cost in shares of the
 * product's own energy, summed over the products that read it.
 */
#ifndef MD_OPTIMIZE_RECONSTRUCT_H
#define MD_OPTIMIZE_RECONSTRUCT_H

#include "optimize/cut.h"
#include "train/runner.h"

typedef struct md_reconstruct md_reconstruct;

/* Gather H over the samples of the sweep. */
md_status md_reconstruct_open(md_reconstruct **out, md_cut *c,
                              const md_sweep *sweep, md_error *err);

/* Mark `n` more units of the group, which has more than that, as out. */
void md_reconstruct_choose(md_reconstruct *r, uint32_t group, uint32_t n);

/* Mark this unit as out. */
void md_reconstruct_take(md_reconstruct *r, uint32_t unit);

/* Put the new weights and biases into c->model. */
md_status md_reconstruct_finish(md_reconstruct *r, md_error *err);

void md_reconstruct_free(md_reconstruct *r);

#endif
