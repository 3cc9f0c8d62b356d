/*
 * y[i] = f(x[i]) on floats: activations (md_act) and the functions of
 * unary.def.  y may be x; any alignment.  Against `ref`: EXP, ERF, SWISH and
 * the smooth activations within 4 ulp or 3e-7, whichever is larger (polynomials
 * instead of libm); functions computed in double (LOG to MISH) within 1 ulp, as
 * they are rounded once; everything else is equal to the bit.
 */
#ifndef MD_KERNELS_UNARY_F32_H
#define MD_KERNELS_UNARY_F32_H

#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"
#include "kernels/epilogue.h"

typedef enum md_unary {
#define U(id, name, value) MD_UNARY_##id,
#include "kernels/unary.def"
#undef U
    MD_UNARY_COUNT,
} md_unary;

/* a and b: parameters of op (alpha, beta, ...), else ignored. */
typedef void md_unary_f32_fn(float *y, const float *x, size_t n, md_unary op,
                             float a, float b);
typedef void md_act_f32_fn(float *y, const float *x, size_t n, md_act act,
                           float a, float b);

typedef struct md_unary_f32_kernel {
    const char *name;
    uint32_t required; /* enum md_cpu_flags */
    md_unary_f32_fn *run;
    md_act_f32_fn *act;
} md_unary_f32_kernel;

#define K(isa, need)                                                           \
    md_unary_f32_fn md_unary_f32__##isa;                                       \
    md_act_f32_fn md_act_f32__##isa;
#include "kernels/unary_f32.def"
#undef K

extern const md_unary_f32_kernel md_unary_f32_kernels[]; /* run NULL ends */

/* The first row whose flags are all in cpu_flags. */
const md_unary_f32_kernel *md_unary_f32_select(uint32_t cpu_flags);

/* "Abs": the ONNX operator; never NULL. */
const char *md_unary_name(md_unary op);

/* f(x) by the definition. */
float md_unary_apply(md_unary op, float a, float b, float x);

#endif
