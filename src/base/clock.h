/* Time: a monotonic clock for durations, a wall clock for people. */
#ifndef MD_BASE_CLOCK_H
#define MD_BASE_CLOCK_H

#include <stdint.h>

enum {
    MD_CLOCK_ISO_SIZE = 32
};

/* Nanoseconds of a clock that never goes back; its zero means nothing. */
int64_t md_clock_ns(void);

/* Nanoseconds since 1970-01-01T00:00:00Z. */
int64_t md_clock_wall_ns(void);

/* "2026-01-31T23:59:59.123Z" (RFC 3339, UTC, milliseconds) of wall_ns into
 * buf; a time before 1970 is shown as 1970-01-01. */
void md_clock_iso(char buf[MD_CLOCK_ISO_SIZE], int64_t wall_ns);

#endif
