#ifndef MD_KERNELS_X86_NORM_F32_VEC_H
#define MD_KERNELS_X86_NORM_F32_VEC_H

#include <math.h>

#include "base/size.h"
#include "kernels/norm_f32.h"

static size_t lanes_at(int64_t n, int64_t i)
{
    return n - i < VF_LANES ? (size_t)(n - i) : VF_LANES;
}

/* Elements of a part of a sum: each adds a rounding. */
enum {
    PART = 128 * VF_LANES
};

static inline vf part_sum(const float *x, int64_t n)
{
    vf a = vf_zero(), b = vf_zero();
    int64_t i = 0;

    for (; i + 2 * VF_LANES <= n; i += (int64_t)2 * VF_LANES) {
        a = vf_add(a, vf_load(x + i, VF_LANES));
        b = vf_add(b, vf_load(x + i + VF_LANES, VF_LANES));
    }
    for (; i < n; i += VF_LANES)
        a = vf_add(a, vf_load(x + i, lanes_at(n, i)));
    return vf_add(a, b);
}

static float row_sum(const float *x, int64_t n)
{
    vf sum = vf_zero();

    for (int64_t i = 0; i < n; i += PART)
        sum = vf_add(sum, part_sum(x + i, md_min_i64(PART, n - i)));
    return vf_sum(sum);
}

/* Sums of (x - c)^2. */
static inline vf part_squares(const float *x, int64_t n, vf c)
{
    vf a = vf_zero(), b = vf_zero();
    int64_t i = 0;

    for (; i + 2 * VF_LANES <= n; i += (int64_t)2 * VF_LANES) {
        const vf p = vf_sub(vf_load(x + i, VF_LANES), c);
        const vf q = vf_sub(vf_load(x + i + VF_LANES, VF_LANES), c);

        a = vf_fmadd(p, p, a);
        b = vf_fmadd(q, q, b);
    }
    for (; i < n; i += VF_LANES) {
        const vf p = vf_sub(vf_load_or(x + i, lanes_at(n, i), c), c);

        a = vf_fmadd(p, p, a);
    }
    return vf_add(a, b);
}

static float row_squares(const float *x, int64_t n, float mean)
{
    vf sum = vf_zero();

    for (int64_t i = 0; i < n; i += PART)
        sum = vf_add(
            sum, part_squares(x + i, md_min_i64(PART, n - i), vf_set(mean)));
    return vf_sum(sum);
}

void VF(md_norm_f32)(const md_norm_f32_args *a)
{
    const float *x = a->x;
    float *y = a->y;

    for (int64_t r = 0; r < a->rows; r++, x += a->n, y += a->n) {
        const float n = (float)a->n;
        const float mean = a->rms ? 0 : row_sum(x, a->n) / n;
        const float var = row_squares(x, a->n, mean) / n;
        const vf by = vf_set(1 / sqrtf(var + a->eps));
        const vf c = vf_set(mean);

        for (int64_t i = 0; i < a->n; i += VF_LANES) {
            const size_t m = lanes_at(a->n, i);
            vf v = vf_mul(vf_sub(vf_load(x + i, m), c), by);

            if (a->scale)
                v = vf_mul(v, vf_load(a->scale + i, m));
            if (a->bias)
                v = vf_add(v, vf_load(a->bias + i, m));
            vf_store(y + i, v, m);
        }
    }
}

#endif
