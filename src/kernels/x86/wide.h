/*
 * Functions of floats computed in double: nine digits more than a float needs,
 * so that the one rounding at the end decides, as in libm, whose result they
 * give but for very few halves.  Plain C without branches, for loops marked
 * MD_SIMD in files built with FMA; polynomials are Taylor's, cut where the rest
 * is below 1e-11 of the value.  Arguments are floats; NaN gives NaN.
 */
#ifndef MD_KERNELS_X86_WIDE_H
#define MD_KERNELS_X86_WIDE_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

/* Adding it rounds a double below 2^51 to an integer, which is then in the low
 * bits. */
#define WIDE_ROUND 0x1.8p52

typedef union wide_word {
    double d;
    uint64_t u;
} wide_word;

static MD_ALWAYS_INLINE uint64_t wide_bits(double d)
{
    return (wide_word){ .d = d }.u;
}

static MD_ALWAYS_INLINE double wide_of(uint64_t u)
{
    return (wide_word){ .u = u }.d;
}

/* c ? yes : no with both computed: of ?: a compiler moves a long arm into a
 * branch, which ends all vectors. */
static MD_ALWAYS_INLINE double wide_blend(uint64_t mask, double yes, double no)
{
    return wide_of((wide_bits(yes) & mask) | (wide_bits(no) & ~mask));
}

static MD_ALWAYS_INLINE double wide_pick(bool c, double yes, double no)
{
    return wide_blend(0 - (uint64_t)c, yes, no);
}

/* *r with x = n ln2 + r, |r| < 0.347, and 2^n.  Past 700, which is past every
 * float, x is 700. */
static MD_ALWAYS_INLINE double wide_split(double x, double *r)
{
    double t = x > 700 ? 700 : x, n;
    uint64_t bits;

    t = t < -700 ? -700 : t;
    n = fma(t, 1.4426950408889634, WIDE_ROUND);
    bits = wide_bits(n);
    n -= WIDE_ROUND;
    *r = fma(n, -0x1.cf79abc9e3b39p-40, fma(n, -0x1.62e42fefap-1, t));
    return wide_of((bits + 1023) << 52);
}

/* (e^r - 1) / r */
static MD_ALWAYS_INLINE double wide_exp_rest(double r)
{
    double q = 1.0 / 39916800;

    q = fma(q, r, 1.0 / 3628800);
    q = fma(q, r, 1.0 / 362880);
    q = fma(q, r, 1.0 / 40320);
    q = fma(q, r, 1.0 / 5040);
    q = fma(q, r, 1.0 / 720);
    q = fma(q, r, 1.0 / 120);
    q = fma(q, r, 1.0 / 24);
    q = fma(q, r, 1.0 / 6);
    q = fma(q, r, 0.5);
    return fma(q, r, 1);
}

static MD_ALWAYS_INLINE double wide_exp(double x)
{
    double r;
    const double scale = wide_split(x, &r);

    return scale * fma(r, wide_exp_rest(r), 1);
}

/* As 2^n (e^r - 1) + (2^n - 1): right to the last digit near 0 too. */
static MD_ALWAYS_INLINE double wide_expm1(double x)
{
    double r;
    const double scale = wide_split(x, &r);

    return scale * (r * wide_exp_rest(r)) + (scale - 1);
}

/* ln(x) = k ln2 + 2 atanh(s), x = 2^k m, sqrt(1/2) <= m < sqrt(2),
 * s = (m - 1) / (m + 1), |s| < 0.172. */
static MD_ALWAYS_INLINE double wide_log(double x)
{
    const uint64_t half = 0x3fe6a09e667f3bcc; /* sqrt(1/2) */
    const uint64_t one = 0x3ff0000000000000;
    const uint64_t shifted = wide_bits(x) + (one - half);
    /* the exponent as a double: in the low bits of 2^52, biased */
    const double k =
        wide_of(shifted >> 52 | 0x4330000000000000) - (0x1p52 + 1023);
    const double m = wide_of((shifted & 0x000fffffffffffff) + half);
    const double f = m - 1, s = f / (2 + f), z = s * s;
    double p = 2.0 / 15, r;

    p = fma(p, z, 2.0 / 13);
    p = fma(p, z, 2.0 / 11);
    p = fma(p, z, 2.0 / 9);
    p = fma(p, z, 2.0 / 7);
    p = fma(p, z, 2.0 / 5);
    p = fma(p, z, 2.0 / 3);
    r = k * 0.69314718055994531 + (2 * s + s * z * p);
    r = wide_pick(x == 0, -(double)INFINITY, r);
    r = wide_pick(x < 0, (double)NAN, r);
    return wide_pick((x != x) | (x == (double)INFINITY), x, r);
}

/* ln(1 + y) = 2 atanh(y / (2 + y)) for 0 <= y <= 1. */
static MD_ALWAYS_INLINE double wide_log1p(double y)
{
    const double s = y / (2 + y), z = s * s;
    double p = 1.0 / 23;

    p = fma(p, z, 1.0 / 21);
    p = fma(p, z, 1.0 / 19);
    p = fma(p, z, 1.0 / 17);
    p = fma(p, z, 1.0 / 15);
    p = fma(p, z, 1.0 / 13);
    p = fma(p, z, 1.0 / 11);
    p = fma(p, z, 1.0 / 9);
    p = fma(p, z, 1.0 / 7);
    p = fma(p, z, 1.0 / 5);
    p = fma(p, z, 1.0 / 3);
    return 2 * (s + s * z * p);
}

/* ln(1 + e^x) */
static MD_ALWAYS_INLINE double wide_softplus(double x)
{
    const double a = x < 0 ? x : -x; /* -|x| */

    return (x > 0 ? x : 0) + wide_log1p(wide_exp(a));
}

/* x tanh(ln(1 + e^x)) = x w / (w + 2), w = e^x (e^x + 2) */
static MD_ALWAYS_INLINE double wide_mish(double x)
{
    const double e = wide_pick(x < -200, 0, wide_exp(x > 40 ? 40 : x));
    const double w = e * (e + 2);

    return x * (w / (w + 2));
}

/* Beyond it the multiple of pi/2 that is nearest is no longer taken off
 * exactly. */
#define WIDE_TRIG_MAX 0x1p20f

/* sin(x + quarter pi/2) for |x| <= WIDE_TRIG_MAX; Inf gives NaN. */
static MD_ALWAYS_INLINE double wide_sin(double x, uint64_t quarter)
{
    const double shifted = fma(x, 0.63661977236758134, WIDE_ROUND);
    const uint64_t q = wide_bits(shifted) + quarter;
    const double n = shifted - WIDE_ROUND;
    const double r = fma(n, -0x1.0b4611a626331p-34, fma(n, -0x1.921fb544p0, x));
    double z, s, c, y;

    z = r * r;
    s = 1.0 / 6227020800;
    s = fma(s, z, -1.0 / 39916800);
    s = fma(s, z, 1.0 / 362880);
    s = fma(s, z, -1.0 / 5040);
    s = fma(s, z, 1.0 / 120);
    s = fma(s, z, -1.0 / 6);
    s = fma(s * z, r, r);
    c = 1.0 / 479001600;
    c = fma(c, z, -1.0 / 3628800);
    c = fma(c, z, 1.0 / 40320);
    c = fma(c, z, -1.0 / 720);
    c = fma(c, z, 1.0 / 24);
    c = fma(c, z, -0.5);
    c = fma(c, z, 1);
    y = wide_blend(0 - (q & 1), c, s);
    y = wide_of(wide_bits(y) ^ (q & 2) << 62);
    return quarter ? y : wide_pick(x == 0, x, y); /* -0 */
}

static MD_ALWAYS_INLINE double wide_tan(double x)
{
    return wide_sin(x, 0) / wide_sin(x, 1);
}

/* With e^|x| - 1, so that nothing cancels near 0. */
static MD_ALWAYS_INLINE double wide_sinh(double x)
{
    const double e = wide_expm1(x < 0 ? -x : x);
    const double y = (e + e / (e + 1)) / 2;

    return wide_of(wide_bits(y) | (wide_bits(x) & UINT64_C(1) << 63));
}

static MD_ALWAYS_INLINE double wide_cosh(double x)
{
    const double e = wide_exp(x < 0 ? -x : x);

    return (e + 1 / e) / 2;
}

/* x^y: |x|^y with the sign of x where y is odd, as C's pow.  Floats from 2^24
 * on are even. */
static MD_ALWAYS_INLINE double wide_pow(double x, double y)
{
    const double ax = x < 0 ? -x : x, ay = y < 0 ? -y : y;
    const double small = ay < 0x1p24 ? y : 0, n = small + WIDE_ROUND;
    const bool whole = n - WIDE_ROUND == small;
    const uint64_t odd = wide_bits(n) & (uint64_t)whole;
    const double root = wide_pick((x < 0) & (ax < (double)INFINITY) & !whole,
                                  (double)NAN, wide_exp(y * wide_log(ax)));
    const double r =
        wide_of(wide_bits(root) | (wide_bits(x) & odd << 63)); /* -0 too */

    return wide_pick(
        (x == 1) | (y == 0) | ((x == -1) & (ay == (double)INFINITY)), 1, r);
}

#endif
