/*
 * HTTP/2 server core without I/O (RFC 9113, 7541): bytes in, requests out;
 * replies in, bytes out.
 *
 * Frames, header compression and flow control are libnghttp2's.  What is kept
 * of a request, how much of it, and what a peer may do that brings no request
 * on are decided here.  Streams belong to whoever uses the core, who gets and
 * gives their memory by the hooks; the core fills them and reads from them.
 *
 * Memory that a peer can make a connection take, bodies apart: the heads of
 * its open streams (MD_HTTP2_HEADS_MAX), what has come for streams that do
 * not take it now (MD_HTTP2_WINDOW_SIZE), and what libnghttp2 keeps, which
 * has bounds of its own; below 1 MiB in all.
 *
 * What costs work without bringing any (PING, SETTINGS, RST_STREAM, ...) is
 * paid from a credit that time, requests and data earn; a peer that has used
 * it up is cut off with ENHANCE_YOUR_CALM.
 */
#ifndef MD_NET_HTTP2_H
#define MD_NET_HTTP2_H

#include "net/http1.h"

enum {
    MD_HTTP2_PREFACE_SIZE = 24,
    MD_HTTP2_STREAMS_MAX = 128,        /* open at once */
    MD_HTTP2_HEADS_MAX = 384 * 1024,   /* of all open streams */
    MD_HTTP2_WINDOW_SIZE = 512 * 1024, /* of a connection */
    MD_HTTP2_STREAM_WINDOW_SIZE = 256 * 1024,
    MD_HTTP2_BODY_SLACK = 2 * MD_HTTP2_STREAM_WINDOW_SIZE /* of framed ones */
};

typedef struct md_http2 md_http2;

/* One request and its reply.  Members are private but for the ones marked
 * "read". */
typedef struct md_http2_stream {
    md_http2 *core; /* read: NULL once the stream is closed */
    struct md_http2_stream *prev, *next;
    int32_t id;
    bool has_head;         /* read: nothing of the head is missing */
    bool is_complete;      /* read: nothing of the request is missing */
    bool refused;          /* what still comes is thrown away */
    bool is_answered;      /* read: all of the reply is on its way */
    bool deferred;         /* waits for md_http2_send */
    bool expects_continue; /* read: waits for 100 before it sends the body */
    bool too_large;        /* the head is */
    bool framed; /* the user's: the body has no limit as a whole, the user takes
                    it piece by piece and keeps it below limits.body_size_max */
    bool last;   /* nothing comes behind `out` but the trailers */

    md_buf head; /* names and values */
    md_http1_field *fields;
    uint32_t n_fields; /* read */
    uint32_t cap_fields;
    md_http1_part method;
    md_http1_part target; /* path and query */
    uint32_t path_size;
    md_buf body;   /* read: what came and is not taken */
    bool held;     /* set: someone reads the body, which must not move */
    md_buf later;  /* what came meanwhile; see md_http2_let_go */
    size_t unread; /* bytes of it that the window does not know of yet */

    md_slice out;      /* what is left to send of the reply's body */
    md_slice trailers; /* lines as md_http1_field_write makes them */
    size_t sent;       /* read: bytes of the body that are on their way */
} md_http2_stream;

/* How the core and its user talk; all but `open` are calls about a stream of
 * the user's.  None of them may call md_http2_receive or md_http2_pull. */
typedef struct md_http2_hooks {
    /* A stream that md_http2_stream_init made; NULL: refuse it. */
    md_http2_stream *(*open)(void *ctx);
    /* The head is complete. */
    void (*head)(void *ctx, md_http2_stream *s);
    /* More of the body has come, or its end. */
    void (*data)(void *ctx, md_http2_stream *s);
    /* The request is over a limit: answer so.  What still comes of it is
     * dropped by the core. */
    void (*refuse)(void *ctx, md_http2_stream *s, int status, const char *text);
    /* `out` has been read from, to its end when its size is 0. */
    void (*taken)(void *ctx, md_http2_stream *s);
    /* The reply is out, the request is not complete: what still comes is
     * dropped until md_http2_stop, which may be called at once. */
    void (*answered)(void *ctx, md_http2_stream *s);
    /* The core has forgotten s. */
    void (*close)(void *ctx, md_http2_stream *s);
} md_http2_hooks;

typedef enum md_http2_preface {
    MD_HTTP2_NO,    /* this is no HTTP/2 */
    MD_HTTP2_MAYBE, /* too short to tell */
    MD_HTTP2_YES
} md_http2_preface;

/* Do a connection's first bytes announce HTTP/2? */
md_http2_preface md_http2_preface_of(md_slice bytes);

/* limits and hooks must stay; the limits have been checked
 * (md_http1_limits_check).  MD_NOMEM. */
md_status md_http2_new(md_http2 **out, const md_http1_limits *limits,
                       const md_http2_hooks *hooks, void *ctx,
                       const md_alloc *alloc, md_error *err);

/* Closes what is open, by the hooks. */
void md_http2_free(md_http2 *h);

/* Take bytes of the peer, the preface first; `now_ms` is any clock that never
 * goes back.  Any failure means: send what md_http2_pull gives, and close. */
md_status md_http2_receive(md_http2 *h, const void *data, size_t size,
                           uint64_t now_ms, md_error *err);

/* Append what is to be sent now to out, until it holds `enough` bytes or a
 * little more.  MD_NOMEM: close. */
md_status md_http2_pull(md_http2 *h, md_buf *out, size_t enough, md_error *err);

/* There is something to pull. */
bool md_http2_has_output(const md_http2 *h);

/* The connection has ended: nothing is to be sent or received any more. */
bool md_http2_is_over(const md_http2 *h);

uint32_t md_http2_n_streams(const md_http2 *h);

/* The stream whose head has begun and waits for its end, or 0. */
int32_t md_http2_head_of(const md_http2 *h);

/* The peer's preface is not complete. */
bool md_http2_is_new(const md_http2 *h);

/* The peer has been cut off for what it sent. */
bool md_http2_is_flooded(const md_http2 *h);

/* Say goodbye: `last` refuses streams that come from now on; without it the
 * peer is only told to open no more. */
void md_http2_goaway(md_http2 *h, bool last);

/* ---- streams ---- */

void md_http2_stream_init(md_http2_stream *s, const md_alloc *alloc,
                          const md_http1_limits *limits);
void md_http2_stream_release(md_http2_stream *s);

/* As new, but with its memory; not while it is open. */
void md_http2_stream_reset(md_http2_stream *s);

/* From md_http2_hooks.head on, also when the stream is closed. */
md_slice md_http2_method(const md_http2_stream *s);
md_slice md_http2_path(const md_http2_stream *s);
md_slice md_http2_query(const md_http2_stream *s);
md_slice md_http2_field_get(const md_http2_stream *s, const char *name);
uint32_t md_http2_field_count(const md_http2_stream *s, const char *name);

/* Ask for the body (100 Continue). */
void md_http2_continue(md_http2_stream *s);

/*
 * Bytes of s->body come no faster than they are called taken here: all that
 * came so far is.  Until then they count against the windows of stream and
 * connection.
 */
void md_http2_consume(md_http2_stream *s);

/* Nobody reads the body any more: what came since it was held joins it.
 * MD_NOMEM, MD_TOO_LARGE. */
md_status md_http2_let_go(md_http2_stream *s, md_error *err);

typedef struct md_http2_reply {
    int status;
    md_slice fields; /* lines as md_http1_field_write makes them */
    md_slice body;   /* the first bytes; as md_http2_send */
    bool more;       /* md_http2_send and md_http2_end will follow */
    bool has_length; /* tell content_size */
    size_t content_size;
    const char *date; /* as md_http_date_format; NULL: none */
} md_http2_reply;

/* Answer.  MD_NOMEM: the stream has been reset. */
md_status md_http2_answer(md_http2_stream *s, const md_http2_reply *r,
                          md_error *err);

/* Send more, once `out` is empty; the bytes must stay until they are taken
 * or the stream is closed. */
void md_http2_send(md_http2_stream *s, md_slice bytes);

/* Nothing follows but these trailers, which must stay as well. */
void md_http2_end(md_http2_stream *s, md_slice trailers);

/* Refuse it by md_http2_hooks.refuse, unless that has been done; the text must
 * need no escapes in JSON. */
void md_http2_refuse(md_http2_stream *s, int status, const char *text);

/* Throw away what still comes of the request. */
void md_http2_drop(md_http2_stream *s);

/* The first of the open streams; `next` is the one behind it. */
md_http2_stream *md_http2_streams(const md_http2 *h);

/* No more of the request, please: its answer does not depend on it. */
void md_http2_stop(md_http2_stream *s);

/* Give the stream up: CANCEL (the client's fault or wish), or without it an
 * inner failure. */
void md_http2_cancel(md_http2_stream *s, bool cancel);

#endif
