/*
 * Without VNNI: bytes are widened to 16 bits and vpmaddwd adds pairs exactly
 * (vpmaddubsw would saturate).  A register of sums then holds two partial
 * sums per column, joined at the end.  Tiles are 8 rows x 16 columns.
 */
#include "kernels/gemm_s8.h"

#include <immintrin.h>
#include <string.h>

enum {
    ROWS = 8,
    REGS = 2 /* of 8 columns */
};

static inline __m512i quad(const uint8_t *a)
{
    int32_t four;

    memcpy(&four, a, 4);
    return _mm512_cvtepu8_epi16(_mm256_set1_epi32(four));
}

/* 8 x two partial sums joined, plus start. */
static inline void join(int32_t *out, __m512i acc, const int32_t *start)
{
    const __m512i sum = _mm512_add_epi32(acc, _mm512_srli_epi64(acc, 32));

    _mm256_storeu_si256(
        (__m256i *)out,
        _mm256_add_epi32(_mm512_cvtepi64_epi32(sum),
                         _mm256_loadu_si256((const __m256i *)start)));
}

/* Rows r0 .. r0 + rows of block c. */
__attribute__((always_inline)) static inline void tile(const md_dot_tile *t,
                                                       int r0, int c,
                                                       const int rows)
{
    __m512i acc[ROWS][REGS];
    const int8_t *b = t->b + c * t->b_stride;
    const int32_t *start = (const int32_t *)t->start + (size_t)c * MD_LANES;
    const int64_t stride = t->a_stride;
    int32_t *out = (int32_t *)t->acc + ((size_t)r0 * t->blocks + c) * MD_LANES;

#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
        acc[r][0] = acc[r][1] = _mm512_setzero_si512();
    for (int64_t k = 0; k < t->n_taps; k++) {
        const uint8_t *a = t->a + r0 * stride + t->taps[k];

        for (int64_t i = 0; i < t->n_quads; i++, a += 4, b += 64) {
            const __m512i w0 =
                _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)b));
            const __m512i w1 = _mm512_cvtepi8_epi16(
                _mm256_loadu_si256((const __m256i *)(b + 32)));

#pragma GCC unroll 8
            for (int r = 0; r < rows; r++) {
                const __m512i v = quad(a + r * stride);

                acc[r][0] =
                    _mm512_add_epi32(acc[r][0], _mm512_madd_epi16(v, w0));
                acc[r][1] =
                    _mm512_add_epi32(acc[r][1], _mm512_madd_epi16(v, w1));
            }
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++, out += (size_t)t->blocks * MD_LANES) {
        join(out, acc[r][0], start);
        join(out + 8, acc[r][1], start + 8);
    }
}

void md_dot_s8__avx512(const md_dot_tile *t)
{
    for (int c = 0; c < t->blocks; c++) {
        int r = 0;

        for (; r + ROWS <= t->rows; r += ROWS)
            tile(t, r, c, ROWS);
        for (; r + 2 <= t->rows; r += 2)
            tile(t, r, c, 2);
        if (r < t->rows)
            tile(t, r, c, 1);
    }
}
