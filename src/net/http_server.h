/*
 * HTTP server: one loop, a few listening sockets, many connections.
 *
 * The handler gets each complete request on the loop's thread and owns it
 * until md_http_request_finish, which may be called at once or later from any
 * thread.  In between the request's accessors, arena and reply belong to
 * whoever holds the request; the loop does not touch them, even when the
 * client goes away.
 *
 * A connection speaks HTTP/1.1, or HTTP/2 when it begins with its preface
 * (RFC 9113 3.3).  Over HTTP/1.1 it has one request at a time: pipelined ones
 * wait in the input buffer or in the kernel.  Over HTTP/2 it has up to
 * MD_HTTP2_STREAMS_MAX.  Limits and timeouts are the same, the latter for
 * each stream.
 */
#ifndef MD_NET_HTTP_SERVER_H
#define MD_NET_HTTP_SERVER_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "net/coding.h"
#include "net/http1.h"
#include "net/inherit.h"
#include "net/tls.h"
#include "net/trust.h"

typedef struct md_http_server md_http_server;
typedef struct md_http_request md_http_request;

/* Durations of 0 mean without end. */
typedef struct md_http_server_opts {
    const char *listen;      /* "127.0.0.1:8080, unix:/run/modeld.sock" */
    const char *grpc_listen; /* as listen, for gRPC alone; may be NULL */
    /* Sockets in place of `listen`; NULL, or none in it: no.  Taken over. */
    const md_inherited *inherited;
    uint32_t socket_mode; /* permissions of Unix sockets */
    bool reuse_port;
    /* Of TCP connections; taken over by a successful start; NULL: no TLS. */
    md_tls_context *tls;
    md_trust proxies; /* whose connections begin with a PROXY header */
    uint32_t n_conns_max;
    uint32_t handshake_timeout_ms; /* of TLS and PROXY together */
    uint32_t head_timeout_ms;      /* from the first byte to the empty line */
    uint32_t body_timeout_ms;      /* for each MD_HTTP_PROGRESS_SIZE bytes */
    uint32_t write_timeout_ms;     /* likewise */
    uint32_t idle_timeout_ms;      /* between two requests */
    uint32_t drain_timeout_ms;     /* then open connections are cut */
    md_http1_limits limits;
    size_t reply_size_max;   /* body of one answer */
    size_t buffers_size_max; /* requests and replies of all connections */
    size_t arena_size_max;   /* of one request */
    void (*handle)(void *ctx, md_http_request *req);
    /* Does this gRPC method take or give a stream?  NULL: none does. */
    bool (*is_stream)(void *ctx, md_slice path);
    void *ctx;
} md_http_server_opts;

#define MD_HTTP_SERVER_OPTS_INIT                                               \
    {                                                                          \
        .listen = "127.0.0.1:8080", .n_conns_max = 1024,                       \
        .handshake_timeout_ms = 10 * 1000, .head_timeout_ms = 10 * 1000,       \
        .body_timeout_ms = 30 * 1000, .write_timeout_ms = 30 * 1000,           \
        .idle_timeout_ms = 75 * 1000, .drain_timeout_ms = 30 * 1000,           \
        .limits = MD_HTTP1_LIMITS_INIT, .reply_size_max = (size_t)256 << 20,   \
        .buffers_size_max = (size_t)1 << 30,                                   \
        .arena_size_max = (size_t)256 << 20,                                   \
    }

enum {
    MD_HTTP_PROGRESS_SIZE = 64 * 1024
};

/* Counters since the start, but for what is "now"; read from any thread. */
typedef struct md_http_stats {
    _Atomic uint64_t n_open; /* connections now */
    _Atomic uint64_t accepted;
    _Atomic uint64_t accept_failures; /* out of descriptors or memory */
    _Atomic uint64_t evicted;         /* idle ones closed to make room */
    _Atomic uint64_t requests;
    _Atomic uint64_t rejected; /* malformed or over a limit */
    _Atomic uint64_t handshake_failures;
    _Atomic uint64_t timeouts;       /* while reading or writing */
    _Atomic uint64_t floods;         /* HTTP/2 connections cut for them */
    _Atomic uint64_t abandoned;      /* client gone before the answer was out */
    _Atomic uint64_t buffered_bytes; /* now, in requests and replies */
    _Atomic uint64_t received_bytes;
    _Atomic uint64_t sent_bytes;
} md_http_stats;

/* Open the sockets; connections wait until md_http_server_run.  Fails as
 * md_listen_open and md_listen_unix_open do.  opts is copied, its texts are
 * not kept. */
md_status md_http_server_new(md_http_server **out,
                             const md_http_server_opts *opts,
                             const md_alloc *alloc, md_error *err);

/* Not while it runs. */
void md_http_server_free(md_http_server *srv);

/* Serve on the calling thread until drained: MD_OK. */
md_status md_http_server_run(md_http_server *srv, md_error *err);

/*
 * Accept no more, close idle connections, let the others finish, cut them
 * after drain_timeout_ms.  From any thread or a signal handler; a second call
 * cuts at once.  The run ends when every request has been finished as well.
 */
void md_http_server_drain(md_http_server *srv);

/* Connections that come from now on take this TLS context, which is taken
 * over, in place of the one that the server began with.  From any thread. */
void md_http_server_set_tls(md_http_server *srv, md_tls_context *tls);

/* "127.0.0.1:8080", with the port that the system chose; the first one. */
const char *md_http_server_address(const md_http_server *srv);

typedef struct md_http_place {
    const char *address;
    bool grpc_only;
    bool is_unix;
} md_http_place;

/* Where it listens: number i from 0; false: there are not so many. */
bool md_http_server_listener(const md_http_server *srv, uint32_t i,
                             md_http_place *out);
const md_http_stats *md_http_server_stats(const md_http_server *srv);

/* Do requests and replies take more than buffers_size_max?  Bodies are then
 * refused with 503 beyond what an idle connection may keep; whether anything
 * large is computed is the handler's to decide.  From any thread. */
bool md_http_server_is_full(const md_http_server *srv);

/* ---- a request, for its owner ---- */

md_slice md_http_request_method(const md_http_request *req);
md_slice md_http_request_path(const md_http_request *req);
md_slice md_http_request_query(const md_http_request *req);
md_slice md_http_request_body(const md_http_request *req);

/* How the body is compressed (Content-Encoding).  MD_MEDIA_TYPE for a coding
 * that is not known. */
md_status md_http_request_coding(const md_http_request *req, md_coding *out,
                                 md_error *err);

/* Let md_http_request_body be the body decompressed, if it has to be, which
 * may take a while.  MD_TOO_LARGE beyond size_max or limits.body_size_max,
 * MD_CORRUPT, MD_NOMEM, and as md_http_request_coding. */
md_status md_http_request_decode(md_http_request *req, size_t size_max,
                                 md_error *err);

/* The first of that name; data is NULL when there is no such field. */
md_slice md_http_request_field(const md_http_request *req, const char *name);
uint32_t md_http_request_field_count(const md_http_request *req,
                                     const char *name);

/* "127.0.0.1:51234" of the client. */
const char *md_http_request_peer(const md_http_request *req);

/* Has the client gone?  Then the answer will be dropped. */
bool md_http_request_is_gone(const md_http_request *req);

/* For whatever belongs to this request; reset when it is answered. */
md_arena *md_http_request_arena(md_http_request *req);

/*
 * ---- gRPC: requests of HTTP/2 that bring and take messages ----
 *
 * Where opts.is_stream says so, a request is handed out once for each message
 * and whenever else there is something to be told; in between the connection
 * has it.  All others are handed out once, with their one message.  The reply
 * is at most one message for each time, and a status at the end.
 */
bool md_http_request_is_grpc(const md_http_request *req);

typedef enum md_http_event {
    MD_HTTP_MESSAGE, /* one has come */
    MD_HTTP_HALF,    /* the client sends no more messages */
    MD_HTTP_DRAIN    /* the server drains: come to an end */
} md_http_event;

md_http_event md_http_request_event(const md_http_request *req);

/* The message, decompressed when it has to be, which may take a while; it
 * stays until the request is finished.  MD_CORRUPT, MD_TOO_LARGE beyond
 * limits.body_size_max, MD_NOMEM. */
md_status md_http_request_message(md_http_request *req, md_slice *out,
                                  md_error *err);

/* When the client gives up, on md_clock_ns; INT64_MAX: never. */
int64_t md_http_request_deadline_ns(const md_http_request *req);

/* Begin the reply's message, whose bytes are to be appended. */
md_status md_http_reply_message(md_http_request *req, md_buf **out,
                                md_error *err);

/* The call ends so; text says why (NULL or empty with MD_OK).  Without it a
 * stream goes on when the request is finished; what is no stream ends with
 * MD_OK. */
void md_http_reply_end(md_http_request *req, md_status s, const char *text);

/* The stream goes on with this message, which will be handed out again by
 * MD_HTTP_DRAIN, and looks for no other one. */
void md_http_reply_hold(md_http_request *req);

/* ---- its reply: 200 without a body until something is set ---- */

void md_http_reply_status(md_http_request *req, int status);
int md_http_reply_status_get(const md_http_request *req);

/* Fails as md_http1_field_write, or MD_TOO_LARGE beyond 8 KiB. */
md_status md_http_reply_field(md_http_request *req, const char *name,
                              const char *value, md_error *err);

/* Append the body here.  Its memory is kept for the next request. */
md_buf *md_http_reply_body(md_http_request *req);

/* Size of the body, which HEAD is told of and not sent. */
size_t md_http_reply_size(const md_http_request *req);

/* Send these bytes, which must outlive the server, in place of the body. */
void md_http_reply_static(md_http_request *req, md_slice body);

/* Compress the body as the client likes it, unless it is a static one. */
void md_http_reply_encode(md_http_request *req);

/* Forget fields and body, so that an error can be told. */
void md_http_reply_reset(md_http_request *req);

/* Give the request back.  The owner must not touch it any more. */
void md_http_request_finish(md_http_request *req);

#endif
