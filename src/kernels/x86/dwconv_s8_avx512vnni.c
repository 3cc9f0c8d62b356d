/*
 * Four taps at a time: their bytes are interleaved so that vpdpbusd adds four
 * products per channel.
 *
 * Neighbours in a row are one load, and two permutations part its channels.
 * Of a column they are a load for each row; what the permutations make of it
 * serves the three windows that the column is in.  Of any other taps a register holds 4 pixels x 16 channels; interleaving
 * leaves channels 4 j .. 4 j + 3 of each pixel in register j.
 */
#include "kernels/dwconv_s8.h"

#include <immintrin.h>

#include "base/attr.h"

/* As in gemm_s8_avx512vnni.c: the intrinsic makes gcc 12 spill. */
static inline __m512i dp(__m512i acc, __m512i a, __m512i b)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(a), "v"(b));
    return acc;
}

static inline __m128i pixel(const uint8_t *x)
{
    return _mm_loadu_si128((const __m128i *)x);
}

/* n (1 .. 4) pixels, the rest 0. */
static inline __m512i pixels(const uint8_t *x, int64_t stride, const int n)
{
    __m512i v;

    if (stride == MD_LANES && n == 4)
        return _mm512_loadu_si512(x);
    v = _mm512_zextsi128_si512(pixel(x));
    if (n > 1)
        v = _mm512_inserti32x4(v, pixel(x + stride), 1);
    if (n > 2)
        v = _mm512_inserti32x4(v, pixel(x + 2 * stride), 2);
    if (n > 3)
        v = _mm512_inserti32x4(v, pixel(x + 3 * stride), 3);
    return v;
}

/* 4 channels of words or of quads, the same for every pixel. */
static inline __m512i same(const void *p)
{
    return _mm512_broadcast_i32x4(_mm_loadu_si128(p));
}

/* From channels 4 j .. of all pixels in acc[j] to one pixel a row. */
static inline void store(int32_t *out, const __m512i acc[4], const int n)
{
    const __m512i a = _mm512_shuffle_i32x4(acc[0], acc[1], 0x44);
    const __m512i b = _mm512_shuffle_i32x4(acc[0], acc[1], 0xee);
    const __m512i c = _mm512_shuffle_i32x4(acc[2], acc[3], 0x44);
    const __m512i d = _mm512_shuffle_i32x4(acc[2], acc[3], 0xee);

    _mm512_storeu_si512(out, _mm512_shuffle_i32x4(a, c, 0x88));
    if (n > 1)
        _mm512_storeu_si512(out + MD_LANES, _mm512_shuffle_i32x4(a, c, 0xdd));
    if (n > 2)
        _mm512_storeu_si512(out + (size_t)2 * MD_LANES,
                            _mm512_shuffle_i32x4(b, d, 0x88));
    if (n > 3)
        _mm512_storeu_si512(out + (size_t)3 * MD_LANES,
                            _mm512_shuffle_i32x4(b, d, 0xdd));
}

__attribute__((always_inline)) static inline void four(const md_dw_tile *t,
                                                       int p, const int n)
{
    const int64_t at = t->at + p * t->stride;
    const int8_t *w = t->quads;
    __m512i acc[4];

#pragma GCC unroll 4
    for (int j = 0; j < 4; j++)
        acc[j] = same(t->start + (size_t)4 * j);
    for (int64_t k = 0; k < t->n_taps; k += 4, w += MD_LANES * 4) {
        const __m512i x0 = pixels(t->taps[k] + at, t->stride, n);
        const __m512i x1 = pixels(t->taps[k + 1] + at, t->stride, n);
        const __m512i x2 = pixels(t->taps[k + 2] + at, t->stride, n);
        const __m512i x3 = pixels(t->taps[k + 3] + at, t->stride, n);
        const __m512i lo = _mm512_unpacklo_epi8(x0, x1);
        const __m512i hi = _mm512_unpackhi_epi8(x0, x1);
        const __m512i lo2 = _mm512_unpacklo_epi8(x2, x3);
        const __m512i hi2 = _mm512_unpackhi_epi8(x2, x3);

        acc[0] = dp(acc[0], _mm512_unpacklo_epi16(lo, lo2), same(w));
        acc[1] = dp(acc[1], _mm512_unpackhi_epi16(lo, lo2), same(w + 16));
        acc[2] = dp(acc[2], _mm512_unpacklo_epi16(hi, hi2), same(w + 32));
        acc[3] = dp(acc[3], _mm512_unpackhi_epi16(hi, hi2), same(w + 48));
    }
    store(t->acc + (size_t)p * MD_LANES, acc, n);
}

/* From four pixels of 16 channels to four bytes of each channel. */
static inline __m512i part(__m512i v)
{
    const __m512i dwords =
        _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
    const __m512i bytes = same(
        (const char[]){ 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15 });

    return _mm512_shuffle_epi8(_mm512_permutexvar_epi32(dwords, v), bytes);
}

/* `row` pixels from x on; of three the last byte is 0. */
static inline __m512i neighbours(const uint8_t *x, __mmask16 row)
{
    return part(_mm512_maskz_loadu_epi32(row, x));
}

/* n pixels from p on, where taps are rows of neighbours. */
static MD_ALWAYS_INLINE void by_rows(const md_dw_tile *t, int p, const int n)
{
    const __mmask16 row = (__mmask16)((1u << 4 * t->row) - 1);
    const int8_t *w = t->quads;
    __m512i acc[4];

    MD_UNROLL(4)
    for (int i = 0; i < n; i++)
        acc[i] = _mm512_loadu_si512(t->start);
    for (int64_t k = 0; k < t->n_taps; k += t->row, w += MD_LANES * 4) {
        const uint8_t *x = t->taps[k] + t->at + p * t->stride;
        const __m512i weights = _mm512_loadu_si512(w);

        MD_UNROLL(4)
        for (int i = 0; i < n; i++)
            acc[i] = dp(acc[i], neighbours(x + i * t->stride, row), weights);
    }
    MD_UNROLL(4)
    for (int i = 0; i < n; i++)
        _mm512_storeu_si512(t->acc + (ptrdiff_t)(p + i) * MD_LANES, acc[i]);
}

/* Column x of the rows of a 3 x 3 window. */
static inline __m512i column(const uint8_t *const row[3], int64_t x)
{
    __m512i v = _mm512_zextsi128_si512(pixel(row[0] + x));

    v = _mm512_mask_broadcast_i32x4(v, 0x00f0, pixel(row[1] + x));
    v = _mm512_mask_broadcast_i32x4(v, 0x0f00, pixel(row[2] + x));
    return part(v);
}

static void by_columns(const md_dw_tile *t)
{
    const uint8_t *const row[] = { t->taps[0] + t->at, t->taps[3] + t->at,
                                   t->taps[6] + t->at };
    const __m512i start = _mm512_loadu_si512(t->start);
    const __m512i w0 = _mm512_loadu_si512(t->quads);
    const __m512i w1 = _mm512_loadu_si512(t->quads + 64);
    const __m512i w2 = _mm512_loadu_si512(t->quads + 128);
    __m512i a = column(row, 0), b = column(row, MD_LANES);

    for (int64_t p = 0; p < t->pixels; p++) {
        const __m512i c = column(row, (p + 2) * MD_LANES);

        _mm512_storeu_si512(t->acc + p * MD_LANES,
                            dp(dp(dp(start, a, w0), b, w1), c, w2));
        a = b;
        b = c;
    }
}

void md_dw_s8__avx512vnni(const md_dw_tile *t)
{
    int p = 0;

    if (t->form == MD_DW_COLUMNS) {
        by_columns(t);
        return;
    }
    if (t->form == MD_DW_ROWS) {
        for (; p + 4 <= t->pixels; p += 4)
            by_rows(t, p, 4);
        for (; p < t->pixels; p++)
            by_rows(t, p, 1);
        return;
    }
    for (; p + 4 <= t->pixels; p += 4)
        four(t, p, 4);
    if (t->pixels - p == 3)
        four(t, p, 3);
    else if (t->pixels - p == 2)
        four(t, p, 2);
    else if (t->pixels - p == 1)
        four(t, p, 1);
}
