/*
 * One md_dot_tile with an instruction that multiplies 64 bytes by 64 bytes
 * into 16 sums; whoever includes this defines AVX512_DOT, its name, and
 * AVX512_EXACT if sums may be taken in any order.  Tiles are
 * 12 rows x 32 columns (24 accumulators, so that the two units always have an
 * independent sum to work on) or 6 x 64 for few rows.
 *
 * gcc 12 keeps the accumulators in registers only if every loop over them is
 * unrolled and the instruction is written as asm: with the intrinsic it gets
 * half the speed.
 */
#ifndef MD_KERNELS_X86_DOT_AVX512_H
#define MD_KERNELS_X86_DOT_AVX512_H

#include <immintrin.h>
#include <string.h>

#include "base/attr.h"
#include "kernels/dot_tile.h"

#if !defined(AVX512_DOT)
#define AVX512_DOT "vpdpbusd"
#endif

enum {
    ROWS = 12,
    LANES = 16
};

static inline __m512i quad(const uint8_t *a)
{
    int32_t four;

    memcpy(&four, a, 4);
    return _mm512_set1_epi32(four);
}

static inline __m512i dp(__m512i acc, __m512i a, __m512i b)
{
    __asm__(AVX512_DOT " %2, %1, %0" : "+v"(acc) : "v"(a), "v"(b));
    return acc;
}

/* rows and blocks are constants wherever this is inlined. */
static MD_ALWAYS_INLINE void tile(const md_dot_tile *t, const int rows,
                                  const int blocks)
{
    __m512i acc[ROWS][MD_DOT_BLOCKS];
    const int8_t *b = t->b;
    const int64_t stride = t->a_stride, b_stride = t->b_stride;

#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int c = 0; c < blocks; c++)
            acc[r][c] =
                _mm512_loadu_si512((const int32_t *)t->start + c * LANES);
    for (int64_t k = 0; k < t->n_taps; k++) {
        const uint8_t *a = t->a + t->taps[k];

        for (int64_t i = 0; i < t->n_quads; i++, a += 4, b += 64) {
            __m512i w[MD_DOT_BLOCKS];

#pragma GCC unroll 4
            for (int c = 0; c < blocks; c++)
                w[c] = _mm512_loadu_si512(b + c * b_stride);
#pragma GCC unroll 12
            for (int r = 0; r < rows; r++) {
                const __m512i v = quad(a + r * stride);

#pragma GCC unroll 4
                for (int c = 0; c < blocks; c++)
                    acc[r][c] = dp(acc[r][c], v, w[c]);
            }
        }
    }
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int c = 0; c < blocks; c++)
            _mm512_storeu_si512((int32_t *)t->acc + (r * blocks + c) * LANES,
                                acc[r][c]);
}

/* One row: its few sums would wait for each other, so every second quad has
 * sums of its own.  Only for sums that may be taken in any order. */
#if defined(AVX512_EXACT)
static MD_ALWAYS_INLINE void row_tile(const md_dot_tile *t, const int blocks)
{
    __m512i acc[2][MD_DOT_BLOCKS];
    const int8_t *b = t->b;

#pragma GCC unroll 4
    for (int c = 0; c < blocks; c++) {
        acc[0][c] = _mm512_loadu_si512((const int32_t *)t->start + c * LANES);
        acc[1][c] = _mm512_setzero_si512();
    }
    for (int64_t k = 0; k < t->n_taps; k++) {
        const uint8_t *a = t->a + t->taps[k];
        int64_t i = 0;

        for (; i + 2 <= t->n_quads; i += 2, a += 8, b += 128) {
            const __m512i v = quad(a), w = quad(a + 4);

#pragma GCC unroll 4
            for (int c = 0; c < blocks; c++) {
                const int8_t *at = b + c * t->b_stride;

                acc[0][c] = dp(acc[0][c], v, _mm512_loadu_si512(at));
                acc[1][c] = dp(acc[1][c], w, _mm512_loadu_si512(at + 64));
            }
        }
        for (; i < t->n_quads; i++, b += 64) {
            const __m512i v = quad(a);

#pragma GCC unroll 4
            for (int c = 0; c < blocks; c++)
                acc[0][c] =
                    dp(acc[0][c], v, _mm512_loadu_si512(b + c * t->b_stride));
        }
    }
#pragma GCC unroll 4
    for (int c = 0; c < blocks; c++)
        _mm512_storeu_si512((int32_t *)t->acc + c * LANES,
                            _mm512_add_epi32(acc[0][c], acc[1][c]));
}
#else
static MD_ALWAYS_INLINE void row_tile(const md_dot_tile *t, const int blocks)
{
    tile(t, 1, blocks);
}
#endif

#define TILE(rows, blocks)                                                     \
    static void tile_##rows##x##blocks(const md_dot_tile *t)                   \
    {                                                                          \
        if (rows == 1)                                                         \
            row_tile(t, blocks);                                               \
        else                                                                   \
            tile(t, rows, blocks);                                             \
    }
#define TILES_12(X, blocks)                                                    \
    X(1, blocks)                                                               \
    X(2, blocks)                                                               \
    X(3, blocks)                                                               \
    X(4, blocks)                                                               \
    X(5, blocks)                                                               \
    X(6, blocks)                                                               \
    X(7, blocks)                                                               \
    X(8, blocks) X(9, blocks) X(10, blocks) X(11, blocks) X(12, blocks)
#define TILES_6(X, blocks)                                                     \
    X(1, blocks)                                                               \
    X(2, blocks) X(3, blocks) X(4, blocks) X(5, blocks) X(6, blocks)

TILES_12(TILE, 1)
TILES_12(TILE, 2)
TILES_6(TILE, 3)
TILES_6(TILE, 4)

static inline void avx512_dot_tile(const md_dot_tile *t)
{
#define NAME(rows, blocks) tile_##rows##x##blocks,
    static md_dot_fn *const one[] = { TILES_12(NAME, 1) };
    static md_dot_fn *const two[] = { TILES_12(NAME, 2) };
    static md_dot_fn *const three[] = { TILES_6(NAME, 3) };
    static md_dot_fn *const four[] = { TILES_6(NAME, 4) };
#undef NAME
    static md_dot_fn *const *const by_blocks[] = { one, two, three, four };

    by_blocks[t->blocks - 1][t->rows - 1](t);
}

#endif
