/*
 * 512-bit float vectors: elementary functions and activations.  Internal to
 * kernels/x86; included by files built with AVX-512 F, BW, DQ, VL.
 *
 * max and min return their second operand when either is NaN, so the value
 * always comes second and the bound first: NaN passes through everything.
 */
#ifndef MD_KERNELS_X86_MATH_AVX512_H
#define MD_KERNELS_X86_MATH_AVX512_H

#include <immintrin.h>
#include <stddef.h>

#include "kernels/epilogue.h"

/* Lanes 0 .. n-1; n in 0 .. 16. */
static inline __mmask16 v16_mask(size_t n)
{
    return (__mmask16)((1u << n) - 1);
}

static inline __m512 v16_set(float x)
{
    return _mm512_set1_ps(x);
}

/* To the nearest integer, ties to even. */
static inline __m512 v16_round(__m512 x)
{
    return _mm512_roundscale_ps(x,
                                _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* p * 2^n for integral n; over- and underflow as a product would. */
static inline __m512 v16_scale(__m512 p, __m512 n)
{
    return _mm512_scalef_ps(p, n);
}

static inline __m512 v16_abs(__m512 x)
{
    return _mm512_abs_ps(x);
}

static inline __m512 v16_neg(__m512 x)
{
    return _mm512_xor_ps(x, _mm512_set1_ps(-0.0f));
}

/* |x| with the sign of s; x >= 0. */
static inline __m512 v16_copysign(__m512 x, __m512 s)
{
    return _mm512_or_ps(x, _mm512_and_ps(s, _mm512_set1_ps(-0.0f)));
}

/* l < r ? yes : no, and no where unordered. */
static inline __m512 v16_select_lt(__m512 l, __m512 r, __m512 yes, __m512 no)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(l, r, _CMP_LT_OQ), no, yes);
}

/* 2^x, relative error 1.2e-7; 0 below -150, +Inf from 128. */
static inline __m512 v16_exp2(__m512 x)
{
    __m512 n, f, p;

    x = _mm512_min_ps(v16_set(129.0f), _mm512_max_ps(v16_set(-151.0f), x));
    n = v16_round(x);
    f = _mm512_sub_ps(x, n);
    /* minimax on [-1/2, 1/2], 2e-9 before rounding */
    p = v16_set(1.534581e-4f);
    p = _mm512_fmadd_ps(p, f, v16_set(1.33999312e-3f));
    p = _mm512_fmadd_ps(p, f, v16_set(9.61848896e-3f));
    p = _mm512_fmadd_ps(p, f, v16_set(5.55032878e-2f));
    p = _mm512_fmadd_ps(p, f, v16_set(0.240226469f));
    p = _mm512_fmadd_ps(p, f, v16_set(0.693147206f));
    p = _mm512_fmadd_ps(p, f, v16_set(1.0f));
    return v16_scale(p, n);
}

/* e^x, 2 ulp; 0 below -104, +Inf above 88.73. */
static inline __m512 v16_exp(__m512 x)
{
    /* x = n ln2 + r, ln2 in two parts, the first short enough for n * it to
     * be exact; then e^r as 2^n e^r with minimax e^r */
    __m512 n, r, p;

    x = _mm512_min_ps(v16_set(89.0f), _mm512_max_ps(v16_set(-105.0f), x));
    n = v16_round(_mm512_mul_ps(x, v16_set(1.44269504f)));
    r = _mm512_fnmadd_ps(n, v16_set(0.693145752f), x);
    r = _mm512_fnmadd_ps(n, v16_set(1.42860677e-6f), r);
    p = v16_set(1.38368457e-3f);
    p = _mm512_fmadd_ps(p, r, v16_set(8.3748158e-3f));
    p = _mm512_fmadd_ps(p, r, v16_set(4.16682256e-2f));
    p = _mm512_fmadd_ps(p, r, v16_set(0.166664202f));
    p = _mm512_fmadd_ps(p, r, v16_set(0.499999921f));
    p = _mm512_fmadd_ps(p, r, v16_set(1.0f));
    p = _mm512_fmadd_ps(p, r, v16_set(1.0f));
    return v16_scale(p, n);
}

/* 1 / (1 + e^-x) */
static inline __m512 v16_sigmoid(__m512 x)
{
    const __m512 one = v16_set(1.0f);

    return _mm512_div_ps(one, _mm512_add_ps(one, v16_exp(v16_neg(x))));
}

/* tanh(x), 4 ulp: with e = 2^n 2^f - 1 of 2|x| log2(e), kept as 2^n (2^f - 1)
 * + (2^n - 1) so that nothing cancels near 0, e / (e + 2). */
static inline __m512 v16_tanh(__m512 x)
{
    const __m512 one = v16_set(1.0f);
    const __m512 log2 = v16_set(2.88539008f);
    const __m512 a = _mm512_min_ps(v16_set(9.1f), v16_abs(x));
    const __m512 n = v16_round(_mm512_mul_ps(a, log2));
    const __m512 f = _mm512_fmsub_ps(a, log2, n);
    const __m512 s = v16_scale(one, n);
    __m512 p = v16_set(1.54035093e-4f); /* (2^f - 1) / f, minimax: 1.1e-8 */

    p = _mm512_fmadd_ps(p, f, v16_set(1.33907469e-3f));
    p = _mm512_fmadd_ps(p, f, v16_set(9.61823761e-3f));
    p = _mm512_fmadd_ps(p, f, v16_set(5.55035733e-2f));
    p = _mm512_fmadd_ps(p, f, v16_set(0.240226492f));
    p = _mm512_fmadd_ps(p, f, v16_set(0.693147182f));
    p = _mm512_fmadd_ps(s, _mm512_mul_ps(p, f), _mm512_sub_ps(s, one));
    p = _mm512_div_ps(p, _mm512_add_ps(p, v16_set(2.0f)));
    return v16_copysign(p, x);
}

/*
 * erfc(a) for a >= 0 as 2^(a R(a)): log2(erfc) is smooth, so seven degrees
 * give 2.5e-8 * max(1, a)^-1; past 5 the polynomial falls faster than erfc,
 * where erfc is below 1.6e-12.
 */
static inline __m512 v16_erfc_pos(__m512 a)
{
    __m512 p = v16_set(-3.9172634e-5f);

    p = _mm512_fmadd_ps(p, a, v16_set(3.97309724e-4f));
    p = _mm512_fmadd_ps(p, a, v16_set(-1.34302308e-3f));
    p = _mm512_fmadd_ps(p, a, v16_set(-9.95743857e-4f));
    p = _mm512_fmadd_ps(p, a, v16_set(2.84290066e-2f));
    p = _mm512_fmadd_ps(p, a, v16_set(-0.148552371f));
    p = _mm512_fmadd_ps(p, a, v16_set(-0.918403558f));
    p = _mm512_fmadd_ps(p, a, v16_set(-1.62790934f));
    return v16_exp2(_mm512_mul_ps(p, a));
}

/* erf(x), 2e-7 absolute; exactly 0 at 0. */
static inline __m512 v16_erf(__m512 x)
{
    return v16_copysign(_mm512_sub_ps(v16_set(1.0f), v16_erfc_pos(v16_abs(x))),
                        x);
}

/* x * sigmoid(x); see epilogue.h for the floor. */
static inline __m512 v16_silu(__m512 x)
{
    x = _mm512_max_ps(v16_set(-104.0f), x);
    return _mm512_div_ps(x, _mm512_add_ps(v16_set(1.0f), v16_exp(v16_neg(x))));
}

/* relu(x) - |x| erfc(|x| / sqrt(2)) / 2, which does not cancel for x < 0. */
static inline __m512 v16_gelu_erf(__m512 x)
{
    const __m512 m = _mm512_min_ps(v16_set(104.0f), v16_abs(x));
    const __m512 e = v16_erfc_pos(_mm512_mul_ps(m, v16_set(0.707106781f)));

    return _mm512_fnmadd_ps(_mm512_mul_ps(v16_set(0.5f), m), e,
                            _mm512_max_ps(v16_set(0.0f), x));
}

/* x * sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3) */
static inline __m512 v16_gelu_tanh(__m512 x)
{
    __m512 u;

    x = _mm512_max_ps(v16_set(-104.0f), x);
    u = _mm512_fmadd_ps(_mm512_mul_ps(x, x), v16_set(0.0713548163f),
                        v16_set(1.59576912f));
    u = _mm512_mul_ps(u, x);
    return _mm512_div_ps(x, _mm512_add_ps(v16_set(1.0f), v16_exp(v16_neg(u))));
}

/* max(0, min(1, a x + b)), two roundings as in the definition. */
static inline __m512 v16_hard_sigmoid(__m512 a, __m512 b, __m512 x)
{
    x = _mm512_add_ps(_mm512_mul_ps(a, x), b);
    return _mm512_max_ps(v16_set(0.0f), _mm512_min_ps(v16_set(1.0f), x));
}

static inline __m512 v16_hard_swish(__m512 x)
{
    x = _mm512_max_ps(v16_set(-104.0f), x);
    return _mm512_mul_ps(x,
                         v16_hard_sigmoid(v16_set(1.0f / 6), v16_set(0.5f), x));
}

/* act(x), as md_act_apply; a and b are its parameters in every lane. */
static inline __m512 v16_act(md_act act, __m512 a, __m512 b, __m512 x)
{
    switch (act) {
    case MD_ACT_RELU:
        return _mm512_max_ps(v16_set(0.0f), x);
    case MD_ACT_CLIP:
        return _mm512_min_ps(b, _mm512_max_ps(a, x));
    case MD_ACT_SCALE:
        return _mm512_mul_ps(a, x);
    case MD_ACT_LEAKY_RELU:
        return v16_select_lt(x, v16_set(0.0f), _mm512_mul_ps(a, x), x);
    case MD_ACT_SIGMOID:
        return v16_sigmoid(x);
    case MD_ACT_TANH:
        return v16_tanh(x);
    case MD_ACT_SILU:
        return v16_silu(x);
    case MD_ACT_HARD_SIGMOID:
        return v16_hard_sigmoid(a, b, x);
    case MD_ACT_HARD_SWISH:
        return v16_hard_swish(x);
    case MD_ACT_GELU_ERF:
        return v16_gelu_erf(x);
    case MD_ACT_GELU_TANH:
        return v16_gelu_tanh(x);
    case MD_ACT_NONE:
    case MD_ACT_COUNT:
        break;
    }
    return x;
}

#endif
