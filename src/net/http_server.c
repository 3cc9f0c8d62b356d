/* Accepting and draining; http_conn.c does the rest. */
#define _GNU_SOURCE /* accept4 */

#include "net/http_server.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "net/http_conn.h"

enum {
    ACCEPTS_PER_EVENT = 64,
    DRAIN_ACCEPTS_MAX = 4096, /* four times the backlog of net/listen.c */
    ACCEPT_RETRY_MS = 100
};

static void stop_accepting(md_http_server *srv)
{
    (void)md_loop_watch(srv->loop, &srv->listener, 0, NULL);
}

void md_http__server_has_room(md_http_server *srv)
{
    if (!srv->draining)
        (void)md_loop_watch(srv->loop, &srv->listener, EPOLLIN, NULL);
}

/* An accepted descriptor, or -1 when there is none for now. */
static int accept_one(md_http_server *srv, struct sockaddr_storage *sa,
                      socklen_t *size)
{
    const int on = 1;
    int fd;

    do {
        *size = sizeof(*sa);
        fd = accept4(srv->listener.fd, (struct sockaddr *)sa, size,
                     SOCK_CLOEXEC | SOCK_NONBLOCK);
    } while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    if (fd >= 0) {
        /* Replies go out in one piece; waiting for more only delays them. */
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        return fd;
    }
    if (errno != EAGAIN && errno != EWOULDBLOCK) {
        /* Out of descriptors or memory: the socket stays readable, so look
         * away for a moment instead of spinning, and make room. */
        atomic_fetch_add(&srv->stats.accept_failures, 1);
        (void)md_http__conn_evict(srv);
        stop_accepting(srv);
        md_timer_start(&srv->retries, &srv->retry);
    }
    return -1;
}

static void accept_some(md_http_server *srv, int n_max)
{
    for (int i = 0; i < n_max; i++) {
        bool full = atomic_load(&srv->stats.n_open) >= srv->opts.n_conns_max;
        struct sockaddr_storage sa;
        socklen_t size;
        int fd;

        if (full && !md_timer_first(&srv->idles)) {
            stop_accepting(srv); /* until one is idle or released */
            return;
        }
        fd = accept_one(srv, &sa, &size);
        if (fd < 0)
            return;
        /* When none was idle after all there is one too many, and only one:
         * the next turn of this loop stops. */
        if (full)
            (void)md_http__conn_evict(srv);
        md_http__conn_open(srv, fd, (const struct sockaddr *)&sa, size);
    }
}

static void on_acceptable(md_loop_io *io, uint32_t events)
{
    (void)events;
    accept_some(
        (md_http_server *)((char *)io - offsetof(md_http_server, listener)),
        ACCEPTS_PER_EVENT);
}

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
    accept_some(srv, DRAIN_ACCEPTS_MAX);
    srv->draining = true;
    md_loop_unwatch(srv->loop, &srv->listener);
    close(srv->listener.fd);
    srv->listener.fd = -1;
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
    srv->opts.listen = NULL;
    srv->listener = (md_loop_io){ .fd = -1, .ready = on_acceptable };
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
    MD_GOTO(
        md_listen_open(&srv->listener.fd, opts->listen, opts->reuse_port, err));
    MD_GOTO(md_listen_address(srv->address, srv->listener.fd, err));
    MD_GOTO(md_loop_watch(srv->loop, &srv->listener, EPOLLIN, err));
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
    if (srv->listener.fd >= 0)
        close(srv->listener.fd);
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
    return srv->address;
}

const md_http_stats *md_http_server_stats(const md_http_server *srv)
{
    return &srv->stats;
}

bool md_http_server_is_full(const md_http_server *srv)
{
    return atomic_load(&srv->stats.buffered_bytes) > srv->opts.buffers_size_max;
}
