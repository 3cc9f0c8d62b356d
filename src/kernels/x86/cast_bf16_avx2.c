#include "kernels/cast_bf16.h"

#include <immintrin.h>

static inline __m256i high_half(__m256 x)
{
    const __m256i bits = _mm256_castps_si256(x);
    const __m256i odd =
        _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i half = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff));
    const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    const __m256i is_nan =
        _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    const __m256i sum = _mm256_add_epi32(bits, half);

    return _mm256_srli_epi32(_mm256_blendv_epi8(sum, quiet, is_nan), 16);
}

void md_cast_bf16__avx2(uint16_t *to, int64_t step, const float *from,
                        int64_t n)
{
    for (; n >= 16; n -= 16, from += 16, to += step) {
        const __m256i lo = high_half(_mm256_loadu_ps(from));
        const __m256i hi = high_half(_mm256_loadu_ps(from + 8));
        const __m256i mixed = _mm256_packus_epi32(lo, hi);

        _mm256_storeu_si256((__m256i *)(void *)to,
                            _mm256_permute4x64_epi64(mixed, 0xd8));
    }
    md_cast_bf16__ref(to, step, from, n);
}
