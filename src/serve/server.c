#include "serve/server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/log.h"
#include "serve/grpc.h"
#include "serve/infer.h"
#include "serve/route.h"
#include "serve/server_impl.h"

#define MD_LOG_TAG "serve.access"

enum {
    N_WORKERS_MAX = 256,
    SCRATCH_KEEP_MAX = 4 << 20,
    LOOP_CODING_MAX = 64 * 1024 /* bytes that the loop itself codes */
};

/* ---- one call ---- */

/* The client's id when it is harmless in a log line, else one of our own.
 * Made when it is asked for: few calls of gRPC ever need it. */
static const char *id_of(md_call *c)
{
    md_slice id;
    size_t n = 0;

    if (c->id[0])
        return c->id;
    id = md_http_request_field(c->http, "x-request-id");
    if (id.size < MD_CALL_ID_SIZE)
        while (n < id.size && id.data[n] > ' ' && id.data[n] < 0x7f)
            n++;
    if (n && n == id.size) {
        memcpy(c->id, id.data, n);
        c->id[n] = '\0';
    } else {
        (void)snprintf(c->id, sizeof(c->id), "%llx-%llu",
                       (unsigned long long)c->server->start_wall_ns / 1000,
                       (unsigned long long)c->number);
    }
    return c->id;
}

/* status: of HTTP, or of gRPC for its calls. */
static void log_call(md_call *c, int status, size_t size)
{
    md_slice method = md_http_request_method(c->http);
    md_slice path = md_http_request_path(c->http);

    MD_LOG(MD_LOG_INFO, "request", md_log_str("id", id_of(c)),
           md_log_str("peer", md_http_request_peer(c->http)),
           md_log_strn("method", method.data, method.size),
           md_log_strn("path", path.data, path.size),
           md_log_int("status", status), md_log_uint("bytes", size),
           md_log_int("us", (c->marked_ns - c->start_ns) / 1000));
}

/* Where it is worth it, and does not keep the loop. */
static void compress(md_call *c)
{
    const size_t least = c->server->opts.compress_size_min;
    const size_t size = md_http_reply_size(c->http);

    if (least && size >= least &&
        (md_call_computes(c) || size <= LOOP_CODING_MAX))
        md_http_reply_encode(c->http);
}

/* Count and log the answer, and send it.  The call is gone afterwards. */
static void finish(md_call *c)
{
    const bool grpc = md_http_request_is_grpc(c->http);
    int status = md_http_reply_status_get(c->http);

    if (grpc) {
        status = md_status_http(c->status);
    } else {
        compress(c);
        (void)md_http_reply_field(c->http, "X-Request-Id", id_of(c), NULL);
    }
    md_call_mark(c, MD_CALL_OUTPUT);
    md_stats_answered(&c->server->stats, c, status);
    if (c->served && md_call_computes(c)) {
        md_model_stats_add(&c->served->stats, c, status == 200);
        if (md_trace_is_on(c->server->trace))
            md_trace_call(c->server->trace, c, id_of(c));
    }
    md_infer_release(c);
    md_call_drop_model(c);
    log_call(c, grpc ? md_status_grpc(c->status) : status,
             md_http_reply_size(c->http));
    md_http_request_finish(c->http);
}

static void fail_call(md_call *c, const md_error *err)
{
    if (md_call_is_inner(err->status))
        MD_LOG(MD_LOG_ERROR, "request failed", md_log_str("id", id_of(c)),
               md_log_error(err));
    md_call_fail(c, err);
    finish(c);
}

static md_status run_route(md_call *c, md_error *err)
{
    MD_TRY(md_http_request_decode(
        c->http, c->route->computes ? SIZE_MAX : LOOP_CODING_MAX, err));
    return c->route->handle(c, err);
}

/* It has been read: let it wait for those it is run with.  From here on it may
 * be another worker's. */
static void park_call(md_call *c)
{
    md_server *s = c->server;
    md_error err = MD_ERROR_INIT;

    c->parks = false;
    c->parked = true;
    if (md_queue_join(s->queue, c->served->lane, &c->infer->item, &err) ==
        MD_OK)
        return;
    md_stats_rejected(&s->stats, "model_queue_full");
    fail_call(c, &err);
}

static void run_call(md_call *c)
{
    md_error err = MD_ERROR_INIT;
    md_status s = c->method ? md_grpc_run(c, &err) : run_route(c, &err);

    if (s != MD_OK)
        fail_call(c, &err);
    else if (c->parks)
        park_call(c);
    else
        finish(c);
}

/* ---- workers ---- */

static void time_out(md_call *c, int64_t may_ns)
{
    const int64_t waited = md_clock_ns() - c->start_ns;
    md_error err = MD_ERROR_INIT;

    md_stats_rejected(&c->server->stats, "timeout");
    (void)md_fail(&err, MD_TIMEOUT,
                  "request waited %lld ms for its turn, at most %lld may "
                  "pass",
                  (long long)(waited / 1000000), (long long)(may_ns / 1000000));
    fail_call(c, &err);
}

/* False: it has been answered without computing. */
static bool still_wanted(md_call *c)
{
    md_error err = MD_ERROR_INIT;

    md_call_mark(c, MD_CALL_QUEUE);
    if (md_http_request_is_gone(c->http)) {
        md_stats_rejected(&c->server->stats, "abandoned");
        (void)md_fail(&err, MD_CANCELLED, "client has gone");
        fail_call(c, &err);
        return false;
    }
    if (c->deadline_ns && md_clock_ns() > c->deadline_ns) {
        time_out(c, c->deadline_ns - c->start_ns);
        return false;
    }
    return true;
}

static void begin_call(md_call *c, md_buf *scratch)
{
    c->scratch = scratch;
    c->queued_ns = md_clock_ns() - c->start_ns;
    md_stats_dequeued(&c->server->stats, c);
    if (still_wanted(c))
        run_call(c);
}

/* Those of a batch that somebody still waits for. */
static md_lane_item *keep_wanted(md_lane_item *item, uint32_t *n)
{
    md_lane_item *kept = NULL;
    md_lane_item **tail = &kept;
    md_lane_item *next;

    for (*n = 0; item; item = next) {
        next = item->next;
        if (!still_wanted(item->owner))
            continue;
        item->next = NULL;
        *tail = item;
        tail = &item->next;
        ++*n;
    }
    return kept;
}

static void count_batch(md_served *v, md_stats *st, const md_infer_batch *b,
                        int64_t rows, const int64_t ns[3])
{
    md_model_stats_ran(&v->stats, rows, ns[0], ns[1], ns[2]);
    md_stats_ran(st, b->model, rows);
}

static void run_batch(md_server *s, const md_work *w, md_buf *scratch)
{
    md_served *v = ((md_call *)w->batch->owner)->served;
    int64_t ns[3] = { 0, 0, 0 }; /* of reading, running, answering */
    md_lane_item *batch;
    md_lane_item *next;
    md_infer_batch b;
    int64_t start;
    uint32_t n;

    md_served_ref(v); /* the lane and the run are its, the calls go */
    batch = keep_wanted(w->batch, &n);
    if (n == 0) {
        md_queue_done(s->queue, w->lane);
        md_served_unref(v);
        return;
    }
    start = md_clock_ns();
    md_infer_run(&b, batch, n, scratch, s->opts.run_width);
    ns[1] = md_clock_ns() - start;
    md_queue_done(s->queue, w->lane);
    start = md_clock_ns();
    for (md_lane_item *item = batch; item; item = next) {
        md_call *c = item->owner;
        const int64_t rows = item->rows;
        const int64_t each[3] = { c->part_ns[MD_CALL_INPUT], ns[1] / n, 0 };

        next = item->next;
        ns[0] += each[0];
        run_call(c);
        if (b.rows == 0)
            count_batch(v, &s->stats, &b, rows, each);
    }
    ns[2] = md_clock_ns() - start;
    if (b.rows)
        count_batch(v, &s->stats, &b, b.rows, ns);
    md_infer_batch_release(&b);
    md_served_unref(v);
}

static void do_work(md_server *s, const md_work *w, md_buf *scratch)
{
    md_call *c;

    if (w->item) {
        begin_call(w->item, scratch);
    } else if (w->expired) {
        c = w->expired->owner;
        md_call_mark(c, MD_CALL_QUEUE);
        time_out(c, w->expired->due_ns - c->start_ns);
    } else {
        run_batch(s, w, scratch);
    }
}

static void *work(void *arg)
{
    md_server *s = arg;
    md_buf scratch;
    md_work w;

    md_buf_init(&scratch, s->request_alloc, s->opts.http.arena_size_max);
    while (md_queue_take(s->queue, &w)) {
        md_stats_busy(&s->stats, 1);
        do_work(s, &w, &scratch);
        md_stats_busy(&s->stats, -1);
        if (scratch.cap > SCRATCH_KEEP_MAX)
            md_buf_release(&scratch);
        md_buf_reset(&scratch);
    }
    md_buf_release(&scratch);
    return NULL;
}

static void stop_workers(md_server *s, uint32_t n_started)
{
    md_queue_close(s->queue);
    for (uint32_t i = 0; i < n_started; i++)
        pthread_join(s->workers[i], NULL);
}

/* Signals are the main thread's. */
static md_status start_workers(md_server *s, md_error *err)
{
    sigset_t all;
    sigset_t saved;
    uint32_t n = 0;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &saved);
    while (n < s->n_workers &&
           pthread_create(&s->workers[n], NULL, work, s) == 0)
        n++;
    pthread_sigmask(SIG_SETMASK, &saved, NULL);
    if (n == s->n_workers)
        return MD_OK;
    stop_workers(s, n);
    return md_fail(err, MD_UNAVAILABLE, "cannot start worker %u of %u", n + 1,
                   s->n_workers);
}

/* ---- the loop's side ---- */

static void enqueue(md_call *c)
{
    md_error err = MD_ERROR_INIT;
    const int64_t deadline = md_http_request_deadline_ns(c->http);
    md_server *s = c->server;

    if (md_http_server_is_full(s->http)) {
        md_stats_rejected(&s->stats, "memory");
        (void)md_fail(&err, MD_BUSY,
                      "server is overloaded: requests and replies take more "
                      "than %zu bytes",
                      s->opts.http.buffers_size_max);
        fail_call(c, &err);
        return;
    }
    if (s->opts.timeout_ms)
        c->deadline_ns = c->start_ns + (int64_t)s->opts.timeout_ms * 1000000;
    if (deadline < INT64_MAX && (!c->deadline_ns || deadline < c->deadline_ns))
        c->deadline_ns = deadline;
    switch (md_queue_push(s->queue, c, &err)) {
    case MD_OK:
        return;
    case MD_BUSY:
        md_stats_rejected(&s->stats, "queue_full");
        break;
    default:
        md_stats_rejected(&s->stats, "draining");
        break;
    }
    fail_call(c, &err);
}

static void push_load(md_call *c)
{
    md_error err = MD_ERROR_INIT;
    md_status s = md_loader_push(c->server->loader, c, &err);

    if (s == MD_OK)
        return;
    md_stats_rejected(&c->server->stats,
                      s == MD_BUSY ? "queue_full" : "draining");
    fail_call(c, &err);
}

/* Refuse, and say in a field what would have been taken. */
static void refuse(md_call *c, const md_error *err, const char *field,
                   const char *value)
{
    md_call_fail(c, err);
    if (value)
        (void)md_http_reply_field(c->http, field, value, NULL);
    finish(c);
}

static md_status check_access(const md_call *c, md_api api, md_error *err)
{
    const md_restrict *r = c->server->opts.restricted;

    return r ? md_restrict_check(r, api, c->http, err) : MD_OK;
}

static void dispatch_grpc(md_call *c)
{
    md_error err = MD_ERROR_INIT;

    if (md_grpc_find(&c->method_index, md_http_request_path(c->http), &err) !=
        MD_OK) {
        fail_call(c, &err);
        return;
    }
    c->method = md_grpc_methods[c->method_index];
    if (check_access(c, c->method->api, &err) != MD_OK) {
        fail_call(c, &err);
        return;
    }
    if (c->method->loads)
        push_load(c);
    else if (c->method->computes &&
             md_http_request_event(c->http) == MD_HTTP_MESSAGE)
        enqueue(c);
    else
        run_call(c);
}

static void dispatch(md_call *c)
{
    md_error err = MD_ERROR_INIT;
    const char *allow = NULL;
    md_coding coding;
    md_status s = md_route_find(&c->route_index, &c->params, &allow,
                                md_http_request_method(c->http),
                                md_http_request_path(c->http), &err);

    if (s != MD_OK) {
        refuse(c, &err, "Allow", allow);
        return;
    }
    c->route = md_routes[c->route_index];
    if (check_access(c, c->route->api, &err) != MD_OK)
        fail_call(c, &err);
    else if (md_http_request_coding(c->http, &coding, &err) != MD_OK)
        refuse(c, &err, "Accept-Encoding",
               "gzip, deflate, zstd"); /* RFC 7694 */
    else if (c->route->computes)
        enqueue(c);
    else if (c->route->loads)
        push_load(c);
    else
        run_call(c);
}

static void handle(void *ctx, md_http_request *http)
{
    md_arena *ar = md_http_request_arena(http);
    md_call *c = md_arena_alloc(ar, sizeof(*c));

    if (!c) {
        md_http_reply_status(http, 503);
        md_http_request_finish(http);
        return;
    }
    memset(c, 0, sizeof(*c));
    c->http = http;
    c->server = ctx;
    c->start_ns = md_clock_ns();
    c->number = ++c->server->n_calls;
    if (md_http_request_is_grpc(http))
        dispatch_grpc(c);
    else
        dispatch(c);
}

static bool is_stream(void *ctx, md_slice path)
{
    size_t i;

    (void)ctx;
    return md_grpc_find(&i, path, NULL) == MD_OK && md_grpc_methods[i]->streams;
}

/* ---- life ---- */

static void wake_loader(void *ctx)
{
    const md_server *srv = ctx;

    if (srv->loader)
        md_loader_wake(srv->loader);
}

md_status md_server_new(md_server **out, const md_server_opts *opts,
                        const md_alloc *alloc, md_error *err)
{
    const bool apart = alloc == md_alloc_default();
    md_server *srv = md_calloc(alloc, 1, sizeof(*srv));
    md_status s;

    if (!srv)
        return md_fail_nomem(err, sizeof(*srv));
    srv->alloc = alloc;
    srv->request_alloc = apart ? md_alloc_tagged(MD_MEM_request) : alloc;
    srv->opts = *opts;
    srv->opts.models.load.run_width = opts->run_width;
    srv->opts.http.handle = handle;
    srv->opts.http.is_stream = is_stream;
    srv->opts.http.ctx = srv;
    srv->start_wall_ns = md_clock_wall_ns();
    md_shm_init(&srv->shm, opts->shm_prefix, alloc);
    srv->n_workers = opts->n_workers;
    if (srv->n_workers == 0)
        srv->n_workers = (uint32_t)md_cpu_count();
    if (srv->n_workers > N_WORKERS_MAX)
        srv->n_workers = N_WORKERS_MAX;
    srv->workers = md_calloc(alloc, srv->n_workers, sizeof(*srv->workers));
    if (!srv->workers) {
        s = md_fail_nomem(err, sizeof(*srv->workers));
        goto out;
    }
    MD_GOTO(
        md_queue_new(&srv->queue, opts->queue_max, srv->n_workers, alloc, err));
    if (opts->cache_size)
        MD_GOTO(md_cache_new(&srv->cache, opts->cache_size, alloc, err));
    MD_GOTO(md_models_new(&srv->models, wake_loader, srv, opts->queue_max,
                          alloc, err));
    MD_GOTO(md_loader_new(&srv->loader, &srv->opts.models, srv->models,
                          run_call, alloc, err));
    MD_GOTO(md_trace_new(&srv->trace, &opts->trace, alloc, err));
    MD_GOTO(md_stats_init(&srv->stats, srv, alloc, err));
    MD_GOTO(md_http_server_new(&srv->http, &srv->opts.http,
                               apart ? md_alloc_tagged(MD_MEM_net) : alloc,
                               err));
    *out = srv;
out:
    if (s != MD_OK)
        md_server_free(srv);
    return s;
}

void md_server_free(md_server *s)
{
    if (!s)
        return;
    md_http_server_free(s->http);
    md_models_free(s->models);
    md_loader_free(s->loader);
    md_cache_free(s->cache);
    md_stats_release(&s->stats);
    md_trace_free(s->trace);
    md_shm_release(&s->shm);
    md_queue_free(s->queue);
    md_free(s->alloc, s->workers);
    md_free(s->alloc, s);
}

md_status md_server_add_model(md_server *s, md_serve_model *m, md_error *err)
{
    md_models_new_one one = { .number = strtoll(m->version, NULL, 10) };
    md_served *there;

    if (md_models_find(s->models, &there, m->name, NULL, NULL) == MD_OK) {
        md_served_unref(there);
        return md_fail(err, MD_EXISTS, "model name '%s' is given twice",
                       m->name);
    }
    MD_TRY(md_models_begin(s->models, m->name, one.number, err));
    MD_TRY(md_served_new(&one.served, s->models, m, err));
    md_models_install(s->models, m->name, &one, 1, false);
    return MD_OK;
}

md_status md_server_add_path(md_server *s, const char *name, const char *path,
                             md_error *err)
{
    return md_loader_add(s->loader, name, path, err);
}

md_status md_server_load(md_server *s, md_error *err)
{
    return md_loader_begin(s->loader, err);
}

uint32_t md_server_n_models(md_server *s)
{
    return md_models_n_ready(s->models);
}

md_status md_server_run(md_server *s, md_error *err)
{
    md_status status;

    MD_TRY(start_workers(s, err));
    status = md_loader_start(s->loader, err);
    if (status == MD_OK)
        status = md_http_server_run(s->http, err);
    md_loader_stop(s->loader);
    stop_workers(s, s->n_workers);
    return status;
}

void md_server_stop(md_server *s)
{
    atomic_store(&s->draining, true);
    md_http_server_drain(s->http);
}

void md_server_set_tls(md_server *s, md_tls_context *tls)
{
    md_http_server_set_tls(s->http, tls);
}

const char *md_server_address(const md_server *s)
{
    return md_http_server_address(s->http);
}

bool md_server_listener(const md_server *s, uint32_t i, md_http_place *out)
{
    return md_http_server_listener(s->http, i, out);
}
