#include "base/clock.h"

#include <stdio.h>
#include <time.h>

enum {
    NS_PER_MS = 1000000,
    MS_PER_S = 1000
};

static int64_t now(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t md_clock_ns(void)
{
    return now(CLOCK_MONOTONIC);
}

int64_t md_clock_wall_ns(void)
{
    return now(CLOCK_REALTIME);
}

void md_clock_iso(char buf[MD_CLOCK_ISO_SIZE], int64_t wall_ns)
{
    /* int64_t nanoseconds end in the year 2262. */
    int64_t ms = wall_ns > 0 ? wall_ns / NS_PER_MS : 0;
    time_t s = (time_t)(ms / MS_PER_S);
    struct tm tm;
    size_t n;

    gmtime_r(&s, &tm);
    n = strftime(buf, MD_CLOCK_ISO_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(buf + n, MD_CLOCK_ISO_SIZE - n, ".%03uZ",
             (unsigned)(ms % MS_PER_S));
}
