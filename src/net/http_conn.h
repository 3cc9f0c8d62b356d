/* What the server and its connections know of each other. */
#ifndef MD_NET_HTTP_CONN_H
#define MD_NET_HTTP_CONN_H

#include "net/http_server.h"
#include "net/listen.h"
#include "net/loop.h"

struct md_http_server {
    const md_alloc *alloc;
    md_http_server_opts opts;
    md_loop *loop;
    md_loop_io listener;
    bool draining;
    char address[MD_ADDRESS_SIZE];
    md_http_stats stats;

    md_http_request *conns; /* open ones */
    uint32_t n_conns;       /* those, and closed ones not yet released */

    md_timer_queue heads;
    md_timer_queue bodies;
    md_timer_queue writes;
    md_timer_queue idles; /* longest idle first */
    md_timer_queue lingers;
    md_timer_queue refusals;
    md_timer_queue retries; /* accept again */
    md_timer_queue drains;
    md_timer retry;
    md_timer drain;

    _Atomic int n_drain_calls;
    md_post drain_post;
    md_post cut_post;
};

/* Set up the queues whose timers belong to connections. */
void md_http__conn_queues_init(md_http_server *srv);

/* Take over an accepted descriptor; it is closed when memory is short. */
void md_http__conn_open(md_http_server *srv, int fd, const struct sockaddr *sa,
                        socklen_t sa_size);

/* Close the socket.  A request that the handler owns stays until it is
 * finished. */
void md_http__conn_close(md_http_request *c);

/* Close it unless a request, or a part of one, is there. */
void md_http__conn_drain(md_http_request *c);

/* Next open one. */
md_http_request *md_http__conn_next(const md_http_request *c);

/* Close the connection that has been idle for longest; false: none is.  What
 * has come meanwhile is read first. */
bool md_http__conn_evict(md_http_server *srv);

/* The server's side: a connection is idle and could be evicted. */
void md_http__server_has_room(md_http_server *srv);

/* A connection has been released. */
void md_http__server_released(md_http_server *srv);

#endif
