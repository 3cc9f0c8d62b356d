#include "kernels/gemv_f32.h"

void md_gemv_f32_dot__ref(const md_gemv_f32_args *a)
{
    for (int64_t i = 0; i < a->n; i++) {
        const float *row = a->rows + i * a->step;
        float sum = 0;

        for (int64_t k = 0; k < a->size; k++)
            sum += a->x[k] * row[k];
        a->y[i] = sum;
    }
}

void md_gemv_f32_sum__ref(const md_gemv_f32_args *a)
{
    for (int64_t k = 0; k < a->size; k++)
        a->y[k] = 0;
    for (int64_t i = 0; i < a->n; i++) {
        const float *row = a->rows + i * a->step;

        for (int64_t k = 0; k < a->size; k++)
            a->y[k] += a->x[i] * row[k];
    }
}
