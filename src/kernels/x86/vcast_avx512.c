#include <immintrin.h>

#include "kernels/vcast_loops.h"

/* A signalling NaN stays one, which the instruction does not let it. */
static __m512 widened(__m256i h)
{
    const __m512 v = _mm512_cvtph_ps(h);
    const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    __m512i u;

    if (__builtin_expect(nan == 0, 1))
        return v;
    u = _mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 13);
    u = _mm512_or_si512(_mm512_and_si512(u, _mm512_set1_epi32(0x007fe000)),
                        _mm512_and_si512(_mm512_castps_si512(v),
                                         _mm512_set1_epi32((int)0xff800000)));
    return _mm512_mask_mov_ps(v, nan, _mm512_castsi512_ps(u));
}

/* NaN is the quiet one without a payload. */
static __m256i narrowed(__m512 v)
{
    const __m256i h = _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT);
    const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    __m256i q;

    if (__builtin_expect(nan == 0, 1))
        return h;
    q = _mm256_and_si256(h, _mm256_set1_epi16((short)0x8000));
    q = _mm256_or_si256(q, _mm256_set1_epi16(0x7e00));
    return _mm256_mask_mov_epi16(h, nan, q);
}

static void widen(void *y, const void *x, size_t n)
{
    const uint16_t *p = x;
    float *o = y;

    for (; n >= 16; n -= 16, p += 16, o += 16)
        _mm512_storeu_ps(o, widened(_mm256_loadu_si256((const void *)p)));
    if (n > 0) {
        const __mmask16 m = (__mmask16)((1u << n) - 1);

        _mm512_mask_storeu_ps(o, m, widened(_mm256_maskz_loadu_epi16(m, p)));
    }
}

static void narrow(void *y, const void *x, size_t n)
{
    const float *p = x;
    uint16_t *o = y;

    for (; n >= 16; n -= 16, p += 16, o += 16)
        _mm256_storeu_si256((void *)o, narrowed(_mm512_loadu_ps(p)));
    if (n > 0) {
        const __mmask16 m = (__mmask16)((1u << n) - 1);

        _mm256_mask_storeu_epi16(o, m, narrowed(_mm512_maskz_loadu_ps(m, p)));
    }
}

/* Rounded to odd, md_f64_to_f32_odd: towards zero, and the last bit is set
 * where some of the 29 that are cut off is.  Of what is too small for a normal
 * float more are cut off, but that is 0 in float16. */
static MD_ALWAYS_INLINE __m256 odd_floats(__m512d d)
{
    const __m256i u = _mm256_castps_si256(
        _mm512_cvt_roundpd_ps(d, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC));
    const __mmask8 cut = _mm512_test_epi64_mask(_mm512_castpd_si512(d),
                                                _mm512_set1_epi64(0x1fffffff));

    return _mm256_castsi256_ps(
        _mm256_mask_or_epi32(u, cut, u, _mm256_set1_epi32(1)));
}

/* Two times eight doubles, by way of floats. */
static MD_ALWAYS_INLINE __m256i narrowed_f64(__m512d low, __m512d high)
{
    return narrowed(_mm512_insertf32x8(_mm512_castps256_ps512(odd_floats(low)),
                                       odd_floats(high), 1));
}

static void widen_f64(void *y, const void *x, size_t n)
{
    const uint16_t *p = x;
    double *o = y;

    for (; n >= 8; n -= 8, p += 8, o += 8)
        _mm512_storeu_pd(o, _mm512_cvtps_pd(_mm256_cvtph_ps(
                                _mm_loadu_si128((const void *)p))));
    if (n > 0) {
        const __mmask8 m = (__mmask8)((1u << n) - 1);

        _mm512_mask_storeu_pd(
            o, m,
            _mm512_cvtps_pd(_mm256_cvtph_ps(_mm_maskz_loadu_epi16(m, p))));
    }
}

static void narrow_f64(void *y, const void *x, size_t n)
{
    const double *p = x;
    uint16_t *o = y;

    for (; n >= 16; n -= 16, p += 16, o += 16)
        _mm256_storeu_si256((void *)o, narrowed_f64(_mm512_loadu_pd(p),
                                                    _mm512_loadu_pd(p + 8)));
    if (n > 0) {
        const __mmask16 m = (__mmask16)((1u << n) - 1);
        const __mmask8 low = (__mmask8)m, high = (__mmask8)(m >> 8);

        _mm256_mask_storeu_epi16(
            o, m,
            narrowed_f64(_mm512_maskz_loadu_pd(low, p),
                         _mm512_maskz_loadu_pd(high, p + (high ? 8 : 0))));
    }
}

md_vcast_fn *md_vcast__avx512(md_dtype to, md_dtype from)
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
