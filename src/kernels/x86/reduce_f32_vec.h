#ifndef MD_KERNELS_X86_REDUCE_F32_VEC_H
#define MD_KERNELS_X86_REDUCE_F32_VEC_H

#include <assert.h>
#include <math.h>

#include "kernels/reduce_f32.h"

static size_t lanes_at(int64_t n, int64_t i)
{
    return n - i < VF_LANES ? (size_t)(n - i) : VF_LANES;
}

static inline vf step(md_reduce op, vf sum, vf x)
{
    switch (op) {
    case MD_REDUCE_MAX: /* maxps gives x when unordered */
        return vf_keep_nan(sum, vf_max(sum, x));
    case MD_REDUCE_MIN:
        return vf_keep_nan(sum, vf_min(sum, x));
    case MD_REDUCE_SUM_SQUARE:
        return vf_fmadd(x, x, sum);
    case MD_REDUCE_L1:
        return vf_add(sum, vf_abs(x));
    default:
        return vf_add(sum, x);
    }
}

/* The value that changes nothing. */
static inline vf start(md_reduce op)
{
    return vf_set(op == MD_REDUCE_MAX   ? -INFINITY
                  : op == MD_REDUCE_MIN ? INFINITY
                                        : 0.0f);
}

/* The lanes of sum as one value. */
static float join(md_reduce op, vf sum)
{
    float lane[VF_LANES];

    if (op != MD_REDUCE_MAX && op != MD_REDUCE_MIN)
        return vf_sum(sum);
    vf_store(lane, sum, VF_LANES);
    for (int i = 1; i < VF_LANES; i++) {
        const int less = lane[i] < lane[0];

        if (isnan(lane[0]))
            break;
        if (isnan(lane[i]) || (op == MD_REDUCE_MIN ? less : !less))
            lane[0] = lane[i];
    }
    return lane[0];
}

static inline float reduce_row(md_reduce op, const float *x, int64_t n)
{
    vf a = start(op), b = a;
    int64_t i = 0;

    for (; i + 2 * VF_LANES <= n; i += (int64_t)2 * VF_LANES) {
        a = step(op, a, vf_load(x + i, VF_LANES));
        b = step(op, b, vf_load(x + i + VF_LANES, VF_LANES));
    }
    for (; i < n; i += VF_LANES)
        a = step(op, a, vf_load_or(x + i, lanes_at(n, i), start(op)));
    /* A finished square or magnitude is only added. */
    return join(op, op == MD_REDUCE_MAX || op == MD_REDUCE_MIN ? step(op, a, b)
                                                               : vf_add(a, b));
}

/* inner > 1: VF_LANES columns at a time. */
static inline void reduce_columns(md_reduce op, float *y, const float *x,
                                  int64_t n, int64_t inner, vf by)
{
    for (int64_t i = 0; i < inner; i += VF_LANES) {
        const size_t m = lanes_at(inner, i);
        vf sum = start(op);

        for (int64_t k = 0; k < n; k++)
            sum = step(op, sum, vf_load(x + k * inner + i, m));
        vf_store(y + i, vf_div(sum, by), m);
    }
}

__attribute__((always_inline)) static inline void reduce(
    const md_reduce_f32_args *a, const md_reduce op)
{
    const float by = a->op == MD_REDUCE_MEAN ? (float)a->n : 1;

    for (int64_t o = 0; o < a->outer; o++) {
        const float *x = a->x + o * a->n * a->inner;

        if (a->inner == 1)
            a->y[o] = reduce_row(op, x, a->n) / by;
        else
            reduce_columns(op, a->y + o * a->inner, x, a->n, a->inner,
                           vf_set(by));
    }
}

void VF(md_reduce_f32)(const md_reduce_f32_args *a)
{
    switch (a->op) {
    case MD_REDUCE_SUM:
    case MD_REDUCE_MEAN:
        reduce(a, MD_REDUCE_SUM);
        break;
    case MD_REDUCE_MAX:
        reduce(a, MD_REDUCE_MAX);
        break;
    case MD_REDUCE_MIN:
        reduce(a, MD_REDUCE_MIN);
        break;
    case MD_REDUCE_SUM_SQUARE:
        reduce(a, MD_REDUCE_SUM_SQUARE);
        break;
    case MD_REDUCE_L1:
        reduce(a, MD_REDUCE_L1);
        break;
    case MD_REDUCE_COUNT:
        assert(0);
        break;
    }
}

#endif
