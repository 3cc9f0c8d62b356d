#include "kernels/requant_s8.h"

#include <immintrin.h>
#include <stddef.h>
#include <string.h>

#include "kernels/requant_terms.h"

/* 8 lanes of t. */
static __m256 scaled(const md_requant *q, int64_t c, const int32_t *acc,
                     const uint8_t *res, const float *row_mult)
{
    const __m256 mult = _mm256_loadu_ps(q->mult + c);
    __m256 t = _mm256_mul_ps(
        _mm256_cvtepi32_ps(_mm256_loadu_si256((const __m256i *)acc)),
        row_mult ? _mm256_mul_ps(_mm256_set1_ps(*row_mult), mult) : mult);

    if (res) {
        const __m128i b = _mm_loadl_epi64((const __m128i *)res);
        const __m256i r =
            q->res_signed ? _mm256_cvtepi8_epi32(b) : _mm256_cvtepu8_epi32(b);

        t = _mm256_add_ps(t,
                          _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_sub_epi32(
                                            r, _mm256_set1_epi32(q->res_zero))),
                                        _mm256_set1_ps(q->res_mult)));
    }
    return t;
}

static __m256i to_q8(const md_requant *q, __m256 t)
{
    const __m256 lo = _mm256_set1_ps((float)(q->q_min - q->zero));
    const __m256 hi = _mm256_set1_ps((float)(q->q_max - q->zero));

    /* maxps gives its second operand for NaN, as the definition does. */
    t = _mm256_min_ps(_mm256_max_ps(t, lo), hi);
    return _mm256_add_epi32(_mm256_cvtps_epi32(t), _mm256_set1_epi32(q->zero));
}

/* The low byte of each of 16 dwords. */
static __m128i low_bytes(__m256i a, __m256i b)
{
    const __m256i byte = _mm256_set1_epi32(0xff);
    __m256i w = _mm256_packus_epi32(_mm256_and_si256(a, byte),
                                    _mm256_and_si256(b, byte));

    w = _mm256_permute4x64_epi64(w, 0xd8);
    return _mm_packus_epi16(_mm256_castsi256_si128(w),
                            _mm256_extracti128_si256(w, 1));
}

static void q8_16(const md_requant *q, int64_t c, const int32_t *acc,
                  const uint8_t *res, uint8_t *out)
{
    const __m256i a = to_q8(q, scaled(q, c, acc, res, NULL));
    const __m256i b =
        to_q8(q, scaled(q, c + 8, acc + 8, res ? res + 8 : NULL, NULL));

    _mm_storeu_si128((__m128i *)out, low_bytes(a, b));
    if (q->lut)
        for (int j = 0; j < MD_LANES; j++)
            out[j] = q->lut[out[j]];
}

static void f32_16(const md_requant *q, int64_t c, const int32_t *acc,
                   const uint8_t *res, const float *row_mult, float *out)
{
    for (int j = 0; j < MD_LANES; j += 8) {
        __m256 t = scaled(q, c + j, acc + j, res ? res + j : NULL, row_mult);

        if (q->bias)
            t = _mm256_add_ps(t, _mm256_loadu_ps(q->bias + c + j));
        _mm256_storeu_ps(out + j, t);
    }
}

static void row_16(const md_requant *q, int64_t c, const int32_t *acc,
                   const uint8_t *res, const float *row_mult, void *out)
{
    if (q->out == MD_QOUT_Q8)
        q8_16(q, c, acc, res, out);
    else if (q->out == MD_QOUT_F32)
        f32_16(q, c, acc, res, row_mult, out);
    else
        memcpy(out, acc, MD_LANES * sizeof(*acc));
}

void md_requant_s8__avx2(const md_requant *q, int64_t c0,
                         const md_requant_tile *t)
{
    const size_t size = (size_t)md_qout_size(q->out) * (size_t)t->lanes;

    if (q->column[0]) {
        requant_terms(q, c0, t, md_requant_s8__avx2);
        return;
    }
    for (int i = 0; i < t->rows; i++) {
        const int32_t *acc = t->acc + i * t->acc_stride;
        char *out = (char *)t->out + i * t->out_stride;
        const uint8_t *res =
            t->res ? (const uint8_t *)t->res + i * t->res_stride : NULL;
        const float *row_mult = t->row_mult ? t->row_mult + i : NULL;
        int32_t sums[MD_LANES] = { 0 }, part[MD_LANES];
        uint8_t from[MD_LANES] = { 0 };

        if (t->lanes == MD_LANES) {
            row_16(q, c0, acc, res, row_mult, out);
            continue;
        }
        memcpy(sums, acc, sizeof(*acc) * (size_t)t->lanes);
        if (res)
            memcpy(from, res, (size_t)t->lanes);
        row_16(q, c0, sums, res ? from : NULL, row_mult, part);
        memcpy(out, part, size);
    }
}
