/* Normalisation of rows: LayerNormalization and its kin. */
#ifndef MD_OPS_COMMON_NORMALIZE_H
#define MD_OPS_COMMON_NORMALIZE_H

#include "ops/common/util.h"
#include "ops/grad.h"

/* Mean and 1 / sqrt(variance + epsilon) of n elements of t from `from` on;
 * with root_mean_square the mean is 0. */
typedef struct md_moments {
    double mean, inv;
} md_moments;
md_moments md_normalize__moments(const md_tensor *t, int64_t from, int64_t n,
                                 double epsilon, bool root_mean_square);

/* (x - mean) * inv over the axes from `axis` on, * scale (input 1), + bias
 * (input 2, may be absent).  out: the result, means, inverse deviations, each
 * NULL where not wanted. */
void md_normalize__rows(md_exec *x, md_tensor **out, int axis,
                        bool root_mean_square);

/* The same over groups of the channels, axis 1, each with all of its planes;
 * scale and bias have an element for each channel, or for each group. */
void md_normalize__groups(md_exec *x, md_tensor *out, int64_t groups,
                          bool by_channel);

/* The type checks that LayerNormalization and RMSNormalization share. */
md_status md_normalize__infer_rows(const md_infer *c, int *axis, md_error *err);

/* Their adjoint; `centered`: LayerNormalization. */
void md_normalize__grad(md_grad *g, bool centered);

#endif
