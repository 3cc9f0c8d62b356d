/*
 * System shared memory of the V2 protocol: segments that clients on this
 * machine share, registered by name, from which inputs are read and into which
 * outputs are written.
 * https://github.com/triton-inference-server/server protocol/
 * extension_shared_memory.md
 *
 * A segment is read and written by its descriptor and never mapped: its owner
 * may cut it short at any time, which a mapping would answer with SIGBUS.
 *
 * Only segments whose names begin as the operator says may be registered: the
 * server may open what a client may not.  From any thread.
 */
#ifndef MD_SERVE_SHM_H
#define MD_SERVE_SHM_H

#include <pthread.h>
#include <stdbool.h>

#include "base/alloc.h"

enum {
    MD_SHM_REGIONS_MAX = 256,
    MD_SHM_NAME_SIZE = 256 /* of a region and of a segment, with its end */
};

typedef struct md_shm_region md_shm_region;

typedef struct md_shm {
    const md_alloc *alloc;
    const char *prefix; /* NULL: nothing may be registered */
    pthread_mutex_t lock;
    md_shm_region *regions;
    uint32_t n_regions;
} md_shm;

/* Bytes of a region, as a tensor's parameters name them. */
typedef struct md_shm_part {
    const char *region; /* NULL: none */
    uint64_t offset;
    uint64_t size;
    bool has_size;
} md_shm_part;

/* prefix: what names of segments begin with, slashes before it apart ("/" or
 * "": any); it must stay.  NULL: shared memory is off. */
void md_shm_init(md_shm *s, const char *prefix, const md_alloc *alloc);
void md_shm_release(md_shm *s);

/* Is it on? */
md_status md_shm_check(const md_shm *s, md_error *err);

/*
 * Let `name` be `size` bytes of the segment `key` ("/input", as shm_open has
 * it) from `offset` on.  MD_UNSUPPORTED when it is off; MD_DENIED for another
 * prefix; MD_EXISTS for a name that is taken; MD_NOT_FOUND; MD_INVALID for
 * names that are none and for what lies outside of the segment; MD_BUSY beyond
 * MD_SHM_REGIONS_MAX.
 */
md_status md_shm_register(md_shm *s, const char *name, const char *key,
                          uint64_t offset, uint64_t size, md_error *err);

/* Forget a region, or all of them (""); one that is not there is forgotten
 * already. */
md_status md_shm_unregister(md_shm *s, const char *name, md_error *err);

/* What is told of a region. */
typedef struct md_shm_status {
    const char *name;
    const char *key;
    uint64_t offset;
    uint64_t size;
} md_shm_status;

/* Call fn with the region, or with each of them (""); MD_NOT_FOUND. */
md_status md_shm_each(md_shm *s, const char *name,
                      void (*fn)(void *ctx, const md_shm_status *st), void *ctx,
                      md_error *err);

/* Does the part lie in its region?  Later it may not: regions come and go. */
md_status md_shm_check_part(md_shm *s, const md_shm_part *part, md_error *err);

/* Copy the part's bytes to memory; MD_IO never: a segment that has become
 * shorter is MD_INVALID. */
md_status md_shm_read(md_shm *s, const md_shm_part *part, void *to,
                      md_error *err);

/* Copy `size` bytes to the part's begin; MD_INVALID when it is smaller. */
md_status md_shm_write(md_shm *s, const md_shm_part *part, const void *from,
                       size_t size, md_error *err);

#endif
