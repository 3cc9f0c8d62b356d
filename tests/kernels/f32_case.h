/*
 * What the tests of the float kernel families share: guarded float buffers,
 * skipping of rows, the epilogues to try, and comparison against a sum in
 * double with a bound in units of the sum of magnitudes.
 */
#ifndef MD_TESTS_KERNELS_F32_CASE_H
#define MD_TESTS_KERNELS_F32_CASE_H

#include "support/test.h"

#include <math.h>

#include "base/attr.h"
#include "base/cpu.h"
#include "base/size.h"
#include "kernels/epilogue.h"
#include "support/guard.h"

/* n floats in [-1, 1) that end at an untouchable page. */
static inline float *f32_random(size_t n, uint32_t *seed)
{
    float *p = md_guard_alloc(n * sizeof(float));

    md_guard_fill_f32(p, n, 1, seed);
    return p;
}

static inline void f32_free(float *p, size_t n)
{
    md_guard_free(p, n * sizeof(float));
}

/* A number in lo .. hi. */
static inline int64_t f32_pick(uint32_t *seed, int64_t lo, int64_t hi)
{
    return lo + md_guard_random(seed) % (uint32_t)(hi - lo + 1);
}

static inline int f32_usable(const char *name, uint32_t required)
{
    if ((required & ~md_cpu_flags()) == 0)
        return 1;
    print_message("skipped: %s (not on this CPU)\n", name);
    return 0;
}

/* The i-th activation, with parameters that matter. */
static inline md_epilogue f32_epilogue(int i)
{
    md_epilogue ep = MD_EPILOGUE_INIT;

    ep.act = (md_act)(i % MD_ACT_COUNT);
    ep.a = ep.act == MD_ACT_CLIP ? -0.25f : 0.2f;
    ep.b = ep.act == MD_ACT_CLIP ? 0.75f : 0.5f;
    return ep;
}

/* Fail unless got is act(sum), where the roundings of the sum are `terms` of
 * the share 2^-24 of what its magnitudes add up to.  No activation is steeper
 * than 1.2. */
static inline void f32_check_terms(const char *who, float got,
                                   const md_epilogue *ep, double sum,
                                   double mag, double terms)
{
    const double want = md_act_apply(ep->act, ep->a, ep->b, (float)sum);
    const double bound = 1.2 * terms * mag / (1 << 24) + 6e-7;

    if (!(fabs(got - want) <= bound))
        fail_msg("%s: act %d: %.9g, expected %.9g (bound %.3g)", who, ep->act,
                 (double)got, want, bound);
}

/* The same for n terms that were added in any order of at least eight partial
 * sums or one after the other (ref). */
static inline void f32_check(const char *who, float got, const md_epilogue *ep,
                             double sum, double mag, int64_t n)
{
    f32_check_terms(who, got, ep, sum, mag,
                    (double)md_min_i64(n + 4, 64 + n / 8));
}

#endif
