/* What the lowerings of ConvInteger and ConvIntegerToFloat share. */
#ifndef MD_OPS_LOWER_CONV_CODES_H
#define MD_OPS_LOWER_CONV_CODES_H

#include "kernels/unary_f32.h"
#include "ops/lower/common.h"

/* The sums of a channel become (float)sum * scale + bias. */
typedef struct md_conv_codes_param {
    float scale, bias;
} md_conv_codes_param;

/* Codes, and constant weights. */
md_status md_conv_codes__check(const md_lower *lo, md_error *err);

/* Each channel has a filter of its own, with a zero point that is known. */
bool md_conv_codes__is_depthwise(const md_lower *lo);

/* The zero points of the weights are known to be in the middle: 0 of int8, 128
 * of uint8. */
bool md_conv_codes__is_central(const md_lower *lo);

/* Is it ConvIntegerToFloat? */
bool md_conv_codes__scales(const md_node *n);

/* Of channel c, from the inputs and what was fused. */
md_conv_codes_param md_conv_codes__param(const md_step *st, int64_t c);

/* Elements at .. at + n of the output, of one channel, from their sums. */
void md_conv_codes__finish(const md_step *st, const md_unary_f32_kernel *unary,
                           int64_t at, const int32_t *sums, int64_t n,
                           const md_conv_codes_param *p);

#endif
