/* What the server and its connections know of each other. */
#ifndef MD_NET_HTTP_CONN_H
#define MD_NET_HTTP_CONN_H

#include <sys/uio.h>

#include "net/http1_reply.h"
#include "net/http_request.h"
#include "net/http_server.h"
#include "net/listen.h"
#include "net/listen_unix.h"
#include "net/loop.h"

typedef struct md_http_conn md_http_conn;
typedef struct md_http2_conn md_http2_conn;

enum {
    MD_HTTP_LISTENERS_MAX = 32
};

#define MD_HTTP__GRPC_ONLY "this port takes gRPC alone"

typedef struct md_http_listener {
    md_loop_io io;
    md_http_server *srv;
    bool grpc_only;
    bool is_unix;
    md_listen_file file; /* of a Unix socket that is ours */
    char address[MD_ADDRESS_SIZE];
} md_http_listener;

struct md_http_server {
    const md_alloc *alloc;
    md_http_server_opts opts;
    md_loop *loop;
    md_http_listener listeners[MD_HTTP_LISTENERS_MAX];
    uint32_t n_listeners;
    bool draining;
    md_http_stats stats;

    md_tls_context *tls; /* of new connections; NULL: no TLS */
    _Atomic(md_tls_context *) next_tls;
    md_post tls_post; /* on its way while next_tls is set */

    md_http_conn *conns; /* open ones */
    uint32_t n_conns;    /* those, and closed ones not yet released */

    md_timer_queue handshakes;
    md_timer_queue heads;
    md_timer_queue bodies;
    md_timer_queue writes;
    md_timer_queue idles; /* longest idle first */
    md_timer_queue waits; /* as idles, for what may idle without end */
    md_timer_queue lingers;
    md_timer_queue refusals;
    md_timer_queue retries; /* accept again */
    md_timer_queue drains;
    md_timer_queue stream_bodies; /* as bodies and writes, of HTTP/2 streams */
    md_timer_queue stream_writes;
    md_timer_queue stream_rests; /* answered before the request was complete */
    md_timer retry;
    md_timer drain;

    _Atomic int n_drain_calls;
    md_post drain_post;
    md_post cut_post;

    int64_t date_time; /* that `date` tells */
    char date[MD_HTTP_DATE_SIZE];

    struct md_http2_request *spares; /* requests to use again */
    uint32_t n_spares;
    size_t spares_size;   /* that they keep */
    md_http2_conn *dirty; /* have something to send, perhaps */
};

typedef enum md_http_conn_state {
    MD_HTTP_CONN_READING,
    MD_HTTP_CONN_BUSY,
    MD_HTTP_CONN_WRITING,
    MD_HTTP_CONN_LINGERING, /* all is sent; wait for the peer to have read it */
    MD_HTTP_CONN_CLOSED
} md_http_conn_state;

/* Which timer runs while READING. */
typedef enum md_http_conn_phase {
    MD_HTTP_CONN_NO_PHASE,
    MD_HTTP_CONN_HANDSHAKE, /* PROXY and TLS; nothing else has begun */
    MD_HTTP_CONN_IDLE,
    MD_HTTP_CONN_HEAD,
    MD_HTTP_CONN_BODY,
    MD_HTTP_CONN_WAIT, /* HTTP/2: streams are open, nothing is to be done */
    MD_HTTP_CONN_WRITE /* HTTP/2: the socket takes no more for now */
} md_http_conn_phase;

struct md_http_conn {
    md_loop_io io;
    md_timer timer;
    md_post post; /* release */
    md_http_server *srv;
    md_http_conn *prev;
    md_http_conn *next;
    md_http_conn_state state;
    md_http_conn_phase phase;
    size_t progress; /* bytes at the last start of the timer */
    char peer[MD_ADDRESS_SIZE];
    md_http2_conn *h2; /* NULL: HTTP/1.1 */

    bool grpc_only;
    bool wants_proxy; /* its header has not come yet */
    bool wants_tls;
    md_tls *tls;                       /* NULL: none, or not yet */
    md_tls_result tls_read, tls_write; /* what the last call of each gave */
    md_post resume;                    /* read what TLS has and epoll not */
    bool resuming;

    /* HTTP/1.1's; `in` also takes the first bytes of all. */
    md_http1 in;
    md_http_request req;
    uint64_t n_served;
    bool keep_alive;
    md_buf head;
    size_t sent; /* of head and body together */
};

/* Set up the queues whose timers belong to connections. */
void md_http__conn_queues_init(md_http_server *srv);

/* Take over an accepted descriptor; it is closed when memory is short. */
void md_http__conn_open(const md_http_listener *l, int fd,
                        const struct sockaddr *sa, socklen_t sa_size);

/* Close the socket.  A request that the handler owns stays until it is
 * finished. */
void md_http__conn_close(md_http_conn *c);

/* Close it unless a request, or a part of one, is there. */
void md_http__conn_drain(md_http_conn *c);

/* Next open one. */
md_http_conn *md_http__conn_next(const md_http_conn *c);

/* Close the connection that has been idle for longest; false: none is.  What
 * has come meanwhile is read first. */
bool md_http__conn_evict(md_http_server *srv);

/* The server's side: a connection is idle and could be evicted. */
void md_http__server_has_room(md_http_server *srv);

/* The time of this turn, for Date. */
const char *md_http__date(md_http_server *srv);

/* A connection has been released. */
void md_http__server_released(md_http_server *srv);

/* ---- for http2_conn.c ---- */

/* Send and receive as recv and send do, by TLS where it is spoken,
 * interruptions apart; 0: not now, or the connection is closed now. */
size_t md_http__conn_recv(md_http_conn *c, void *to, size_t size);
size_t md_http__conn_send(md_http_conn *c, const struct iovec *iov, size_t n);

/* As if epoll had told of it. */
void md_http__conn_ready(md_http_conn *c, uint32_t events);

/* False: it is closed. */
bool md_http__conn_watch(md_http_conn *c, uint32_t events);

/* All is sent: wait for the peer to have read it, for long if it has not sent
 * all it wants to. */
void md_http__conn_linger(md_http_conn *c, bool refused);

/* Start the phase's timer, unless it runs. */
void md_http__conn_phase(md_http_conn *c, md_http_conn_phase phase);

/* The last of a closed connection's requests is back. */
void md_http__conn_release(md_http_conn *c);

/* ---- of http_listen.c ---- */

/* Open what srv->opts say. */
md_status md_http__listen_open(md_http_server *srv, md_error *err);

/* Accept who has connected, up to n_max of each listener. */
void md_http__listen_accept(md_http_server *srv, int n_max);
void md_http__listen_close(md_http_server *srv);

/* ---- of http_proxy.c ---- */

/* Read the header of a trusted proxy; true when it is complete. */
bool md_http__proxy_step(md_http_conn *c);

/* ---- of http_tls.c ---- */

/* Begin the handshake; false when memory is short. */
bool md_http__tls_begin(md_http_conn *c);

/* Go on with it; true when it is done. */
bool md_http__tls_shake(md_http_conn *c);

/* As md_http__conn_recv and md_http__conn_send. */
size_t md_http__tls_recv(md_http_conn *c, void *to, size_t size);
size_t md_http__tls_send(md_http_conn *c, const struct iovec *iov, size_t n);

/* What to wait for when the connection waits for `events`.  Where TLS has
 * bytes that the socket has no more, the connection will be called anyway. */
uint32_t md_http__tls_events(md_http_conn *c, uint32_t events);

/* ---- of http2_conn.c ---- */

/* The bytes in c->in are HTTP/2: go on so. */
void md_http__h2_begin(md_http_conn *c);
void md_http__h2_ready(md_http_conn *c, uint32_t events);

/* Close it unless a request is there, or a part of one; what has come is read
 * first. */
void md_http__h2_close_if_idle(md_http_conn *c);
void md_http__h2_drain(md_http_conn *c);

/* Send for all connections that have something; ctx is the server. */
void md_http__h2_flush_all(void *ctx);

/* A timer of a phase has fired. */
void md_http__h2_timeout(md_http_conn *c);

/* The socket is closed; false while requests are with the handler, which then
 * end in md_http__conn_release. */
bool md_http__h2_closed(md_http_conn *c);
void md_http__h2_release(md_http_conn *c);
void md_http__h2_queues_init(md_http_server *srv);
void md_http__h2_spares_free(md_http_server *srv);

#endif
