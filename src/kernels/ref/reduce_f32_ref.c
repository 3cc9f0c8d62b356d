#include "kernels/reduce_f32.h"

#include <assert.h>
#include <math.h>

static double step(md_reduce op, double sum, double x)
{
    switch (op) {
    case MD_REDUCE_MAX:
        return x > sum || isnan(x) ? x : sum;
    case MD_REDUCE_MIN:
        return x < sum || isnan(x) ? x : sum;
    case MD_REDUCE_SUM_SQUARE:
        return sum + x * x;
    case MD_REDUCE_L1:
        return sum + fabs(x);
    default:
        return sum + x;
    }
}

static double start(md_reduce op)
{
    return op == MD_REDUCE_MAX ? -INFINITY : op == MD_REDUCE_MIN ? INFINITY : 0;
}

void md_reduce_f32__ref(const md_reduce_f32_args *a)
{
    assert(a->op < MD_REDUCE_COUNT);
    for (int64_t o = 0; o < a->outer; o++) {
        for (int64_t i = 0; i < a->inner; i++) {
            double sum = start(a->op);

            for (int64_t k = 0; k < a->n; k++)
                sum = step(a->op, sum, a->x[(o * a->n + k) * a->inner + i]);
            if (a->op == MD_REDUCE_MEAN)
                sum /= (double)a->n;
            a->y[o * a->inner + i] = (float)sum;
        }
    }
}
