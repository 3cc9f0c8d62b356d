#include <immintrin.h>
#include <string.h>

#include "kernels/vcast_loops.h"

/* A signalling NaN stays one, which the instruction does not let it. */
static __m256 widened(__m128i h)
{
    const __m256 v = _mm256_cvtph_ps(h);
    const __m256 nan = _mm256_cmp_ps(v, v, _CMP_UNORD_Q);
    __m256i u;

    if (__builtin_expect(_mm256_movemask_ps(nan) == 0, 1))
        return v;
    u = _mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 13);
    u = _mm256_or_si256(_mm256_and_si256(u, _mm256_set1_epi32(0x007fe000)),
                        _mm256_and_si256(_mm256_castps_si256(v),
                                         _mm256_set1_epi32((int)0xff800000)));
    return _mm256_blendv_ps(v, _mm256_castsi256_ps(u), nan);
}

/* NaN is the quiet one without a payload. */
static __m128i narrowed(__m256 v)
{
    const __m128i h = _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT);
    const __m256 nan = _mm256_cmp_ps(v, v, _CMP_UNORD_Q);
    __m256i wide;
    __m128i mask, q;

    if (__builtin_expect(_mm256_movemask_ps(nan) == 0, 1))
        return h;
    wide = _mm256_castps_si256(nan);
    mask = _mm_packs_epi32(_mm256_castsi256_si128(wide),
                           _mm256_extracti128_si256(wide, 1));
    q = _mm_and_si128(h, _mm_set1_epi16((short)0x8000));
    q = _mm_or_si128(q, _mm_set1_epi16(0x7e00));
    return _mm_blendv_epi8(h, q, mask);
}

static void widen(void *y, const void *x, size_t n)
{
    const uint16_t *p = x;
    float *o = y;

    for (; n >= 8; n -= 8, p += 8, o += 8)
        _mm256_storeu_ps(o, widened(_mm_loadu_si128((const void *)p)));
    if (n > 0) {
        uint16_t rest[8] = { 0 };
        float v[8];

        memcpy(rest, p, n * sizeof(*rest));
        _mm256_storeu_ps(v, widened(_mm_loadu_si128((const void *)rest)));
        memcpy(o, v, n * sizeof(*v));
    }
}

static void narrow(void *y, const void *x, size_t n)
{
    const float *p = x;
    uint16_t *o = y;

    for (; n >= 8; n -= 8, p += 8, o += 8)
        _mm_storeu_si128((void *)o, narrowed(_mm256_loadu_ps(p)));
    if (n > 0) {
        float rest[8] = { 0 };
        uint16_t v[8];

        memcpy(rest, p, n * sizeof(*rest));
        _mm_storeu_si128((void *)v, narrowed(_mm256_loadu_ps(rest)));
        memcpy(o, v, n * sizeof(*v));
    }
}

/* Masks of 64 bits as masks of 32. */
static __m128i half_masks(__m256d m)
{
    return _mm_castps_si128(
        _mm_shuffle_ps(_mm_castpd_ps(_mm256_castpd256_pd128(m)),
                       _mm_castpd_ps(_mm256_extractf128_pd(m, 1)), 0x88));
}

/* Rounded to odd: md_f64_to_f32_odd. */
static __m128 odd_floats(__m256d d)
{
    const __m256d sign = _mm256_set1_pd(-0.0);
    const __m128 f = _mm256_cvtpd_ps(d);
    const __m256d back = _mm256_cvtps_pd(f);
    const __m128i other = half_masks(_mm256_cmp_pd(back, d, _CMP_NEQ_OQ));
    const __m128i beyond = half_masks(_mm256_cmp_pd(
        _mm256_andnot_pd(sign, back), _mm256_andnot_pd(sign, d), _CMP_GT_OQ));

    /* a mask is -1 */
    return _mm_castsi128_ps(
        _mm_or_si128(_mm_add_epi32(_mm_castps_si128(f), beyond),
                     _mm_and_si128(other, _mm_set1_epi32(1))));
}

static void narrow_f64(void *y, const void *x, size_t n)
{
    const double *p = x;
    uint16_t *o = y;

    for (; n >= 8; n -= 8, p += 8, o += 8)
        _mm_storeu_si128((void *)o, narrowed(_mm256_set_m128(
                                        odd_floats(_mm256_loadu_pd(p + 4)),
                                        odd_floats(_mm256_loadu_pd(p)))));
    if (n > 0) {
        double rest[8] = { 0 };
        uint16_t v[8];

        memcpy(rest, p, n * sizeof(*rest));
        narrow_f64(v, rest, 8);
        memcpy(o, v, n * sizeof(*v));
    }
}

static void widen_f64(void *y, const void *x, size_t n)
{
    const uint16_t *p = x;
    double *o = y;

    for (; n >= 4; n -= 4, p += 4, o += 4)
        _mm256_storeu_pd(
            o, _mm256_cvtps_pd(_mm_cvtph_ps(_mm_loadl_epi64((const void *)p))));
    if (n > 0) {
        uint16_t rest[4] = { 0 };
        double v[4];

        memcpy(rest, p, n * sizeof(*rest));
        widen_f64(v, rest, 4);
        memcpy(o, v, n * sizeof(*v));
    }
}

md_vcast_fn *md_vcast__avx2(md_dtype to, md_dtype from)
{
    if (to == MD_DTYPE_F64 && from == MD_DTYPE_F16)
        return widen_f64;
    if (to == MD_DTYPE_F16 && from == MD_DTYPE_F64)
        return narrow_f64;
    if (to == MD_DTYPE_F32 && from == MD_DTYPE_F16)
        return widen;
    if (to == MD_DTYPE_F16 && from == MD_DTYPE_F32)
        return narrow;
    return find(to, from);
}
