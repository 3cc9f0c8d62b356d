#include "kernels/norm_f32.h"

#include <assert.h>
#include <math.h>

static void row_moments(const md_norm_f32_args *a, const float *x, double *mean,
                        double *var)
{
    double sum = 0, square = 0;

    for (int64_t i = 0; i < a->n && a->kind != MD_NORM_RMS; i++)
        sum += x[i];
    *mean = sum / (double)a->n;
    for (int64_t i = 0; i < a->n; i++)
        square += (x[i] - *mean) * (x[i] - *mean);
    *var = square / (double)a->n;
}

static void divide_by_norm(const md_norm_f32_args *a, float *y, const float *x)
{
    double norm = 0;

    for (int64_t i = 0; i < a->n; i++)
        norm +=
            a->kind == MD_NORM_L1 ? fabs((double)x[i]) : (double)x[i] * x[i];
    norm = a->kind == MD_NORM_L1 ? norm : sqrt(norm);
    for (int64_t i = 0; i < a->n; i++)
        y[i] = norm == 0 ? 0 : (float)(x[i] / norm);
}

void md_norm_f32__ref(const md_norm_f32_args *a)
{
    const int64_t span = a->span ? a->span : 1, per = a->n / span;
    const float *x = a->x;
    float *y = a->y;

    assert(a->n % span == 0 && !a->mean == !a->var);
    for (int64_t r = 0; r < a->rows; r++, x += a->n, y += a->n) {
        const int64_t at = a->cycle ? (a->first + r) % a->cycle * per : 0;
        double mean = 0, var = 0;

        if (a->kind == MD_NORM_L1 || a->kind == MD_NORM_L2) {
            divide_by_norm(a, y, x);
            continue;
        }
        if (!a->mean)
            row_moments(a, x, &mean, &var);
        for (int64_t i = 0; i < a->n; i++) {
            const int64_t k = at + i / span;

            if (a->mean) {
                mean = a->mean[k];
                var = a->var[k];
            }
            y[i] = (float)((x[i] - mean) / sqrt(var + (double)a->eps) *
                               (a->scale ? (double)a->scale[k] : 1) +
                           (a->bias ? (double)a->bias[k] : 0));
        }
    }
}
