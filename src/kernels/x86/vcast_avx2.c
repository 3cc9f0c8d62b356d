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

md_vcast_fn *md_vcast__avx2(md_dtype to, md_dtype from)
{
    if (to == MD_DTYPE_F32 && from == MD_DTYPE_F16)
        return widen;
    if (to == MD_DTYPE_F16 && from == MD_DTYPE_F32)
        return narrow;
    return find(to, from);
}
