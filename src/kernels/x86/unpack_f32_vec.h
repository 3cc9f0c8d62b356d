/*
 * A lane is a column: a word of it gives eight (or four) rows one after the
 * other, by code_of(words, i, bits).
 */
#ifndef MD_KERNELS_X86_UNPACK_F32_VEC_H
#define MD_KERNELS_X86_UNPACK_F32_VEC_H

#include "kernels/unpack_f32.h"

#include <assert.h>

#include "base/attr.h"
#include "base/size.h"

enum {
    NV = 3 /* vectors of columns at once: enough chains of additions */
};

/* --- to floats ----------------------------------------------------------- */

static MD_ALWAYS_INLINE void unpack_word(const md_unpack_f32_args *a, int64_t r,
                                         int64_t c, int64_t per)
{
    const words q = words_load(a->q + (r / per * a->width + c) * 4);
    const vf scale = vf_load(a->scale + c, VF_LANES);

    MD_UNROLL(8)
    for (int64_t i = 0; i < per; i++) {
        vf w = vf_mul(code_of(q, (int)i, (int)(32 / per)), scale);

        if (r + i >= a->rows)
            return;
        if (a->shift)
            w = vf_add(w, vf_load(a->shift + c, VF_LANES));
        vf_store(a->y + (r + i) * a->width + c, w, VF_LANES);
    }
}

static MD_ALWAYS_INLINE void unpack(const md_unpack_f32_args *a, int64_t per)
{
    for (int64_t r = 0; r < a->rows; r += per) {
        for (int64_t c = 0; c < a->width; c += VF_LANES)
            unpack_word(a, r, c, per);
    }
}

void VF(md_unpack_f32)(const md_unpack_f32_args *a)
{
    assert(a->width % 16 == 0 && (a->bits == 4 || a->bits == 8));
    if (a->bits == 4)
        unpack(a, 8);
    else
        unpack(a, 4);
}

/* --- times a row --------------------------------------------------------- */

/* sum += x[0 .. n] times the n <= per rows of one word a column. */
static MD_ALWAYS_INLINE void add_word(vf sum[][NV], const float *x,
                                      const uint8_t *q, int64_t n, int64_t per,
                                      int64_t nv)
{
    words w[NV];

    MD_UNROLL(3)
    for (int64_t v = 0; v < nv; v++)
        w[v] = words_load(q + v * VF_LANES * 4);
    MD_UNROLL(8)
    for (int64_t i = 0; i < per; i++) {
        if (i >= n)
            return;
        const vf s = vf_set(x[i]);

        MD_UNROLL(3)
        for (int64_t v = 0; v < nv; v++)
            sum[i % 2][v] = vf_fmadd(s, code_of(w[v], (int)i, (int)(32 / per)),
                                     sum[i % 2][v]);
    }
}

static float sum_of(const float *x, int64_t n)
{
    vf sum = vf_zero();

    for (int64_t i = 0; i < n; i += VF_LANES)
        sum = vf_add(sum, vf_load(x + i, (size_t)md_min_i64(VF_LANES, n - i)));
    return vf_sum(sum);
}

/* Columns c .. c + nv vectors.  The sum of a block's codes has two chains a
 * vector and is scaled once. */
static MD_ALWAYS_INLINE void multiply(const md_unpack_f32_product *a, int64_t c,
                                      int64_t per, int64_t nv)
{
    const int64_t word = a->width * 4;
    vf y[NV];

    MD_UNROLL(3)
    for (int64_t v = 0; v < nv; v++)
        y[v] = vf_zero();
    for (int64_t r = 0; r < a->rows; r += a->block) {
        const int64_t n = md_min_i64(a->block, a->rows - r);
        const int64_t at = r / a->block * a->width + c;
        const uint8_t *q = a->q + r / per * word + c * 4;
        const float *x = a->x + r;
        vf sum[2][NV];
        int64_t i = 0;

        MD_UNROLL(3)
        for (int64_t v = 0; v < nv; v++)
            sum[0][v] = sum[1][v] = vf_zero();
        for (; i + per <= n; i += per, q += word)
            add_word(sum, x + i, q, per, per, nv);
        if (i < n)
            add_word(sum, x + i, q, n - i, per, nv);
        MD_UNROLL(3)
        for (int64_t v = 0; v < nv; v++)
            y[v] =
                vf_fmadd(vf_add(sum[0][v], sum[1][v]),
                         vf_load(a->scale + at + v * VF_LANES, VF_LANES), y[v]);
        if (a->shift) {
            const vf s = vf_set(sum_of(x, n));

            MD_UNROLL(3)
            for (int64_t v = 0; v < nv; v++)
                y[v] = vf_fmadd(
                    s, vf_load(a->shift + at + v * VF_LANES, VF_LANES), y[v]);
        }
    }
    MD_UNROLL(3)
    for (int64_t v = 0; v < nv; v++)
        vf_store(a->y + c + v * VF_LANES, y[v], VF_LANES);
}

static MD_ALWAYS_INLINE void product(const md_unpack_f32_product *a,
                                     int64_t per)
{
    int64_t c = 0;

    for (; c + NV * VF_LANES <= a->width; c += NV * VF_LANES)
        multiply(a, c, per, NV);
    if (c + 2 * VF_LANES <= a->width) {
        multiply(a, c, per, 2);
        c += 2 * VF_LANES;
    }
    if (c < a->width)
        multiply(a, c, per, 1);
}

void VF(md_unpack_f32_product)(const md_unpack_f32_product *a)
{
    assert(a->width % 16 == 0 && (a->bits == 4 || a->bits == 8));
    assert(a->block % 8 == 0);
    if (a->bits == 4)
        product(a, 8);
    else
        product(a, 4);
}

#endif
