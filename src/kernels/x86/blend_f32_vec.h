#ifndef MD_KERNELS_X86_BLEND_F32_VEC_H
#define MD_KERNELS_X86_BLEND_F32_VEC_H

#include <math.h>

#include "base/attr.h"
#include "kernels/blend_f32.h"

enum {
    PARTS = 4 /* vectors of channels that one weight is read for */
};

/* `parts` vectors of channels from c on, the last of m lanes. */
static MD_ALWAYS_INLINE void blend(const md_blend_f32_args *a, int64_t p,
                                   int64_t c, const int parts, size_t m,
                                   const bool maximum)
{
    const int64_t *at = a->at + p * a->stride;
    const float *w = a->w + p * a->stride;
    float *y = a->y + p * a->y_stride + c;
    vf v[PARTS];

    MD_UNROLL(4)
    for (int i = 0; i < parts; i++)
        v[i] = vf_set(maximum ? -INFINITY : 0);
    for (int64_t k = 0; k < a->looks; k++) {
        const float *x = a->x + at[k] + c;

        if (at[k] < 0)
            continue;
        MD_UNROLL(4)
        for (int i = 0; i < parts; i++) {
            const size_t lanes = i + 1 < parts ? VF_LANES : m;
            const vf part =
                vf_mul(vf_load(x + (size_t)i * VF_LANES, lanes), vf_set(w[k]));

            v[i] = maximum ? vf_keep_nan(v[i], vf_max(v[i], part))
                           : vf_add(v[i], part);
        }
    }
    MD_UNROLL(4)
    for (int i = 0; i < parts; i++)
        vf_store(y + (size_t)i * VF_LANES, v[i], i + 1 < parts ? VF_LANES : m);
}

/* Inlined for sums and maxima. */
static MD_ALWAYS_INLINE void run(const md_blend_f32_args *a, const bool maximum)
{
    for (int64_t p = 0; p < a->places; p++) {
        int64_t c = 0;

        for (; c + PARTS * VF_LANES <= a->n; c += PARTS * VF_LANES)
            blend(a, p, c, PARTS, VF_LANES, maximum);
        for (; c < a->n; c += VF_LANES) {
            const int64_t left = a->n - c;

            blend(a, p, c, 1,
                  (size_t)(left < VF_LANES ? left : (int64_t)VF_LANES),
                  maximum);
        }
    }
}

void VF(md_blend_f32)(const md_blend_f32_args *a)
{
    if (a->maximum)
        run(a, true);
    else
        run(a, false);
}

#endif
