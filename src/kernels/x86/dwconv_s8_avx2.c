#include "kernels/dwconv_s8.h"

#include <immintrin.h>

enum {
    STEP = 4
};

static inline __m256i widen(const uint8_t *p)
{
    const __m128i b = _mm_loadl_epi64((const __m128i *)p);

    return _mm256_cvtepu8_epi32(b);
}

static inline __m256i load(const int32_t *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

/* The half block of channels from `half` (0 or 8) on. */
__attribute__((always_inline)) static inline void half_pixels(
    const md_dw_tile *t, int p0, const int n, const int half)
{
    __m256i acc[STEP];

#pragma GCC unroll 4
    for (int p = 0; p < n; p++)
        acc[p] = load(t->start + half);
    for (int64_t k = 0; k < t->n_taps; k++) {
        const uint8_t *x = t->taps[k] + t->at + p0 * t->stride + half;
        const __m256i w = load(t->words + k * MD_LANES + half);

#pragma GCC unroll 4
        for (int p = 0; p < n; p++)
            acc[p] = _mm256_add_epi32(
                acc[p], _mm256_madd_epi16(widen(x + p * t->stride), w));
    }
#pragma GCC unroll 4
    for (int p = 0; p < n; p++)
        _mm256_storeu_si256((__m256i *)(t->acc + (p0 + p) * MD_LANES + half),
                            acc[p]);
}

__attribute__((always_inline)) static inline void pixels(const md_dw_tile *t,
                                                         int p0, const int n)
{
    half_pixels(t, p0, n, 0);
    half_pixels(t, p0, n, 8);
}

void md_dw_s8__avx2(const md_dw_tile *t)
{
    int p = 0;

    for (; p + STEP <= t->pixels; p += STEP)
        pixels(t, p, STEP);
    for (; p < t->pixels; p++)
        pixels(t, p, 1);
}
