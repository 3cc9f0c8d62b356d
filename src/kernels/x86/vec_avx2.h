/* As vec_avx512.h, with 8 lanes. */
#ifndef MD_KERNELS_X86_VEC_AVX2_H
#define MD_KERNELS_X86_VEC_AVX2_H

#include <stdbool.h>

#include "base/attr.h"
#include "kernels/x86/math_avx2.h"

#define VF(name) name##__avx2

enum {
    VF_LANES = 8
};

typedef __m256 vf;

/* x in the first m lanes, the rest `fill`. */
static inline vf vf_keep(vf x, size_t m, vf fill)
{
    return _mm256_blendv_ps(fill, x, _mm256_castsi256_ps(v8_mask(m)));
}

/* The first m lanes (0 .. VF_LANES), the rest `fill`; memory past them is not
 * touched. */
static inline vf vf_load_or(const float *p, size_t m, vf fill)
{
    if (m == VF_LANES)
        return _mm256_loadu_ps(p);
    return vf_keep(_mm256_maskload_ps(p, v8_mask(m)), m, fill);
}

static inline vf vf_load(const float *p, size_t m)
{
    if (m == VF_LANES)
        return _mm256_loadu_ps(p);
    return _mm256_maskload_ps(p, v8_mask(m));
}

static inline void vf_store(float *p, vf x, size_t m)
{
    if (m == VF_LANES)
        _mm256_storeu_ps(p, x);
    else
        _mm256_maskstore_ps(p, v8_mask(m), x);
}

#define vf_set _mm256_set1_ps
#define vf_zero _mm256_setzero_ps
#define vf_add _mm256_add_ps
#define vf_sub _mm256_sub_ps
#define vf_mul _mm256_mul_ps
#define vf_div _mm256_div_ps
#define vf_max _mm256_max_ps
#define vf_min _mm256_min_ps
#define vf_fmadd _mm256_fmadd_ps
#define vf_sqrt _mm256_sqrt_ps
#define vf_abs v8_abs
#define vf_neg v8_neg
#define vf_round v8_round
#define vf_exp v8_exp
#define vf_erf v8_erf
#define vf_act v8_act
#define vf_select_lt v8_select_lt
#define vf_floor _mm256_floor_ps
#define vf_ceil _mm256_ceil_ps

/* y, but NaN where x is. */
static inline vf vf_keep_nan(vf x, vf y)
{
    return _mm256_blendv_ps(y, x, _mm256_cmp_ps(x, x, _CMP_UNORD_Q));
}

static inline float vf_sum(vf x)
{
    __m128 s =
        _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));

    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

static inline float vf_max_lane(vf x)
{
    __m128 s =
        _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));

    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

static inline float vf_min_lane(vf x)
{
    __m128 s =
        _mm_min_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));

    s = _mm_min_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_min_ss(s, _mm_movehdup_ps(s)));
}

static inline bool vf_any_nan(vf x)
{
    return _mm256_movemask_ps(_mm256_cmp_ps(x, x, _CMP_UNORD_Q)) != 0;
}

/* marks, and NaN where a or b is. */
static inline vf vf_mark_nan(vf marks, vf a, vf b)
{
    return _mm256_or_ps(marks, _mm256_cmp_ps(a, b, _CMP_UNORD_Q));
}

/* Lane i of the result joins all lanes of v[i]; v is lost. */
static MD_ALWAYS_INLINE vf vf_across(vf v[VF_LANES], vf (*join)(vf, vf))
{
    MD_UNROLL(4)
    for (int i = 0; i < 4; i++)
        v[i] = join(_mm256_unpacklo_ps(v[2 * i], v[2 * i + 1]),
                    _mm256_unpackhi_ps(v[2 * i], v[2 * i + 1]));
    MD_UNROLL(2)
    for (int i = 0; i < 2; i++)
        v[i] = join(_mm256_shuffle_ps(v[2 * i], v[2 * i + 1], 0x44),
                    _mm256_shuffle_ps(v[2 * i], v[2 * i + 1], 0xee));
    return join(_mm256_permute2f128_ps(v[0], v[1], 0x20),
                _mm256_permute2f128_ps(v[0], v[1], 0x31));
}

/* Lanes 0, 2, 4, ... of a, then of b. */
static inline vf vf_even(vf a, vf b)
{
    const __m256 pairs = _mm256_shuffle_ps(a, b, 0x88); /* a b a b, by 2 */

    return _mm256_castpd_ps(
        _mm256_permute4x64_pd(_mm256_castps_pd(pairs), 0xd8));
}

/* p[0], p[stride], p[2 * stride], ...; 7 * stride is an int32_t. */
static inline vf vf_every(const float *p, int32_t stride)
{
    const __m256i lane = _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0);

    return _mm256_i32gather_ps(
        p, _mm256_mullo_epi32(lane, _mm256_set1_epi32(stride)), 4);
}

/* Lanes 0 0 1 1 2 2 ..., up to the half and from there on. */
static inline vf vf_twice_low(vf x)
{
    return _mm256_permutevar8x32_ps(x,
                                    _mm256_set_epi32(3, 3, 2, 2, 1, 1, 0, 0));
}

static inline vf vf_twice_high(vf x)
{
    return _mm256_permutevar8x32_ps(x,
                                    _mm256_set_epi32(7, 7, 6, 6, 5, 5, 4, 4));
}

/* Lanes 1 0 3 2 5 4 ... */
static inline vf vf_swap(vf x)
{
    return _mm256_permute_ps(x, 0xb1);
}

/* a - b in even lanes, a + b in odd ones. */
static inline vf vf_sub_add(vf a, vf b)
{
    return _mm256_addsub_ps(a, b);
}

/* Doubles: half as many lanes. */
typedef __m256d vd;

#define vd_set _mm256_set1_pd
#define vd_add _mm256_add_pd
#define vd_mul _mm256_mul_pd
#define vd_div _mm256_div_pd
#define vd_fmadd _mm256_fmadd_pd
#define vd_load _mm256_loadu_pd
#define vd_store _mm256_storeu_pd
#define vd_sub _mm256_sub_pd
#define vd_max _mm256_max_pd
#define vd_min _mm256_min_pd
#define vd_sqrt _mm256_sqrt_pd

static inline vd vd_abs(vd x)
{
    return _mm256_andnot_pd(_mm256_set1_pd(-0.0), x);
}

static inline vd vd_neg(vd x)
{
    return _mm256_xor_pd(x, _mm256_set1_pd(-0.0));
}

/* x >= 0 with the sign of y. */
static inline vd vd_with_sign(vd x, vd y)
{
    return _mm256_or_pd(x, _mm256_and_pd(y, _mm256_set1_pd(-0.0)));
}

/* The nearest integer, halves to the even one. */
static inline vd vd_round(vd x)
{
    return _mm256_round_pd(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* 2^k of integers -1022 .. 1023. */
static inline vd vd_power(__m128i k)
{
    const __m128i biased = _mm_add_epi32(k, _mm_set1_epi32(1023));

    return _mm256_castsi256_pd(
        _mm256_slli_epi64(_mm256_cvtepi32_epi64(biased), 52));
}

/* x * 2^k of an integer k, in two steps: a subnormal result is off by a unit
 * at most. */
static inline vd vd_scale(vd x, vd k)
{
    const __m128i whole = _mm256_cvtpd_epi32(k);
    const __m128i half = _mm_srai_epi32(whole, 1);

    x = _mm256_mul_pd(x, vd_power(half));
    return _mm256_mul_pd(x, vd_power(_mm_sub_epi32(whole, half)));
}

/* x where it is NaN, else y. */
static inline vd vd_pick_nan(vd x, vd y)
{
    return _mm256_blendv_pd(y, x, _mm256_cmp_pd(x, x, _CMP_UNORD_Q));
}

/* x where a < b, else y. */
static inline vd vd_pick_less(vd a, vd b, vd x, vd y)
{
    return _mm256_blendv_pd(y, x, _mm256_cmp_pd(a, b, _CMP_LT_OQ));
}

static inline bool vd_any_nan(vd x)
{
    return _mm256_movemask_pd(_mm256_cmp_pd(x, x, _CMP_UNORD_Q)) != 0;
}

/* Of lanes without NaN. */
static inline double vd_highest(vd x)
{
    const __m128d m =
        _mm_max_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd(x, 1));

    return _mm_cvtsd_f64(_mm_max_sd(m, _mm_unpackhi_pd(m, m)));
}

static inline double vd_lowest(vd x)
{
    const __m128d m =
        _mm_min_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd(x, 1));

    return _mm_cvtsd_f64(_mm_min_sd(m, _mm_unpackhi_pd(m, m)));
}

static inline __m256i vd_mask(size_t m)
{
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x((long long)m),
                              _mm256_set_epi64x(3, 2, 1, 0));
}

/* The first m lanes of x, the rest of fill. */
static inline vd vd_fill(vd x, size_t m, vd fill)
{
    return _mm256_blendv_pd(fill, x, _mm256_castsi256_pd(vd_mask(m)));
}

/* The first m lanes (0 .. VF_LANES / 2), the rest `fill`; memory past them is
 * not touched. */
static inline vd vd_load_some(const double *p, size_t m, vd fill)
{
    return vd_fill(_mm256_maskload_pd(p, vd_mask(m)), m, fill);
}

static inline void vd_store_some(double *p, vd x, size_t m)
{
    _mm256_maskstore_pd(p, vd_mask(m), x);
}

/* Lane i of the result joins all lanes of v[i]; v is lost. */
static MD_ALWAYS_INLINE vd vd_across(vd v[VF_LANES / 2], vd (*join)(vd, vd))
{
    MD_UNROLL(2)
    for (int i = 0; i < 2; i++)
        v[i] = join(_mm256_unpacklo_pd(v[2 * i], v[2 * i + 1]),
                    _mm256_unpackhi_pd(v[2 * i], v[2 * i + 1]));
    return join(_mm256_permute2f128_pd(v[0], v[1], 0x20),
                _mm256_permute2f128_pd(v[0], v[1], 0x31));
}

/* VF_LANES / 2 floats. */
static inline vd vd_widen(const float *p)
{
    return _mm256_cvtps_pd(_mm_loadu_ps(p));
}

/* The same the other way: x rounded to floats. */
static inline void vd_narrow(float *p, vd x)
{
    _mm_storeu_ps(p, _mm256_cvtpd_ps(x));
}

/* The lower and the upper half of the lanes. */
static inline vd vd_low(vf x)
{
    return _mm256_cvtps_pd(_mm256_castps256_ps128(x));
}

static inline vd vd_high(vf x)
{
    return _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1));
}

static inline vf vd_join(vd low, vd high)
{
    return _mm256_set_m128(_mm256_cvtpd_ps(high), _mm256_cvtpd_ps(low));
}

static inline double vd_sum(vd x)
{
    const __m128d s =
        _mm_add_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd(x, 1));

    return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
}

static inline double vd_product(vd x)
{
    const __m128d s =
        _mm_mul_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd(x, 1));

    return _mm_cvtsd_f64(_mm_mul_sd(s, _mm_unpackhi_pd(s, s)));
}

#endif
