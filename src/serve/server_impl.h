/* The server's inside, for the routes and collectors of this module. */
#ifndef MD_SERVE_SERVER_IMPL_H
#define MD_SERVE_SERVER_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "serve/model_stats.h"
#include "serve/queue.h"
#include "serve/server.h"
#include "serve/stats.h"

struct md_server {
    const md_alloc *alloc;
    const md_alloc *request_alloc; /* tensors and pictures of calls */
    md_server_opts opts;
    md_http_server *http;
    md_queue *queue;
    md_serve_model **models;     /* in the order they were added */
    md_model_stats *model_stats; /* one for each */
    uint32_t n_models;
    uint32_t cap_models;
    uint32_t cap_model_stats;
    pthread_t *workers;
    uint32_t n_workers; /* as configured; started by the run */
    md_stats stats;
    uint64_t n_calls; /* ever; makes request ids.  The loop's alone */
    int64_t start_wall_ns;
    _Atomic bool draining;
};

#endif
