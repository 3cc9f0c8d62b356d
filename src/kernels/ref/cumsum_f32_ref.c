#include "kernels/cumsum_f32.h"

void md_cumsum_f32__ref(const md_cumsum_f32_args *a)
{
    for (int64_t c = 0; c < a->columns; c++) {
        double sum = 0;

        for (int64_t i = 0; i < a->n; i++) {
            const double before = sum;

            sum += (double)a->x[i * a->step + c];
            a->y[i * a->step + c] = (float)(a->exclusive ? before : sum);
        }
    }
}
