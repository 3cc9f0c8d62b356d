/*
 * The queue between the loop and the workers: first in, first out, bounded.
 */
#ifndef MD_SERVE_QUEUE_H
#define MD_SERVE_QUEUE_H

#include <stdint.h>

#include "base/alloc.h"

typedef struct md_queue md_queue;

/*
 * For n_workers that pop, and `limit` items that wait while all of them are
 * at work.  Each worker without work lets one more in, so a limit of 0 means
 * that nothing ever waits.
 */
md_status md_queue_new(md_queue **out, uint32_t limit, uint32_t n_workers,
                       const md_alloc *alloc, md_error *err);
void md_queue_free(md_queue *q);

/* MD_BUSY when it is full, MD_UNAVAILABLE once it is closed. */
md_status md_queue_push(md_queue *q, void *item, md_error *err);

/* The next item; waits.  NULL once the queue is closed and empty. */
void *md_queue_pop(md_queue *q);

/* No more items; those inside are still handed out. */
void md_queue_close(md_queue *q);

/* Items inside now, and the most there may be. */
uint32_t md_queue_depth(const md_queue *q);
uint32_t md_queue_limit(const md_queue *q);

#endif
