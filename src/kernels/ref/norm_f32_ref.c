#include "kernels/norm_f32.h"

#include <math.h>

void md_norm_f32__ref(const md_norm_f32_args *a)
{
    const float *x = a->x;
    float *y = a->y;

    for (int64_t r = 0; r < a->rows; r++, x += a->n, y += a->n) {
        double mean = 0, square = 0;
        double by;

        for (int64_t i = 0; i < a->n && !a->rms; i++)
            mean += x[i];
        mean /= (double)a->n;
        for (int64_t i = 0; i < a->n; i++)
            square += (x[i] - mean) * (x[i] - mean);
        by = 1 / sqrt(square / (double)a->n + (double)a->eps);
        for (int64_t i = 0; i < a->n; i++)
            y[i] = (float)((x[i] - mean) * by *
                               (a->scale ? (double)a->scale[i] : 1) +
                           (a->bias ? (double)a->bias[i] : 0));
    }
}
