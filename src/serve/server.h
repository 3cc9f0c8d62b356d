/*
 * The server: routes, models, a bounded queue and the threads that compute.
 *
 * One thread runs the event loop (the caller of md_server_run); routes that
 * compute go through the queue to the workers, those that load models to the
 * loader, the others are answered by the loop.  A full queue refuses at once
 * with 503.
 * Each answered request is one line of the log, under the tag "serve.access".
 */
#ifndef MD_SERVE_SERVER_H
#define MD_SERVE_SERVER_H

#include "net/http_server.h"
#include "serve/loader.h"
#include "serve/restrict.h"
#include "serve/trace.h"

typedef struct md_server md_server;

typedef struct md_server_opts {
    md_http_server_opts http; /* handle and ctx are the server's to set */
    uint32_t n_workers;       /* 0: one for each CPU */
    uint32_t queue_max;       /* calls that wait; 0: none may */
    uint32_t timeout_ms;      /* for a call that computes; 0: none */
    const char *shm_prefix;   /* of md_shm_init; kept */
    size_t compress_size_min; /* of a reply that is compressed; 0: none is */
    int run_width;            /* threads of the session's pool for one run */
    md_loader_opts models;
    size_t cache_size; /* of responses; 0: none are kept */
    md_trace_opts trace;
    const md_restrict *restricted; /* kept; NULL: nothing is */
} md_server_opts;

#define MD_SERVER_OPTS_INIT                                                    \
    {                                                                          \
        .http = MD_HTTP_SERVER_OPTS_INIT, .queue_max = 256,                    \
        .timeout_ms = 30 * 1000, .compress_size_min = 1024, .run_width = 1,    \
        .models = MD_LOADER_OPTS_INIT, .trace = MD_TRACE_OPTS_INIT,            \
    }

/* Open the socket; nothing is served yet.  Of md_alloc_default() connections
 * and requests take the parts that are accounted apart. */
md_status md_server_new(md_server **out, const md_server_opts *opts,
                        const md_alloc *alloc, md_error *err);

/* Free it and its models; not while it runs. */
void md_server_free(md_server *s);

/* Before the run.  A model that no file stands behind; taken over on success.
 * The first one is the default.  MD_EXISTS when the name is taken. */
md_status md_server_add_model(md_server *s, md_serve_model *m, md_error *err);

/* Before the run: serve the file or folder at `path`, as md_loader_add. */
md_status md_server_add_path(md_server *s, const char *name, const char *path,
                             md_error *err);

/* Load what was added and what the repository says, as md_loader_begin. */
md_status md_server_load(md_server *s, md_error *err);

/* Versions of models that are served now. */
uint32_t md_server_n_models(md_server *s);

/* Serve until stopped and drained. */
md_status md_server_run(md_server *s, md_error *err);

/* Begin to drain; a second call cuts what is left.  From any thread or a
 * signal handler. */
void md_server_stop(md_server *s);

/* As md_http_server_set_tls. */
void md_server_set_tls(md_server *s, md_tls_context *tls);

/* "127.0.0.1:8080", with the port that the system chose; the first one. */
const char *md_server_address(const md_server *s);

/* As md_http_server_listener. */
bool md_server_listener(const md_server *s, uint32_t i, md_http_place *out);

#endif
