/*
 * An allocator that keeps what is freed, for values whose sizes are known
 * only while a program runs: from the second run on, memory of about the same
 * size is there already.
 *
 * Blocks come in size classes, four to a doubling, so that a request finds a
 * kept block that is at most a quarter too large.  Used by one thread at a
 * time; the object must not move while blocks are out.
 */
#ifndef MD_ENGINE_RECYCLE_H
#define MD_ENGINE_RECYCLE_H

#include "base/alloc.h"

enum {
    MD_RECYCLE_CLASSES = 4 * 48 /* up to 2^48 bytes */
};

typedef struct md_recycle_block md_recycle_block;

typedef struct md_recycle {
    md_alloc alloc;       /* hand this on */
    const md_alloc *from; /* where blocks come from */
    md_recycle_block *kept[MD_RECYCLE_CLASSES];
    size_t kept_size; /* bytes lying in `kept` */
    size_t used_size; /* bytes handed out */
    uint32_t n_trims;
} md_recycle;

void md_recycle_init(md_recycle *r, const md_alloc *from);

/* Called once per execution: gives back what was of no use to the last four.
 * So a program that runs again finds all of its blocks, and memory follows
 * when values become smaller. */
void md_recycle_trim(md_recycle *r);

/* Give everything back; nothing may be handed out any more. */
void md_recycle_release(md_recycle *r);

#endif
