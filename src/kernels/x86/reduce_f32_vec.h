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
    PEAKS = 4, /* of a row, so that they wait for each other less */
    TURN = VF_LANES / 2,
    SHORT = 512 /* elements of rows of which many are added up at once */
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

/* An addition is a product by 1 and one: conversions of floats occupy the units
 * of plain additions, which on Zen 4 are not those of products. */
static MD_ALWAYS_INLINE vd step_half(const md_reduce op, vd sum, vd x)
{
    if (op == MD_REDUCE_PROD)
        return vd_mul(sum, x);
    return vd_fmadd(x, op == MD_REDUCE_SUM_SQUARE ? x : vd_set(1.0), sum);
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

/* The lower half of the lanes is added to *s, the upper one to *t, which may
 * be the same. */
static MD_ALWAYS_INLINE void step(const md_reduce op, vd *s, vd *t, vf x,
                                  vf top)
{
    const vf v = term(op, x, top);

    *s = step_half(op, *s, vd_low(v));
    *t = step_half(op, *t, vd_high(v));
}

/* The same of all lanes at p. */
static MD_ALWAYS_INLINE void step_at(const md_reduce op, vd *s, vd *t,
                                     const float *p, vf top)
{
    vd low, high;

    if (op == MD_REDUCE_LOG_SUM_EXP) {
        step(op, s, t, vf_load(p, VF_LANES), top);
        return;
    }
    low = vd_widen(p);
    high = vd_widen(p + VF_LANES / 2);
    *s = step_half(op, *s, op == MD_REDUCE_L1 ? vd_abs(low) : low);
    *t = step_half(op, *t, op == MD_REDUCE_L1 ? vd_abs(high) : high);
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
            step_at(op, &s[0], &s[1], x + i, top);
            step_at(op, &s[2], &s[3], x + i + VF_LANES, top);
        }
        for (; i < a->n; i += VF_LANES)
            step(op, &s[0], &s[1],
                 vf_load_or(x + i, lanes_at(a->n, i), vf_set(neutral(op))),
                 top);
    }
    s[0] = combine(op, combine(op, s[0], s[1]), combine(op, s[2], s[3]));
    return op == MD_REDUCE_PROD ? vd_product(s[0]) : vd_sum(s[0]);
}

static MD_ALWAYS_INLINE vd plus(vd a, vd b)
{
    return vd_add(a, b);
}

static MD_ALWAYS_INLINE vd times(vd a, vd b)
{
    return vd_mul(a, b);
}

/* TURN rows at once, whose lanes are joined together: of short rows that is
 * what takes the time. */
static MD_ALWAYS_INLINE vd sum_turn(const md_reduce op,
                                    const md_reduce_f32_args *a, const float *x)
{
    vd s[TURN];

    MD_UNROLL(8)
    for (int r = 0; r < TURN; r++)
        s[r] = start(op);
    for (int64_t j = 0; j < a->m; j++, x += a->m_stride) {
        const float *p = x;

        for (int64_t i = 0; i < a->n; i += VF_LANES, p += VF_LANES) {
            const size_t m = lanes_at(a->n, i);
            const float *row = p;

            MD_UNROLL(8)
            for (int r = 0; r < TURN; r++, row += a->outer_stride)
                if (m == VF_LANES)
                    step_at(op, &s[r], &s[r], row, vf_zero());
                else
                    step(op, &s[r], &s[r],
                         vf_load_or(row, m, vf_set(neutral(op))), vf_zero());
        }
    }
    return vd_across(s, op == MD_REDUCE_PROD ? times : plus);
}

/* n sums; y has the largest values for LOG_SUM_EXP. */
static MD_ALWAYS_INLINE void sum_rows(const md_reduce op,
                                      const md_reduce_f32_args *a, double *sum,
                                      const float *y, const float *x, int64_t n)
{
    int64_t r = 0;

    for (; r + TURN <= n && a->n <= SHORT && op != MD_REDUCE_LOG_SUM_EXP;
         r += TURN)
        vd_store(sum + r, sum_turn(op, a, x + r * a->outer_stride));
    for (; r < n; r++)
        sum[r] = sum_row(op, a, x + r * a->outer_stride,
                         op == MD_REDUCE_LOG_SUM_EXP ? y[r] : 0);
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

/* As step_at, of m lanes. */
static MD_ALWAYS_INLINE void step_some(const md_reduce op, vd sum[2],
                                       const float *p, size_t m, vf top)
{
    if (m == VF_LANES)
        step_at(op, &sum[0], &sum[1], p, top);
    else
        step(op, &sum[0], &sum[1], vf_load(p, m), top);
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

        for (int64_t k = 0; k < a->n; k++, row += a->n_stride) {
            MD_UNROLL(16)
            for (int v = 0; v + 1 < vectors; v++)
                step_at(op, &s[2 * v], &s[2 * v + 1], row + v * VF_LANES,
                        top[v]);
            step_some(op, s + (ptrdiff_t)2 * (vectors - 1),
                      row + (ptrdiff_t)(vectors - 1) * VF_LANES, last,
                      top[vectors - 1]);
        }
    }
    MD_UNROLL(16)
    for (int v = 0; v < 2 * vectors; v++)
        vd_store(out + (ptrdiff_t)v * (VF_LANES / 2), s[v]);
    finish(a, y, out, (int64_t)(vectors - 1) * VF_LANES + (int64_t)last);
}

/* --- the largest and the smallest, exact ------------------------------------ */

static MD_ALWAYS_INLINE vf farther(const md_reduce op, vf a, vf x)
{
    return op == MD_REDUCE_MIN ? vf_min(a, x) : vf_max(a, x);
}

/* The same, NaN when any is: maxps gives its second operand when unordered. */
static MD_ALWAYS_INLINE vf beyond(const md_reduce op, vf a, vf x)
{
    return vf_keep_nan(a, farther(op, a, x));
}

/* NaN may be lost, but *odd has one then: a step that meets one gives it. */
static MD_ALWAYS_INLINE float peak_row(const md_reduce op,
                                       const md_reduce_f32_args *a,
                                       const float *x, vf *odd)
{
    const vf none = vf_set(neutral(op));
    vf p[PEAKS] = { none, none, none, none };

    for (int64_t j = 0; j < a->m; j++, x += a->m_stride) {
        int64_t i = 0;

        for (; i + PEAKS * VF_LANES <= a->n; i += (int64_t)PEAKS * VF_LANES) {
            MD_UNROLL(4)
            for (int k = 0; k < PEAKS; k++)
                p[k] =
                    farther(op, p[k], vf_load(x + i + k * VF_LANES, VF_LANES));
            *odd = vf_mark_nan(*odd, p[0], p[1]);
            *odd = vf_mark_nan(*odd, p[2], p[3]);
        }
        for (; i < a->n; i += VF_LANES) {
            p[0] =
                farther(op, p[0], vf_load_or(x + i, lanes_at(a->n, i), none));
            *odd = vf_mark_nan(*odd, p[0], p[0]);
        }
    }
    p[0] = farther(op, farther(op, p[0], p[1]), farther(op, p[2], p[3]));
    return op == MD_REDUCE_MIN ? vf_min_lane(p[0]) : vf_max_lane(p[0]);
}

static MD_ALWAYS_INLINE vf higher(vf a, vf b)
{
    return vf_max(a, b);
}

static MD_ALWAYS_INLINE vf lower(vf a, vf b)
{
    return vf_min(a, b);
}

/* As sum_turn, of VF_LANES rows. */
static MD_ALWAYS_INLINE vf peak_turn(const md_reduce op,
                                     const md_reduce_f32_args *a,
                                     const float *x, vf *odd)
{
    const vf none = vf_set(neutral(op));
    vf s[VF_LANES];

    MD_UNROLL(16)
    for (int r = 0; r < VF_LANES; r++)
        s[r] = none;
    for (int64_t j = 0; j < a->m; j++, x += a->m_stride) {
        const float *p = x;

        for (int64_t i = 0; i < a->n; i += VF_LANES, p += VF_LANES) {
            const size_t m = lanes_at(a->n, i);
            const float *row = p;

            MD_UNROLL(8)
            for (int r = 0; r < VF_LANES; r += 2) {
                s[r] = farther(op, s[r], vf_load_or(row, m, none));
                row += a->outer_stride;
                s[r + 1] = farther(op, s[r + 1], vf_load_or(row, m, none));
                row += a->outer_stride;
                *odd = vf_mark_nan(*odd, s[r], s[r + 1]);
            }
        }
    }
    return vf_across(s, op == MD_REDUCE_MIN ? lower : higher);
}

static bool has_nan(const md_reduce_f32_args *a, const float *x)
{
    for (int64_t j = 0; j < a->m; j++, x += a->m_stride)
        for (int64_t i = 0; i < a->n; i += VF_LANES)
            if (vf_any_nan(vf_load(x + i, lanes_at(a->n, i))))
                return true;
    return false;
}

static MD_ALWAYS_INLINE void peak_rows(const md_reduce op,
                                       const md_reduce_f32_args *a, float *y,
                                       const float *x, int64_t n)
{
    vf odd = vf_zero();
    int64_t r = 0;

    for (; r + VF_LANES <= n && a->n <= SHORT; r += VF_LANES)
        vf_store(y + r, peak_turn(op, a, x + r * a->outer_stride, &odd),
                 VF_LANES);
    for (; r < n; r++)
        y[r] = peak_row(op, a, x + r * a->outer_stride, &odd);
    for (r = 0; r < n && vf_any_nan(odd); r++)
        if (has_nan(a, x + r * a->outer_stride))
            y[r] = NAN;
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

    if (is_peak(op) || op == MD_REDUCE_LOG_SUM_EXP)
        peak_rows(op == MD_REDUCE_MIN ? op : MD_REDUCE_MAX, a, y, x, n);
    if (is_peak(op))
        return;
    sum_rows(op, a, sum, y, x, n);
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

/* Columns before the first whole vector that lies in one cache line: a load
 * that crosses two takes as long as two. */
static int64_t columns_before(const md_reduce_f32_args *a, const float *x)
{
    const int64_t line = 64 / sizeof(float);

    if (a->n_stride % line != 0 || (a->m > 1 && a->m_stride % line != 0))
        return 0; /* of each row others */
    return (int64_t)(-(uintptr_t)x / sizeof(float) % VF_LANES);
}

/* All columns of one outer index.  The last COLUMNS may be computed twice. */
static MD_ALWAYS_INLINE void all_columns(const md_reduce op,
                                         const md_reduce_f32_args *a, float *y,
                                         const float *x)
{
    int64_t i = 0;

    if (a->inner >= COLUMNS) {
        i = columns_before(a, x);
        if (i > 0)
            columns(op, a, y, x, 1, (size_t)i);
        for (; i + COLUMNS <= a->inner; i += COLUMNS)
            columns(op, a, y + i, x + i, WIDE, VF_LANES);
        if (i + VF_LANES < a->inner) {
            i = a->inner - COLUMNS;
            columns(op, a, y + i, x + i, WIDE, VF_LANES);
            return;
        }
    }
    for (; i < a->inner; i += VF_LANES)
        columns(op, a, y + i, x + i, 1, lanes_at(a->inner, i));
}

static MD_ALWAYS_INLINE void reduce(const md_reduce op,
                                    const md_reduce_f32_args *a)
{
    for (int64_t o = 0; o < a->outer && a->inner == 1; o += COLUMNS)
        rows(op, a, a->y + o, a->x + o * a->outer_stride,
             md_min_i64(a->outer - o, COLUMNS));
    for (int64_t o = 0; o < a->outer && a->inner > 1; o++)
        all_columns(op, a, a->y + o * a->inner, a->x + o * a->outer_stride);
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
