#include "kernels/quantize.h"

#include <immintrin.h>

static __mmask16 lanes(size_t left)
{
    return left >= 16 ? 0xffff : (__mmask16)((1u << left) - 1);
}

void md_quantize__avx512(uint8_t *q, const float *x, size_t n,
                         const md_qparam *p)
{
    const __m512 lo = _mm512_set1_ps((float)(p->q_min - p->zero));
    const __m512 hi = _mm512_set1_ps((float)(p->q_max - p->zero));
    const __m512 scale = _mm512_set1_ps(p->scale);
    const __m512i zero = _mm512_set1_epi32(p->zero);

    for (size_t i = 0; i < n; i += 16) {
        const __mmask16 m = lanes(n - i);
        __m512 t = _mm512_div_ps(_mm512_maskz_loadu_ps(m, x + i), scale);

        /* maxps gives its second operand for NaN, as the definition does. */
        t = _mm512_min_ps(_mm512_max_ps(t, lo), hi);
        _mm_mask_storeu_epi8(q + i, m,
                             _mm512_cvtepi32_epi8(_mm512_add_epi32(
                                 _mm512_cvtps_epi32(t), zero)));
    }
}

static __m512i widen(const void *q, size_t i, __mmask16 m, md_qtype type)
{
    if (type == MD_QTYPE_S32)
        return _mm512_maskz_loadu_epi32(m, (const int32_t *)q + i);
    if (type == MD_QTYPE_S8)
        return _mm512_cvtepi8_epi32(
            _mm_maskz_loadu_epi8(m, (const int8_t *)q + i));
    return _mm512_cvtepu8_epi32(
        _mm_maskz_loadu_epi8(m, (const uint8_t *)q + i));
}

void md_dequantize__avx512(float *x, const void *q, size_t n, md_qtype type,
                           const md_qparam *p)
{
    const __m512 scale = _mm512_set1_ps(p->scale);
    const __m512i zero = _mm512_set1_epi32(p->zero);

    for (size_t i = 0; i < n; i += 16) {
        const __mmask16 m = lanes(n - i);
        const __m512i v = _mm512_sub_epi32(widen(q, i, m, type), zero);

        _mm512_mask_storeu_ps(x + i, m,
                              _mm512_mul_ps(_mm512_cvtepi32_ps(v), scale));
    }
}
