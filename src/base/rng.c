#include "base/rng.h"

#define GAMMA UINT64_C(0x9e3779b97f4a7c15) /* odd, near 2^64 / golden ratio */

md_rng md_rng_make(uint64_t seed, uint64_t stream)
{
    return (md_rng){ md_rng_mix(seed + GAMMA) ^
                     md_rng_mix(stream * GAMMA + UINT64_C(1)) };
}

uint64_t md_rng_next(md_rng *r)
{
    r->state += GAMMA;
    return md_rng_mix(r->state);
}

uint64_t md_rng_below(md_rng *r, uint64_t n)
{
    /* Numbers from the last whole multiple of n on would favour small ones. */
    const uint64_t over = -n % n; /* 2^64 mod n */
    uint64_t x;

    do
        x = md_rng_next(r);
    while (x < over);
    return x % n;
}

double md_rng_uniform(md_rng *r)
{
    return (double)(md_rng_next(r) >> 11) * 0x1p-53;
}
