/*
 * Moving the scales of channels through a float model that computes the same
 * afterwards, so that one scale for all channels of a tensor loses less.
 *
 *   y = W2 f(W1 x) = (W2 diag(s)) f(diag(1 / s) W1 x)
 *
 * for any s > 0 and f with f(a x) = a f(x), a > 0: Relu, LeakyRelu, maxima and
 * means of windows.  What makes the channels is Conv, Gemm, MatMul, their biases,
 * or the scale of LayerNormalization and RMSNormalization, what reads them Conv
 * (of one group, or depthwise), Gemm and MatMul.
 */
#ifndef MD_OPTIMIZE_EQUALIZE_H
#define MD_OPTIMIZE_EQUALIZE_H

#include "base/pool.h"
#include "data/dataset.h"

/*
 * By weights: s = sqrt(r1 / r2), r the largest magnitudes of the channel in W1
 * and W2, which are equal then; over and over, as a layer's W has two sides
 * (M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias
 * Correction", 2019).  *n becomes the number of places.
 */
md_status md_equalize_weights(md_model *model, uint32_t *n, md_error *err);

/*
 * By what the channels hold over data: s = max |x|^share / max |W2|^(1 - share),
 * which leaves the difficulty of x, outliers in some channels, with the weights,
 * which have a scale for each output (G. Xiao et al., "SmoothQuant", 2023).
 * share is in (0, 1].
 */
md_status md_equalize_smooth(md_model *model, const md_dataset *data,
                             double share, md_pool *pool, uint32_t *n,
                             md_error *err);

#endif
