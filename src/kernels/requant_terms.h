/*
 * Sums with the zero points of rows and columns, some rows at a time, for the
 * rows of requant_s8.def: whoever includes this compiles it for its own
 * instruction set.  Only for kernels/.
 */
#ifndef MD_KERNELS_REQUANT_TERMS_H
#define MD_KERNELS_REQUANT_TERMS_H

#include "base/attr.h"
#include "kernels/requant_s8.h"

enum {
    MD_REQUANT_ROWS = 12 /* a tile of most kernels */
};

/* to[n] = from[n] + row * column[n]. */
static MD_ALWAYS_INLINE void requant_add_term(int32_t *to, const int32_t *from,
                                              int32_t row,
                                              const int32_t *column, int n)
{
    MD_SIMD
    for (int j = 0; j < n; j++)
        to[j] =
            (int32_t)((uint32_t)from[j] + (uint32_t)row * (uint32_t)column[j]);
}

/* Call run for t without terms: the sums then have them. */
static inline void requant_terms(const md_requant *q, int64_t c0,
                                 const md_requant_tile *t, md_requant_fn *run)
{
    int32_t acc[MD_REQUANT_ROWS][MD_LANES];
    md_requant rest = *q;
    md_requant_tile part = *t;

    rest.column[0] = NULL;
    part.acc = acc[0];
    part.acc_stride = MD_LANES;
    for (int r0 = 0; r0 < t->rows; r0 += MD_REQUANT_ROWS) {
        part.rows =
            t->rows - r0 < MD_REQUANT_ROWS ? t->rows - r0 : MD_REQUANT_ROWS;
        for (int i = 0; i < part.rows; i++) {
            const int32_t *from = t->acc + (r0 + i) * t->acc_stride;

            for (int k = 0; k < MD_REQUANT_TERMS && q->column[k]; k++) {
                const int32_t *column = q->column[k] + c0;

                if (t->lanes == MD_LANES)
                    requant_add_term(acc[i], from, t->row[k][r0 + i], column,
                                     MD_LANES);
                else
                    requant_add_term(acc[i], from, t->row[k][r0 + i], column,
                                     t->lanes);
                from = acc[i];
            }
        }
        part.out = (char *)t->out + r0 * t->out_stride;
        part.res = t->res ? (const uint8_t *)t->res + r0 * t->res_stride : NULL;
        part.row_mult = t->row_mult ? t->row_mult + r0 : NULL;
        run(&rest, c0, &part);
    }
}

#endif
