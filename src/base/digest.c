/*
 * Fletcher's two sums (1982), of 64-bit words in four lanes, which is what
 * registers have room for: the second counts each word as often as there are
 * others behind it, so that order and place tell too.
 */
#include "base/digest.h"

#include <string.h>

enum {
    LANES = 4,
    STRIPE = LANES * 8 /* bytes */
};

/* 2^64 over the golden ratio: any number of steps of it are far apart. */
static const uint64_t step = 0x9e3779b97f4a7c15u;

/* A bijection whose every output bit hangs on every input bit (splitmix64,
 * S. Vigna, 2015). */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* The sums of whole stripes. */
static void add(uint64_t a[LANES], uint64_t b[LANES], const unsigned char *p,
                size_t n_stripes)
{
    /* Arrays would be kept in memory by gcc 12, which takes twice the time. */
    uint64_t a0 = a[0], a1 = a[1], a2 = a[2], a3 = a[3];
    uint64_t b0 = b[0], b1 = b[1], b2 = b[2], b3 = b[3];
    uint64_t w[LANES];

    for (; n_stripes > 0; n_stripes--, p += STRIPE) {
        memcpy(w, p, sizeof(w));
        b0 += a0 += w[0];
        b1 += a1 += w[1];
        b2 += a2 += w[2];
        b3 += a3 += w[3];
    }
    a[0] = a0, a[1] = a1, a[2] = a2, a[3] = a3;
    b[0] = b0, b[1] = b1, b[2] = b2, b[3] = b3;
}

uint64_t md_digest(uint64_t before, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    const size_t whole = n / STRIPE;
    uint64_t a[LANES] = { 0 }, b[LANES] = { 0 };
    uint64_t all = mix(before + (n + 1) * step);
    unsigned char last[STRIPE] = { 0 };

    add(a, b, p, whole);
    if (n % STRIPE) {
        memcpy(last, p + whole * STRIPE, n % STRIPE);
        add(a, b, last, 1);
    }
    for (int i = 0; i < LANES; i++)
        all = mix(mix(all + a[i]) + step + b[i]);
    return all;
}

uint64_t md_digest_text(uint64_t before, const char *text)
{
    return md_digest(before, text ? text : "", text ? strlen(text) : 0);
}
