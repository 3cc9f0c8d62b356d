#include "kernels/binary_s8.h"

#include <immintrin.h>

static inline __m512i operand(const uint8_t *p, size_t i, int step, __mmask16 m,
                              bool is_signed, int32_t zero)
{
    const __m128i v =
        step ? _mm_maskz_loadu_epi8(m, p + i) : _mm_set1_epi8((char)*p);
    const __m512i w =
        is_signed ? _mm512_cvtepi8_epi32(v) : _mm512_cvtepu8_epi32(v);

    return _mm512_sub_epi32(w, _mm512_set1_epi32(zero));
}

static inline __m512 combine(const md_binary_s8_op *op, __m512i a, __m512i b)
{
    const __m512 ma = _mm512_set1_ps(op->a_mult);
    const __m512 mb = _mm512_set1_ps(op->b_mult);

    if (op->mul)
        return _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_mullo_epi32(a, b)), ma);
    return _mm512_add_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(a), ma),
                         _mm512_mul_ps(_mm512_cvtepi32_ps(b), mb));
}

void md_binary_s8__avx512(uint8_t *y, const uint8_t *a, const uint8_t *b,
                          size_t n, int a_step, int b_step,
                          const md_binary_s8_op *op)
{
    const __m512 lo = _mm512_set1_ps((float)(op->q_min - op->zero));
    const __m512 hi = _mm512_set1_ps((float)(op->q_max - op->zero));
    const __m512i zero = _mm512_set1_epi32(op->zero);

    for (size_t i = 0; i < n; i += 16) {
        const size_t k = n - i < 16 ? n - i : 16;
        const __mmask16 m = (__mmask16)((1u << k) - 1);
        const __m512i p = operand(a, i, a_step, m, op->a_signed, op->a_zero);
        const __m512i q = operand(b, i, b_step, m, op->b_signed, op->b_zero);
        const __m512 t =
            _mm512_min_ps(_mm512_max_ps(combine(op, p, q), lo), hi);

        _mm_mask_storeu_epi8(y + i, m,
                             _mm512_cvtepi32_epi8(_mm512_add_epi32(
                                 _mm512_cvtps_epi32(t), zero)));
        for (size_t j = 0; op->lut && j < k; j++)
            y[i + j] = op->lut[y[i + j]];
    }
}
