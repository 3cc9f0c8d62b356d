#include "kernels/requant_s8.h"

#include <immintrin.h>
#include <stddef.h>

static __m512 residual(const md_requant *q, const uint8_t *r, __mmask16 m)
{
    const __m128i b = _mm_maskz_loadu_epi8(m, r);
    const __m512i v =
        q->res_signed ? _mm512_cvtepi8_epi32(b) : _mm512_cvtepu8_epi32(b);

    return _mm512_mul_ps(
        _mm512_cvtepi32_ps(_mm512_sub_epi32(v, _mm512_set1_epi32(q->res_zero))),
        _mm512_set1_ps(q->res_mult));
}

static void store_q8(const md_requant *q, uint8_t *out, __m512 t, __mmask16 m)
{
    const __m512 lo = _mm512_set1_ps((float)(q->q_min - q->zero));
    const __m512 hi = _mm512_set1_ps((float)(q->q_max - q->zero));
    __m512i v;
    __m128i b;

    /* maxps gives its second operand for NaN, as the definition does. */
    t = _mm512_min_ps(_mm512_max_ps(t, lo), hi);
    v = _mm512_add_epi32(_mm512_cvtps_epi32(t), _mm512_set1_epi32(q->zero));
    b = _mm512_cvtepi32_epi8(v);
    if (q->lut) {
        uint8_t byte[MD_LANES];

        _mm_storeu_si128((__m128i *)byte, b);
        for (int j = 0; j < MD_LANES; j++)
            byte[j] = q->lut[byte[j]];
        b = _mm_loadu_si128((const __m128i *)byte);
    }
    _mm_mask_storeu_epi8(out, m, b);
}

void md_requant_s8__avx512(const md_requant *q, int64_t c0,
                           const md_requant_tile *t)
{
    const __mmask16 m = (__mmask16)((1u << t->lanes) - 1);
    __m512 mult = _mm512_setzero_ps();
    __m512 bias = mult;

    if (q->out != MD_QOUT_S32)
        mult = _mm512_loadu_ps(q->mult + c0);
    if (q->bias)
        bias = _mm512_loadu_ps(q->bias + c0);
    for (int i = 0; i < t->rows; i++) {
        char *out = (char *)t->out + i * t->out_stride;
        const __m512i acc =
            _mm512_maskz_loadu_epi32(m, t->acc + i * t->acc_stride);
        __m512 v = _mm512_mul_ps(_mm512_cvtepi32_ps(acc), mult);

        if (t->res && q->out != MD_QOUT_S32)
            v = _mm512_add_ps(
                v, residual(q, (const uint8_t *)t->res + i * t->res_stride, m));
        if (q->out == MD_QOUT_Q8)
            store_q8(q, (uint8_t *)out, v, m);
        else if (q->out == MD_QOUT_S32)
            _mm512_mask_storeu_epi32(out, m, acc);
        else
            _mm512_mask_storeu_ps(out, m, q->bias ? _mm512_add_ps(v, bias) : v);
    }
}
