#include <stdint.h>

#include "base/attr.h"
#include "kernels/x86/vec_avx512.h"

typedef __m512i words;

static inline words words_load(const uint8_t *q)
{
    return _mm512_loadu_si512(q);
}

/* Code i of each word.  Of 4 bits by a table, which asks for the lowest bits of
 * an index only and so spares cutting them out. */
static MD_ALWAYS_INLINE vf code_of(words q, int i, int bits)
{
    const __m512 codes =
        _mm512_set_ps(-1, -2, -3, -4, -5, -6, -7, -8, 7, 6, 5, 4, 3, 2, 1, 0);

    if (bits == 4)
        return _mm512_permutexvar_ps(
            _mm512_srli_epi32(q, (unsigned int)(i * 4)), codes);
    return _mm512_cvtepi32_ps(_mm512_srai_epi32(
        _mm512_slli_epi32(q, (unsigned int)(24 - i * 8)), 24));
}

#include "kernels/x86/unpack_f32_vec.h"
