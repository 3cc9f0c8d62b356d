#include "kernels/rotate_f32.h"

void md_rotate_f32__ref(const md_rotate_f32_args *a)
{
    for (int64_t r = 0; r < a->rows; r++) {
        const float *x = a->x + r * a->step;
        float *y = a->y + r * a->step;

        for (int64_t i = 0; i < a->half; i++) {
            const int64_t p = a->pairs ? 2 * i : i;
            const int64_t q = a->pairs ? 2 * i + 1 : a->half + i;

            const float u = x[p], v = x[q]; /* y may be x */

            y[p] = a->c[i] * u - a->s[i] * v;
            y[q] = a->s[i] * u + a->c[i] * v;
        }
    }
}
