/*
 * 256-bit float vectors: elementary functions and activations.  Internal to
 * kernels/x86; included by files built with AVX2 and FMA.
 *
 * max and min return their second operand when either is NaN, so the value
 * always comes second and the bound first: NaN passes through everything.
 */
#ifndef MD_KERNELS_X86_MATH_AVX2_H
#define MD_KERNELS_X86_MATH_AVX2_H

#include <immintrin.h>
#include <stddef.h>

#include "kernels/epilogue.h"

/* Lanes 0 .. n-1 for maskload and maskstore; n in 0 .. 8. */
static inline __m256i v8_mask(size_t n)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);

    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane);
}

static inline __m256 v8_set(float x)
{
    return _mm256_set1_ps(x);
}

/* To the nearest integer, ties to even. */
static inline __m256 v8_round(__m256 x)
{
    return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* 2^n for integral n in -126 .. 127. */
static inline __m256 v8_pow2(__m256i n)
{
    return _mm256_castsi256_ps(
        _mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}

/* p * 2^n for integral n in -252 .. 254: two factors, since 2^n itself may be
 * outside float where the product is not. */
static inline __m256 v8_scale(__m256 p, __m256 n)
{
    const __m256i i = _mm256_cvtps_epi32(n);
    const __m256i half = _mm256_srai_epi32(i, 1);

    p = _mm256_mul_ps(p, v8_pow2(half));
    return _mm256_mul_ps(p, v8_pow2(_mm256_sub_epi32(i, half)));
}

static inline __m256 v8_abs(__m256 x)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
}

static inline __m256 v8_neg(__m256 x)
{
    return _mm256_xor_ps(x, _mm256_set1_ps(-0.0f));
}

/* |x| with the sign of s; x >= 0. */
static inline __m256 v8_copysign(__m256 x, __m256 s)
{
    return _mm256_or_ps(x, _mm256_and_ps(s, _mm256_set1_ps(-0.0f)));
}

/* l < r ? yes : no, and no where unordered. */
static inline __m256 v8_select_lt(__m256 l, __m256 r, __m256 yes, __m256 no)
{
    return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(l, r, _CMP_LT_OQ));
}

/* 2^x, relative error 1.2e-7; 0 below -150, +Inf from 128. */
static inline __m256 v8_exp2(__m256 x)
{
    __m256 n, f, p;

    x = _mm256_min_ps(v8_set(129.0f), _mm256_max_ps(v8_set(-151.0f), x));
    n = v8_round(x);
    f = _mm256_sub_ps(x, n);
    /* minimax on [-1/2, 1/2], 2e-9 before rounding */
    p = v8_set(1.534581e-4f);
    p = _mm256_fmadd_ps(p, f, v8_set(1.33999312e-3f));
    p = _mm256_fmadd_ps(p, f, v8_set(9.61848896e-3f));
    p = _mm256_fmadd_ps(p, f, v8_set(5.55032878e-2f));
    p = _mm256_fmadd_ps(p, f, v8_set(0.240226469f));
    p = _mm256_fmadd_ps(p, f, v8_set(0.693147206f));
    p = _mm256_fmadd_ps(p, f, v8_set(1.0f));
    return v8_scale(p, n);
}

/* e^x, 2 ulp; 0 below -104, +Inf above 88.73. */
static inline __m256 v8_exp(__m256 x)
{
    /* x = n ln2 + r, ln2 in two parts, the first short enough for n * it to
     * be exact; then e^r as 2^n e^r with minimax e^r */
    __m256 n, r, p;

    x = _mm256_min_ps(v8_set(89.0f), _mm256_max_ps(v8_set(-105.0f), x));
    n = v8_round(_mm256_mul_ps(x, v8_set(1.44269504f)));
    r = _mm256_fnmadd_ps(n, v8_set(0.693145752f), x);
    r = _mm256_fnmadd_ps(n, v8_set(1.42860677e-6f), r);
    p = v8_set(1.38368457e-3f);
    p = _mm256_fmadd_ps(p, r, v8_set(8.3748158e-3f));
    p = _mm256_fmadd_ps(p, r, v8_set(4.16682256e-2f));
    p = _mm256_fmadd_ps(p, r, v8_set(0.166664202f));
    p = _mm256_fmadd_ps(p, r, v8_set(0.499999921f));
    p = _mm256_fmadd_ps(p, r, v8_set(1.0f));
    p = _mm256_fmadd_ps(p, r, v8_set(1.0f));
    return v8_scale(p, n);
}

/* 1 / (1 + e^-x) */
static inline __m256 v8_sigmoid(__m256 x)
{
    const __m256 one = v8_set(1.0f);

    return _mm256_div_ps(one, _mm256_add_ps(one, v8_exp(v8_neg(x))));
}

/* tanh(x), 4 ulp: with e = 2^n 2^f - 1 of 2|x| log2(e), kept as 2^n (2^f - 1)
 * + (2^n - 1) so that nothing cancels near 0, e / (e + 2). */
static inline __m256 v8_tanh(__m256 x)
{
    const __m256 one = v8_set(1.0f);
    const __m256 log2 = v8_set(2.88539008f);
    const __m256 a = _mm256_min_ps(v8_set(9.1f), v8_abs(x));
    const __m256 n = v8_round(_mm256_mul_ps(a, log2));
    const __m256 f = _mm256_fmsub_ps(a, log2, n);
    const __m256 s = v8_pow2(_mm256_cvtps_epi32(n));
    __m256 p = v8_set(1.54035093e-4f); /* (2^f - 1) / f, minimax: 1.1e-8 */

    p = _mm256_fmadd_ps(p, f, v8_set(1.33907469e-3f));
    p = _mm256_fmadd_ps(p, f, v8_set(9.61823761e-3f));
    p = _mm256_fmadd_ps(p, f, v8_set(5.55035733e-2f));
    p = _mm256_fmadd_ps(p, f, v8_set(0.240226492f));
    p = _mm256_fmadd_ps(p, f, v8_set(0.693147182f));
    p = _mm256_fmadd_ps(s, _mm256_mul_ps(p, f), _mm256_sub_ps(s, one));
    p = _mm256_div_ps(p, _mm256_add_ps(p, v8_set(2.0f)));
    return v8_copysign(p, x);
}

/*
 * erfc(a) for a >= 0 as 2^(a R(a)): log2(erfc) is smooth, so seven degrees
 * give 2.5e-8 * max(1, a)^-1; past 5 the polynomial falls faster than erfc,
 * where erfc is below 1.6e-12.
 */
static inline __m256 v8_erfc_pos(__m256 a)
{
    __m256 p = v8_set(-3.9172634e-5f);

    p = _mm256_fmadd_ps(p, a, v8_set(3.97309724e-4f));
    p = _mm256_fmadd_ps(p, a, v8_set(-1.34302308e-3f));
    p = _mm256_fmadd_ps(p, a, v8_set(-9.95743857e-4f));
    p = _mm256_fmadd_ps(p, a, v8_set(2.84290066e-2f));
    p = _mm256_fmadd_ps(p, a, v8_set(-0.148552371f));
    p = _mm256_fmadd_ps(p, a, v8_set(-0.918403558f));
    p = _mm256_fmadd_ps(p, a, v8_set(-1.62790934f));
    return v8_exp2(_mm256_mul_ps(p, a));
}

/* erf(x), 2e-7 absolute; exactly 0 at 0. */
static inline __m256 v8_erf(__m256 x)
{
    return v8_copysign(_mm256_sub_ps(v8_set(1.0f), v8_erfc_pos(v8_abs(x))), x);
}

/* x * sigmoid(x); see epilogue.h for the floor. */
static inline __m256 v8_silu(__m256 x)
{
    x = _mm256_max_ps(v8_set(-104.0f), x);
    return _mm256_div_ps(x, _mm256_add_ps(v8_set(1.0f), v8_exp(v8_neg(x))));
}

/* relu(x) - |x| erfc(|x| / sqrt(2)) / 2, which does not cancel for x < 0. */
static inline __m256 v8_gelu_erf(__m256 x)
{
    const __m256 m = _mm256_min_ps(v8_set(104.0f), v8_abs(x));
    const __m256 e = v8_erfc_pos(_mm256_mul_ps(m, v8_set(0.707106781f)));

    return _mm256_fnmadd_ps(_mm256_mul_ps(v8_set(0.5f), m), e,
                            _mm256_max_ps(v8_set(0.0f), x));
}

/* x * sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3) */
static inline __m256 v8_gelu_tanh(__m256 x)
{
    __m256 u;

    x = _mm256_max_ps(v8_set(-104.0f), x);
    u = _mm256_fmadd_ps(_mm256_mul_ps(x, x), v8_set(0.0713548163f),
                        v8_set(1.59576912f));
    u = _mm256_mul_ps(u, x);
    return _mm256_div_ps(x, _mm256_add_ps(v8_set(1.0f), v8_exp(v8_neg(u))));
}

/* max(0, min(1, a x + b)), two roundings as in the definition. */
static inline __m256 v8_hard_sigmoid(__m256 a, __m256 b, __m256 x)
{
    x = _mm256_add_ps(_mm256_mul_ps(a, x), b);
    return _mm256_max_ps(v8_set(0.0f), _mm256_min_ps(v8_set(1.0f), x));
}

static inline __m256 v8_hard_swish(__m256 x)
{
    x = _mm256_max_ps(v8_set(-104.0f), x);
    return _mm256_mul_ps(x, v8_hard_sigmoid(v8_set(1.0f / 6), v8_set(0.5f), x));
}

/* act(x), as md_act_apply; a and b are its parameters in every lane. */
static inline __m256 v8_act(md_act act, __m256 a, __m256 b, __m256 x)
{
    switch (act) {
    case MD_ACT_RELU:
        return _mm256_max_ps(v8_set(0.0f), x);
    case MD_ACT_CLIP:
        return _mm256_min_ps(b, _mm256_max_ps(a, x));
    case MD_ACT_SCALE:
        return _mm256_mul_ps(a, x);
    case MD_ACT_LEAKY_RELU:
        return v8_select_lt(x, v8_set(0.0f), _mm256_mul_ps(a, x), x);
    case MD_ACT_SIGMOID:
        return v8_sigmoid(x);
    case MD_ACT_TANH:
        return v8_tanh(x);
    case MD_ACT_SILU:
        return v8_silu(x);
    case MD_ACT_HARD_SIGMOID:
        return v8_hard_sigmoid(a, b, x);
    case MD_ACT_HARD_SWISH:
        return v8_hard_swish(x);
    case MD_ACT_GELU_ERF:
        return v8_gelu_erf(x);
    case MD_ACT_GELU_TANH:
        return v8_gelu_tanh(x);
    case MD_ACT_NONE:
    case MD_ACT_COUNT:
        break;
    }
    return x;
}

#endif
