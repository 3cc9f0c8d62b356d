/*
 * Metrics, shown as Prometheus text (exposition format 0.0.4).
 *
 * A module lists its families in a `metrics.def`, registers them once, and
 * keeps the md_metric of the label values it needs; adding to one is a relaxed
 * atomic operation.  Values that exist elsewhere already are told by a
 * collector, a callback that runs at each scrape.
 *
 * The registry owns everything and outlives all users of its metrics.
 */
#ifndef MD_BASE_METRICS_H
#define MD_BASE_METRICS_H

#include <stdint.h>

#include "base/buf.h"

typedef enum md_metric_kind {
    MD_COUNTER,   /* only grows; name ends in _total */
    MD_GAUGE,     /* set or added to, also downwards */
    MD_HISTOGRAM, /* counts by upper bound, with their sum */
} md_metric_kind;

enum {
    MD_METRIC_N_LABELS_MAX = 4,
    MD_METRIC_N_BOUNDS_MAX = 24,
    /* Label values that come from requests must not fill the memory: beyond
     * this many combinations all are counted under "other". */
    MD_METRIC_N_CHILDREN_MAX = 1000
};

typedef struct md_metric_row {
    md_metric_kind kind;
    const char *name;     /* modeld_<module>_<what>_<unit> */
    const char *help;     /* the question it answers */
    const char *labels;   /* "route,code"; "" for none */
    const double *bounds; /* of a histogram, rising; +Inf is added */
    uint32_t n_bounds;
} md_metric_row;

/* Seconds from 250 us to 10 s, for latencies of requests. */
extern const double md_metric_seconds[];
extern const uint32_t md_metric_n_seconds;

typedef struct md_metrics md_metrics;
typedef struct md_metric md_metric;

md_status md_metrics_new(md_metrics **out, const md_alloc *alloc,
                         md_error *err);

/* NULL is allowed. */
void md_metrics_free(md_metrics *m);

/* Add n families, numbered on from *first.  rows is kept.  MD_EXISTS when a
 * name is taken. */
md_status md_metrics_add(md_metrics *m, const md_metric_row *rows, uint32_t n,
                         uint32_t *first, md_error *err);

/*
 * The metric of family number `family` with these label values (as many as it
 * has labels; copied; "invalid" for one that is not UTF-8, which no scraper
 * would take).  Made on first use.  Never NULL: out of memory gives
 * one that is not shown.  Takes a lock: keep the result where it matters.
 */
md_metric *md_metrics_get(md_metrics *m, uint32_t family,
                          const char *const *values);

/* Counters and gauges.  A counter must not be given a negative number. */
void md_metric_add(md_metric *metric, double n);
void md_metric_inc(md_metric *metric);
/* Gauges. */
void md_metric_set(md_metric *metric, double x);
/* Histograms. */
void md_metric_observe(md_metric *metric, double x);

/* The value of a counter or gauge, the number of a histogram's observations. */
double md_metric_value(const md_metric *metric);

/* What a collector writes to. */
typedef struct md_metrics_out md_metrics_out;

/* A group of metrics that is computed at scrape.  Rows of `collectors.def`
 * name them. */
typedef struct md_collector {
    const char *name;
    md_status (*collect)(void *ctx, md_metrics_out *out, md_error *err);
} md_collector;

/* Let c->collect(ctx) take part in every md_metrics_write. */
md_status md_metrics_add_collector(md_metrics *m, const md_collector *c,
                                   void *ctx, md_error *err);

/* Begin a family (counter or gauge), then its samples; label names and values
 * alternate, n_labels pairs. */
md_status md_metrics_out_family(md_metrics_out *out, md_metric_kind kind,
                                const char *name, const char *help,
                                md_error *err);
md_status md_metrics_out_sample(md_metrics_out *out, double value,
                                const char *const *labels, uint32_t n_labels,
                                md_error *err);

/* Append all families that have a metric, sorted by registration, and what
 * the collectors tell. */
md_status md_metrics_write(md_metrics *m, md_buf *out, md_error *err);

#endif
