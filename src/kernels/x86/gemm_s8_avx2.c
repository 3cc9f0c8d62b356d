/*
 * Without VNNI: bytes are widened to 16 bits and vpmaddwd adds pairs exactly
 * (vpmaddubsw would saturate).  A register of sums then holds two partial
 * sums per column, joined at the end.  Tiles are 3 rows x 16 columns.
 */
#include "kernels/gemm_s8.h"

#include <immintrin.h>
#include <string.h>

enum {
    ROWS = 3,
    REGS = 4 /* of 4 columns */
};

static inline __m256i quad(const uint8_t *a)
{
    int32_t four;

    memcpy(&four, a, 4);
    return _mm256_cvtepu8_epi16(_mm_set1_epi32(four));
}

/* 4 x two partial sums joined, plus start. */
static inline void join(int32_t *out, __m256i acc, const int32_t *start)
{
    const __m256i even = _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6);
    const __m256i sum = _mm256_add_epi32(acc, _mm256_srli_epi64(acc, 32));
    const __m128i four =
        _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(sum, even));

    _mm_storeu_si128(
        (__m128i *)out,
        _mm_add_epi32(four, _mm_loadu_si128((const __m128i *)start)));
}

/* Rows r0 .. r0 + rows of block c. */
__attribute__((always_inline)) static inline void tile(const md_dot_tile *t,
                                                       int r0, int c,
                                                       const int rows)
{
    __m256i acc[ROWS][REGS];
    const int8_t *b = t->b + c * t->b_stride;
    const int32_t *start = (const int32_t *)t->start + (size_t)c * MD_LANES;
    const int64_t stride = t->a_stride;
    int32_t *out = (int32_t *)t->acc + ((size_t)r0 * t->blocks + c) * MD_LANES;

#pragma GCC unroll 3
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int j = 0; j < REGS; j++)
            acc[r][j] = _mm256_setzero_si256();
    for (int64_t k = 0; k < t->n_taps; k++) {
        const uint8_t *a = t->a + r0 * stride + t->taps[k];

        for (int64_t i = 0; i < t->n_quads; i++, a += 4, b += 64) {
            __m256i v[ROWS];

#pragma GCC unroll 3
            for (int r = 0; r < rows; r++)
                v[r] = quad(a + r * stride);
#pragma GCC unroll 4
            for (int j = 0; j < REGS; j++) {
                const __m256i w = _mm256_cvtepi8_epi16(
                    _mm_loadu_si128((const __m128i *)(b + 16 * j)));

#pragma GCC unroll 3
                for (int r = 0; r < rows; r++)
                    acc[r][j] =
                        _mm256_add_epi32(acc[r][j], _mm256_madd_epi16(v[r], w));
            }
        }
    }
#pragma GCC unroll 3
    for (int r = 0; r < rows; r++, out += (size_t)t->blocks * MD_LANES)
#pragma GCC unroll 4
        for (int j = 0; j < REGS; j++)
            join(out + (size_t)4 * j, acc[r][j], start + (size_t)4 * j);
}

void md_dot_s8__avx2(const md_dot_tile *t)
{
    for (int c = 0; c < t->blocks; c++) {
        int r = 0;

        for (; r + ROWS <= t->rows; r += ROWS)
            tile(t, r, c, ROWS);
        for (; r < t->rows; r++)
            tile(t, r, c, 1);
    }
}
