#ifndef MD_KERNELS_X86_POOL2D_VEC_H
#define MD_KERNELS_X86_POOL2D_VEC_H

#include <math.h>

#include "base/attr.h"
#include "kernels/pool2d.h"

enum {
    PARTS = MD_LANES / VF_LANES
}; /* vectors per pixel */

static inline const void *pixel(const md_pool2d_window *w, int64_t i, int64_t j)
{
    return (const char *)w->x + i * w->row_stride + j * w->col_stride;
}

void VF(md_pool2d_max_f32)(float *y, const md_pool2d_window *w, int64_t n,
                           int64_t step)
{
    const char *first = w->x;

    for (int64_t p = 0; p < n; p++, y += MD_LANES, first += step) {
        const char *row = first;
        vf top[PARTS];

        for (int k = 0; k < PARTS; k++)
            top[k] = vf_set(-INFINITY);
        for (int64_t i = 0; i < w->rows; i++, row += w->row_stride) {
            const char *at = row;

            for (int64_t j = 0; j < w->cols; j++, at += w->col_stride) {
                const float *x = (const void *)at;

                for (int k = 0; k < PARTS; k++)
                    top[k] = vf_max(
                        top[k], vf_load(x + (size_t)k * VF_LANES, VF_LANES));
            }
        }
        for (int k = 0; k < PARTS; k++)
            vf_store(y + (size_t)k * VF_LANES, top[k], VF_LANES);
    }
}

void VF(md_pool2d_sum_f32)(float *y, const md_pool2d_window *w)
{
    vf sum[PARTS];

    for (int k = 0; k < PARTS; k++)
        sum[k] = vf_zero();
    for (int64_t i = 0; i < w->rows; i++) {
        vf row[PARTS];

        for (int k = 0; k < PARTS; k++)
            row[k] = vf_zero();
        for (int64_t j = 0; j < w->cols; j++) {
            const float *x = pixel(w, i, j);

            for (int k = 0; k < PARTS; k++)
                row[k] =
                    vf_add(row[k], vf_load(x + (size_t)k * VF_LANES, VF_LANES));
        }
        for (int k = 0; k < PARTS; k++)
            sum[k] = vf_add(sum[k], row[k]);
    }
    for (int k = 0; k < PARTS; k++)
        vf_store(y + (size_t)k * VF_LANES, sum[k], VF_LANES);
}

static MD_ALWAYS_INLINE void max_q8(uint8_t *y, const md_pool2d_window *w,
                                    const bool is_signed, int64_t n,
                                    int64_t step)
{
    const char *first = w->x;

    for (int64_t p = 0; p < n; p++, y += MD_LANES, first += step) {
        __m128i top = _mm_set1_epi8(is_signed ? -128 : 0);
        const char *row = first;

        for (int64_t i = 0; i < w->rows; i++, row += w->row_stride) {
            const char *at = row;

            for (int64_t j = 0; j < w->cols; j++, at += w->col_stride) {
                const __m128i x = _mm_loadu_si128((const __m128i *)at);

                top = is_signed ? _mm_max_epi8(top, x) : _mm_max_epu8(top, x);
            }
        }
        _mm_storeu_si128((__m128i *)y, top);
    }
}

void VF(md_pool2d_max_q8)(uint8_t *y, const md_pool2d_window *w, bool is_signed,
                          int64_t n, int64_t step)
{
    if (is_signed)
        max_q8(y, w, true, n, step);
    else
        max_q8(y, w, false, n, step);
}

/* Lanes 8 k .. 8 k + 7 of a pixel as words. */
static inline __m256i widen(const void *x, int k, bool is_signed)
{
    const __m128i v =
        _mm_loadl_epi64((const void *)((const char *)x + (size_t)8 * k));

    return is_signed ? _mm256_cvtepi8_epi32(v) : _mm256_cvtepu8_epi32(v);
}

void VF(md_pool2d_sum_q8)(int32_t *y, const md_pool2d_window *w, bool is_signed)
{
    __m256i sum[2] = { _mm256_setzero_si256(), _mm256_setzero_si256() };

    for (int64_t i = 0; i < w->rows; i++)
        for (int64_t j = 0; j < w->cols; j++)
            for (int k = 0; k < 2; k++)
                sum[k] = _mm256_add_epi32(sum[k],
                                          widen(pixel(w, i, j), k, is_signed));
    for (int k = 0; k < 2; k++)
        _mm256_storeu_si256((__m256i *)(y + (size_t)8 * k), sum[k]);
}

#endif
