/* The server's own metrics: families of metrics.def, groups of
 * collectors.def. */
#ifndef MD_SERVE_STATS_H
#define MD_SERVE_STATS_H

#include "base/metrics.h"
#include "serve/call.h"

typedef struct md_stats {
    md_metrics *metrics;
    uint32_t first; /* family */
} md_stats;

/* Register everything; collectors look at s when they are asked. */
md_status md_stats_init(md_stats *st, md_server *s, const md_alloc *alloc,
                        md_error *err);
void md_stats_release(md_stats *st);

/* The call has been answered with `status`. */
void md_stats_answered(md_stats *st, const md_call *c, int status);

/* The call was taken off the queue. */
void md_stats_dequeued(md_stats *st, const md_call *c);

/* It was not computed: "queue_full", "timeout", ... */
void md_stats_rejected(md_stats *st, const char *reason);

/* So many rows of a model have been run together. */
void md_stats_ran(md_stats *st, const md_serve_model *m, int64_t rows);

/* A worker begins (1) or ends (-1) to compute. */
void md_stats_busy(md_stats *st, int by);

#endif
