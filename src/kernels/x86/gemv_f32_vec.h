#ifndef MD_KERNELS_X86_GEMV_F32_VEC_H
#define MD_KERNELS_X86_GEMV_F32_VEC_H

#include "base/attr.h"
#include "base/size.h"
#include "kernels/gemv_f32.h"

static inline vf add(vf a, vf b)
{
    return vf_add(a, b);
}

/* As many rows as there are lanes, whose sums one vector then holds: that many
 * chains of additions stay in flight, and no row is added up on its own.  Of
 * fewer rows (m) the last is taken again. */
static MD_ALWAYS_INLINE void dot_rows(const md_gemv_f32_args *a, int64_t i,
                                      size_t m)
{
    const float *row[VF_LANES];
    vf acc[VF_LANES];
    int64_t k = 0;

    MD_UNROLL(16)
    for (size_t r = 0; r < VF_LANES; r++) {
        row[r] = a->rows + (i + (int64_t)(r < m ? r : m - 1)) * a->step;
        acc[r] = vf_zero();
    }
    for (; k + VF_LANES <= a->size; k += VF_LANES) {
        const vf x = vf_load(a->x + k, VF_LANES);

        MD_UNROLL(16)
        for (size_t r = 0; r < VF_LANES; r++)
            acc[r] = vf_fmadd(x, vf_load(row[r] + k, VF_LANES), acc[r]);
    }
    if (k < a->size) {
        const size_t left = (size_t)(a->size - k);
        const vf x = vf_load(a->x + k, left);

        MD_UNROLL(16)
        for (size_t r = 0; r < VF_LANES; r++)
            acc[r] = vf_fmadd(x, vf_load(row[r] + k, left), acc[r]);
    }
    vf_store(a->y + i, vf_across(acc, add), m);
}

void VF(md_gemv_f32_dot)(const md_gemv_f32_args *a)
{
    int64_t i = 0;

    for (; i + VF_LANES <= a->n; i += VF_LANES)
        dot_rows(a, i, VF_LANES);
    if (i < a->n)
        dot_rows(a, i, (size_t)(a->n - i));
}

enum {
    WIDE = 4 /* vectors of y at a time */
};

/* Columns k .. of `nv` vectors, the last of m lanes; rows alternate between
 * two sets of sums, so that eight chains are in flight. */
static MD_ALWAYS_INLINE void sum_columns(const md_gemv_f32_args *a, int64_t k,
                                         const int nv, size_t m)
{
    const float *row = a->rows + k;
    vf acc[2][WIDE];
    int64_t i = 0;

    MD_UNROLL(4)
    for (int v = 0; v < nv; v++)
        acc[0][v] = acc[1][v] = vf_zero();
    for (; i + 2 <= a->n; i += 2, row += 2 * a->step) {
        MD_UNROLL(2)
        for (int u = 0; u < 2; u++) {
            const vf x = vf_set(a->x[i + u]);

            MD_UNROLL(4)
            for (int v = 0; v < nv; v++)
                acc[u][v] = vf_fmadd(x,
                                     vf_load(row + u * a->step + v * VF_LANES,
                                             v == nv - 1 ? m : VF_LANES),
                                     acc[u][v]);
        }
    }
    MD_UNROLL(4)
    for (int v = 0; v < nv; v++) {
        const size_t lanes = v == nv - 1 ? m : VF_LANES;

        if (i < a->n)
            acc[0][v] = vf_fmadd(vf_set(a->x[i]),
                                 vf_load(row + v * VF_LANES, lanes), acc[0][v]);
        vf_store(a->y + k + v * VF_LANES, vf_add(acc[0][v], acc[1][v]), lanes);
    }
}

void VF(md_gemv_f32_sum)(const md_gemv_f32_args *a)
{
    int64_t k = 0;

    for (; k + WIDE * VF_LANES <= a->size; k += WIDE * VF_LANES)
        sum_columns(a, k, WIDE, VF_LANES);
    for (; k < a->size; k += VF_LANES)
        sum_columns(a, k, 1, (size_t)md_min_i64(VF_LANES, a->size - k));
}

#endif
