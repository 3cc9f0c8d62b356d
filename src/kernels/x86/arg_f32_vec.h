/*
 * Indices are kept in float lanes, which hold them exactly below 2^24; what
 * has more steps, or NaN anywhere, goes by the definition.
 */
#ifndef MD_KERNELS_X86_ARG_F32_VEC_H
#define MD_KERNELS_X86_ARG_F32_VEC_H

#include <assert.h>

#include "base/attr.h"
#include "base/size.h"
#include "kernels/arg_f32.h"

enum {
    WIDE = 4, /* vectors of columns at a time */
    STEPS_MAX = 1 << 24
};

static size_t lanes_at(int64_t n, int64_t i)
{
    return n - i < VF_LANES ? (size_t)(n - i) : VF_LANES;
}

typedef struct found {
    vf best, at;
    vf odd; /* NaN where NaN or an infinity was met */
} found;

static MD_ALWAYS_INLINE found begin(vf x)
{
    return (found){ x, vf_zero(), vf_mul(x, vf_zero()) };
}

/* x is what stands at step k. */
static MD_ALWAYS_INLINE void step(found *f, vf x, vf k, const bool min,
                                  const bool last)
{
    const vf low = min ? x : f->best, high = min ? f->best : x;

    if (last)
        f->at = vf_select_lt(high, low, f->at, k);
    else
        f->at = vf_select_lt(low, high, k, f->at);
    f->best = min ? vf_min(f->best, x) : vf_max(f->best, x);
    f->odd = vf_fmadd(x, vf_zero(), f->odd);
}

/* --- columns -------------------------------------------------------------- */

static void put(const md_arg_f32_args *a, int64_t *y, const float *x,
                const found *f, size_t m)
{
    float at[VF_LANES];

    vf_store(at, f->at, VF_LANES);
    for (size_t i = 0; i < m; i++)
        y[i] = (int64_t)at[i];
    if (vf_any_nan(f->odd))
        for (size_t i = 0; i < m; i++)
            y[i] = md_arg_f32_scan(a, x + i);
}

/* All vectors but the last one are whole. */
static MD_ALWAYS_INLINE void columns(const md_arg_f32_args *a, int64_t *y,
                                     const float *x, const int vectors,
                                     size_t m, const bool min, const bool last)
{
    found f[WIDE];

    MD_UNROLL(4)
    for (int v = 0; v < vectors; v++)
        f[v] = begin(vf_load(x + v * VF_LANES, v + 1 < vectors ? VF_LANES : m));
    for (int64_t k = 1; k < a->n; k++) {
        const float *row = x + k * a->stride;
        const vf at = vf_set((float)k);

        MD_UNROLL(4)
        for (int v = 0; v < vectors; v++)
            step(&f[v],
                 vf_load(row + v * VF_LANES, v + 1 < vectors ? VF_LANES : m),
                 at, min, last);
    }
    MD_UNROLL(4)
    for (int v = 0; v < vectors; v++)
        put(a, y + v * VF_LANES, x + v * VF_LANES, &f[v],
            v + 1 < vectors ? VF_LANES : m);
}

static MD_ALWAYS_INLINE void all_columns(const md_arg_f32_args *a, int64_t *y,
                                         const float *x, const bool min,
                                         const bool last)
{
    const int64_t wide = (int64_t)WIDE * VF_LANES;
    int64_t i = 0;

    for (; i + wide <= a->inner; i += wide)
        columns(a, y + i, x + i, WIDE, VF_LANES, min, last);
    for (; i < a->inner; i += VF_LANES)
        columns(a, y + i, x + i, 1, lanes_at(a->inner, i), min, last);
}

/* --- rows ----------------------------------------------------------------- */

static bool is_beyond(float x, float best, int64_t i, int64_t best_i,
                      const bool min, const bool last)
{
    if (x == best)
        return last ? i > best_i : i < best_i;
    return min ? x < best : x > best;
}

/* Lanes hold every VF_LANES-th element; the last, broken vector is joined to
 * what they found element by element. */
static MD_ALWAYS_INLINE int64_t row(const md_arg_f32_args *a, const float *x,
                                    const bool min, const bool last)
{
    const int64_t blocks = a->n / VF_LANES;
    float best[VF_LANES], at[VF_LANES], top;
    int64_t result;
    found f;

    if (blocks == 0)
        return md_arg_f32_scan(a, x);
    f = begin(vf_load(x, VF_LANES));
    for (int64_t b = 1; b < blocks; b++)
        step(&f, vf_load(x + b * VF_LANES, VF_LANES), vf_set((float)b), min,
             last);
    vf_store(best, f.best, VF_LANES);
    vf_store(at, f.at, VF_LANES);
    top = best[0];
    result = (int64_t)at[0] * VF_LANES;
    for (int64_t i = 1; i < VF_LANES; i++) {
        const int64_t k = (int64_t)at[i] * VF_LANES + i;

        if (is_beyond(best[i], top, k, result, min, last)) {
            top = best[i];
            result = k;
        }
    }
    for (int64_t k = blocks * VF_LANES; k < a->n; k++) {
        f.odd = vf_fmadd(vf_set(x[k]), vf_zero(), f.odd);
        if (is_beyond(x[k], top, k, result, min, last)) {
            top = x[k];
            result = k;
        }
    }
    return vf_any_nan(f.odd) ? md_arg_f32_scan(a, x) : result;
}

static MD_ALWAYS_INLINE void arg(const md_arg_f32_args *a, const bool min,
                                 const bool last)
{
    for (int64_t o = 0; o < a->outer; o++) {
        const float *x = a->x + o * a->outer_stride;

        if (a->inner == 1)
            a->y[o] = row(a, x, min, last);
        else
            all_columns(a, a->y + o * a->inner, x, min, last);
    }
}

void VF(md_arg_f32)(const md_arg_f32_args *a)
{
    assert(a->n >= 1 && (a->inner != 1 || a->stride == 1));
    if (a->inner == 1 ? a->n / VF_LANES >= STEPS_MAX : a->n >= STEPS_MAX)
        md_arg_f32__ref(a);
    else if (a->min && a->last)
        arg(a, true, true);
    else if (a->min)
        arg(a, true, false);
    else if (a->last)
        arg(a, false, true);
    else
        arg(a, false, false);
}

#endif
