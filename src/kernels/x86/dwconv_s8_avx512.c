#include "kernels/dwconv_s8.h"

#include <immintrin.h>

enum {
    STEP = 8
};

static inline __m512i widen(const uint8_t *p)
{
    const __m128i b = _mm_loadu_si128((const __m128i *)p);

    return _mm512_cvtepu8_epi32(b);
}

__attribute__((always_inline)) static inline void pixels(const md_dw_tile *t,
                                                         int p0, const int n)
{
    __m512i acc[STEP];

#pragma GCC unroll 8
    for (int p = 0; p < n; p++)
        acc[p] = _mm512_loadu_si512(t->start);
    for (int64_t k = 0; k < t->n_taps; k++) {
        const uint8_t *x = t->taps[k] + t->at + p0 * t->stride;
        const __m512i w = _mm512_loadu_si512(t->words + k * MD_LANES);

#pragma GCC unroll 8
        for (int p = 0; p < n; p++)
            acc[p] = _mm512_add_epi32(
                acc[p], _mm512_madd_epi16(widen(x + p * t->stride), w));
    }
#pragma GCC unroll 8
    for (int p = 0; p < n; p++)
        _mm512_storeu_si512(t->acc + (p0 + p) * MD_LANES, acc[p]);
}

void md_dw_s8__avx512(const md_dw_tile *t)
{
    int p = 0;

    for (; p + STEP <= t->pixels; p += STEP)
        pixels(t, p, STEP);
    for (; p < t->pixels; p++)
        pixels(t, p, 1);
}
