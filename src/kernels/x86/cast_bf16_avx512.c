/* By integers: vcvtneps2bf16 takes subnormals for zeros. */
#include "kernels/cast_bf16.h"

#include <immintrin.h>

static inline __m256i cast(__m512 x)
{
    const __m512i bits = _mm512_castps_si512(x);
    const __m512i odd =
        _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i half = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff));
    const __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
    const __mmask16 is_nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    const __m512i sum = _mm512_add_epi32(bits, half);

    return _mm512_cvtepi32_epi16(
        _mm512_srli_epi32(_mm512_mask_mov_epi32(sum, is_nan, quiet), 16));
}

void md_cast_bf16__avx512(uint16_t *to, int64_t step, const float *from,
                          int64_t n)
{
    for (; n >= 16; n -= 16, from += 16, to += step)
        _mm256_storeu_si256((__m256i *)(void *)to, cast(_mm512_loadu_ps(from)));
    if (n > 0) {
        const __mmask16 m = (__mmask16)((1u << n) - 1);

        _mm256_mask_storeu_epi16(to, m, cast(_mm512_maskz_loadu_ps(m, from)));
    }
}
