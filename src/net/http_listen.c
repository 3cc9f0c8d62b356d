/* Listeners: opening, accepting, closing. */
#define _GNU_SOURCE /* accept4 */

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "net/http_conn.h"

enum {
    ACCEPTS_PER_EVENT = 64,
    TEXT_SIZE_MAX = 256 /* of an address as people write it */
};

/* ---- accepting ---- */

static void watch(md_http_server *srv, uint32_t events)
{
    for (uint32_t i = 0; i < srv->n_listeners; i++)
        (void)md_loop_watch(srv->loop, &srv->listeners[i].io, events, NULL);
}

void md_http__server_has_room(md_http_server *srv)
{
    if (!srv->draining)
        watch(srv, EPOLLIN);
}

/* An accepted descriptor, or -1 when there is none for now. */
static int accept_one(md_http_listener *l, struct sockaddr_storage *sa,
                      socklen_t *size)
{
    md_http_server *srv = l->srv;
    const int on = 1;
    int fd;

    do {
        *size = sizeof(*sa);
        fd = accept4(l->io.fd, (struct sockaddr *)sa, size,
                     SOCK_CLOEXEC | SOCK_NONBLOCK);
    } while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    if (fd >= 0) {
        /* Replies go out in one piece; waiting for more only delays them. */
        if (!l->is_unix)
            (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        return fd;
    }
    if (errno != EAGAIN && errno != EWOULDBLOCK) {
        /* Out of descriptors or memory: the socket stays readable, so look
         * away for a moment instead of spinning, and make room. */
        atomic_fetch_add(&srv->stats.accept_failures, 1);
        (void)md_http__conn_evict(srv);
        watch(srv, 0);
        md_timer_start(&srv->retries, &srv->retry);
    }
    return -1;
}

static void accept_some(md_http_listener *l, int n_max)
{
    md_http_server *srv = l->srv;

    for (int i = 0; i < n_max; i++) {
        bool full = atomic_load(&srv->stats.n_open) >= srv->opts.n_conns_max;
        struct sockaddr_storage sa;
        socklen_t size;
        int fd;

        if (full && !md_timer_first(&srv->idles)) {
            watch(srv, 0); /* until one is idle or released */
            return;
        }
        fd = accept_one(l, &sa, &size);
        if (fd < 0)
            return;
        /* When none was idle after all there is one too many, and only one:
         * the next turn of this loop stops. */
        if (full)
            (void)md_http__conn_evict(srv);
        md_http__conn_open(l, fd, (const struct sockaddr *)&sa, size);
    }
}

static void on_acceptable(md_loop_io *io, uint32_t events)
{
    (void)events;
    accept_some(
        (md_http_listener *)((char *)io - offsetof(md_http_listener, io)),
        ACCEPTS_PER_EVENT);
}

/* ---- opening ---- */

/* A listener without a socket yet. */
static md_status add(md_http_listener **out, md_http_server *srv,
                     bool grpc_only, md_error *err)
{
    md_http_listener *l = &srv->listeners[srv->n_listeners];

    if (srv->n_listeners == MD_HTTP_LISTENERS_MAX)
        return md_fail(err, MD_INVALID, "more than %d addresses to listen on",
                       MD_HTTP_LISTENERS_MAX);
    srv->n_listeners++;
    *l = (md_http_listener){ .io = { .fd = -1, .ready = on_acceptable },
                             .srv = srv,
                             .grpc_only = grpc_only };
    *out = l;
    return MD_OK;
}

static md_status start(md_http_listener *l, md_error *err)
{
    MD_TRY(md_listen_address(l->address, l->io.fd, err));
    l->is_unix =
        strncmp(l->address, MD_LISTEN_UNIX, sizeof(MD_LISTEN_UNIX) - 1) == 0;
    return md_loop_watch(l->srv->loop, &l->io, EPOLLIN, err);
}

static md_status open_one(md_http_listener *l, const char *text, md_error *err)
{
    const md_http_server_opts *o = &l->srv->opts;
    const size_t n = sizeof(MD_LISTEN_UNIX) - 1;

    if (strncmp(text, MD_LISTEN_UNIX, n) == 0)
        MD_TRY(md_listen_unix_open(&l->io.fd, &l->file, text + n,
                                   o->socket_mode, err));
    else
        MD_TRY(md_listen_open(&l->io.fd, text, o->reuse_port, err));
    return start(l, err);
}

static md_status open_list(md_http_server *srv, const char *list,
                           bool grpc_only, md_error *err)
{
    md_slice rest = md_slice_of(list);
    md_slice item;

    while (md_slice_next_item(&rest, &item)) {
        char text[TEXT_SIZE_MAX];
        md_http_listener *l = NULL;

        if (item.size >= sizeof(text))
            return md_fail(err, MD_INVALID,
                           "listen address of %zu bytes given, at most %zu "
                           "expected",
                           item.size, sizeof(text) - 1);
        if (item.size)
            memcpy(text, item.data, item.size);
        text[item.size] = '\0';
        MD_TRY(add(&l, srv, grpc_only, err));
        MD_TRY(open_one(l, text, err));
    }
    return MD_OK;
}

md_status md_http__listen_open(md_http_server *srv, md_error *err)
{
    const md_http_server_opts *o = &srv->opts;
    const md_inherited *inherited = o->inherited;
    md_http_listener *l = NULL;

    for (uint32_t i = 0; inherited && i < inherited->n; i++) {
        MD_TRY(add(&l, srv, inherited->grpc[i], err));
        l->io.fd = inherited->fds[i];
        MD_TRY(start(l, err));
    }
    if (srv->n_listeners == 0)
        MD_TRY(open_list(srv, o->listen, false, err));
    if (o->grpc_listen)
        MD_TRY(open_list(srv, o->grpc_listen, true, err));
    if (srv->n_listeners == 0)
        return md_fail(err, MD_INVALID, "no address to listen on given");
    return MD_OK;
}

void md_http__listen_accept(md_http_server *srv, int n_max)
{
    for (uint32_t i = 0; i < srv->n_listeners; i++)
        accept_some(&srv->listeners[i], n_max);
}

void md_http__listen_close(md_http_server *srv)
{
    for (uint32_t i = 0; i < srv->n_listeners; i++) {
        md_http_listener *l = &srv->listeners[i];

        if (l->io.fd < 0)
            continue;
        md_listen_unix_remove(&l->file);
        md_loop_unwatch(srv->loop, &l->io);
        close(l->io.fd);
        l->io.fd = -1;
    }
}
