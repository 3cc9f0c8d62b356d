/*
 * Between float and 8-bit values, and byte tables.
 *
 * quantize:    q = clamp(round_half_even(x / scale) + zero, q_min, q_max),
 *              a true division, as ONNX QuantizeLinear; NaN gives q_min.
 * dequantize:  x = (float)(q - zero) * scale; q - zero modulo 2^32.
 * limits:      the smallest and the largest of x and 0; NaN takes no part.
 * table:       y[i] = lut[x[i]], for any function of one 8-bit tensor.
 * Every level gives the same bits.
 */
#ifndef MD_KERNELS_QUANTIZE_H
#define MD_KERNELS_QUANTIZE_H

#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

typedef enum md_qtype {
    MD_QTYPE_U8,
    MD_QTYPE_S8,
    MD_QTYPE_S32, /* dequantize only */
} md_qtype;

typedef struct md_qparam {
    float scale;
    int32_t zero;
    int32_t q_min, q_max; /* quantize only; within u8 or s8 */
} md_qparam;

/* n values; no overlap, any alignment. */
typedef void md_quantize_fn(uint8_t *q, const float *x, size_t n,
                            const md_qparam *p);
typedef void md_dequantize_fn(float *x, const void *q, size_t n, md_qtype type,
                              const md_qparam *p);

typedef void md_quantize_limits_fn(float *lo, float *hi, const float *x,
                                   size_t n);

typedef struct md_quantize_kernel {
    const char *name;
    uint32_t required; /* enum md_cpu_flags */
    md_quantize_fn *quantize;
    md_dequantize_fn *dequantize;
    md_quantize_limits_fn *limits;
} md_quantize_kernel;

#define K(isa, need)                                                           \
    md_quantize_fn md_quantize__##isa;                                         \
    md_quantize_limits_fn md_quantize_limits__##isa;                           \
    md_dequantize_fn md_dequantize__##isa;
#include "kernels/quantize.def"
#undef K

extern const md_quantize_kernel md_quantize_kernels[]; /* quantize NULL ends */

/* The first row whose flags are all in cpu_flags. */
const md_quantize_kernel *md_quantize_select(uint32_t cpu_flags);

/* A tensor [outer, axis, inner] with one parameter per index of axis (NULL
 * zero: 0); per tensor: outer = axis = 1. */
typedef struct md_quantize_args {
    const md_quantize_kernel *kernel;
    int64_t outer, axis, inner;
    const float *scale;  /* [axis] */
    const int32_t *zero; /* [axis] or NULL */
    md_qtype type;
    int32_t q_min, q_max; /* quantize only */
} md_quantize_args;

void md_quantize_run(const md_quantize_args *a, uint8_t *q, const float *x);
void md_dequantize_run(const md_quantize_args *a, float *x, const void *q);

/* y may be x. */
void md_table_apply(uint8_t *y, const uint8_t *x, size_t n,
                    const uint8_t lut[256]);

#endif
