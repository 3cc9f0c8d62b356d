#include "base/hash.h"

#include <pthread.h>
#include <string.h>

#include "base/entropy.h"

static uint64_t own_key[2];

static void make_key(void)
{
    md_entropy(own_key, sizeof(own_key));
}

static uint64_t rotate(uint64_t x, unsigned n)
{
    return x << n | x >> (64 - n);
}

static void mix(uint64_t v[4], int n_rounds)
{
    while (n_rounds-- > 0) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] = rotate(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] = rotate(v[2], 32);
    }
}

/* n <= 8 bytes, the first in the lowest. */
static uint64_t load_part(const unsigned char *p, size_t n)
{
    uint64_t x = 0;

    while (n-- > 0)
        x = x << 8 | p[n];
    return x;
}

static void absorb(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    mix(v, 2);
    v[0] ^= word;
}

uint64_t md_hash_keyed(const uint64_t key[2], const void *p, size_t n)
{
    /* "somepseudorandomlygeneratedbytes" */
    uint64_t v[4] = { key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d,
                      key[0] ^ 0x6c7967656e657261,
                      key[1] ^ 0x7465646279746573 };
    const unsigned char *at = p;
    size_t left = n;

    for (; left >= 8; at += 8, left -= 8)
        absorb(v, load_part(at, 8));
    absorb(v, (uint64_t)n << 56 | load_part(at, left));
    v[2] ^= 0xff;
    mix(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t md_hash(const void *p, size_t n)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make_key);
    return md_hash_keyed(own_key, p, n);
}
