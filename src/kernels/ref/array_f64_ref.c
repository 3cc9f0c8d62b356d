#include <math.h>

#include "kernels/array_f64.h"

static double apply(md_map_f64 op, double x, double a, double b)
{
    switch (op) {
    case MD_MAP_F64_ABS:
        return fabs(x);
    case MD_MAP_F64_NEG:
        return -x;
    case MD_MAP_F64_RELU:
        return x < 0.0 ? 0.0 : x;
    case MD_MAP_F64_CLIP:
        return x < a ? a : x > b ? b : x;
    case MD_MAP_F64_SQRT:
        return sqrt(x);
    case MD_MAP_F64_EXP:
        return exp(x);
    case MD_MAP_F64_TANH:
        return tanh(x);
    case MD_MAP_F64_AFFINE:
        return a * x + b;
    default:
        return x;
    }
}

void md_array_f64_map__ref(md_map_f64 op, double *y, const double *x, size_t n,
                           double a, double b)
{
    for (size_t i = 0; i < n; i++)
        y[i] = apply(op, x[i], a, b);
}

double md_array_f64_exp_sum__ref(double *y, const double *x, size_t n, double a)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++) {
        const double v = exp(x[i] - a);

        if (y)
            y[i] = v;
        sum += v;
    }
    return sum;
}

static double fold(md_fold_f64 op, double y, double x)
{
    switch (op) {
    case MD_FOLD_F64_SUM_ABS:
        return y + fabs(x);
    case MD_FOLD_F64_SUM_SQUARE:
        return y + x * x;
    case MD_FOLD_F64_PROD:
        return y * x;
    case MD_FOLD_F64_MAX:
        return x > y || isnan(x) ? x : y;
    case MD_FOLD_F64_MIN:
        return x < y || isnan(x) ? x : y;
    default:
        return y + x;
    }
}

void md_array_f64_fold_rows__ref(md_fold_f64 op, double *y, const double *x,
                                 size_t rows, size_t stride, size_t n, double a)
{
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < n; i++)
            y[r] = fold(op, y[r], x[r * stride + i] - a);
    }
}

void md_array_f64_fold_columns__ref(md_fold_f64 op, double *y, const double *x,
                                    size_t rows, size_t stride, size_t n)
{
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < n; i++)
            y[i] = fold(op, y[i], x[r * stride + i]);
    }
}

void md_array_f64_norm__ref(double *y, const double *x, size_t n, double mean,
                            double inv, const double *scale, const double *bias)
{
    for (size_t i = 0; i < n; i++) {
        const double v = (x[i] - mean) * inv * scale[i];

        y[i] = bias ? v + bias[i] : v;
    }
}
