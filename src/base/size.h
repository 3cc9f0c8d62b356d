/* Size arithmetic that reports overflow instead of wrapping. */
#ifndef MD_BASE_SIZE_H
#define MD_BASE_SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* *out = a * b (or a + b); false, with *out unspecified, on overflow. */
static inline bool md_mul_size(size_t *out, size_t a, size_t b)
{
    return !__builtin_mul_overflow(a, b, out);
}

static inline bool md_add_size(size_t *out, size_t a, size_t b)
{
    return !__builtin_add_overflow(a, b, out);
}

static inline bool md_mul_i64(int64_t *out, int64_t a, int64_t b)
{
    return !__builtin_mul_overflow(a, b, out);
}

static inline bool md_add_i64(int64_t *out, int64_t a, int64_t b)
{
    return !__builtin_add_overflow(a, b, out);
}

static inline bool md_sub_i64(int64_t *out, int64_t a, int64_t b)
{
    return !__builtin_sub_overflow(a, b, out);
}

/* n rounded up to a multiple of `to`, a power of two; n + to must not wrap. */
static inline size_t md_round_up(size_t n, size_t to)
{
    return (n + to - 1) & ~(to - 1);
}

static inline int64_t md_div_up(int64_t n, int64_t d)
{
    return (n + d - 1) / d;
}

static inline int64_t md_min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t md_max_i64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

#endif
