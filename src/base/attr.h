/* The one place for compiler attributes and small portable macros. */
#ifndef MD_BASE_ATTR_H
#define MD_BASE_ATTR_H

#define MD_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define MD_MUST_CHECK __attribute__((warn_unused_result))
#define MD_NORETURN __attribute__((noreturn))
/* Where a constant argument must reach the body: kernel tiles, whose arrays
 * become registers only if every loop over them is unrolled. */
#define MD_ALWAYS_INLINE inline __attribute__((always_inline))
/* Where a function that mostly does something short would pay for the stack
 * frame of what it rarely does. */
#define MD_NOINLINE __attribute__((noinline))
#define MD_PRAGMA(x) _Pragma(#x)
#if defined(__clang__)
#define MD_UNROLL(n) MD_PRAGMA(clang loop unroll(full))
#else
#define MD_UNROLL(n) MD_PRAGMA(GCC unroll n)
#endif
/* The iterations of the next loop do not depend on each other: make vectors of
 * it (-fopenmp-simd), whatever the cost model thinks. */
#define MD_SIMD _Pragma("omp simd")
/* The same, v collecting bits. */
#define MD_SIMD_OR(v) MD_PRAGMA(omp simd reduction(| : v))
/* The same, v becoming the largest. */
#define MD_SIMD_MAX(v) MD_PRAGMA(omp simd reduction(max : v))
#define MD_LIKELY(x) __builtin_expect(!!(x), 1)
#define MD_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Number of elements of an array (not of a pointer). */
#define MD_COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Cache line of every CPU that modeld runs on; alignment of all buffers. */
#define MD_CACHE_LINE 64

#endif
