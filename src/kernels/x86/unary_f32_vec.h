#ifndef MD_KERNELS_X86_UNARY_F32_VEC_H
#define MD_KERNELS_X86_UNARY_F32_VEC_H

#include "kernels/unary_f32.h"

/* y = value for every vector v of x; the switch stays outside the loop. */
#define EACH(value)                                                            \
    for (size_t i = 0; i < n; i += VF_LANES) {                                 \
        const size_t m = n - i < VF_LANES ? n - i : VF_LANES;                  \
        const vf v = vf_load(x + i, m);                                        \
                                                                               \
        vf_store(y + i, value, m);                                             \
    }                                                                          \
    break

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
        EACH(vf_floor(v));
    case MD_UNARY_CEIL:
        EACH(vf_ceil(v));
    case MD_UNARY_ROUND:
        EACH(vf_round(v));
    default: /* rare ones: libm */
        md_unary_f32__ref(y, x, n, op, a, b);
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
