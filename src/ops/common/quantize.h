/*
 * Quantization by definition:
 *   q = saturate(round_half_even(x / scale) + zero)
 *   x = (q - zero) * scale
 * each operation in float32, rounded once.
 */
#ifndef MD_OPS_COMMON_QUANTIZE_H
#define MD_OPS_COMMON_QUANTIZE_H

#include "ops/common/util.h"

/* Types that a float can be quantized to. */
#define MD_TYPES_QUANT                                                         \
    (MD_TYPES_Q8 | MD_T(I16) | MD_T(U16) | MD_T(I4) | MD_T(U4) | MD_T(I2) |    \
     MD_T(U2) | MD_TYPES_F8 | MD_T(F4E2M1))

/* Which scale belongs to which element: one for all, one per index of an
 * axis, or one per block of an axis. */
typedef struct md_qmap {
    int64_t inner;    /* elements between neighbours of the axis */
    int64_t n;        /* size of the axis */
    int64_t block;    /* 0: not blocked */
    int64_t n_blocks; /* scales along the axis */
    bool one;
} md_qmap;

/* Check scale (input 1) and zero point (input 2) against input 0. */
md_status md_qmap__infer(const md_infer *c, md_error *err);

/* The map for shapes that md_qmap__infer accepts. */
md_status md_qmap__make(md_qmap *out, const md_exec *x, md_error *err);

/* A run of n elements from `from` on: the first has scale `scale`, the next
 * ones the same (step 0) or the ones behind it (1). */
typedef struct md_qrun {
    int64_t from, n;
    int64_t scale;
    int step;
} md_qrun;

/* Runs that cover a tensor of n elements, and number i of them. */
int64_t md_qmap__n_runs(const md_qmap *m, int64_t n);
md_qrun md_qmap__run(const md_qmap *m, int64_t n, int64_t i);

/* Call fn(ctx, from, to) for parts of the runs of a tensor whose quantized side
 * has type `type`, shared among threads unless runs begin inside bytes. */
void md_qmap__share(const md_qmap *m, const md_exec *x, int64_t n,
                    md_dtype type, md_part_fn *fn, void *ctx);

/* n scales of a run, from its element `at` on, as floats; and zero points
 * (NULL: 0). */
void md_qrun__scales(float *out, const md_qrun *r, const md_tensor *scale,
                     int64_t at, int64_t n);
void md_qrun__zeros(int32_t *out, const md_qrun *r, const md_tensor *zero,
                    int64_t at, int64_t n);

/* Clamping first is the same, as the limits are integers; NaN gives lo. */
int32_t md_quantize__round(float t, int32_t zero, int32_t lo, int32_t hi);

/* Element i of t becomes x quantized (integers and small floats). */
void md_quantize__set(md_tensor *t, int64_t i, float x, float scale,
                      int64_t zero, bool saturate);

/* Scale and zero point for uint8 that span [lo, hi], in which 0 is. */
void md_quantize__span(float *scale, uint8_t *zero, float lo, float hi);

/* Those for n values. */
void md_quantize__range(float *scale, uint8_t *zero, const float *v, int64_t n);

/* QuantizeLinear and DequantizeLinear, which two domains have. */
md_status md_quantize_linear__infer(const md_infer *c, md_error *err);
md_status md_quantize_linear__run(md_exec *x, md_error *err);
md_status md_dequantize_linear__infer(const md_infer *c, md_error *err);
md_status md_dequantize_linear__run(md_exec *x, md_error *err);

/* Scale and zero point of a QLinear operator: scalars, or [1], or one for
 * each of `n` channels (then per_channel is set in the check). */
md_status md_qlinear__check(const md_infer *c, uint32_t scale, uint32_t zero,
                            uint32_t like, md_error *err);

/* Inputs of a QLinear operator on one 8-bit tensor with one scale and one zero
 * point: x, its scale and zero point, those of the result. */
md_status md_qlinear__check_unary(const md_infer *c, md_error *err);

/* An elementwise one: f of what x stands for, quantized; in float32. */
md_status md_qlinear__infer_unary(const md_infer *c, md_error *err);
void md_qlinear__unary(const md_exec *x, md_tensor *out,
                       float (*f)(float v, float param), float param);

/* QLinearAdd and QLinearMul: f of what both inputs stand for, quantized;
 * each step in float32. */
md_status md_qlinear__infer_binary(const md_infer *c, md_error *err);
void md_qlinear__binary(const md_exec *x, md_tensor *out,
                        float (*f)(float a, float b));

/* All elements of q minus the zero point in input `zero` (NULL:
 * 0).  Of several zero points, element i has number i / per % n. */
md_status md_quantize__centre(int32_t **out, const md_tensor *q,
                              const md_tensor *zero, int64_t per, md_arena *ar,
                              md_error *err);

/* xs * ws[i] / ys, each product rounded to float32. */
md_status md_quantize__mult(float **out, float xs, const md_tensor *ws,
                            float ys, md_arena *ar, md_error *err);

/* q[i * n ..] of `rows` rows of n columns from sums; `mult` for each column
 * (step 1) or one for all (step 0). */
typedef struct md_requantize {
    const float *mult;
    int mult_step;
    int32_t zero;
} md_requantize;
void md_quantize__rows(md_tensor *out, int64_t at, const int32_t *acc,
                       int64_t rows, int64_t n, const md_requantize *r);

#endif
