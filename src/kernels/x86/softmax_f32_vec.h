#ifndef MD_KERNELS_X86_SOFTMAX_F32_VEC_H
#define MD_KERNELS_X86_SOFTMAX_F32_VEC_H

#include <math.h>

#include "base/attr.h"
#include "base/size.h"
#include "kernels/softmax_f32.h"

static size_t lanes_at(int64_t n, int64_t i)
{
    return n - i < VF_LANES ? (size_t)(n - i) : VF_LANES;
}

static float row_max(const float *x, int64_t n)
{
    const vf low = vf_set(-INFINITY);
    vf top = low;

    for (int64_t i = 0; i < n; i += VF_LANES) {
        /* NaN is left out here and comes back through the sum. */
        top = vf_max(vf_load_or(x + i, lanes_at(n, i), low), top);
    }
    return vf_max_lane(top);
}

/* Elements of a part of a sum: rows may have some hundred thousand, and a
 * rounding for each would be seen. */
enum {
    PART = 64 * VF_LANES
};

/* exp(x - top) of n elements into y unless it is NULL; returns the sums. */
static MD_ALWAYS_INLINE vf part_exp(float *y, const float *x, int64_t n, vf top)
{
    vf sum = vf_zero();

    for (int64_t i = 0; i < n; i += VF_LANES) {
        const size_t m = lanes_at(n, i);
        const vf e = vf_exp(vf_sub(vf_load(x + i, m), top));

        if (y)
            vf_store(y + i, e, m);
        sum = vf_add(sum, vf_keep(e, m, vf_zero()));
    }
    return sum;
}

static MD_ALWAYS_INLINE float row_exp(float *y, const float *x, int64_t n,
                                      float top)
{
    vf sum = vf_zero();

    for (int64_t i = 0; i < n; i += PART)
        sum = vf_add(sum, part_exp(y ? y + i : NULL, x + i,
                                   md_min_i64(PART, n - i), vf_set(top)));
    return vf_sum(sum);
}

static void softmax_row(float *y, const float *x, int64_t n, bool log_form)
{
    const float top = row_max(x, n);
    vf by;

    if (log_form) {
        /* Two steps: top + log(sum) would lose digits of small sums. */
        const vf t = vf_set(top);

        by = vf_set(logf(row_exp(NULL, x, n, top)));
        for (int64_t i = 0; i < n; i += VF_LANES) {
            const size_t m = lanes_at(n, i);

            vf_store(y + i, vf_sub(vf_sub(vf_load(x + i, m), t), by), m);
        }
        return;
    }
    by = vf_set(1 / row_exp(y, x, n, top));
    for (int64_t i = 0; i < n; i += VF_LANES) {
        const size_t m = lanes_at(n, i);

        vf_store(y + i, vf_mul(vf_load(y + i, m), by), m);
    }
}

/* Sums of exp(x - top) of n values of m columns, into y unless it is NULL. */
static MD_ALWAYS_INLINE vf column_exp(float *y, const float *x, int64_t n,
                                      int64_t inner, size_t m, vf top)
{
    enum {
        ROWS = 64 /* of a part of the sum */
    };
    vf sum = vf_zero(), part = vf_zero();

    for (int64_t k = 0; k < n; k++) {
        const vf e = vf_exp(vf_sub(vf_load(x + k * inner, m), top));

        if (y)
            vf_store(y + k * inner, e, m);
        part = vf_add(part, e);
        if (k % ROWS == ROWS - 1) {
            sum = vf_add(sum, part);
            part = vf_zero();
        }
    }
    return vf_add(sum, part);
}

static vf log_of(vf x)
{
    float lane[VF_LANES];

    vf_store(lane, x, VF_LANES);
    for (int i = 0; i < VF_LANES; i++)
        lane[i] = logf(lane[i]);
    return vf_load(lane, VF_LANES);
}

/* m columns of n values. */
static void softmax_columns(float *y, const float *x, int64_t n, int64_t inner,
                            size_t m, bool log_form)
{
    vf top = vf_set(-INFINITY), by;

    for (int64_t k = 0; k < n; k++)
        top = vf_max(vf_load(x + k * inner, m), top);
    if (log_form) {
        by = log_of(column_exp(NULL, x, n, inner, m, top));
        for (int64_t k = 0; k < n; k++)
            vf_store(y + k * inner,
                     vf_sub(vf_sub(vf_load(x + k * inner, m), top), by), m);
        return;
    }
    by = vf_div(vf_set(1), column_exp(y, x, n, inner, m, top));
    for (int64_t k = 0; k < n; k++)
        vf_store(y + k * inner, vf_mul(vf_load(y + k * inner, m), by), m);
}

void VF(md_softmax_f32)(float *y, const float *x, int64_t rows, int64_t n,
                        int64_t inner, bool log_form)
{
    for (; rows > 0; rows--, x += n * inner, y += n * inner) {
        if (inner == 1) {
            softmax_row(y, x, n, log_form);
            continue;
        }
        for (int64_t i = 0; i < inner; i += VF_LANES)
            softmax_columns(y + i, x + i, n, inner, lanes_at(inner, i),
                            log_form);
    }
}

#endif
