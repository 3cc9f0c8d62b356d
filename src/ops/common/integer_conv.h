/*
 * Convolutions of 8-bit codes: ConvInteger, and what scales its sums to
 * floats.  Inputs 0 to 3 are x, w and their zero points: one for x, one for
 * all of w or one for each output channel.
 */
#ifndef MD_OPS_COMMON_INTEGER_CONV_H
#define MD_OPS_COMMON_INTEGER_CONV_H

#include "ops/common/convolve.h"

md_status md_integer_conv__infer(const md_infer *c, md_dtype dtype,
                                 md_error *err);

/* out[n][oc][...], of n elements, = the sums of (x - x_zero) * (w - w_zero). */
md_status md_integer_conv__sums(const md_exec *x, int32_t *out, int64_t n,
                                md_arena *ar, md_error *err);

int64_t md_integer_conv__macs(const md_node *n, const md_shape *const *in,
                              const md_shape *const *out);

#endif
