#include "kernels/requant_s8.h"

#include <immintrin.h>
#include <stddef.h>
#include <string.h>

/* What belongs to one row of a tile. */
typedef struct row {
    const int32_t *acc;
    const uint8_t *res; /* may be NULL, as add */
    const float *add;
    int32_t term[MD_REQUANT_TERMS];
    float mult; /* 1: none */
} row;

/* Sums of 8 channels from c on, the row's first + j. */
static __m256i sum_of(const md_requant *q, int64_t c, const row *r, int j)
{
    __m256i sum = _mm256_loadu_si256((const __m256i *)(r->acc + j));

    for (int k = 0; k < MD_REQUANT_TERMS && q->column[k]; k++)
        sum = _mm256_add_epi32(
            sum, _mm256_mullo_epi32(
                     _mm256_set1_epi32(r->term[k]),
                     _mm256_loadu_si256((const __m256i *)(q->column[k] + c))));
    return sum;
}

/* 8 lanes of t. */
static __m256 scaled(const md_requant *q, int64_t c, const row *r, int j)
{
    const __m256 mult =
        _mm256_mul_ps(_mm256_set1_ps(r->mult), _mm256_loadu_ps(q->mult + c));

    return _mm256_mul_ps(_mm256_cvtepi32_ps(sum_of(q, c, r, j)), mult);
}

static __m256i to_code(__m256 t, int32_t least, int32_t most)
{
    const __m256 lo = _mm256_set1_ps((float)least);
    const __m256 hi = _mm256_set1_ps((float)most);

    /* maxps gives its second operand for NaN, as the definition does. */
    return _mm256_cvtps_epi32(_mm256_min_ps(_mm256_max_ps(t, lo), hi));
}

/* What the codes of t stand for. */
static __m256 own_value(const md_requant *q, __m256 t)
{
    const __m256i own = to_code(t, q->own_min, q->own_max);

    return _mm256_mul_ps(_mm256_cvtepi32_ps(own), _mm256_set1_ps(q->own_mult));
}

/* Of 8 lanes from j on. */
static __m256 add_residual(const md_requant *q, __m256 t, const row *r, int j)
{
    const __m128i b = _mm_loadl_epi64((const __m128i *)(r->res + j));
    const __m256i v = _mm256_sub_epi32(q->res_signed ? _mm256_cvtepi8_epi32(b)
                                                     : _mm256_cvtepu8_epi32(b),
                                       _mm256_set1_epi32(q->res_zero));

    return _mm256_add_ps(
        own_value(q, t),
        _mm256_mul_ps(_mm256_cvtepi32_ps(v), _mm256_set1_ps(q->res_mult)));
}

/* 8 channels from c on, the row's first + j. */
static __m256i to_q8(const md_requant *q, int64_t c, const row *r, int j)
{
    __m256 t = scaled(q, c, r, j);

    if (r->res)
        t = add_residual(q, t, r, j);
    return _mm256_add_epi32(to_code(t, q->q_min - q->zero, q->q_max - q->zero),
                            _mm256_set1_epi32(q->zero));
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

static void q8_16(const md_requant *q, int64_t c, const row *r, uint8_t *out)
{
    const __m256i a = to_q8(q, c, r, 0);
    const __m256i b = to_q8(q, c + 8, r, 8);

    _mm_storeu_si128((__m128i *)out, low_bytes(a, b));
    if (q->lut)
        for (int j = 0; j < MD_LANES; j++)
            out[j] = q->lut[out[j]];
}

static void f32_16(const md_requant *q, int64_t c, const row *r, float *out)
{
    for (int j = 0; j < MD_LANES; j += 8) {
        __m256 t = scaled(q, c + j, r, j);

        if (q->codes)
            t = own_value(q, t);
        if (q->bias)
            t = _mm256_add_ps(t, _mm256_loadu_ps(q->bias + c + j));
        if (r->add)
            t = _mm256_add_ps(t, _mm256_loadu_ps(r->add + j));
        _mm256_storeu_ps(out + j, t);
    }
}

static void row_16(const md_requant *q, int64_t c, const row *r, void *out)
{
    if (q->out == MD_QOUT_Q8) {
        q8_16(q, c, r, out);
    } else if (q->out == MD_QOUT_F32) {
        f32_16(q, c, r, out);
    } else {
        for (int j = 0; j < MD_LANES; j += 8)
            _mm256_storeu_si256((__m256i *)((int32_t *)out + j),
                                sum_of(q, c + j, r, j));
    }
}

/* A row of fewer than 16 lanes. */
static void row_part(const md_requant *q, int64_t c, row r, void *out,
                     size_t lanes)
{
    int32_t sums[MD_LANES] = { 0 }, part[MD_LANES];
    uint8_t from[MD_LANES] = { 0 };
    float add[MD_LANES] = { 0 };

    memcpy(sums, r.acc, sizeof(*sums) * lanes);
    r.acc = sums;
    if (r.res) {
        memcpy(from, r.res, lanes);
        r.res = from;
    }
    if (r.add) {
        memcpy(add, r.add, sizeof(*add) * lanes);
        r.add = add;
    }
    row_16(q, c, &r, part);
    memcpy(out, part, (size_t)md_qout_size(q->out) * lanes);
}

/* At most 16 channels from c0 on. */
static void block(const md_requant *q, int64_t c0, const md_requant_tile *t)
{
    for (int i = 0; i < t->rows; i++) {
        char *out = (char *)t->out + i * t->out_stride;
        row r = { .acc = t->acc + i * t->acc_stride, .mult = 1.0f };

        if (t->res)
            r.res = (const uint8_t *)t->res + i * t->res_stride;
        if (q->out == MD_QOUT_F32 && t->add)
            r.add = t->add + i * t->add_stride;
        if (q->out == MD_QOUT_F32 && t->row_mult)
            r.mult = t->row_mult[i];
        for (int k = 0; k < MD_REQUANT_TERMS && q->column[k]; k++)
            r.term[k] = t->row[k][i];
        if (t->lanes == MD_LANES)
            row_16(q, c0, &r, out);
        else
            row_part(q, c0, r, out, (size_t)t->lanes);
    }
}

void md_requant_s8__avx2(const md_requant *q, int64_t c0,
                         const md_requant_tile *t)
{
    md_requant_tile b = *t;

    for (int j = 0; j < t->lanes; j += MD_LANES) {
        b.lanes = t->lanes - j < MD_LANES ? t->lanes - j : MD_LANES;
        block(q, c0 + j, &b);
        md_requant__next(q, &b);
    }
}
