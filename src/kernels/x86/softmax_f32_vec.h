#ifndef MD_KERNELS_X86_SOFTMAX_F32_VEC_H
#define MD_KERNELS_X86_SOFTMAX_F32_VEC_H

#include <math.h>

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

/* y = exp(x - top), returning the sum. */
static float row_exp(float *y, const float *x, int64_t n, float top)
{
    const vf t = vf_set(top);
    vf sum = vf_zero();

    for (int64_t i = 0; i < n; i += VF_LANES) {
        const size_t m = lanes_at(n, i);
        const vf e = vf_exp(vf_sub(vf_load(x + i, m), t));

        vf_store(y + i, e, m);
        sum = vf_add(sum, vf_keep(e, m, vf_zero()));
    }
    return vf_sum(sum);
}

static float row_exp_sum(const float *x, int64_t n, float top)
{
    const vf t = vf_set(top);
    vf sum = vf_zero();

    for (int64_t i = 0; i < n; i += VF_LANES) {
        const size_t m = lanes_at(n, i);
        const vf e = vf_exp(vf_sub(vf_load(x + i, m), t));

        sum = vf_add(sum, vf_keep(e, m, vf_zero()));
    }
    return vf_sum(sum);
}

void VF(md_softmax_f32)(float *y, const float *x, int64_t rows, int64_t n,
                        bool log_form)
{
    for (; rows > 0; rows--, x += n, y += n) {
        const float top = row_max(x, n);
        vf by;

        if (log_form) {
            /* Two steps: top + log(sum) would lose digits of small sums. */
            const vf t = vf_set(top);

            by = vf_set(logf(row_exp_sum(x, n, top)));
            for (int64_t i = 0; i < n; i += VF_LANES) {
                const size_t m = lanes_at(n, i);

                vf_store(y + i, vf_sub(vf_sub(vf_load(x + i, m), t), by), m);
            }
            continue;
        }
        by = vf_set(1 / row_exp(y, x, n, top));
        for (int64_t i = 0; i < n; i += VF_LANES) {
            const size_t m = lanes_at(n, i);

            vf_store(y + i, vf_mul(vf_load(y + i, m), by), m);
        }
    }
}

#endif
