/* As gemm_s8_avx512vnni.c with sixteen 256-bit registers: tiles of 6 rows x
 * 16 columns (12 accumulators, 2 of weights, 1 of inputs). */
#include "kernels/gemm_s8.h"

#include <immintrin.h>
#include <string.h>

enum {
    ROWS = 6
};

static inline __m256i quad(const uint8_t *a)
{
    int32_t four;

    memcpy(&four, a, 4);
    return _mm256_set1_epi32(four);
}

static inline __m256i dp(__m256i acc, __m256i a, __m256i b)
{
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(acc) : "x"(a), "x"(b));
    return acc;
}

/* Rows r0 .. r0 + rows of block c. */
__attribute__((always_inline)) static inline void tile(const md_dot_tile *t,
                                                       int r0, int c,
                                                       const int rows)
{
    __m256i acc[ROWS][2];
    const int8_t *b = t->b + c * t->b_stride;
    const int32_t *start = (const int32_t *)t->start + (size_t)c * MD_LANES;
    const int64_t stride = t->a_stride;
    int32_t *out = (int32_t *)t->acc + ((size_t)r0 * t->blocks + c) * MD_LANES;

#pragma GCC unroll 6
    for (int r = 0; r < rows; r++) {
        acc[r][0] = _mm256_loadu_si256((const __m256i *)start);
        acc[r][1] = _mm256_loadu_si256((const __m256i *)(start + 8));
    }
    for (int64_t k = 0; k < t->n_taps; k++) {
        const uint8_t *a = t->a + r0 * stride + t->taps[k];

        for (int64_t i = 0; i < t->n_quads; i++, a += 4, b += 64) {
            const __m256i b0 = _mm256_loadu_si256((const __m256i *)b);
            const __m256i b1 = _mm256_loadu_si256((const __m256i *)(b + 32));

#pragma GCC unroll 6
            for (int r = 0; r < rows; r++) {
                const __m256i v = quad(a + r * stride);

                acc[r][0] = dp(acc[r][0], v, b0);
                acc[r][1] = dp(acc[r][1], v, b1);
            }
        }
    }
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++, out += (size_t)t->blocks * MD_LANES) {
        _mm256_storeu_si256((__m256i *)out, acc[r][0]);
        _mm256_storeu_si256((__m256i *)(out + 8), acc[r][1]);
    }
}

void md_dot_s8__avxvnni(const md_dot_tile *t)
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
