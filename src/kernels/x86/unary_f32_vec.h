#ifndef MD_KERNELS_X86_UNARY_F32_VEC_H
#define MD_KERNELS_X86_UNARY_F32_VEC_H

#include <float.h>

#include "base/attr.h"
#include "kernels/unary_f32.h"
#include "kernels/x86/wide.h"

typedef void unary_loop(float *y, const float *x, size_t n, float a, float b);

/* y[i] = value of v, the element as a T. */
#define LOOP(op, T, value)                                                     \
    static void loop_##op(float *y, const float *x, size_t n, float a,         \
                          float b)                                             \
    {                                                                          \
        (void)a;                                                               \
        (void)b;                                                               \
        MD_SIMD                                                                \
        for (size_t i = 0; i < n; i++) {                                       \
            const T v = x[i];                                                  \
                                                                               \
            y[i] = (float)(value);                                             \
        }                                                                      \
    }

LOOP(LOG, double, wide_log(v))
LOOP(SIN, double, wide_sin(v, 0))
LOOP(COS, double, wide_sin(v, 1))
LOOP(TAN, double, wide_tan(v))
LOOP(SINH, double, wide_sinh(v))
LOOP(COSH, double, wide_cosh(v))
LOOP(SOFTPLUS, double, wide_softplus(v))
LOOP(MISH, double, wide_mish(v))
LOOP(ELU, float, wide_pick(v < 0, a *(float)wide_expm1(v), v))
LOOP(SELU, float, b *(float)wide_pick(v > 0, v, a *(float)wide_expm1(v)))
LOOP(CELU, float, wide_pick(v < 0, a *(float)wide_expm1((double)v / a), v))
LOOP(SIGN, float, v > 0 ? 1 : v < 0 ? -1 : v)
LOOP(SOFTSIGN, float, v / (1 + (v < 0 ? -v : v)))
LOOP(THRESHOLDED_RELU, float, v > a ? v : 0)
LOOP(SHRINK, float, v<-a ? v + b : v> a ? v - b : 0)

#undef LOOP

static unary_loop *const loops[MD_UNARY_COUNT] = {
    [MD_UNARY_LOG] = loop_LOG,
    [MD_UNARY_SIN] = loop_SIN,
    [MD_UNARY_COS] = loop_COS,
    [MD_UNARY_TAN] = loop_TAN,
    [MD_UNARY_SINH] = loop_SINH,
    [MD_UNARY_COSH] = loop_COSH,
    [MD_UNARY_SOFTPLUS] = loop_SOFTPLUS,
    [MD_UNARY_MISH] = loop_MISH,
    [MD_UNARY_ELU] = loop_ELU,
    [MD_UNARY_SELU] = loop_SELU,
    [MD_UNARY_CELU] = loop_CELU,
    [MD_UNARY_SIGN] = loop_SIGN,
    [MD_UNARY_SOFTSIGN] = loop_SOFTSIGN,
    [MD_UNARY_THRESHOLDED_RELU] = loop_THRESHOLDED_RELU,
    [MD_UNARY_SHRINK] = loop_SHRINK,
};

/* Is an argument of a circular function too large for the loop? */
static inline bool is_far(const float *x, size_t n, md_unary op)
{
    int far = 0;

    if (op != MD_UNARY_SIN && op != MD_UNARY_COS && op != MD_UNARY_TAN)
        return false;
    MD_SIMD_OR(far)
    for (size_t i = 0; i < n; i++)
        far |= (x[i] > WIDE_TRIG_MAX) | (x[i] < -WIDE_TRIG_MAX);
    return far;
}

/* Blocks, so that one large argument costs little. */
static void run_loop(float *y, const float *x, size_t n, md_unary op, float a,
                     float b)
{
    enum {
        BLOCK = 512
    };

    for (size_t i = 0; i < n; i += BLOCK) {
        const size_t m = n - i < BLOCK ? n - i : BLOCK;

        if (!loops[op] || is_far(x + i, m, op)) /* libm */
            md_unary_f32__ref(y + i, x + i, m, op, a, b);
        else
            loops[op](y + i, x + i, m, a, b);
    }
}

/* x * sigmoid(a * x).  Where the sigmoid is 0, so is the result, of an infinite
 * x too, which counts as the largest number. */
static inline vf swish(vf a, vf x, bool rises)
{
    const vf e = vf_exp(vf_neg(vf_mul(a, x)));

    x = rises ? vf_max(vf_set(-FLT_MAX), x) : vf_min(vf_set(FLT_MAX), x);
    return vf_div(x, vf_add(vf_set(1.0f), e));
}

/* y = value for every vector v of x; the switch stays outside the loop. */
#define EACH(value)                                                            \
    for (size_t i = 0; i < n; i += VF_LANES) {                                 \
        const size_t m = n - i < VF_LANES ? n - i : VF_LANES;                  \
        const vf v = vf_load(x + i, m);                                        \
                                                                               \
        vf_store(y + i, value, m);                                             \
    }                                                                          \
    break

static void round_each(float *y, const float *x, size_t n, md_unary op)
{
    switch (op) {
    case MD_UNARY_FLOOR:
        EACH(vf_floor(v));
    case MD_UNARY_CEIL:
        EACH(vf_ceil(v));
    default:
        EACH(vf_round(v));
    }
}

void VF(md_unary_f32)(float *y, const float *x, size_t n, md_unary op, float a,
                      float b)
{
    switch (op) {
    case MD_UNARY_ABS:
        EACH(vf_abs(v));
    case MD_UNARY_NEG:
        EACH(vf_neg(v));
    case MD_UNARY_RECIPROCAL:
        EACH(vf_div(vf_set(1.0f), v));
    case MD_UNARY_SQRT:
        EACH(vf_sqrt(v));
    case MD_UNARY_EXP:
        EACH(vf_exp(v));
    case MD_UNARY_ERF:
        EACH(vf_erf(v));
    case MD_UNARY_FLOOR:
    case MD_UNARY_CEIL:
    case MD_UNARY_ROUND:
        round_each(y, x, n, op);
        break;
    case MD_UNARY_SWISH:
        EACH(swish(vf_set(a), v, a > 0));
    default:
        run_loop(y, x, n, op, a, b);
        break;
    }
}

#undef EACH

/* act is a constant wherever this is inlined. */
__attribute__((always_inline)) static inline void apply_act(
    float *y, const float *x, size_t n, const md_act act, vf a, vf b)
{
    for (size_t i = 0; i < n; i += VF_LANES) {
        const size_t m = n - i < VF_LANES ? n - i : VF_LANES;

        vf_store(y + i, vf_act(act, a, b, vf_load(x + i, m)), m);
    }
}

void VF(md_act_f32)(float *y, const float *x, size_t n, md_act act, float a,
                    float b)
{
    const vf va = vf_set(a);
    const vf vb = vf_set(b);

#define ACT(id)                                                                \
    case MD_ACT_##id:                                                          \
        apply_act(y, x, n, MD_ACT_##id, va, vb);                               \
        break;
    switch (act) {
        ACT(NONE)
        ACT(RELU)
        ACT(CLIP)
        ACT(SCALE)
        ACT(LEAKY_RELU)
        ACT(SIGMOID)
        ACT(TANH)
        ACT(SILU)
        ACT(HARD_SIGMOID)
        ACT(HARD_SWISH)
        ACT(GELU_ERF)
        ACT(GELU_TANH)
    case MD_ACT_COUNT:
        break;
    }
#undef ACT
}

#endif
