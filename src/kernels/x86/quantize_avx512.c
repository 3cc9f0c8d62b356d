#include "kernels/x86/vec_avx512.h"

#include <string.h>

#include "kernels/x86/quantize_vec.h"

static __mmask16 lanes(size_t left)
{
    return left >= 16 ? 0xffff : (__mmask16)((1u << left) - 1);
}

/*
 * x / scale, rounded once, without dividing: the product with the reciprocal r
 * is corrected twice by its remainder, which a fused multiply-add gives
 * exactly (Markstein, IBM J. Res. Dev. 34(1), 1990).  That needs r to be the
 * rounded reciprocal, so no significand of ones only, a remainder that is no
 * subnormal where it can tell how the quotient is rounded to an integer
 * (|x / scale| > 1/4), and nothing infinite: x is clamped before.
 */
static bool has_reciprocal(float scale)
{
    uint32_t bits;

    memcpy(&bits, &scale, sizeof(bits));
    return scale >= 0x1p-60f && scale <= 0x1p60f &&
           (bits & 0x7fffff) != 0x7fffff;
}

static MD_ALWAYS_INLINE __m512 quotient(__m512 x, __m512 scale, __m512 r)
{
    __m512 q = _mm512_mul_ps(x, r);

    q = _mm512_fmadd_ps(_mm512_fnmadd_ps(q, scale, x), r, q);
    return _mm512_fmadd_ps(_mm512_fnmadd_ps(q, scale, x), r, q);
}

/* maxps gives its second operand for NaN, as the definition does. */
static MD_ALWAYS_INLINE __m512 clamp(__m512 v, __m512 lo, __m512 hi)
{
    return _mm512_min_ps(_mm512_max_ps(v, lo), hi);
}

typedef struct factors {
    __m512 lo, hi, scale, r;
    __m512i zero, zero_16, q_min; /* in 32, 16 and 8 bits */
    __m512i order;
} factors;

/* Four vectors at once: what is below all codes, or NaN, is the smallest
 * integer, and stays at the lower end when made narrower, so only the upper
 * one is clamped before (minps gives its second operand for NaN). */
static MD_ALWAYS_INLINE void codes_64(uint8_t *q, const float *x,
                                      const factors *k, const bool by_r,
                                      const bool is_signed)
{
    __m512i v[4], w[2], y;

    MD_UNROLL(4)
    for (int i = 0; i < 4; i++) {
        const __m512 t = _mm512_loadu_ps(x + 16 * i);

        v[i] = _mm512_cvtps_epi32(
            by_r ? quotient(_mm512_min_ps(k->hi, t), k->scale, k->r)
                 : _mm512_min_ps(k->hi, _mm512_div_ps(t, k->scale)));
    }
    MD_UNROLL(2)
    for (int i = 0; i < 2; i++)
        w[i] = _mm512_adds_epi16(_mm512_packs_epi32(v[2 * i], v[2 * i + 1]),
                                 k->zero_16);
    y = is_signed ? _mm512_max_epi8(_mm512_packs_epi16(w[0], w[1]), k->q_min)
                  : _mm512_max_epu8(_mm512_packus_epi16(w[0], w[1]), k->q_min);
    /* packs took from its operands 128 bits in turn */
    _mm512_storeu_si512(q, _mm512_permutexvar_epi32(k->order, y));
}

/* by_r is a constant wherever this is inlined.  With it x is clamped: to
 * lo * scale and hi * scale rounded, whose quotients round to lo and hi. */
static MD_ALWAYS_INLINE __m128i codes(__m512 x, const factors *k,
                                      const bool by_r)
{
    const __m512 t = by_r ? quotient(clamp(x, k->lo, k->hi), k->scale, k->r)
                          : clamp(_mm512_div_ps(x, k->scale), k->lo, k->hi);

    return _mm512_cvtepi32_epi8(
        _mm512_add_epi32(_mm512_cvtps_epi32(t), k->zero));
}

static MD_ALWAYS_INLINE void quantize(uint8_t *q, const float *x, size_t n,
                                      const md_qparam *p, const bool by_r,
                                      const bool is_signed)
{
    const float f = by_r ? p->scale : 1.0f;
    const factors k = {
        .lo = _mm512_set1_ps((float)(p->q_min - p->zero) * f),
        .hi = _mm512_set1_ps((float)(p->q_max - p->zero) * f),
        .scale = _mm512_set1_ps(p->scale),
        .r = _mm512_set1_ps(1.0f / p->scale),
        .zero = _mm512_set1_epi32(p->zero),
        .zero_16 = _mm512_set1_epi16((short)p->zero),
        .q_min = _mm512_set1_epi8((char)p->q_min),
        .order = _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12,
                                  8, 4, 0),
    };
    size_t i = 0;

    for (; i + 64 <= n; i += 64)
        codes_64(q + i, x + i, &k, by_r, is_signed);

    for (; i + 16 <= n; i += 16)
        _mm_storeu_si128((__m128i *)(void *)(q + i),
                         codes(_mm512_loadu_ps(x + i), &k, by_r));
    if (i < n) {
        const __mmask16 m = lanes(n - i);

        _mm_mask_storeu_epi8(q + i, m,
                             codes(_mm512_maskz_loadu_ps(m, x + i), &k, by_r));
    }
}

void md_quantize__avx512(uint8_t *q, const float *x, size_t n,
                         const md_qparam *p)
{
    const bool is_signed = p->q_min < 0;

    if (!has_reciprocal(p->scale))
        is_signed ? quantize(q, x, n, p, false, true)
                  : quantize(q, x, n, p, false, false);
    else if (is_signed)
        quantize(q, x, n, p, true, true);
    else
        quantize(q, x, n, p, true, false);
}

static __m512i widen(const void *q, size_t i, __mmask16 m, md_qtype type)
{
    if (type == MD_QTYPE_S32)
        return _mm512_maskz_loadu_epi32(m, (const int32_t *)q + i);
    if (type == MD_QTYPE_S8)
        return _mm512_cvtepi8_epi32(
            _mm_maskz_loadu_epi8(m, (const int8_t *)q + i));
    return _mm512_cvtepu8_epi32(
        _mm_maskz_loadu_epi8(m, (const uint8_t *)q + i));
}

void md_dequantize__avx512(float *x, const void *q, size_t n, md_qtype type,
                           const md_qparam *p)
{
    const __m512 scale = _mm512_set1_ps(p->scale);
    const __m512i zero = _mm512_set1_epi32(p->zero);

    for (size_t i = 0; i < n; i += 16) {
        const __mmask16 m = lanes(n - i);
        const __m512i v = _mm512_sub_epi32(widen(q, i, m, type), zero);

        _mm512_mask_storeu_ps(x + i, m,
                              _mm512_mul_ps(_mm512_cvtepi32_ps(v), scale));
    }
}
