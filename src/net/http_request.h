/*
 * A request and its reply inside net/: what is common to both versions of
 * HTTP.  The connection owns it and hands it to the handler, which gives it
 * back by md_http_request_finish; `done` then runs on the loop's thread.
 */
#ifndef MD_NET_HTTP_REQUEST_H
#define MD_NET_HTTP_REQUEST_H

#include "net/grpc.h"
#include "net/http2.h"
#include "net/http_server.h"
#include "net/loop.h"

/* What a request of gRPC has besides. */
typedef struct md_http__grpc {
    bool on;          /* it is one */
    bool streams;     /* it is handed out more than once */
    bool started;     /* the reply's head is sent */
    bool has_message; /* in the reply's body, behind its prefix */
    bool ends;        /* fields are the trailers */
    bool holds;
    bool told_half; /* that no more messages come */
    bool told_drain;
    bool waits; /* for the client; nothing is to be done */
    md_http_event event;
    md_grpc_message message; /* at the start of the request's body */
    md_coding in, out;
    int64_t deadline_ns;
    md_buf plain; /* the message, or another request's body, decompressed */
} md_http__grpc;

struct md_http_request {
    md_post done;
    md_http_server *srv;
    const md_http1 *h1; /* where the request lies: one of the two */
    const md_http2_stream *h2;
    const char *peer;
    bool owned;   /* by the handler */
    bool decoded; /* the body is grpc.plain */
    _Atomic bool gone;
    md_arena arena;
    size_t counted; /* of buffered_bytes */

    int status;
    md_buf fields; /* lines, as md_http1_field_write makes them */
    md_buf body;
    md_slice fixed; /* in place of body */
    md_http__grpc grpc;
};

enum {
    MD_HTTP__FIELDS_SIZE_MAX = 8 * 1024,
    MD_HTTP__KEEP_SIZE_MAX = 256 * 1024 /* memory of what is idle, each part */
};

/* srv must have its options. */
void md_http__request_init(md_http_request *req, md_http_server *srv,
                           const char *peer);
void md_http__request_release(md_http_request *req);

/* As new; memory beyond `keep` is given back, part by part. */
void md_http__request_reset(md_http_request *req, size_t keep);

/* Tell how much memory reply and request (`in` bytes) take. */
void md_http__request_count(md_http_request *req, size_t in);

/* To the handler. */
void md_http__request_hand_out(md_http_request *req);

md_slice md_http__reply_body(const md_http_request *req);

/* Make the reply that of a request which no handler sees, and log it. */
void md_http__reply_error(md_http_request *req, int status, const char *text);

/* ---- gRPC, in http_grpc.c ---- */

/* The head has come: is it gRPC, and how does it want its messages?  MD_OK
 * with grpc.on unset when it is not. */
md_status md_http__grpc_begin(md_http_request *req, md_error *err);

/* Finish the message and the trailers; on the owner's thread. */
void md_http__grpc_seal(md_http_request *req);

/* Lines of the reply's head, of its trailers, and of both when there is
 * nothing else. */
md_slice md_http__grpc_head(const md_http_request *req);
md_slice md_http__grpc_trailers(const md_http_request *req);
md_slice md_http__grpc_only(md_http_request *req);

/* Get ready for the stream's next message. */
void md_http__grpc_next(md_http_request *req);

static inline void md_http__count(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

#endif
