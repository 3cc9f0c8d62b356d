#include "base/entropy.h"

#include <stdint.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"

void md_entropy(void *p, size_t n)
{
    unsigned char *out = p;
    uint64_t word;

    if (getrandom(p, n, GRND_NONBLOCK) == (ssize_t)n)
        return;
    word = (uint64_t)md_clock_wall_ns() ^ (uintptr_t)&word;
    for (size_t i = 0; i < n; i++) {
        word = (word + (uint64_t)md_clock_ns()) * UINT64_C(0x9e3779b97f4a7c15);
        out[i] = (unsigned char)(word >> 56);
    }
}
