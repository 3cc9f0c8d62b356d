/* pool_row_f32 for one instruction set: the row that the windows' rows make
 * lies between columns that change nothing, so that no window needs a look at
 * where it ends. */
#ifndef MD_KERNELS_X86_POOL_ROW_F32_VEC_H
#define MD_KERNELS_X86_POOL_ROW_F32_VEC_H

#include <math.h>

#include "kernels/pool_row_f32.h"

static inline vf combine(vf a, vf b, bool sum)
{
    return sum ? vf_add(a, b) : vf_keep_nan(a, vf_max(a, b));
}

static inline void fill(float *p, int64_t n, float v)
{
    int64_t i = 0;

    for (; i + VF_LANES <= n; i += VF_LANES)
        vf_store(p + i, vf_set(v), VF_LANES);
    if (i < n)
        vf_store(p + i, vf_set(v), (size_t)(n - i));
}

/* m columns from c on. */
static inline vf columns(const md_pool_row_f32_args *a, int64_t c, size_t m,
                         bool sum)
{
    vf v = vf_load(a->x + c, m);

    for (int64_t p = 0; p < a->planes; p++) {
        for (int64_t r = p == 0; r < a->rows; r++)
            v = combine(
                v, vf_load(a->x + p * a->plane_step + r * a->row_step + c, m),
                sum);
    }
    return v;
}

static inline void make_line(const md_pool_row_f32_args *a, int64_t size,
                             bool sum)
{
    float *line = a->line + a->left;
    int64_t c = 0;

    fill(a->line, a->left, sum ? 0 : -INFINITY);
    for (; c + VF_LANES <= a->width; c += VF_LANES)
        vf_store(line + c, columns(a, c, VF_LANES, sum), VF_LANES);
    if (c < a->width) {
        const size_t m = (size_t)(a->width - c);

        vf_store(line + c, columns(a, c, m, sum), m);
    }
    fill(line + a->width, size - a->left - a->width, sum ? 0 : -INFINITY);
}

/* Every stride-th of the floats from p on. */
static inline vf pick(const float *p, int64_t stride)
{
    if (stride == 1)
        return vf_load(p, VF_LANES);
    if (stride == 2)
        return vf_even(vf_load(p, VF_LANES), vf_load(p + VF_LANES, VF_LANES));
    return vf_every(p, (int32_t)stride);
}

/* Inlined for each stride of `pick`. */
static inline void slide(const md_pool_row_f32_args *a, int64_t stride,
                         bool sum)
{
    for (int64_t i = 0; i < a->n; i += VF_LANES) {
        const size_t m =
            (size_t)(a->n - i < VF_LANES ? a->n - i : (int64_t)VF_LANES);
        const float *p = a->line + i * stride;
        vf v = vf_set(sum ? 0 : -INFINITY);

        for (int64_t t = 0; t < a->taps; t++)
            v = combine(v, pick(p + t * a->step, stride), sum);
        if (sum) {
            const vf count = vf_mul(vf_load(a->counts + i, m), vf_set(a->by));

            v = vf_select_lt(vf_zero(), count, vf_div(v, count), vf_zero());
        }
        vf_store(a->y + i, v, m);
    }
}

static inline void run(const md_pool_row_f32_args *a, bool sum)
{
    make_line(a, md_pool_row_f32_line(a), sum);
    if (a->stride == 1)
        slide(a, 1, sum);
    else if (a->stride == 2)
        slide(a, 2, sum);
    else
        slide(a, a->stride, sum);
}

void VF(md_pool_row_f32)(const md_pool_row_f32_args *a)
{
    if (a->stride > INT32_MAX / MD_POOL_ROW_UNIT)
        md_pool_row_f32__ref(a);
    else if (a->counts)
        run(a, true);
    else
        run(a, false);
}

#endif
