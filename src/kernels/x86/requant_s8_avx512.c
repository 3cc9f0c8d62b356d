#include "kernels/requant_s8.h"

#include <immintrin.h>
#include <stddef.h>

#include "base/attr.h"

/* --- codes that are not the last ------------------------------------------- */

typedef struct owns {
    __m512 hi, mult;
    __m512i lo;
} owns;

static MD_ALWAYS_INLINE owns owns_of(const md_requant *q)
{
    return (owns){ .hi = _mm512_set1_ps((float)q->own_max),
                   .mult = _mm512_set1_ps(q->own_mult),
                   .lo = _mm512_set1_epi32(q->own_min) };
}

/* What the codes of v stand for.  Only what is too large is clamped before it
 * is an integer: the rest, and NaN, is negative then. */
static MD_ALWAYS_INLINE __m512 own_value(const owns *o, __m512 v)
{
    const __m512i own =
        _mm512_max_epi32(o->lo, _mm512_cvtps_epi32(_mm512_min_ps(o->hi, v)));

    return _mm512_mul_ps(_mm512_cvtepi32_ps(own), o->mult);
}

/* --- bytes ----------------------------------------------------------------- */

static inline __m128i table(const uint8_t *lut, __m128i b)
{
    uint8_t byte[MD_LANES];

    _mm_storeu_si128((__m128i *)byte, b);
    for (int j = 0; j < MD_LANES; j++)
        byte[j] = lut[byte[j]];
    return _mm_loadu_si128((const __m128i *)byte);
}

/* What all rows of a block of channels have in common. */
typedef struct bytes {
    __m512 mult, hi;
    owns own;
    __m512 res_mult;
    __m512i res_zero;
    __m512i zero;         /* in words */
    __m512i q_min, q_max; /* in bytes */
    __mmask16 m;
    bool is_signed, res_signed;
} bytes;

/* Some rows of a tile: where they are. */
typedef struct rows {
    const int32_t *acc;
    int64_t acc_stride;
    const uint8_t *res;
    int64_t res_stride;
    uint8_t *out;
    int64_t out_stride;
} rows;

/* What is known where four_q8 is inlined. */
typedef struct kind {
    bool has_res, has_lut;
    bool whole; /* all lanes and four rows */
} kind;

/* What the sums and 16 numbers of a residual, of which m exist, give. */
static MD_ALWAYS_INLINE __m512 add_residual(const bytes *c, __m512 v,
                                            const uint8_t *r, __mmask16 m)
{
    const __m128i b = _mm_maskz_loadu_epi8(m, r);
    const __m512i res = _mm512_sub_epi32(
        c->res_signed ? _mm512_cvtepi8_epi32(b) : _mm512_cvtepu8_epi32(b),
        c->res_zero);

    /* Not fused: each product is rounded. */
    return _mm512_add_ps(own_value(&c->own, v),
                         _mm512_mul_ps(_mm512_cvtepi32_ps(res), c->res_mult));
}

/* Row i, as integers of which only those that are too large are clamped: what
 * is too small, or NaN, is still negative as an integer. */
static MD_ALWAYS_INLINE __m512i row_q8(const rows *r, const bytes *c, int64_t i,
                                       kind k)
{
    const int32_t *acc = r->acc + i * r->acc_stride;
    const __mmask16 m = k.whole ? 0xffff : c->m;
    const __m512i sum =
        k.whole ? _mm512_loadu_si512(acc) : _mm512_maskz_loadu_epi32(m, acc);
    __m512 v = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), c->mult);

    if (k.has_res)
        v = add_residual(c, v, r->res + i * r->res_stride, m);
    return _mm512_cvtps_epi32(_mm512_min_ps(c->hi, v));
}

static MD_ALWAYS_INLINE __m512i pair_q8(const rows *r, const bytes *c,
                                        int64_t i, int64_t j, kind k)
{
    return _mm512_adds_epi16(
        c->zero, _mm512_packs_epi32(row_q8(r, c, i, k), row_q8(r, c, j, k)));
}

static MD_ALWAYS_INLINE void store_q8(const md_requant *q, const bytes *c,
                                      uint8_t *out, __m128i v, kind k)
{
    if (k.has_lut)
        v = table(q->lut, v);
    if (k.whole)
        _mm_storeu_si128((__m128i *)out, v);
    else
        _mm_mask_storeu_epi8(out, c->m, v);
}

/*
 * Four rows, of which n exist.  Packing with saturation is the rest of the
 * clamp to bytes, and a register of them is clamped to the limits at once; it
 * leaves four channels of each row together, which a permutation parts.
 */
static MD_ALWAYS_INLINE void four_q8(const md_requant *q, const rows *r,
                                     const bytes *c, int64_t n, kind k)
{
    const __m512i part =
        _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
    const __m512i a = pair_q8(r, c, 0, n > 1 ? 1 : 0, k);
    const __m512i b = pair_q8(r, c, n > 2 ? 2 : 0, n > 3 ? 3 : 0, k);
    uint8_t *out = r->out;
    __m512i v;

    if (c->is_signed)
        v = _mm512_min_epi8(
            c->q_max, _mm512_max_epi8(c->q_min, _mm512_packs_epi16(a, b)));
    else
        v = _mm512_min_epu8(
            c->q_max, _mm512_max_epu8(c->q_min, _mm512_packus_epi16(a, b)));
    v = _mm512_permutexvar_epi32(part, v);
    if (k.whole && !k.has_lut && r->out_stride == MD_LANES) {
        _mm512_storeu_si512(out, v);
        return;
    }
    store_q8(q, c, out, _mm512_castsi512_si128(v), k);
    if (n > 1)
        store_q8(q, c, out += r->out_stride, _mm512_extracti32x4_epi32(v, 1),
                 k);
    if (n > 2)
        store_q8(q, c, out += r->out_stride, _mm512_extracti32x4_epi32(v, 2),
                 k);
    if (n > 3)
        store_q8(q, c, out + r->out_stride, _mm512_extracti32x4_epi32(v, 3), k);
}

/* All rows of a block of channels. */
static MD_ALWAYS_INLINE void block_q8(const md_requant *q,
                                      const md_requant_tile *t, const bytes *c,
                                      kind k)
{
    rows r = { t->acc,        t->acc_stride, t->res,
               t->res_stride, t->out,        t->out_stride };
    int64_t n = t->rows;

    if (c->m == 0xffff) {
        k.whole = true;
        for (; n >= 4; n -= 4) {
            four_q8(q, &r, c, 4, k);
            r.acc += 4 * r.acc_stride;
            r.out += 4 * r.out_stride;
            if (k.has_res)
                r.res += 4 * r.res_stride;
        }
        k.whole = false;
    }
    for (; n > 0; n -= 4) {
        four_q8(q, &r, c, n, k);
        r.acc += 4 * r.acc_stride;
        r.out += 4 * r.out_stride;
        if (k.has_res)
            r.res += 4 * r.res_stride;
    }
}

static MD_ALWAYS_INLINE void tile_q8(const md_requant *q, int64_t c0,
                                     const md_requant_tile *tile,
                                     const bool has_res, const bool has_lut)
{
    md_requant_tile t = *tile;
    bytes c = { .hi = _mm512_set1_ps((float)(q->q_max - q->zero)),
                .zero = _mm512_set1_epi16((int16_t)q->zero),
                .q_min = _mm512_set1_epi8((int8_t)q->q_min),
                .q_max = _mm512_set1_epi8((int8_t)q->q_max),
                .is_signed = q->q_min < 0 };

    if (has_res) {
        c.own = owns_of(q);
        c.res_mult = _mm512_set1_ps(q->res_mult);
        c.res_zero = _mm512_set1_epi32(q->res_zero);
        c.res_signed = q->res_signed;
    }
    for (int j = 0; j < tile->lanes; j += MD_LANES) {
        const int left = tile->lanes - j;

        c.m = left < MD_LANES ? (__mmask16)((1u << left) - 1) : 0xffff;
        c.mult = _mm512_loadu_ps(q->mult + c0 + j);
        block_q8(q, &t, &c, (kind){ .has_res = has_res, .has_lut = has_lut });
        md_requant__next(q, &t);
    }
}

/* --- floats and sums ------------------------------------------------------- */

/* The constants of a block of channels in registers. */
typedef struct consts {
    __m512 mult, bias;
    __m512i column[MD_REQUANT_TERMS];
    __mmask16 m;
} consts;

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
    const owns own = owns_of(q);

    for (int i = 0; i < t->rows; i++) {
        const __m512i sum = sum_of(q, t, c, i);
        const __m512 mult =
            t->row_mult ? _mm512_mul_ps(_mm512_set1_ps(t->row_mult[i]), c->mult)
                        : c->mult;
        __m512 v = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), mult);

        if (q->codes)
            v = own_value(&own, v);
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
static void block(const md_requant *q, int64_t c0, const md_requant_tile *t)
{
    consts c = { .m = (__mmask16)((1u << t->lanes) - 1) };

    for (int k = 0; k < MD_REQUANT_TERMS && q->column[k]; k++)
        c.column[k] = _mm512_loadu_si512(q->column[k] + c0);
    if (q->out == MD_QOUT_S32) {
        rows_s32(q, t, &c);
        return;
    }
    c.mult = _mm512_loadu_ps(q->mult + c0);
    if (q->bias)
        c.bias = _mm512_loadu_ps(q->bias + c0);
    rows_f32(q, t, &c);
}

static MD_NOINLINE void blocks(const md_requant *q, int64_t c0,
                               const md_requant_tile *tile)
{
    md_requant_tile t = *tile;

    for (int j = 0; j < tile->lanes; j += MD_LANES) {
        t.lanes = tile->lanes - j < MD_LANES ? tile->lanes - j : MD_LANES;
        block(q, c0 + j, &t);
        md_requant__next(q, &t);
    }
}

/* Tiles are small: what only some of them need is not in their way. */
static MD_NOINLINE void rare_q8(const md_requant *q, int64_t c0,
                                const md_requant_tile *t)
{
    if (t->res && q->lut)
        tile_q8(q, c0, t, true, true);
    else if (t->res)
        tile_q8(q, c0, t, true, false);
    else
        tile_q8(q, c0, t, false, true);
}

void md_requant_s8__avx512(const md_requant *q, int64_t c0,
                           const md_requant_tile *t)
{
    if (q->out != MD_QOUT_Q8)
        blocks(q, c0, t);
    else if (t->res || q->lut)
        rare_q8(q, c0, t);
    else
        tile_q8(q, c0, t, false, false);
}
