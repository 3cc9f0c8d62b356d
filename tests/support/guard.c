#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "support/guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/size.h"

static size_t page(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

void *md_guard_alloc(size_t size)
{
    const size_t body = md_round_up(size, page());
    char *p = mmap(NULL, body + page(), PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED || mprotect(p + body, page(), PROT_NONE) != 0) {
        perror("md_guard_alloc");
        exit(1);
    }
    return p + body - size;
}

void md_guard_free(void *p, size_t size)
{
    const size_t body = md_round_up(size, page());

    if (p)
        munmap((char *)p + size - body, body + page());
}

uint32_t md_guard_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

void md_guard_fill(void *p, size_t size, uint32_t *state)
{
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)p)[i] = (uint8_t)md_guard_random(state);
}

void md_guard_fill_f32(float *p, size_t n, float range, uint32_t *state)
{
    for (size_t i = 0; i < n; i++)
        p[i] = ((float)md_guard_random(state) / 8388608.0f - 1.0f) * range;
}
