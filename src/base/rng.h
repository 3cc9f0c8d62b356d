/*
 * Random numbers that a seed names: the same on every machine, with any number
 * of threads.  For shuffling, splitting and drawing weights, not for secrets.
 *
 * SplitMix64 (G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number
 * generators", 2014).
 */
#ifndef MD_BASE_RNG_H
#define MD_BASE_RNG_H

#include <stdint.h>

typedef struct md_rng {
    uint64_t state;
} md_rng;

/* The generator of `seed` for one purpose: streams of one seed differ. */
md_rng md_rng_make(uint64_t seed, uint64_t stream);

uint64_t md_rng_next(md_rng *r);

/* In [0, n), n > 0, each number equally likely. */
uint64_t md_rng_below(md_rng *r, uint64_t n);

/* In [0, 1), 53 bits. */
double md_rng_uniform(md_rng *r);

/* The bits of z mixed: what SplitMix64 makes of its counter. */
static inline uint64_t md_rng_mix(uint64_t z)
{
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

#endif
