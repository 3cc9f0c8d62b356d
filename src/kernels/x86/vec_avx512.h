/*
 * One name for each vector operation, so that a simple kernel is written once
 * (<family>_vec.h) and built for each instruction set.  VF(name) appends the
 * suffix of the set.
 */
#ifndef MD_KERNELS_X86_VEC_AVX512_H
#define MD_KERNELS_X86_VEC_AVX512_H

#include <stdbool.h>

#include "base/attr.h"
#include "kernels/x86/math_avx512.h"

#define VF(name) name##__avx512

enum {
    VF_LANES = 16
};

typedef __m512 vf;

/* The first m lanes (0 .. VF_LANES), the rest `fill`; memory past them is not
 * touched. */
static inline vf vf_load_or(const float *p, size_t m, vf fill)
{
    if (m == VF_LANES)
        return _mm512_loadu_ps(p);
    return _mm512_mask_loadu_ps(fill, v16_mask(m), p);
}

static inline vf vf_load(const float *p, size_t m)
{
    return vf_load_or(p, m, _mm512_setzero_ps());
}

static inline void vf_store(float *p, vf x, size_t m)
{
    if (m == VF_LANES)
        _mm512_storeu_ps(p, x);
    else
        _mm512_mask_storeu_ps(p, v16_mask(m), x);
}

/* x in the first m lanes, the rest `fill`. */
static inline vf vf_keep(vf x, size_t m, vf fill)
{
    return _mm512_mask_blend_ps(v16_mask(m), fill, x);
}

#define vf_set _mm512_set1_ps
#define vf_zero _mm512_setzero_ps
#define vf_add _mm512_add_ps
#define vf_sub _mm512_sub_ps
#define vf_mul _mm512_mul_ps
#define vf_div _mm512_div_ps
#define vf_max _mm512_max_ps
#define vf_min _mm512_min_ps
#define vf_fmadd _mm512_fmadd_ps
#define vf_sqrt _mm512_sqrt_ps
#define vf_abs v16_abs
#define vf_neg v16_neg
#define vf_round v16_round
#define vf_exp v16_exp
#define vf_erf v16_erf
#define vf_act v16_act
#define vf_select_lt v16_select_lt
#define vf_floor(x) _mm512_roundscale_ps(x, _MM_FROUND_TO_NEG_INF | 8)
#define vf_ceil(x) _mm512_roundscale_ps(x, _MM_FROUND_TO_POS_INF | 8)
#define vf_sum _mm512_reduce_add_ps

/* y, but NaN where x is. */
static inline vf vf_keep_nan(vf x, vf y)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), y, x);
}

static inline float vf_max_lane(vf x)
{
    return _mm512_reduce_max_ps(x);
}

static inline float vf_min_lane(vf x)
{
    return _mm512_reduce_min_ps(x);
}

static inline bool vf_any_nan(vf x)
{
    return _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q) != 0;
}

/* marks, and NaN where a or b is. */
static inline vf vf_mark_nan(vf marks, vf a, vf b)
{
    return _mm512_mask_mov_ps(marks, _mm512_cmp_ps_mask(a, b, _CMP_UNORD_Q),
                              _mm512_set1_ps(__builtin_nanf("")));
}

/* Lane i of the result joins all lanes of v[i]; v is lost. */
static MD_ALWAYS_INLINE vf vf_across(vf v[VF_LANES], vf (*join)(vf, vf))
{
    MD_UNROLL(8)
    for (int i = 0; i < 8; i++)
        v[i] = join(_mm512_unpacklo_ps(v[2 * i], v[2 * i + 1]),
                    _mm512_unpackhi_ps(v[2 * i], v[2 * i + 1]));
    MD_UNROLL(4)
    for (int i = 0; i < 4; i++)
        v[i] = join(_mm512_shuffle_ps(v[2 * i], v[2 * i + 1], 0x44),
                    _mm512_shuffle_ps(v[2 * i], v[2 * i + 1], 0xee));
    MD_UNROLL(2)
    for (int i = 0; i < 2; i++)
        v[i] = join(_mm512_shuffle_f32x4(v[2 * i], v[2 * i + 1], 0x88),
                    _mm512_shuffle_f32x4(v[2 * i], v[2 * i + 1], 0xdd));
    return join(_mm512_shuffle_f32x4(v[0], v[1], 0x88),
                _mm512_shuffle_f32x4(v[0], v[1], 0xdd));
}

/* Lanes 0, 2, 4, ... of a, then of b. */
static inline vf vf_even(vf a, vf b)
{
    const __m512i at = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12,
                                        10, 8, 6, 4, 2, 0);

    return _mm512_permutex2var_ps(a, at, b);
}

/* p[0], p[stride], p[2 * stride], ...; 15 * stride is an int32_t. */
static inline vf vf_every(const float *p, int32_t stride)
{
    const __m512i lane =
        _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);

    return _mm512_i32gather_ps(
        _mm512_mullo_epi32(lane, _mm512_set1_epi32(stride)), p, 4);
}

/* Lanes 0 0 1 1 2 2 ..., up to the half and from there on. */
static inline vf vf_twice_low(vf x)
{
    const __m512i at =
        _mm512_set_epi32(7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0);

    return _mm512_permutexvar_ps(at, x);
}

static inline vf vf_twice_high(vf x)
{
    const __m512i at = _mm512_set_epi32(15, 15, 14, 14, 13, 13, 12, 12, 11, 11,
                                        10, 10, 9, 9, 8, 8);

    return _mm512_permutexvar_ps(at, x);
}

/* Lanes 1 0 3 2 5 4 ... */
static inline vf vf_swap(vf x)
{
    return _mm512_permute_ps(x, 0xb1);
}

/* a - b in even lanes, a + b in odd ones. */
static inline vf vf_sub_add(vf a, vf b)
{
    return _mm512_mask_sub_ps(_mm512_add_ps(a, b), 0x5555, a, b);
}

/* Doubles: half as many lanes. */
typedef __m512d vd;

#define vd_set _mm512_set1_pd
#define vd_add _mm512_add_pd
#define vd_mul _mm512_mul_pd
#define vd_div _mm512_div_pd
#define vd_fmadd _mm512_fmadd_pd
#define vd_load _mm512_loadu_pd
#define vd_store _mm512_storeu_pd
#define vd_sum _mm512_reduce_add_pd
#define vd_product _mm512_reduce_mul_pd
#define vd_sub _mm512_sub_pd
#define vd_max _mm512_max_pd
#define vd_min _mm512_min_pd
#define vd_sqrt _mm512_sqrt_pd
#define vd_abs _mm512_abs_pd

static inline vd vd_neg(vd x)
{
    return _mm512_xor_pd(x, _mm512_set1_pd(-0.0));
}

/* x >= 0 with the sign of y. */
static inline vd vd_with_sign(vd x, vd y)
{
    return _mm512_or_pd(x, _mm512_and_pd(y, _mm512_set1_pd(-0.0)));
}

/* The nearest integer, halves to the even one. */
static inline vd vd_round(vd x)
{
    return _mm512_roundscale_pd(x,
                                _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* x * 2^k of an integer k, rounded once. */
static inline vd vd_scale(vd x, vd k)
{
    return _mm512_scalef_pd(x, k);
}

/* x where it is NaN, else y. */
static inline vd vd_pick_nan(vd x, vd y)
{
    return _mm512_mask_mov_pd(y, _mm512_cmp_pd_mask(x, x, _CMP_UNORD_Q), x);
}

/* x where a < b, else y. */
static inline vd vd_pick_less(vd a, vd b, vd x, vd y)
{
    return _mm512_mask_mov_pd(y, _mm512_cmp_pd_mask(a, b, _CMP_LT_OQ), x);
}

static inline bool vd_any_nan(vd x)
{
    return _mm512_cmp_pd_mask(x, x, _CMP_UNORD_Q) != 0;
}

/* Of lanes without NaN. */
#define vd_highest _mm512_reduce_max_pd
#define vd_lowest _mm512_reduce_min_pd

static inline __mmask8 vd_mask(size_t m)
{
    return (__mmask8)((1u << m) - 1);
}

/* The first m lanes (0 .. VF_LANES / 2), the rest `fill`; memory past them is
 * not touched. */
static inline vd vd_load_some(const double *p, size_t m, vd fill)
{
    return _mm512_mask_loadu_pd(fill, vd_mask(m), p);
}

static inline void vd_store_some(double *p, vd x, size_t m)
{
    _mm512_mask_storeu_pd(p, vd_mask(m), x);
}

/* The first m lanes of x, the rest of fill. */
static inline vd vd_fill(vd x, size_t m, vd fill)
{
    return _mm512_mask_mov_pd(fill, vd_mask(m), x);
}

/* Lane i of the result joins all lanes of v[i]; v is lost. */
static MD_ALWAYS_INLINE vd vd_across(vd v[VF_LANES / 2], vd (*join)(vd, vd))
{
    MD_UNROLL(4)
    for (int i = 0; i < 4; i++)
        v[i] = join(_mm512_unpacklo_pd(v[2 * i], v[2 * i + 1]),
                    _mm512_unpackhi_pd(v[2 * i], v[2 * i + 1]));
    MD_UNROLL(2)
    for (int i = 0; i < 2; i++)
        v[i] = join(_mm512_shuffle_f64x2(v[2 * i], v[2 * i + 1], 0x88),
                    _mm512_shuffle_f64x2(v[2 * i], v[2 * i + 1], 0xdd));
    return join(_mm512_shuffle_f64x2(v[0], v[1], 0x88),
                _mm512_shuffle_f64x2(v[0], v[1], 0xdd));
}

/* VF_LANES / 2 floats. */
static inline vd vd_widen(const float *p)
{
    return _mm512_cvtps_pd(_mm256_loadu_ps(p));
}

/* The same the other way: x rounded to floats. */
static inline void vd_narrow(float *p, vd x)
{
    _mm256_storeu_ps(p, _mm512_cvtpd_ps(x));
}

/* The lower and the upper half of the lanes. */
static inline vd vd_low(vf x)
{
    return _mm512_cvtps_pd(_mm512_castps512_ps256(x));
}

static inline vd vd_high(vf x)
{
    return _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1));
}

static inline vf vd_join(vd low, vd high)
{
    return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(low)),
                              _mm512_cvtpd_ps(high), 1);
}

#endif
