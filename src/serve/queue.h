/*
 * The queue between the loop and the workers: calls that are new, first in,
 * first out, and lanes of calls that have been read and wait to be run
 * together (serve/lane.h).  All that waits is bounded.
 */
#ifndef MD_SERVE_QUEUE_H
#define MD_SERVE_QUEUE_H

#include <stdint.h>

#include "base/alloc.h"
#include "serve/lane.h"

typedef struct md_queue md_queue;

/* What a worker is to do next: one of the three. */
typedef struct md_work {
    void *item;            /* a new one */
    md_lane *lane;         /* NULL: it is that */
    md_lane_item *batch;   /* to be run, then md_queue_done */
    md_lane_item *expired; /* one that has waited too long */
} md_work;

/*
 * For n_workers that take, and `limit` items that wait while all of them are
 * at work, in lanes or before.  Each worker without work lets one more in, so
 * a limit of 0 means that nothing ever waits.
 */
md_status md_queue_new(md_queue **out, uint32_t limit, uint32_t n_workers,
                       const md_alloc *alloc, md_error *err);
void md_queue_free(md_queue *q);

/* MD_BUSY when it is full, MD_UNAVAILABLE once it is closed. */
md_status md_queue_push(md_queue *q, void *item, md_error *err);

/* An item that was taken goes on to a lane; MD_BUSY when that is full.  Once
 * this succeeds the item is another worker's. */
md_status md_queue_join(md_queue *q, md_lane *lane, md_lane_item *item,
                        md_error *err);

/* The next thing to do; waits.  False once the queue is closed and empty. */
bool md_queue_take(md_queue *q, md_work *out);

/* The lane's batch has been run. */
void md_queue_done(md_queue *q, md_lane *lane);

/* No more items; those inside are still handed out. */
void md_queue_close(md_queue *q);

/* Items inside now, lanes included, and the most there may be. */
uint32_t md_queue_depth(const md_queue *q);
uint32_t md_queue_limit(const md_queue *q);

#endif
