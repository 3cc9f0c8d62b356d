/*
 * What this machine can do at best, measured: the roofline that speeds are
 * told as a share of (Williams, Waterman, Patterson, "Roofline", CACM 2009).
 */
#ifndef MD_CLI_ROOF_H
#define MD_CLI_ROOF_H

#include "base/pool.h"

enum {
    MD_ROOF_SIZES = 6
};

typedef struct md_roof {
    double macs; /* fp32 multiply-adds per second, all threads together */
    /* Bytes per second of reading or copying, again and again, a block of
     * 64 KiB * 4^i: what is small enough comes from a cache. */
    double bytes[MD_ROOF_SIZES];
} md_roof;

/* Fill in macs: some milliseconds. */
void md_roof_measure_macs(md_roof *r, md_pool *pool);

/* Fill in bytes: some tenths of a second, and 64 MiB of memory. */
md_status md_roof_measure_bytes(md_roof *r, md_pool *pool, md_error *err);

/* The least nanoseconds that work of this kind takes, which is that of its
 * multiply-adds or that of moving its bytes. */
double md_roof_ns(const md_roof *r, int64_t macs, int64_t bytes);

#endif
