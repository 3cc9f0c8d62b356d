/*
 * Tiles turned in registers.  Rows of x that are four apart share a register,
 * so that no element crosses its halves; bytes and 16-bit elements are turned
 * by unpacking row i with row i + n / 2 again and again: log2(n) rounds of that
 * shuffle bring element j of row i to element i of row j.
 */
#include <assert.h>
#include <immintrin.h>

#include "base/attr.h"
#include "base/size.h"
#include "kernels/turn_edge.h"

enum {
    LINE = 64 /* bytes: what one tile leaves of a line the next ones take */
};

/* Rows and columns of a tile: 8 x 8, but 16 x 16 bytes and 4 x 4 of 8 bytes. */
static MD_ALWAYS_INLINE int64_t tile_of(const int size)
{
    return size == 1 ? 16 : size == 8 ? 4 : 8;
}

/* Strides in bytes from here on. */
static MD_ALWAYS_INLINE __m128i load(const char *x)
{
    return _mm_loadu_si128((const __m128i *)x);
}

static MD_ALWAYS_INLINE void store(char *y, __m128i v)
{
    _mm_storeu_si128((__m128i *)y, v);
}

static MD_ALWAYS_INLINE void turn_1(char *y, int64_t ys, const char *x,
                                    int64_t xs)
{
    __m128i r[2][16];

    MD_UNROLL(16)
    for (int i = 0; i < 16; i++)
        r[0][i] = load(x + i * xs);
    MD_UNROLL(4)
    for (int round = 0; round < 4; round++) {
        MD_UNROLL(8)
        for (int i = 0; i < 8; i++) {
            const __m128i a = r[round % 2][i], b = r[round % 2][i + 8];

            r[1 - round % 2][2 * i] = _mm_unpacklo_epi8(a, b);
            r[1 - round % 2][2 * i + 1] = _mm_unpackhi_epi8(a, b);
        }
    }
    MD_UNROLL(16)
    for (int i = 0; i < 16; i++)
        store(y + i * ys, r[0][i]);
}

static MD_ALWAYS_INLINE void turn_2(char *y, int64_t ys, const char *x,
                                    int64_t xs)
{
    __m128i r[2][8];

    MD_UNROLL(8)
    for (int i = 0; i < 8; i++)
        r[0][i] = load(x + i * xs);
    MD_UNROLL(3)
    for (int round = 0; round < 3; round++) {
        MD_UNROLL(4)
        for (int i = 0; i < 4; i++) {
            const __m128i a = r[round % 2][i], b = r[round % 2][i + 4];

            r[1 - round % 2][2 * i] = _mm_unpacklo_epi16(a, b);
            r[1 - round % 2][2 * i + 1] = _mm_unpackhi_epi16(a, b);
        }
    }
    MD_UNROLL(8)
    for (int i = 0; i < 8; i++)
        store(y + i * ys, r[1][i]);
}

/* 16 bytes of row i and of row i + n / 2. */
static MD_ALWAYS_INLINE __m256i load_pair(const char *x, const char *further)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(load(x)),
                                   load(further), 1);
}

static MD_ALWAYS_INLINE void turn_4(char *y, int64_t ys, const char *x,
                                    int64_t xs)
{
    MD_UNROLL(2)
    for (int half = 0; half < 2; half++, y += 4 * ys, x += 16) {
        __m256 a[4], b[4];

        MD_UNROLL(4)
        for (int i = 0; i < 4; i++)
            a[i] = _mm256_castsi256_ps(load_pair(x + i * xs, x + (i + 4) * xs));
        b[0] = _mm256_unpacklo_ps(a[0], a[1]);
        b[1] = _mm256_unpackhi_ps(a[0], a[1]);
        b[2] = _mm256_unpacklo_ps(a[2], a[3]);
        b[3] = _mm256_unpackhi_ps(a[2], a[3]);
        _mm256_storeu_ps((float *)y, _mm256_shuffle_ps(b[0], b[2], 0x44));
        _mm256_storeu_ps((float *)(y + ys),
                         _mm256_shuffle_ps(b[0], b[2], 0xee));
        _mm256_storeu_ps((float *)(y + 2 * ys),
                         _mm256_shuffle_ps(b[1], b[3], 0x44));
        _mm256_storeu_ps((float *)(y + 3 * ys),
                         _mm256_shuffle_ps(b[1], b[3], 0xee));
    }
}

static MD_ALWAYS_INLINE void turn_8(char *y, int64_t ys, const char *x,
                                    int64_t xs)
{
    MD_UNROLL(2)
    for (int half = 0; half < 2; half++, y += 2 * ys, x += 16) {
        const __m256i a = load_pair(x, x + 2 * xs);
        const __m256i b = load_pair(x + xs, x + 3 * xs);

        _mm256_storeu_si256((__m256i *)y, _mm256_unpacklo_epi64(a, b));
        _mm256_storeu_si256((__m256i *)(y + ys), _mm256_unpackhi_epi64(a, b));
    }
}

static MD_ALWAYS_INLINE void turn_tile(char *y, int64_t ys, const char *x,
                                       int64_t xs, const int size)
{
    if (size == 1)
        turn_1(y, ys, x, xs);
    else if (size == 2)
        turn_2(y, ys, x, xs);
    else if (size == 4)
        turn_4(y, ys, x, xs);
    else
        turn_8(y, ys, x, xs);
}

static MD_ALWAYS_INLINE void turn(const md_turn_args *a, const int size)
{
    const int64_t tile = tile_of(size), ys = a->y_stride * size;
    const int64_t xs = a->x_stride * size;
    const int64_t rows = a->rows - a->rows % tile;
    const int64_t columns = a->columns - a->columns % tile;

    for (int64_t at = 0; at < rows; at += LINE / size) {
        const int64_t end = md_min_i64(at + LINE / size, rows);

        for (int64_t j = 0; j < columns; j += tile)
            for (int64_t i = at; i < end; i += tile)
                turn_tile((char *)a->y + i * ys + j * size, ys,
                          (const char *)a->x + j * xs + i * size, xs, size);
    }
    turn_edge(a, 0, rows, columns, a->columns, (size_t)size);
    turn_edge(a, rows, a->rows, 0, a->columns, (size_t)size);
}

/* Elements of 4 bytes whose pairs lie apart in y: columns of two rows.  The
 * number of columns that are done. */
static int64_t part_pairs(const md_turn_args *a)
{
    float *y = a->y;
    const float *x = a->x;
    int64_t j = 0;

    for (; j + 8 <= a->columns; j += 8) {
        const __m256 p = _mm256_loadu_ps(x + 2 * j);
        const __m256 q = _mm256_loadu_ps(x + 2 * j + 8);
        const __m256d even = _mm256_castps_pd(_mm256_shuffle_ps(p, q, 0x88));
        const __m256d odd = _mm256_castps_pd(_mm256_shuffle_ps(p, q, 0xdd));

        _mm256_storeu_pd((double *)(y + j), _mm256_permute4x64_pd(even, 0xd8));
        _mm256_storeu_pd((double *)(y + a->y_stride + j),
                         _mm256_permute4x64_pd(odd, 0xd8));
    }
    return j;
}

/* The way back: rows of two columns. */
static int64_t join_pairs(const md_turn_args *a)
{
    float *y = a->y;
    const float *x = a->x;
    int64_t i = 0;

    for (; i + 8 <= a->rows; i += 8) {
        const __m256 p = _mm256_loadu_ps(x + i);
        const __m256 q = _mm256_loadu_ps(x + a->x_stride + i);
        const __m256 low = _mm256_unpacklo_ps(p, q);
        const __m256 high = _mm256_unpackhi_ps(p, q);

        _mm256_storeu_ps(y + 2 * i, _mm256_permute2f128_ps(low, high, 0x20));
        _mm256_storeu_ps(y + 2 * i + 8,
                         _mm256_permute2f128_ps(low, high, 0x31));
    }
    if (i + 4 <= a->rows) {
        const __m128 p = _mm_loadu_ps(x + i);
        const __m128 q = _mm_loadu_ps(x + a->x_stride + i);

        _mm_storeu_ps(y + 2 * i, _mm_unpacklo_ps(p, q));
        _mm_storeu_ps(y + 2 * i + 4, _mm_unpackhi_ps(p, q));
        i += 4;
    }
    return i;
}

static void turn_floats(const md_turn_args *a)
{
    if (a->rows == 2 && a->x_stride == 2)
        turn_edge(a, 0, 2, part_pairs(a), a->columns, 4);
    else if (a->columns == 2 && a->y_stride == 2)
        turn_edge(a, join_pairs(a), a->rows, 0, 2, 4);
    else
        turn(a, 4);
}

void md_turn__avx2(const md_turn_args *a)
{
    assert(a->size == 1 || a->size == 2 || a->size == 4 || a->size == 8);
    if (a->size == 1)
        turn(a, 1);
    else if (a->size == 2)
        turn(a, 2);
    else if (a->size == 4)
        turn_floats(a);
    else
        turn(a, 8);
}
