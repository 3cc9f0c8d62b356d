#include <math.h>

#include "kernels/blend_f32.h"

static float blend(const md_blend_f32_args *a, int64_t p, int64_t c)
{
    float v = a->maximum ? -INFINITY : 0;

    for (int64_t k = p * a->stride; k < p * a->stride + a->looks; k++) {
        float part;

        if (a->at[k] < 0)
            continue;
        part = a->w[k] * a->x[a->at[k] + c];
        if (!a->maximum)
            v += part;
        else
            v = v > part || isnan(v) ? v : part;
    }
    return v;
}

void md_blend_f32__ref(const md_blend_f32_args *a)
{
    for (int64_t p = 0; p < a->places; p++) {
        for (int64_t c = 0; c < a->n; c++)
            a->y[p * a->y_stride + c] = blend(a, p, c);
    }
}
