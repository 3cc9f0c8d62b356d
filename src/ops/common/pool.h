/* Pooling: shapes, and walking the windows. */
#ifndef MD_OPS_COMMON_POOL_H
#define MD_OPS_COMMON_POOL_H

#include "ops/common/window.h"
#include "ops/grad.h"

/* Output 0 (and 1, of type `second`, if there is one) for windows over input
 * 0. */
md_status md_pool__infer(const md_infer *c, md_dtype dtype, md_dtype second,
                         md_error *err);

/* Outputs [n][c][1]... for pooling over whole planes. */
md_status md_pool__infer_global(const md_infer *c, md_error *err);

/* The p of a p-norm, which is no integer in opset 1. */
double md_pool__p(const md_node *n, int64_t opset);

/* One plane's sizes; spatial axes widened to three. */
typedef struct md_pool_plan {
    int64_t n_planes;
    int64_t in[MD_SPATIAL_MAX], out[MD_SPATIAL_MAX];
    int64_t in_size, out_size; /* elements of a plane */
    md_window w;
} md_pool_plan;

md_status md_pool__plan(md_pool_plan *p, const md_node *node,
                        const md_shape *in, const md_shape *out, md_error *err);

/* The window of output position o (in a plane) along axis i: input positions
 * first + k * dilation for k in [lo, hi) lie inside the input. */
typedef struct md_span {
    int64_t first, lo, hi;
    int64_t padded; /* positions that are inside the padded input */
} md_span;

void md_pool__spans(md_span out[MD_SPATIAL_MAX], const md_pool_plan *p,
                    int64_t o);

/* Input offset (in the plane) of the window's next tap; *started is false
 * before the first; returns false after the last.  Taps outside the input are skipped. */
bool md_pool__next(const md_pool_plan *p, const md_span *s,
                   int64_t k[MD_SPATIAL_MAX], int64_t *offset, bool *started);

/* Means over windows, in double: AveragePool and its quantized form.  Reads
 * input as double; `emit` stores output i. */
typedef void md_pool_emit(void *ctx, int64_t i, double mean);
void md_pool__average(const md_pool_plan *p, const md_tensor *in,
                      bool count_pad, md_pool_emit *emit, void *ctx);

/* MaxPool or, with the number of places that count in the window of each place
 * of the last axis, AveragePool of input 0, of float64, for plans that have
 * rows: whose windows are not too wide.  There is an output. */
bool md_pool__has_rows_f64(const md_pool_plan *p);
void md_pool__rows_f64(const md_exec *x, const md_pool_plan *p, double *out,
                       const double *counts, bool count_pad);

/* The largest of each plane of input 0, of float64, or their mean; of planes
 * without elements -Inf and 0. */
void md_pool__planes_f64(const md_exec *x, md_tensor *out, bool average);

/* The adjoint of AveragePool with the node's windows over x; of their sums
 * instead where `sum`. */
md_part md_pool__spread(md_grad *g, md_part dy, md_part x, bool sum);

#endif
