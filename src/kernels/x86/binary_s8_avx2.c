#include "kernels/binary_s8.h"

#include <immintrin.h>

static inline __m256i operand(const uint8_t *p, size_t i, int step,
                              bool is_signed, int32_t zero)
{
    const __m128i v = step ? _mm_loadl_epi64((const __m128i *)(p + i))
                           : _mm_set1_epi8((char)*p);
    const __m256i w =
        is_signed ? _mm256_cvtepi8_epi32(v) : _mm256_cvtepu8_epi32(v);

    return _mm256_sub_epi32(w, _mm256_set1_epi32(zero));
}

static inline __m256 combine(const md_binary_s8_op *op, __m256i a, __m256i b)
{
    const __m256 ma = _mm256_set1_ps(op->a_mult);
    const __m256 mb = _mm256_set1_ps(op->b_mult);

    if (op->mul)
        return _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_mullo_epi32(a, b)), ma);
    return _mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(a), ma),
                         _mm256_mul_ps(_mm256_cvtepi32_ps(b), mb));
}

void md_binary_s8__avx2(uint8_t *y, const uint8_t *a, const uint8_t *b,
                        size_t n, int a_step, int b_step,
                        const md_binary_s8_op *op)
{
    const __m256 lo = _mm256_set1_ps((float)(op->q_min - op->zero));
    const __m256 hi = _mm256_set1_ps((float)(op->q_max - op->zero));
    const __m256i zero = _mm256_set1_epi32(op->zero);
    /* The low byte of each dword to the front of its half. */
    const __m256i pick = _mm256_set1_epi64x(0x0c080400);
    size_t i = 0;

    for (; i + 8 <= n; i += 8) {
        const __m256i p = operand(a, i, a_step, op->a_signed, op->a_zero);
        const __m256i q = operand(b, i, b_step, op->b_signed, op->b_zero);
        const __m256 t =
            _mm256_min_ps(_mm256_max_ps(combine(op, p, q), lo), hi);
        const __m256i v = _mm256_shuffle_epi8(
            _mm256_add_epi32(_mm256_cvtps_epi32(t), zero), pick);

        _mm_storel_epi64((__m128i *)(y + i),
                         _mm_unpacklo_epi32(_mm256_castsi256_si128(v),
                                            _mm256_extracti128_si256(v, 1)));
        for (size_t j = 0; op->lut && j < 8; j++)
            y[i + j] = op->lut[y[i + j]];
    }
    md_binary_s8__ref(y + i, a + (a_step ? i : 0), b + (b_step ? i : 0), n - i,
                      a_step, b_step, op);
}
