/* Life and end of a server; http_listen.c and http_conn.c do the rest. */
#include "net/http_server.h"

#include "net/http_conn.h"

enum {
    DRAIN_ACCEPTS_MAX = 4096, /* four times the backlog of net/listen.c */
    ACCEPT_RETRY_MS = 100
};

static void on_retry(md_timer *t)
{
    md_http__server_has_room(
        (md_http_server *)((char *)t - offsetof(md_http_server, retry)));
}

/* ---- draining ---- */

static void stop_when_empty(md_http_server *srv)
{
    if (srv->draining && srv->n_conns == 0)
        md_loop_stop(srv->loop);
}

const char *md_http__date(md_http_server *srv)
{
    const int64_t now = md_loop_unix_time(srv->loop);

    if (now != srv->date_time || !srv->date[0]) {
        srv->date_time = now;
        md_http_date_format(srv->date, now);
    }
    return srv->date;
}

void md_http__server_released(md_http_server *srv)
{
    srv->n_conns--;
    md_http__server_has_room(srv);
    stop_when_empty(srv);
}

static void each_conn(md_http_server *srv, void (*visit)(md_http_conn *c))
{
    md_http_conn *next;

    /* A visit may close c, but memory is released by a later post only. */
    for (md_http_conn *c = srv->conns; c; c = next) {
        next = md_http__conn_next(c);
        visit(c);
    }
}

static void on_drain(md_post *p)
{
    md_http_server *srv =
        (md_http_server *)((char *)p - offsetof(md_http_server, drain_post));

    /* Who has connected already is served; closing would reset them.  The
     * bound is for clients that connect faster than this accepts. */
    md_http__listen_accept(srv, DRAIN_ACCEPTS_MAX);
    srv->draining = true;
    md_http__listen_close(srv);
    each_conn(srv, md_http__conn_drain);
    md_timer_start(&srv->drains, &srv->drain);
    stop_when_empty(srv);
}

static void on_cut(md_post *p)
{
    each_conn(
        (md_http_server *)((char *)p - offsetof(md_http_server, cut_post)),
        md_http__conn_close);
}

static void on_drain_timeout(md_timer *t)
{
    each_conn((md_http_server *)((char *)t - offsetof(md_http_server, drain)),
              md_http__conn_close);
}

void md_http_server_drain(md_http_server *srv)
{
    int n = atomic_fetch_add(&srv->n_drain_calls, 1);

    if (n == 0)
        md_loop_post(srv->loop, &srv->drain_post);
    else if (n == 1)
        md_loop_post(srv->loop, &srv->cut_post);
}

/* ---- TLS ---- */

static void on_set_tls(md_post *p)
{
    md_http_server *srv =
        (md_http_server *)((char *)p - offsetof(md_http_server, tls_post));

    md_tls_context_unref(srv->tls);
    srv->tls = atomic_exchange(&srv->next_tls, NULL);
}

void md_http_server_set_tls(md_http_server *srv, md_tls_context *tls)
{
    md_tls_context *unused = atomic_exchange(&srv->next_tls, tls);

    if (unused)
        md_tls_context_unref(unused); /* the post is on its way */
    else
        md_loop_post(srv->loop, &srv->tls_post);
}

/* ---- life ---- */

md_status md_http_server_new(md_http_server **out,
                             const md_http_server_opts *opts,
                             const md_alloc *alloc, md_error *err)
{
    md_http_server *srv = md_calloc(alloc, 1, sizeof(*srv));
    md_status s;

    if (!srv)
        return md_fail_nomem(err, sizeof(*srv));
    srv->alloc = alloc;
    srv->opts = *opts;
    srv->drain_post.run = on_drain;
    srv->cut_post.run = on_cut;
    srv->tls_post.run = on_set_tls;
    MD_GOTO(md_http1_limits_check(&opts->limits, err));
    MD_GOTO(md_loop_new(&srv->loop, alloc, err));
    md_loop_at_turn_end(srv->loop, md_http__h2_flush_all, srv);
    md_http__conn_queues_init(srv);
    md_timer_queue_init(&srv->retries, srv->loop, ACCEPT_RETRY_MS, on_retry);
    md_timer_queue_init(&srv->drains, srv->loop, opts->drain_timeout_ms,
                        on_drain_timeout);
    MD_GOTO(md_http__listen_open(srv, err));
    srv->opts.listen = NULL;
    srv->opts.grpc_listen = NULL;
    srv->opts.inherited = NULL;
out:
    if (s != MD_OK) {
        md_http_server_free(srv);
        return s;
    }
    srv->tls = opts->tls;
    *out = srv;
    return MD_OK;
}

void md_http_server_free(md_http_server *srv)
{
    if (!srv)
        return;
    md_http__listen_close(srv);
    md_http__h2_spares_free(srv);
    md_tls_context_unref(srv->tls);
    md_tls_context_unref(atomic_load(&srv->next_tls));
    md_loop_free(srv->loop);
    md_free(srv->alloc, srv);
}

md_status md_http_server_run(md_http_server *srv, md_error *err)
{
    return md_loop_run(srv->loop, err);
}

const char *md_http_server_address(const md_http_server *srv)
{
    return srv->listeners[0].address;
}

bool md_http_server_listener(const md_http_server *srv, uint32_t i,
                             md_http_place *out)
{
    const md_http_listener *l = &srv->listeners[i];

    if (i >= srv->n_listeners)
        return false;
    *out = (md_http_place){ l->address, l->grpc_only, l->is_unix };
    return true;
}

const md_http_stats *md_http_server_stats(const md_http_server *srv)
{
    return &srv->stats;
}

bool md_http_server_is_full(const md_http_server *srv)
{
    return atomic_load(&srv->stats.buffered_bytes) > srv->opts.buffers_size_max;
}
