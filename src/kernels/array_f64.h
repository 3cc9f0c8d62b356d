/*
 * What operators of float64 do to arrays of doubles: functions, sums, norms.
 *
 * y may be x, otherwise they do not overlap.  Any alignment; n may be 0.
 * ABS, NEG, RELU, CLIP, SQRT, MAX and MIN are exact and the same in every row
 * but for the payload of NaN; EXP, exp_sum and TANH are within 2 units in the
 * last place; sums are taken in an order of the row's own, error <=
 * n * 2^-53 * sum |term|.
 */
#ifndef MD_KERNELS_ARRAY_F64_H
#define MD_KERNELS_ARRAY_F64_H

#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

typedef enum md_map_f64 {
    MD_MAP_F64_NONE,
    MD_MAP_F64_ABS,
    MD_MAP_F64_NEG,
    MD_MAP_F64_RELU, /* NaN stays NaN, as in the next ones */
    MD_MAP_F64_CLIP, /* to a .. b, a <= b */
    MD_MAP_F64_SQRT,
    MD_MAP_F64_EXP,
    MD_MAP_F64_TANH,
    MD_MAP_F64_AFFINE, /* a * x + b */
    MD_MAP_F64_COUNT,
} md_map_f64;

/* y[i] = op(x[i]) */
typedef void md_map_f64_fn(md_map_f64 op, double *y, const double *x, size_t n,
                           double a, double b);

/* y[i] = exp(x[i] - a), and their sum; y may be NULL. */
typedef double md_exp_sum_f64_fn(double *y, const double *x, size_t n,
                                 double a);

typedef enum md_fold_f64 {
    MD_FOLD_F64_SUM,
    MD_FOLD_F64_SUM_ABS,
    MD_FOLD_F64_SUM_SQUARE,
    MD_FOLD_F64_PROD,
    MD_FOLD_F64_MAX, /* NaN when any is, as MIN */
    MD_FOLD_F64_MIN,
    MD_FOLD_F64_COUNT,
} md_fold_f64;

/* y[r] = y[r] op x[r * stride + 0] op ... op x[r * stride + n - 1], each
 * number less a. */
typedef void md_fold_rows_f64_fn(md_fold_f64 op, double *y, const double *x,
                                 size_t rows, size_t stride, size_t n,
                                 double a);

/* y[i] = y[i] op x[i] op ... op x[(rows - 1) * stride + i] for i < n */
typedef void md_fold_columns_f64_fn(md_fold_f64 op, double *y, const double *x,
                                    size_t rows, size_t stride, size_t n);

/* y[i] = (x[i] - mean) * inv * scale[i] + bias[i]; bias may be NULL. */
typedef void md_norm_f64_fn(double *y, const double *x, size_t n, double mean,
                            double inv, const double *scale,
                            const double *bias);

typedef struct md_array_f64_kernel {
    const char *name;
    uint32_t required; /* enum md_cpu_flags */
    md_map_f64_fn *map;
    md_exp_sum_f64_fn *exp_sum;
    md_fold_rows_f64_fn *fold_rows;
    md_fold_columns_f64_fn *fold_columns;
    md_norm_f64_fn *norm;
} md_array_f64_kernel;

#define K(isa, need)                                                           \
    md_map_f64_fn md_array_f64_map__##isa;                                     \
    md_exp_sum_f64_fn md_array_f64_exp_sum__##isa;                             \
    md_fold_rows_f64_fn md_array_f64_fold_rows__##isa;                         \
    md_fold_columns_f64_fn md_array_f64_fold_columns__##isa;                   \
    md_norm_f64_fn md_array_f64_norm__##isa;
#include "kernels/array_f64.def"
#undef K

extern const md_array_f64_kernel md_array_f64_kernels[]; /* map NULL ends */

/* The first row whose flags are all in cpu_flags. */
const md_array_f64_kernel *md_array_f64_select(uint32_t cpu_flags);

/* What changes no result of a fold. */
double md_fold_f64_start(md_fold_f64 op);

#endif
