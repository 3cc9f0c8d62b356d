/*
 * Built for tensors of many megabytes, where memory sets the pace: adding up
 * in double costs nothing there and makes the order of no account.
 */
#ifndef MD_KERNELS_X86_REDUCE_F32_VEC_H
#define MD_KERNELS_X86_REDUCE_F32_VEC_H

#include <assert.h>
#include <math.h>

#include "base/attr.h"
#include "base/size.h"
#include "kernels/reduce_f32.h"

enum {
    /* Vectors of columns added up at once: their sums fill half of the
     * registers, and as many cache lines are read from each row. */
    WIDE = VF_LANES == 16 ? 8 : 4,
    COLUMNS = WIDE * VF_LANES,
    PEAKS = 4 /* of a row, so that they wait for each other less */
};

static size_t lanes_at(int64_t n, int64_t i)
{
    return n - i < VF_LANES ? (size_t)(n - i) : VF_LANES;
}

/* What changes no result. */
static MD_ALWAYS_INLINE float neutral(const md_reduce op)
{
    return op == MD_REDUCE_MAX || op == MD_REDUCE_LOG_SUM_EXP ? -INFINITY
           : op == MD_REDUCE_MIN                              ? INFINITY
           : op == MD_REDUCE_PROD                             ? 1.0f
                                                              : 0.0f;
}

/* --- sums and products, in double ---------------------------------------- */

static MD_ALWAYS_INLINE vd combine(const md_reduce op, vd a, vd b)
{
    return op == MD_REDUCE_PROD ? vd_mul(a, b) : vd_add(a, b);
}

static MD_ALWAYS_INLINE vd step_half(const md_reduce op, vd sum, vd x)
{
    if (op == MD_REDUCE_SUM_SQUARE)
        return vd_fmadd(x, x, sum);
    return combine(op, sum, x);
}

/* x as it is added up; `top` is for LOG_SUM_EXP. */
static MD_ALWAYS_INLINE vf term(const md_reduce op, vf x, vf top)
{
    if (op == MD_REDUCE_L1)
        return vf_abs(x);
    if (op == MD_REDUCE_LOG_SUM_EXP)
        return vf_exp(vf_sub(x, top));
    return x;
}

static MD_ALWAYS_INLINE void step(const md_reduce op, vd sum[2], vf x, vf top)
{
    const vf t = term(op, x, top);

    sum[0] = step_half(op, sum[0], vd_low(t));
    sum[1] = step_half(op, sum[1], vd_high(t));
}

static MD_ALWAYS_INLINE vd start(const md_reduce op)
{
    return vd_set(op == MD_REDUCE_PROD ? 1.0 : 0.0);
}

static MD_ALWAYS_INLINE double sum_row(const md_reduce op,
                                       const md_reduce_f32_args *a,
                                       const float *x, float high)
{
    vd s[4] = { start(op), start(op), start(op), start(op) };
    const vf top = vf_set(high);

    for (int64_t j = 0; j < a->m; j++, x += a->m_stride) {
        int64_t i = 0;

        for (; i + 2 * VF_LANES <= a->n; i += (int64_t)2 * VF_LANES) {
            step(op, s, vf_load(x + i, VF_LANES), top);
            step(op, s + 2, vf_load(x + i + VF_LANES, VF_LANES), top);
        }
        for (; i < a->n; i += VF_LANES)
            step(op, s,
                 vf_load_or(x + i, lanes_at(a->n, i), vf_set(neutral(op))),
                 top);
    }
    s[0] = combine(op, combine(op, s[0], s[1]), combine(op, s[2], s[3]));
    return op == MD_REDUCE_PROD ? vd_product(s[0]) : vd_sum(s[0]);
}

/* y from n <= COLUMNS sums, of which all lanes are in memory; LOG_SUM_EXP
 * finds the largest values in y. */
static void finish(const md_reduce_f32_args *a, float *y, const double *sum,
                   int64_t n)
{
    const double count = (double)(a->m * a->n);
    const vd by = vd_set(a->op == MD_REDUCE_MEAN ? count : 1.0);

    if (a->op != MD_REDUCE_SUM && a->op != MD_REDUCE_MEAN) {
        for (int64_t i = 0; i < n; i++)
            y[i] = (float)md_reduce_finish(a->op, sum[i], y[i], a->m * a->n);
        return;
    }
    for (int64_t i = 0; i < n; i += VF_LANES)
        vf_store(y + i,
                 vd_join(vd_div(vd_load(sum + i), by),
                         vd_div(vd_load(sum + i + VF_LANES / 2), by)),
                 lanes_at(n, i));
}

/* Up to COLUMNS columns, `vectors` of them whole but for the last one, which
 * has `last` lanes; LOG_SUM_EXP finds the largest values in y. */
static MD_ALWAYS_INLINE void sum_columns(const md_reduce op,
                                         const md_reduce_f32_args *a, float *y,
                                         const float *x, const int vectors,
                                         size_t last)
{
    double out[COLUMNS];
    vd s[2 * WIDE];
    vf top[WIDE];

    MD_UNROLL(16)

    for (int v = 0; v < vectors; v++) {
        s[2 * v] = s[2 * v + 1] = start(op);
        top[v] =
            op == MD_REDUCE_LOG_SUM_EXP
                ? vf_load(y + v * VF_LANES, v + 1 < vectors ? VF_LANES : last)
                : vf_zero();
    }
    for (int64_t j = 0; j < a->m; j++, x += a->m_stride) {
        const float *row = x;

        for (int64_t k = 0; k < a->n; k++, row += a->n_stride)
            MD_UNROLL(16)
        for (int v = 0; v < vectors; v++)
            step(op, s + (ptrdiff_t)2 * v,
                 vf_load(row + v * VF_LANES, v + 1 < vectors ? VF_LANES : last),
                 top[v]);
    }
    MD_UNROLL(16)
    for (int v = 0; v < 2 * vectors; v++)
        vd_store(out + (ptrdiff_t)v * (VF_LANES / 2), s[v]);
    finish(a, y, out, (int64_t)(vectors - 1) * VF_LANES + (int64_t)last);
}

/* --- the largest and the smallest, exact ------------------------------------ */

static MD_ALWAYS_INLINE vf beyond(const md_reduce op, vf a, vf x)
{
    /* maxps gives its second operand when unordered */
    return vf_keep_nan(a, op == MD_REDUCE_MIN ? vf_min(a, x) : vf_max(a, x));
}

static MD_ALWAYS_INLINE float join(const md_reduce op, vf a)
{
    float lane[VF_LANES];

    vf_store(lane, a, VF_LANES);
    for (int i = 1; i < VF_LANES && !isnan(lane[0]); i++) {
        if (isnan(lane[i]) ||
            (op == MD_REDUCE_MIN ? lane[i] < lane[0] : lane[i] > lane[0]))
            lane[0] = lane[i];
    }
    return lane[0];
}

/* Without NaN the lanes are joined in few steps. */
static MD_ALWAYS_INLINE float peak_lane(const md_reduce op, vf a)
{
    if (vf_any_nan(a))
        return join(op, a);
    return op == MD_REDUCE_MIN ? vf_min_lane(a) : vf_max_lane(a);
}

static MD_ALWAYS_INLINE float peak_row(const md_reduce op,
                                       const md_reduce_f32_args *a,
                                       const float *x)
{
    const vf none = vf_set(neutral(op));
    vf p[PEAKS] = { none, none, none, none };

    for (int64_t j = 0; j < a->m; j++, x += a->m_stride) {
        int64_t i = 0;

        for (; i + PEAKS * VF_LANES <= a->n; i += (int64_t)PEAKS * VF_LANES) {
            MD_UNROLL(4)
            for (int k = 0; k < PEAKS; k++)
                p[k] =
                    beyond(op, p[k], vf_load(x + i + k * VF_LANES, VF_LANES));
        }
        for (; i < a->n; i += VF_LANES)
            p[0] = beyond(op, p[0], vf_load_or(x + i, lanes_at(a->n, i), none));
    }
    return peak_lane(
        op, beyond(op, beyond(op, p[0], p[1]), beyond(op, p[2], p[3])));
}

static MD_ALWAYS_INLINE void peak_columns(const md_reduce op,
                                          const md_reduce_f32_args *a, float *y,
                                          const float *x, const int vectors,
                                          size_t last)
{
    vf p[WIDE];

    MD_UNROLL(16)

    for (int v = 0; v < vectors; v++)
        p[v] = vf_set(neutral(op));
    for (int64_t j = 0; j < a->m; j++, x += a->m_stride) {
        const float *row = x;

        for (int64_t k = 0; k < a->n; k++, row += a->n_stride)
            MD_UNROLL(16)
        for (int v = 0; v < vectors; v++)
            p[v] = beyond(
                op, p[v],
                vf_load(row + v * VF_LANES, v + 1 < vectors ? VF_LANES : last));
    }
    MD_UNROLL(16)
    for (int v = 0; v < vectors; v++)
        vf_store(y + v * VF_LANES, p[v], v + 1 < vectors ? VF_LANES : last);
}

/* --- both ----------------------------------------------------------------- */

static MD_ALWAYS_INLINE bool is_peak(const md_reduce op)
{
    return op == MD_REDUCE_MAX || op == MD_REDUCE_MIN;
}

/* n <= COLUMNS rows. */
static MD_ALWAYS_INLINE void rows(const md_reduce op,
                                  const md_reduce_f32_args *a, float *y,
                                  const float *x, int64_t n)
{
    double sum[COLUMNS] = { 0 };

    for (int64_t r = 0; r < n; r++, x += a->outer_stride) {
        if (is_peak(op) || op == MD_REDUCE_LOG_SUM_EXP)
            y[r] = peak_row(op == MD_REDUCE_MIN ? op : MD_REDUCE_MAX, a, x);
        if (!is_peak(op))
            sum[r] = sum_row(op, a, x, op == MD_REDUCE_LOG_SUM_EXP ? y[r] : 0);
    }
    if (!is_peak(op))
        finish(a, y, sum, n);
}

static MD_ALWAYS_INLINE void columns(const md_reduce op,
                                     const md_reduce_f32_args *a, float *y,
                                     const float *x, const int vectors,
                                     size_t last)
{
    if (is_peak(op) || op == MD_REDUCE_LOG_SUM_EXP)
        peak_columns(op == MD_REDUCE_MIN ? op : MD_REDUCE_MAX, a, y, x, vectors,
                     last);
    if (!is_peak(op))
        sum_columns(op, a, y, x, vectors, last);
}

static MD_ALWAYS_INLINE void reduce(const md_reduce op,
                                    const md_reduce_f32_args *a)
{
    for (int64_t o = 0; o < a->outer && a->inner == 1; o += COLUMNS)
        rows(op, a, a->y + o, a->x + o * a->outer_stride,
             md_min_i64(a->outer - o, COLUMNS));
    for (int64_t o = 0; o < a->outer && a->inner > 1; o++) {
        const float *x = a->x + o * a->outer_stride;
        float *y = a->y + o * a->inner;
        int64_t i = 0;

        for (; i + COLUMNS <= a->inner; i += COLUMNS)
            columns(op, a, y + i, x + i, WIDE, VF_LANES);
        for (; i < a->inner; i += VF_LANES)
            columns(op, a, y + i, x + i, 1, lanes_at(a->inner, i));
    }
}

void VF(md_reduce_f32)(const md_reduce_f32_args *a)
{
    assert(a->inner != 1 || a->n_stride == 1);
    switch (a->op) {
    case MD_REDUCE_SUM:
    case MD_REDUCE_MEAN:
    case MD_REDUCE_LOG_SUM:
        reduce(MD_REDUCE_SUM, a);
        break;
    case MD_REDUCE_MAX:
        reduce(MD_REDUCE_MAX, a);
        break;
    case MD_REDUCE_MIN:
        reduce(MD_REDUCE_MIN, a);
        break;
    case MD_REDUCE_PROD:
        reduce(MD_REDUCE_PROD, a);
        break;
    case MD_REDUCE_SUM_SQUARE:
    case MD_REDUCE_L2:
        reduce(MD_REDUCE_SUM_SQUARE, a);
        break;
    case MD_REDUCE_L1:
        reduce(MD_REDUCE_L1, a);
        break;
    case MD_REDUCE_LOG_SUM_EXP:
        reduce(MD_REDUCE_LOG_SUM_EXP, a);
        break;
    case MD_REDUCE_COUNT:
        assert(0);
        break;
    }
}

#endif
