/* The one place for compiler attributes and small portable macros. */
#ifndef MD_BASE_ATTR_H
#define MD_BASE_ATTR_H

#define MD_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define MD_MUST_CHECK __attribute__((warn_unused_result))
#define MD_NORETURN __attribute__((noreturn))
#define MD_LIKELY(x) __builtin_expect(!!(x), 1)
#define MD_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Number of elements of an array (not of a pointer). */
#define MD_COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Cache line of every CPU that modeld runs on; alignment of all buffers. */
#define MD_CACHE_LINE 64

#endif
