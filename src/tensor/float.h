/*
 * Conversions between float32 and the narrow floats, round to nearest even.
 * float16: IEEE 754 binary16.  bfloat16: upper half of binary32.  float8:
 * Micikevicius et al., "FP8 Formats for Deep Learning" (2022), and ONNX's
 * "Float stored in 8 bits" page for the FNUZ forms; E8M0 and float4: OCP
 * Microscaling Formats 1.0.
 */
#ifndef MD_TENSOR_FLOAT_H
#define MD_TENSOR_FLOAT_H

#include <stdbool.h>
#include <stdint.h>

#include "tensor/dtype.h"

float md_f16_to_f32(uint16_t h);
uint16_t md_f32_to_f16(float f);
float md_bf16_to_f32(uint16_t h);
uint16_t md_f32_to_bf16(float f); /* NaN stays a quiet NaN */

/* d as float, to be rounded once more to a narrower type: cut towards zero,
 * with the last bit set when something was lost ("rounding to odd"), so that
 * the second rounding still sees on which side of a tie d is.  Overflow gives
 * the largest float.  (float)d would round twice. */
float md_f64_to_f32_odd(double d);

/* d truncated towards zero, saturated; NaN is 0. */
static inline int64_t md_f64_to_i64(double d)
{
    if (d != d)
        return 0;
    if (d >= 0x1p63)
        return INT64_MAX;
    if (d < -0x1p63)
        return INT64_MIN;
    return (int64_t)d;
}

/* For the float8 types and float4 (code in the low bits).  `saturate`: values
 * out of range become the largest finite one instead of Inf or NaN. */
float md_f8_to_f32(md_dtype t, uint8_t code);
uint8_t md_f32_to_f8(md_dtype t, float f, bool saturate);

#endif
