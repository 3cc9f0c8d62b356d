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
    case MD_REDUCE_PROD:
        return sum * x;
    case MD_REDUCE_SUM_SQUARE:
    case MD_REDUCE_L2:
        return sum + x * x;
    case MD_REDUCE_L1:
        return sum + fabs(x);
    default:
        return sum + x;
    }
}

static double start(md_reduce op)
{
    return op == MD_REDUCE_MAX    ? -INFINITY
           : op == MD_REDUCE_MIN  ? INFINITY
           : op == MD_REDUCE_PROD ? 1
                                  : 0;
}

static double reduce(const md_reduce_f32_args *a, md_reduce op, const float *x)
{
    double sum = start(op);

    for (int64_t j = 0; j < a->m; j++)
        for (int64_t k = 0; k < a->n; k++)
            sum = step(op, sum, x[j * a->m_stride + k * a->n_stride]);
    return sum;
}

static double sum_exp(const md_reduce_f32_args *a, double top, const float *x)
{
    double sum = 0;

    for (int64_t j = 0; j < a->m; j++)
        for (int64_t k = 0; k < a->n; k++)
            sum += exp(x[j * a->m_stride + k * a->n_stride] - top);
    return sum;
}

void md_reduce_f32__ref(const md_reduce_f32_args *a)
{
    assert(a->op < MD_REDUCE_COUNT);
    for (int64_t o = 0; o < a->outer; o++) {
        for (int64_t i = 0; i < a->inner; i++) {
            const float *x = a->x + o * a->outer_stride + i;
            double top = 0, sum;

            if (a->op == MD_REDUCE_LOG_SUM_EXP) {
                top = reduce(a, MD_REDUCE_MAX, x);
                sum = sum_exp(a, top, x);
            } else {
                sum = reduce(a, a->op, x);
            }
            a->y[o * a->inner + i] =
                (float)md_reduce_finish(a->op, sum, top, a->m * a->n);
        }
    }
}
