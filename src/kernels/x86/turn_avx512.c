/*
 * Floats in tiles of 16 x 16, so that both sides are read and written whole
 * cache lines at a time: half lines cost two thirds more where y is not in the
 * nearest caches.  What no tile covers, and elements of other sizes, are
 * AVX2's.
 */
#include "kernels/turn.h"

#include <immintrin.h>
#include <stdbool.h>

#include "base/attr.h"

enum {
    TILE = 16
};

/* Four elements of rows 0, 4, 8 and 12 of x.  Blending loads need no
 * shuffles, of which a tile has enough. */
static MD_ALWAYS_INLINE __m512 load_four(const float *x, int64_t xs)
{
    __m512 v = _mm512_castps128_ps512(_mm_loadu_ps(x));

    v = _mm512_mask_broadcast_f32x4(v, 0x00f0, _mm_loadu_ps(x + 4 * xs));
    v = _mm512_mask_broadcast_f32x4(v, 0x0f00, _mm_loadu_ps(x + 8 * xs));
    return _mm512_mask_broadcast_f32x4(v, 0xf000, _mm_loadu_ps(x + 12 * xs));
}

static MD_ALWAYS_INLINE void turn_tile(float *y, int64_t ys, const float *x,
                                       int64_t xs)
{
    MD_UNROLL(4)
    for (int quarter = 0; quarter < 4; quarter++, y += 4 * ys, x += 4) {
        __m512 a[4], b[4];

        MD_UNROLL(4)
        for (int i = 0; i < 4; i++)
            a[i] = load_four(x + i * xs, xs);
        b[0] = _mm512_unpacklo_ps(a[0], a[1]);
        b[1] = _mm512_unpackhi_ps(a[0], a[1]);
        b[2] = _mm512_unpacklo_ps(a[2], a[3]);
        b[3] = _mm512_unpackhi_ps(a[2], a[3]);
        _mm512_storeu_ps(y, _mm512_shuffle_ps(b[0], b[2], 0x44));
        _mm512_storeu_ps(y + ys, _mm512_shuffle_ps(b[0], b[2], 0xee));
        _mm512_storeu_ps(y + 2 * ys, _mm512_shuffle_ps(b[1], b[3], 0x44));
        _mm512_storeu_ps(y + 3 * ys, _mm512_shuffle_ps(b[1], b[3], 0xee));
    }
}

/* Rows [i, rows) and columns [j, columns) by AVX2. */
static void rest(const md_turn_args *a, int64_t i, int64_t rows, int64_t j,
                 int64_t columns)
{
    md_turn_args part = *a;

    if (i == rows || j == columns)
        return;
    part.y = (float *)a->y + i * a->y_stride + j;
    part.x = (const float *)a->x + j * a->x_stride + i;
    part.rows = rows - i;
    part.columns = columns - j;
    md_turn__avx2(&part);
}

static MD_NOINLINE void turn_floats(const md_turn_args *a)
{
    const int64_t rows = a->rows - a->rows % TILE;
    const int64_t columns = a->columns - a->columns % TILE;

    for (int64_t i = 0; i < rows; i += TILE) {
        for (int64_t j = 0; j < columns; j += TILE)
            turn_tile((float *)a->y + i * a->y_stride + j, a->y_stride,
                      (const float *)a->x + j * a->x_stride + i, a->x_stride);
    }
    rest(a, 0, rows, columns, a->columns);
    rest(a, rows, a->rows, 0, a->columns);
}

/* The first n (0 .. TILE or more) lanes. */
static MD_ALWAYS_INLINE __mmask16 first_lanes(int64_t n)
{
    return n >= TILE ? 0xffff : (__mmask16)((1u << (n > 0 ? n : 0)) - 1);
}

/* Two columns, a float of each in turn. */
static MD_NOINLINE void turn_two(const md_turn_args *a)
{
    const __m512i low = _mm512_set_epi32(23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18,
                                         2, 17, 1, 16, 0);
    const __m512i high = _mm512_set_epi32(31, 15, 30, 14, 29, 13, 28, 12, 27,
                                          11, 26, 10, 25, 9, 24, 8);
    const int64_t rows = a->rows - a->rows % TILE, left = a->rows % TILE;
    const float *x = a->x, *next = x + a->x_stride;
    const __mmask16 some = first_lanes(left);
    float *y = a->y;

    for (int64_t i = 0; i < rows; i += TILE) {
        const __m512 p = _mm512_loadu_ps(x + i);
        const __m512 q = _mm512_loadu_ps(next + i);

        _mm512_storeu_ps(y + 2 * i, _mm512_permutex2var_ps(p, low, q));
        _mm512_storeu_ps(y + 2 * i + TILE, _mm512_permutex2var_ps(p, high, q));
    }
    if (left > 0) {
        const __m512 p = _mm512_maskz_loadu_ps(some, x + rows);
        const __m512 q = _mm512_maskz_loadu_ps(some, next + rows);

        y += 2 * rows;
        _mm512_mask_storeu_ps(y, first_lanes(2 * left),
                              _mm512_permutex2var_ps(p, low, q));
        if (2 * left > TILE)
            _mm512_mask_storeu_ps(y + TILE, first_lanes(2 * left - TILE),
                                  _mm512_permutex2var_ps(p, high, q));
    }
}

/* Four rows of what x has in turn, as SpaceToDepth does with blocks of 4. */
static MD_NOINLINE void part_four(const md_turn_args *a)
{
    const __m512i first = _mm512_set_epi32(29, 25, 21, 17, 13, 9, 5, 1, 28, 24,
                                           20, 16, 12, 8, 4, 0);
    const __m512i last = _mm512_add_epi32(first, _mm512_set1_epi32(2));
    const int64_t columns = a->columns - a->columns % TILE;
    const int64_t ys = a->y_stride;
    const float *x = a->x;

    for (int64_t j = 0; j < columns; j += TILE, x += 4 * TILE) {
        float *y = (float *)a->y + j;
        __m512 v[4], p, q;

        MD_UNROLL(4)
        for (int i = 0; i < 4; i++)
            v[i] = _mm512_loadu_ps(x + i * TILE);
        p = _mm512_permutex2var_ps(v[0], first, v[1]);
        q = _mm512_permutex2var_ps(v[2], first, v[3]);
        _mm512_storeu_ps(y, _mm512_shuffle_f32x4(p, q, 0x44));
        _mm512_storeu_ps(y + ys, _mm512_shuffle_f32x4(p, q, 0xee));
        p = _mm512_permutex2var_ps(v[0], last, v[1]);
        q = _mm512_permutex2var_ps(v[2], last, v[3]);
        _mm512_storeu_ps(y + 2 * ys, _mm512_shuffle_f32x4(p, q, 0x44));
        _mm512_storeu_ps(y + 3 * ys, _mm512_shuffle_f32x4(p, q, 0xee));
    }
    rest(a, 0, a->rows, columns, a->columns);
}

/* Four columns in turn, as DepthToSpace does. */
static MD_NOINLINE void join_four(const md_turn_args *a)
{
    const __m512i even = _mm512_set_epi32(27, 19, 11, 3, 26, 18, 10, 2, 25, 17,
                                          9, 1, 24, 16, 8, 0);
    const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(4));
    const int64_t rows = a->rows - a->rows % TILE, xs = a->x_stride;
    float *y = a->y;

    for (int64_t i = 0; i < rows; i += TILE, y += 4 * TILE) {
        const float *x = (const float *)a->x + i;
        __m512 v[4];

        MD_UNROLL(4)
        for (int k = 0; k < 4; k++)
            v[k] = _mm512_loadu_ps(x + k * xs);
        MD_UNROLL(2)
        for (int half = 0; half < 2; half++) {
            const __m512 p = half ? _mm512_shuffle_f32x4(v[0], v[1], 0xee)
                                  : _mm512_shuffle_f32x4(v[0], v[1], 0x44);
            const __m512 q = half ? _mm512_shuffle_f32x4(v[2], v[3], 0xee)
                                  : _mm512_shuffle_f32x4(v[2], v[3], 0x44);
            float *to = y + (ptrdiff_t)half * 2 * TILE;

            _mm512_storeu_ps(to, _mm512_permutex2var_ps(p, even, q));
            _mm512_storeu_ps(to + TILE, _mm512_permutex2var_ps(p, odd, q));
        }
    }
    rest(a, rows, a->rows, 0, a->columns);
}

/* Floats of few rows or columns that lie in turn. */
static bool turn_few(const md_turn_args *a)
{
    if (a->columns == 2 && a->y_stride == 2)
        turn_two(a);
    else if (a->columns == 4 && a->y_stride == 4 && a->rows >= TILE)
        join_four(a);
    else if (a->rows == 4 && a->x_stride == 4 && a->columns >= TILE)
        part_four(a);
    else
        return false;
    return true;
}

void md_turn__avx512(const md_turn_args *a)
{
    if (a->size == sizeof(float) && turn_few(a))
        return;
    if (a->size == sizeof(float) && a->rows >= TILE && a->columns >= TILE)
        turn_floats(a);
    else
        md_turn__avx2(a);
}
