/*
 * A lane: the calls of one model that have been read and wait to be run, and
 * which of them are run together.  Time comes from outside; nothing is locked
 * (serve/queue.h has the lanes under its lock) and nothing is allocated.
 *
 * The most urgent priority goes first, within it the oldest.  A batch is the
 * first call and those behind it that can be run with it, as many as fit.  It
 * is ready when it has one of the preferred sizes or cannot grow, or when its
 * first call has waited for as long as it may.
 */
#ifndef MD_SERVE_LANE_H
#define MD_SERVE_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "formats/model_config.h"

typedef struct md_lane_item md_lane_item;
struct md_lane_item {
    md_lane_item *prev, *next;
    void *owner;
    int64_t rows;       /* of the batch, 1 or more */
    uint64_t signature; /* only equal ones are run together */
    int64_t level;      /* of priority; 0: the lane's usual one */
    int64_t timeout_us; /* that the client asks for; 0: none */
    int64_t joined_ns;
    int64_t due_ns; /* then it has waited too long; INT64_MAX: never */
    bool late;      /* it had, and is served last */
};

typedef struct md_lane md_lane;
struct md_lane {
    md_config_batching policy; /* `on`: calls are run together */
    int64_t rows_max;          /* of a batch */
    int64_t n_instances;       /* batches at once; 0: any number */
    uint32_t size_max;         /* calls that wait, of each priority */
    md_lane_item *first, *last;
    uint32_t n;           /* that wait */
    int64_t n_running;    /* batches */
    md_lane *prev, *next; /* among lanes where something waits */
};

/* size_max counts where the policy has none. */
void md_lane_init(md_lane *l, const md_config_batching *policy,
                  int64_t rows_max, int64_t n_instances, uint32_t size_max);

/* MD_BUSY when too many of its priority wait. */
md_status md_lane_join(md_lane *l, md_lane_item *item, int64_t now_ns,
                       md_error *err);

/* Take out one that has waited too long and is to be refused, or NULL.  Those
 * that are to be served late become that. */
md_lane_item *md_lane_expire(md_lane *l, int64_t now_ns);

typedef struct md_lane_plan {
    bool ready;
    bool urgent;    /* it is full, or has been ready for a while */
    int64_t due_ns; /* when to look again unless something joins before */
    int64_t rows;   /* of the batch */
} md_lane_plan;

/* What is there to run now?  `draining`: nothing waits for company. */
md_lane_plan md_lane_look(const md_lane *l, int64_t now_ns, bool draining);

/* Take the batch of a plan that is ready, linked by next; it runs until
 * md_lane_done. */
md_lane_item *md_lane_take(md_lane *l, const md_lane_plan *plan);
void md_lane_done(md_lane *l);

#endif
