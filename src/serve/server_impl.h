/* The server's inside, for the routes and collectors of this module. */
#ifndef MD_SERVE_SERVER_IMPL_H
#define MD_SERVE_SERVER_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "serve/cache.h"
#include "serve/loader.h"
#include "serve/models.h"
#include "serve/queue.h"
#include "serve/server.h"
#include "serve/shm.h"
#include "serve/stats.h"
#include "serve/trace.h"

struct md_server {
    const md_alloc *alloc;
    const md_alloc *request_alloc; /* tensors and pictures of calls */
    md_server_opts opts;
    md_http_server *http;
    md_queue *queue;
    md_models *models;
    md_loader *loader;
    md_cache *cache; /* NULL: none */
    pthread_t *workers;
    uint32_t n_workers; /* as configured; started by the run */
    md_stats stats;
    md_shm shm;
    md_trace *trace;
    _Atomic uint32_t log_verbose; /* as it was last set by a client */
    uint64_t n_calls; /* ever; makes request ids.  The loop's alone */
    int64_t start_wall_ns;
    _Atomic bool draining;
};

#endif
