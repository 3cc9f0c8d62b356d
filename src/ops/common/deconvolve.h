/* The shape rules of ConvTranspose. */
#ifndef MD_OPS_COMMON_DECONVOLVE_H
#define MD_OPS_COMMON_DECONVOLVE_H

#include "ops/common/convolve.h"

md_status md_deconvolve__infer(const md_infer *c, md_error *err);

/*
 * The sizes as numbers, after inference has accepted them: `in` and `out` are
 * those of the transposed convolution, w.lo how far its full output begins
 * before what is kept.
 */
md_status md_deconvolve__sizes(md_convolve *out, const md_node *node,
                               const md_shape *x, const md_shape *w,
                               md_error *err);

#endif
