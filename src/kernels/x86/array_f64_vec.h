/*
 * array_f64 for one instruction set, included by its file behind the header
 * that has its vectors (vec_<isa>.h).
 */
#ifndef MD_KERNELS_X86_ARRAY_F64_VEC_H
#define MD_KERNELS_X86_ARRAY_F64_VEC_H

#include <math.h>

#include "base/attr.h"
#include "kernels/array_f64.h"

enum {
    LANES = VF_LANES / 2,
    WIDE = 8,   /* vectors of columns that are folded at once */
    SHORT = 256 /* elements of rows of which many are folded at once */
};

static size_t lanes_left(size_t n, size_t i)
{
    return n - i < LANES ? n - i : LANES;
}

/*
 * exp(x) = 2^k exp(r), |r| <= ln(2) / 2; ln(2) in two parts, of which k times
 * the first is exact.  The polynomial is Taylor's to r^13: r^14 / 14! is
 * 4e-18 at most, less than a thirtieth of a unit in the last place.
 */
static MD_ALWAYS_INLINE vd exponential(vd x)
{
    static const double c[] = {
        1.0 / 6227020800.0,
        1.0 / 479001600.0,
        1.0 / 39916800.0,
        1.0 / 3628800.0,
        1.0 / 362880.0,
        1.0 / 40320.0,
        1.0 / 5040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    };
    /* beyond these it is infinite or 0; a NaN passes */
    const vd in = vd_min(vd_set(710.0), vd_max(vd_set(-746.0), x));
    const vd k = vd_round(vd_mul(in, vd_set(0x1.71547652b82fep+0)));
    vd r = vd_fmadd(k, vd_set(-0x1.62e42fefa0000p-1), in);
    vd p = vd_set(c[0]);

    r = vd_fmadd(k, vd_set(-0x1.cf79abc9e3b3ap-40), r);
    MD_UNROLL(13)
    for (size_t i = 1; i < MD_COUNT(c); i++)
        p = vd_fmadd(p, r, vd_set(c[i]));
    return vd_scale(p, k);
}

/*
 * tanh(x): for |x| < 0.625 x + x z P(z) / Q(z), z = x^2 (coefficients of
 * S. Moshier, "Methods and Programs for Mathematical Functions", 1989), else
 * 1 - 2 / (exp(2 |x|) + 1) with the sign of x.
 */
static MD_ALWAYS_INLINE vd hyperbolic(vd x)
{
    const vd a = vd_abs(x), one = vd_set(1.0), z = vd_mul(x, x);
    vd p = vd_set(-9.64399179425052238628e-1), q, far;

    p = vd_fmadd(p, z, vd_set(-9.92877231001918586564e1));
    p = vd_fmadd(p, z, vd_set(-1.61468768441708447952e3));
    q = vd_add(z, vd_set(1.12811678491632931402e2));
    q = vd_fmadd(q, z, vd_set(2.23548839060100448583e3));
    q = vd_fmadd(q, z, vd_set(4.84406305325125486048e3));
    p = vd_fmadd(vd_mul(x, z), vd_div(p, q), x);
    far = vd_add(exponential(vd_add(a, a)), one);
    far = vd_sub(one, vd_div(vd_set(2.0), far));
    /* -0 stays -0 */
    return vd_with_sign(vd_abs(vd_pick_less(a, vd_set(0.625), p, far)), x);
}

static MD_ALWAYS_INLINE vd apply(const md_map_f64 op, vd x, vd a, vd b)
{
    switch (op) {
    case MD_MAP_F64_ABS:
        return vd_abs(x);
    case MD_MAP_F64_NEG:
        return vd_neg(x);
    case MD_MAP_F64_RELU: /* of a NaN and a number, the second is given */
        return vd_max(vd_set(0.0), x);
    case MD_MAP_F64_CLIP:
        return vd_min(b, vd_max(a, x));
    case MD_MAP_F64_SQRT:
        return vd_sqrt(x);
    case MD_MAP_F64_EXP:
        return exponential(x);
    case MD_MAP_F64_TANH:
        return hyperbolic(x);
    case MD_MAP_F64_AFFINE:
        return vd_fmadd(a, x, b);
    default:
        return x;
    }
}

static MD_ALWAYS_INLINE void map_all(const md_map_f64 op, double *y,
                                     const double *x, size_t n, double a,
                                     double b)
{
    const vd va = vd_set(a), vb = vd_set(b);
    size_t i = 0;

    for (; i + LANES <= n; i += LANES)
        vd_store(y + i, apply(op, vd_load(x + i), va, vb));
    if (i < n)
        vd_store_some(y + i, apply(op, vd_load_some(x + i, n - i, va), va, vb),
                      n - i);
}

void VF(md_array_f64_map)(md_map_f64 op, double *y, const double *x, size_t n,
                          double a, double b)
{
    switch (op) {
#define CASE(name)                                                             \
    case MD_MAP_F64_##name:                                                    \
        map_all(MD_MAP_F64_##name, y, x, n, a, b);                             \
        break;
        CASE(ABS)
        CASE(NEG)
        CASE(RELU)
        CASE(CLIP)
        CASE(SQRT)
        CASE(EXP)
        CASE(TANH)
        CASE(AFFINE)
#undef CASE
    default:
        map_all(MD_MAP_F64_NONE, y, x, n, a, b);
    }
}

double VF(md_array_f64_exp_sum)(double *y, const double *x, size_t n, double a)
{
    const vd shift = vd_set(a);
    vd sum[2] = { vd_set(0.0), vd_set(0.0) };
    size_t i = 0;

    for (; i + LANES <= n; i += LANES) {
        const vd v = exponential(vd_sub(vd_load(x + i), shift));

        sum[i / LANES % 2] = vd_add(sum[i / LANES % 2], v);
        if (y)
            vd_store(y + i, v);
    }
    if (i < n) { /* what is not there is exp(-inf) */
        const vd v = exponential(
            vd_sub(vd_load_some(x + i, n - i, vd_set(-INFINITY)), shift));

        sum[0] = vd_add(sum[0], vd_fill(v, n - i, vd_set(0.0)));
        if (y)
            vd_store_some(y + i, v, n - i);
    }
    return vd_sum(vd_add(sum[0], sum[1]));
}

static MD_ALWAYS_INLINE vd fold(const md_fold_f64 op, vd y, vd x)
{
    switch (op) {
    case MD_FOLD_F64_SUM_ABS:
        return vd_add(y, vd_abs(x));
    case MD_FOLD_F64_SUM_SQUARE:
        return vd_fmadd(x, x, y);
    case MD_FOLD_F64_PROD:
        return vd_mul(y, x);
    case MD_FOLD_F64_MAX: /* a NaN of y is given, one of x is not */
        return vd_pick_nan(x, vd_max(x, y));
    case MD_FOLD_F64_MIN:
        return vd_pick_nan(x, vd_min(x, y));
    default:
        return vd_add(y, x);
    }
}

/* The same of what has been folded. */
static MD_ALWAYS_INLINE vd join(const md_fold_f64 op, vd y, vd x)
{
    return op == MD_FOLD_F64_SUM_ABS || op == MD_FOLD_F64_SUM_SQUARE
               ? vd_add(y, x)
               : fold(op, y, x);
}

static MD_ALWAYS_INLINE double join_lanes(const md_fold_f64 op, vd x)
{
    if (op != MD_FOLD_F64_MAX && op != MD_FOLD_F64_MIN)
        return op == MD_FOLD_F64_PROD ? vd_product(x) : vd_sum(x);
    if (vd_any_nan(x))
        return NAN;
    return op == MD_FOLD_F64_MAX ? vd_highest(x) : vd_lowest(x);
}

static MD_ALWAYS_INLINE double fold_row(const md_fold_f64 op, double y,
                                        const double *x, size_t n, double a)
{
    const vd none = vd_set(md_fold_f64_start(op)), less = vd_set(a);
    vd s[4] = { none, none, none, none };
    size_t i = 0;

    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        MD_UNROLL(4)
        for (size_t v = 0; v < 4; v++)
            s[v] = fold(op, s[v], vd_sub(vd_load(x + i + v * LANES), less));
    }
    for (; i + LANES <= n; i += LANES)
        s[0] = fold(op, s[0], vd_sub(vd_load(x + i), less));
    if (i < n) /* what is not there becomes the number that changes nothing */
        s[1] = fold(op, s[1],
                    vd_fill(vd_sub(vd_load_some(x + i, n - i, none), less),
                            n - i, none));
    s[0] = join(op, join(op, s[0], s[1]), join(op, s[2], s[3]));
    return join_lanes(op, join(op, vd_fill(vd_set(y), 1, none), s[0]));
}

#define JOINS(name)                                                            \
    static MD_ALWAYS_INLINE vd join_##name(vd a, vd b)                         \
    {                                                                          \
        return join(MD_FOLD_F64_##name, a, b);                                 \
    }
JOINS(SUM)
JOINS(PROD)
JOINS(MAX)
JOINS(MIN)
#undef JOINS

/* LANES rows, whose lanes are joined together: of short rows that is what
 * takes the time. */
static MD_ALWAYS_INLINE void fold_turn(const md_fold_f64 op, double *y,
                                       const double *x, size_t stride, size_t n)
{
    const vd none = vd_set(md_fold_f64_start(op));
    vd s[LANES];

    MD_UNROLL(8)
    for (size_t r = 0; r < LANES; r++, x += stride) {
        size_t i = 0;

        s[r] = none;
        for (; i + LANES <= n; i += LANES)
            s[r] = fold(op, s[r], vd_load(x + i));
        if (i < n)
            s[r] = fold(op, s[r], vd_load_some(x + i, n - i, none));
    }
    s[0] = vd_across(s, op == MD_FOLD_F64_PROD  ? join_PROD
                        : op == MD_FOLD_F64_MAX ? join_MAX
                        : op == MD_FOLD_F64_MIN ? join_MIN
                                                : join_SUM);
    vd_store(y, join(op, vd_load(y), s[0]));
}

static MD_ALWAYS_INLINE void fold_rows(const md_fold_f64 op, double *y,
                                       const double *x, size_t rows,
                                       size_t stride, size_t n, double a)
{
    size_t r = 0;

    for (; r + LANES <= rows && n <= SHORT && a == 0.0; r += LANES)
        fold_turn(op, y + r, x + r * stride, stride, n);
    for (; r < rows; r++)
        y[r] = fold_row(op, y[r], x + r * stride, n, a);
}

/* n columns, n <= WIDE * LANES. */
static MD_ALWAYS_INLINE void fold_some(const md_fold_f64 op, double *y,
                                       const double *x, size_t rows,
                                       size_t stride, size_t n)
{
    const vd none = vd_set(0.0);
    vd s[WIDE];

    if (n == (size_t)WIDE * LANES) {
        MD_UNROLL(8)
        for (size_t v = 0; v < WIDE; v++)
            s[v] = vd_load(y + v * LANES);
        for (size_t r = 0; r < rows; r++, x += stride) {
            MD_UNROLL(8)
            for (size_t v = 0; v < WIDE; v++)
                s[v] = fold(op, s[v], vd_load(x + v * LANES));
        }
        MD_UNROLL(8)
        for (size_t v = 0; v < WIDE; v++)
            vd_store(y + v * LANES, s[v]);
        return;
    }
    for (size_t i = 0; i < n; i += LANES) {
        const size_t m = lanes_left(n, i);

        s[0] = vd_load_some(y + i, m, none);
        for (size_t r = 0; r < rows; r++)
            s[0] = fold(op, s[0], vd_load_some(x + r * stride + i, m, none));
        vd_store_some(y + i, s[0], m);
    }
}

static MD_ALWAYS_INLINE void fold_columns(const md_fold_f64 op, double *y,
                                          const double *x, size_t rows,
                                          size_t stride, size_t n)
{
    const size_t step = (size_t)WIDE * LANES;

    for (size_t i = 0; i < n; i += step)
        fold_some(op, y + i, x + i, rows, stride, n - i < step ? n - i : step);
}

#define FOLDS(call)                                                            \
    switch (op) {                                                              \
    case MD_FOLD_F64_SUM_ABS:                                                  \
        call(MD_FOLD_F64_SUM_ABS);                                             \
        break;                                                                 \
    case MD_FOLD_F64_SUM_SQUARE:                                               \
        call(MD_FOLD_F64_SUM_SQUARE);                                          \
        break;                                                                 \
    case MD_FOLD_F64_PROD:                                                     \
        call(MD_FOLD_F64_PROD);                                                \
        break;                                                                 \
    case MD_FOLD_F64_MAX:                                                      \
        call(MD_FOLD_F64_MAX);                                                 \
        break;                                                                 \
    case MD_FOLD_F64_MIN:                                                      \
        call(MD_FOLD_F64_MIN);                                                 \
        break;                                                                 \
    default:                                                                   \
        call(MD_FOLD_F64_SUM);                                                 \
    }

void VF(md_array_f64_fold_rows)(md_fold_f64 op, double *y, const double *x,
                                size_t rows, size_t stride, size_t n, double a)
{
#define ROWS(op) fold_rows(op, y, x, rows, stride, n, a)
    FOLDS(ROWS)
#undef ROWS
}

void VF(md_array_f64_fold_columns)(md_fold_f64 op, double *y, const double *x,
                                   size_t rows, size_t stride, size_t n)
{
#define COLUMNS(op) fold_columns(op, y, x, rows, stride, n)
    FOLDS(COLUMNS)
#undef COLUMNS
}

/* m <= LANES numbers. */
static MD_ALWAYS_INLINE void norm_some(double *y, const double *x, size_t m,
                                       vd mean, vd inv, const double *scale,
                                       const double *bias)
{
    const vd none = vd_set(0.0);
    const bool all = m == LANES;
    vd v = all ? vd_load(x) : vd_load_some(x, m, none);

    v = vd_mul(vd_sub(v, mean), inv);
    v = vd_mul(v, all ? vd_load(scale) : vd_load_some(scale, m, none));
    if (bias)
        v = vd_add(v, all ? vd_load(bias) : vd_load_some(bias, m, none));
    if (all)
        vd_store(y, v);
    else
        vd_store_some(y, v, m);
}

void VF(md_array_f64_norm)(double *y, const double *x, size_t n, double mean,
                           double inv, const double *scale, const double *bias)
{
    const vd m = vd_set(mean), k = vd_set(inv);
    size_t i = 0;

    for (; bias && i + LANES <= n; i += LANES)
        norm_some(y + i, x + i, LANES, m, k, scale + i, bias + i);
    for (; i < n; i += LANES)
        norm_some(y + i, x + i, lanes_left(n, i), m, k, scale + i,
                  bias ? bias + i : NULL);
}

#endif
