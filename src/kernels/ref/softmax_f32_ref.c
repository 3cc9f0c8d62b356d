#include "kernels/softmax_f32.h"

#include <math.h>

void md_softmax_f32__ref(float *y, const float *x, int64_t rows, int64_t n,
                         bool log_form)
{
    for (; rows > 0; rows--, x += n, y += n) {
        float top = -INFINITY;
        double sum = 0;

        for (int64_t i = 0; i < n; i++)
            top = x[i] > top || isnan(x[i]) ? x[i] : top;
        for (int64_t i = 0; i < n; i++)
            sum += exp((double)(x[i] - top)); /* the difference in float */
        for (int64_t i = 0; i < n; i++) {
            const double d = (double)(x[i] - top);

            y[i] = (float)(log_form ? d - log(sum) : exp(d) / sum);
        }
    }
}
