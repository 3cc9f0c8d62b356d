/* As vec_avx512.h, with 8 lanes. */
#ifndef MD_KERNELS_X86_VEC_AVX2_H
#define MD_KERNELS_X86_VEC_AVX2_H

#include <stdbool.h>

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

/* Doubles: half as many lanes. */
typedef __m256d vd;

#define vd_set _mm256_set1_pd
#define vd_add _mm256_add_pd
#define vd_mul _mm256_mul_pd
#define vd_div _mm256_div_pd
#define vd_fmadd _mm256_fmadd_pd
#define vd_load _mm256_loadu_pd
#define vd_store _mm256_storeu_pd

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
