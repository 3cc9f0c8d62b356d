#include <math.h>
#include <stdbool.h>

#include "kernels/pool_row_f32.h"

static float combine(float a, float b, bool sum)
{
    if (sum)
        return a + b;
    return a > b || isnan(a) ? a : b;
}

/* What is under column c of the windows' rows. */
static float column(const md_pool_row_f32_args *a, int64_t c, bool sum)
{
    float v = 0;

    for (int64_t p = 0; p < a->planes; p++) {
        for (int64_t r = 0; r < a->rows; r++) {
            const float x = a->x[p * a->plane_step + r * a->row_step + c];

            v = p + r == 0 ? x : combine(v, x, sum);
        }
    }
    return v;
}

void md_pool_row_f32__ref(const md_pool_row_f32_args *a)
{
    const bool sum = a->counts != NULL;

    for (int64_t c = 0; c < a->width; c++)
        a->line[c] = column(a, c, sum);
    for (int64_t i = 0; i < a->n; i++) {
        float v = sum ? 0 : -INFINITY;

        for (int64_t t = 0; t < a->taps; t++) {
            const int64_t c = i * a->stride + t * a->step - a->left;

            if (c >= 0 && c < a->width)
                v = combine(v, a->line[c], sum);
        }
        if (sum)
            v = a->by * a->counts[i] > 0 ? v / (a->by * a->counts[i]) : 0;
        a->y[i] = v;
    }
}
