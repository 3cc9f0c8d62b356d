#include "kernels/requant_s8.h"

#include <immintrin.h>
#include <stddef.h>

/* The step's constants in registers. */
typedef struct consts {
    __m512 mult, bias, lo, hi, res_mult;
    __m512i zero, res_zero;
    __m512i column[MD_REQUANT_TERMS];
    __mmask16 m;
} consts;

static inline __m512 residual(const md_requant *q, const consts *c,
                              const uint8_t *r)
{
    const __m128i b = _mm_maskz_loadu_epi8(c->m, r);
    const __m512i v =
        q->res_signed ? _mm512_cvtepi8_epi32(b) : _mm512_cvtepu8_epi32(b);

    return _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(v, c->res_zero)),
                         c->res_mult);
}

static inline __m128i table(const uint8_t *lut, __m128i b)
{
    uint8_t byte[MD_LANES];

    _mm_storeu_si128((__m128i *)byte, b);
    for (int j = 0; j < MD_LANES; j++)
        byte[j] = lut[byte[j]];
    return _mm_loadu_si128((const __m128i *)byte);
}

/* has_res and has_lut are constants wherever this is inlined. */
__attribute__((always_inline)) static inline void rows_q8(
    const md_requant *q, const md_requant_tile *t, const consts *constants,
    const bool has_res, const bool has_lut)
{
    const consts c = *constants;
    const uint8_t *lut = q->lut;
    const int32_t *acc = t->acc;
    const uint8_t *res = t->res;
    uint8_t *out = t->out;

    for (int i = 0; i < t->rows; i++) {
        const __m512i sum = _mm512_maskz_loadu_epi32(c.m, acc);
        __m512 v = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), c.mult);
        __m128i b;

        if (has_res) {
            v = _mm512_add_ps(v, residual(q, &c, res));
            res += t->res_stride;
        }
        /* maxps gives its second operand for NaN, as the definition does. */
        v = _mm512_min_ps(_mm512_max_ps(v, c.lo), c.hi);
        b = _mm512_cvtepi32_epi8(
            _mm512_add_epi32(_mm512_cvtps_epi32(v), c.zero));
        if (has_lut)
            b = table(lut, b);
        _mm_mask_storeu_epi8(out, c.m, b);
        acc += t->acc_stride;
        out += t->out_stride;
    }
}

/* Row i of the sums of 16 channels, with its terms. */
static inline __m512i sum_of(const md_requant *q, const md_requant_tile *t,
                             const consts *c, int i)
{
    __m512i sum = _mm512_maskz_loadu_epi32(c->m, t->acc + i * t->acc_stride);

    for (int k = 0; k < MD_REQUANT_TERMS && q->column[k]; k++)
        sum = _mm512_add_epi32(
            sum,
            _mm512_mullo_epi32(_mm512_set1_epi32(t->row[k][i]), c->column[k]));
    return sum;
}

static void rows_f32(const md_requant *q, const md_requant_tile *t,
                     const consts *c)
{
    for (int i = 0; i < t->rows; i++) {
        const __m512i sum = sum_of(q, t, c, i);
        const __m512 mult =
            t->row_mult ? _mm512_mul_ps(_mm512_set1_ps(t->row_mult[i]), c->mult)
                        : c->mult;
        __m512 v = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), mult);

        if (t->res)
            v = _mm512_add_ps(
                v, residual(q, c, (const uint8_t *)t->res + i * t->res_stride));
        if (q->bias)
            v = _mm512_add_ps(v, c->bias);
        if (t->add)
            v = _mm512_add_ps(
                v, _mm512_maskz_loadu_ps(c->m, t->add + i * t->add_stride));
        _mm512_mask_storeu_ps((char *)t->out + i * t->out_stride, c->m, v);
    }
}

static void rows_s32(const md_requant *q, const md_requant_tile *t,
                     const consts *c)
{
    for (int i = 0; i < t->rows; i++)
        _mm512_mask_storeu_epi32((char *)t->out + i * t->out_stride, c->m,
                                 sum_of(q, t, c, i));
}

/* At most 16 channels from c0 on. */
static void block(const md_requant *q, int64_t c0, const md_requant_tile *t,
                  consts *c)
{
    c->m = (__mmask16)((1u << t->lanes) - 1);
    for (int k = 0; k < MD_REQUANT_TERMS && q->column[k]; k++)
        c->column[k] = _mm512_loadu_si512(q->column[k] + c0);
    if (q->out == MD_QOUT_S32) {
        rows_s32(q, t, c);
        return;
    }
    c->mult = _mm512_loadu_ps(q->mult + c0);
    if (q->bias)
        c->bias = _mm512_loadu_ps(q->bias + c0);
    if (q->out == MD_QOUT_F32)
        rows_f32(q, t, c);
    else if (t->res && q->lut)
        rows_q8(q, t, c, true, true);
    else if (t->res)
        rows_q8(q, t, c, true, false);
    else if (q->lut)
        rows_q8(q, t, c, false, true);
    else
        rows_q8(q, t, c, false, false);
}

void md_requant_s8__avx512(const md_requant *q, int64_t c0,
                           const md_requant_tile *t)
{
    consts c = {
        .lo = _mm512_set1_ps((float)(q->q_min - q->zero)),
        .hi = _mm512_set1_ps((float)(q->q_max - q->zero)),
        .res_mult = _mm512_set1_ps(q->res_mult),
        .zero = _mm512_set1_epi32(q->zero),
        .res_zero = _mm512_set1_epi32(q->res_zero),
    };
    md_requant_tile b = *t;

    for (int j = 0; j < t->lanes; j += MD_LANES) {
        b.lanes = t->lanes - j < MD_LANES ? t->lanes - j : MD_LANES;
        block(q, c0 + j, &b, &c);
        md_requant__next(q, &b);
    }
}
