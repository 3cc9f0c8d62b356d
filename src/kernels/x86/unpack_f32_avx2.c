#include <stdint.h>

#include "base/attr.h"
#include "kernels/x86/vec_avx2.h"

typedef __m256i words;

static inline words words_load(const uint8_t *q)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)q);
}

/* Code i of each word. */
static MD_ALWAYS_INLINE vf code_of(words q, int i, int bits)
{
    const int above = 32 - bits * (i + 1);

    return _mm256_cvtepi32_ps(
        _mm256_srai_epi32(_mm256_slli_epi32(q, above), 32 - bits));
}

#include "kernels/x86/unpack_f32_vec.h"
