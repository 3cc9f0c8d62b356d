/*
 * Quantizing a tensor by its own range (DynamicQuantizeLinear and products
 * that contain it): parts of it are searched apart, then quantized by the
 * range of all.
 */
#ifndef MD_OPS_LOWER_RANGE_H
#define MD_OPS_LOWER_RANGE_H

#include "kernels/quantize.h"

typedef struct md_range {
    float lo, hi; /* 0 is always between them; NaN takes no part */
} md_range;

/* Parts into which n elements are cut for `width` threads; at least 1. */
int64_t md_range__n_parts(int64_t n, int width);

/* Set ranges[part] for that part of x. */
void md_range__find(const md_quantize_kernel *kernel, md_range *ranges,
                    const float *x, int64_t n, int64_t n_parts, int64_t part);

/* Scale and zero point for uint8 that span all parts. */
void md_range__params(float *scale, uint8_t *zero, const md_range *ranges,
                      int64_t n_parts);

/* Quantize a part of x by them. */
void md_range__quantize(const md_quantize_kernel *kernel, uint8_t *q,
                        const float *x, int64_t n, const md_range *ranges,
                        int64_t n_parts, int64_t part);

#endif
