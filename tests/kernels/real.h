/*
 * Comparing kernels with real numbers: long double where libm is the oracle,
 * exact integers and doubles where a single rounding is.  Nothing here uses
 * the kernels' own definitions.
 */
#ifndef MD_TESTS_KERNELS_REAL_H
#define MD_TESTS_KERNELS_REAL_H

#include <math.h>
#include <stdint.h>
#include <string.h>

enum {
    REAL_SWEEP = 20011 /* a prime, so that a stride meets all exponents */
};

/* One rounding to float moves a value by at most this share of itself ... */
#define REAL_ROUNDING (1.0L / (1 << 24))
/* ... or, where floats are subnormal, by half of the smallest one. */
#define REAL_TINY 0x1p-150L

/* Float number i of REAL_SWEEP, evenly over all bit patterns: NaN, both
 * infinities and zeros come first. */
static inline float real_sweep(uint32_t i)
{
    static const float first[] = { NAN,    INFINITY, -INFINITY, 0.0f, -0.0f,
                                   1e-45f, -1e-45f,  0.5f,      -0.5f };
    const uint32_t bits = i * 214631u; /* about 2^32 / REAL_SWEEP */
    float x;

    if (i < sizeof(first) / sizeof(*first))
        return first[i];
    memcpy(&x, &bits, sizeof(x));
    return x;
}

/* The nearest integer, halves to the even one. */
static inline long double real_half_even(long double x)
{
    const long double low = floorl(x), rest = x - low;

    if (rest == 0.5L)
        return fmodl(low, 2) == 0 ? low : low + 1;
    return rest < 0.5L ? low : low + 1;
}

/* Is got what `want` becomes in float by `roundings` of them?  NaN wants NaN;
 * what rounds to infinity may be it. */
static inline int real_near(float got, long double want, long double roundings)
{
    const long double most = 0x1.ffffffp127L; /* rounds to infinity */
    long double slack;

    if (isnan(want) || isnan(got))
        return isnan(want) && isnan(got);
    if (isinf(want))
        return (long double)got == want;
    slack = roundings * (REAL_ROUNDING * fabsl(want) + REAL_TINY);
    if (isinf(got))
        return (want > 0) == (got > 0) && fabsl(want) + slack >= most;
    return fabsl(got - want) <= slack;
}

/* The float nearest to what two floats give under an operation that double
 * does exactly or with one innocuous rounding (+ - * / and square root). */
static inline float real_round(double x)
{
    return (float)x;
}

#endif
