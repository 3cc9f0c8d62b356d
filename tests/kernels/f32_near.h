/* What the tests of the float kernels share: inputs with special values and
 * comparison with a tolerance. */
#ifndef MD_TESTS_KERNELS_F32_NEAR_H
#define MD_TESTS_KERNELS_F32_NEAR_H

#include <math.h>

#include "support/guard.h"

static inline void f32_near_fill(float *x, size_t n, float range,
                                 uint32_t *seed)
{
    static const float special[] = { 0.0f,      -0.0f,  NAN,  INFINITY,
                                     -INFINITY, 1e-40f, 0.5f, -2.5f };

    md_guard_fill_f32(x, n, range, seed);
    for (size_t i = 0; i < n; i += 5)
        x[i] = special[md_guard_random(seed) % 8];
}

/* Equal to the bit, or both NaN. */
static inline int f32_near_same(float a, float b)
{
    return (isnan(a) && isnan(b)) || (a == b && !signbit(a) == !signbit(b));
}

/* Equal, both NaN, or |a - b| <= tol * max(floor, |b|). */
static inline int f32_near(float a, float b, float tol, float floor)
{
    if (f32_near_same(a, b) || a == b)
        return 1;
    return fabsf(a - b) <= tol * fmaxf(floor, fabsf(b));
}

#endif
