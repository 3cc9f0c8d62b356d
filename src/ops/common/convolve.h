/*
 * Convolution by definition: the shape rules that Conv, ConvInteger and
 * QLinearConv share, and the sums in float and in int32.
 */
#ifndef MD_OPS_COMMON_CONVOLVE_H
#define MD_OPS_COMMON_CONVOLVE_H

#include "ops/common/window.h"
#include "ops/grad.h"

/* Sizes of one convolution; spatial axes widened to three. */
typedef struct md_convolve {
    int64_t n, c, oc, group;
    int64_t in[MD_SPATIAL_MAX];
    int64_t out[MD_SPATIAL_MAX];
    md_window w;
} md_convolve;

/* Output type for data input x and weight input w; checks ranks, channels,
 * group and attributes. */
md_status md_convolve__infer(const md_infer *c, uint32_t x, uint32_t w,
                             md_dtype dtype, md_error *err);

/* The same sizes as numbers, after inference has accepted them. */
md_status md_convolve__sizes(md_convolve *out, const md_node *node,
                             const md_shape *x, const md_shape *w,
                             md_error *err);

/* Has y the shape of the output? */
bool md_convolve__gives(const md_convolve *v, const md_shape *y);

/* y[n][oc][...] += w * x; y is preset (bias or zero). */
void md_convolve__f32(const md_convolve *v, float *y, const float *x,
                      const float *w);
void md_convolve__f64(const md_convolve *v, double *y, const double *x,
                      const double *w);
void md_convolve__i32(const md_convolve *v, int32_t *y, const int32_t *x,
                      const int32_t *w);

/* y = w * x of the node's inputs 0 and 1, as products of matrices
 * (convolve_f64.c). */
md_status md_convolve__product_f64(const md_exec *x, const md_convolve *v,
                                   double *y, md_arena *ar, md_error *err);

/* Multiply-accumulates. */
int64_t md_convolve__macs(const md_shape *w, const md_shape *out);

/* The adjoints of Conv and ConvTranspose, as the other one and ConvWeights, and
 * of the latter (convolve_grad.c). */
void md_convolve__grad(md_grad *g);
void md_deconvolve__grad(md_grad *g);
void md_convolve__weights_grad(md_grad *g);

#endif
