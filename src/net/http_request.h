/*
 * A request and its reply inside net/: what is common to both versions of
 * HTTP.  The connection owns it and hands it to the handler, which gives it
 * back by md_http_request_finish; `done` then runs on the loop's thread.
 */
#ifndef MD_NET_HTTP_REQUEST_H
#define MD_NET_HTTP_REQUEST_H

#include "net/http2.h"
#include "net/http_server.h"
#include "net/loop.h"

struct md_http_request {
    md_post done;
    md_http_server *srv;
    const md_http1 *h1; /* where the request lies: one of the two */
    const md_http2_stream *h2;
    const char *peer;
    bool owned; /* by the handler */
    _Atomic bool gone;
    md_arena arena;
    size_t counted; /* of buffered_bytes */

    int status;
    md_buf fields; /* lines, as md_http1_field_write makes them */
    md_buf body;
    md_slice fixed; /* in place of body */
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

static inline void md_http__count(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

#endif
