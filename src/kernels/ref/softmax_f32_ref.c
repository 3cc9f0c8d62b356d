#include "kernels/softmax_f32.h"

#include <math.h>

/* n values, `step` apart. */
static void softmax(float *y, const float *x, int64_t n, int64_t step,
                    bool log_form)
{
    float top = -INFINITY;
    double sum = 0;

    for (int64_t i = 0; i < n * step; i += step)
        top = x[i] > top || isnan(x[i]) ? x[i] : top;
    for (int64_t i = 0; i < n * step; i += step)
        sum += exp((double)(x[i] - top)); /* the difference in float */
    for (int64_t i = 0; i < n * step; i += step) {
        const double d = (double)(x[i] - top);

        y[i] = (float)(log_form ? d - log(sum) : exp(d) / sum);
    }
}

void md_softmax_f32__ref(float *y, const float *x, int64_t rows, int64_t n,
                         int64_t inner, bool log_form)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < inner; i++)
            softmax(y + r * n * inner + i, x + r * n * inner + i, n, inner,
                    log_form);
}
