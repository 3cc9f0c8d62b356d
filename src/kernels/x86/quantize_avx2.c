#include "kernels/x86/vec_avx2.h"

#include "kernels/x86/quantize_vec.h"

void md_quantize__avx2(uint8_t *q, const float *x, size_t n, const md_qparam *p)
{
    const __m256 lo = _mm256_set1_ps((float)(p->q_min - p->zero));
    const __m256 hi = _mm256_set1_ps((float)(p->q_max - p->zero));
    const __m256 scale = _mm256_set1_ps(p->scale);
    const __m256i zero = _mm256_set1_epi32(p->zero);
    /* The low byte of each dword to the front of its half. */
    const __m256i pick = _mm256_set1_epi64x(0x0c080400);
    size_t i = 0;

    for (; i + 8 <= n; i += 8) {
        __m256 t = _mm256_div_ps(_mm256_loadu_ps(x + i), scale);
        __m256i v;
        __m128i a, b;

        /* maxps gives its second operand for NaN, as the definition does. */
        t = _mm256_min_ps(_mm256_max_ps(t, lo), hi);
        v = _mm256_add_epi32(_mm256_cvtps_epi32(t), zero);
        v = _mm256_shuffle_epi8(v, pick);
        a = _mm256_castsi256_si128(v);
        b = _mm256_extracti128_si256(v, 1);
        _mm_storel_epi64((__m128i *)(q + i), _mm_unpacklo_epi32(a, b));
    }
    md_quantize__ref(q + i, x + i, n - i, p);
}

static __m256i widen(const void *q, size_t i, md_qtype type)
{
    const char *byte = (const char *)q + i;

    if (type == MD_QTYPE_S32)
        return _mm256_loadu_si256((const void *)((const int32_t *)q + i));
    if (type == MD_QTYPE_S8)
        return _mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)byte));
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)byte));
}

void md_dequantize__avx2(float *x, const void *q, size_t n, md_qtype type,
                         const md_qparam *p)
{
    const __m256 scale = _mm256_set1_ps(p->scale);
    const __m256i zero = _mm256_set1_epi32(p->zero);
    const size_t size = type == MD_QTYPE_S32 ? 4 : 1;
    size_t i = 0;

    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(
            x + i, _mm256_mul_ps(_mm256_cvtepi32_ps(
                                     _mm256_sub_epi32(widen(q, i, type), zero)),
                                 scale));
    md_dequantize__ref(x + i, (const char *)q + i * size, n - i, type, p);
}
