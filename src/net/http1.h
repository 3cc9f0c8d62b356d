/*
 * HTTP/1.1 server core without I/O: bytes in, requests out (RFC 9110, 9112).
 *
 * The core owns the connection's input buffer.  All slices point into it and
 * are valid until the next call that is not an accessor.  It is strict: what
 * two implementations might read differently (bare CR or LF, folded lines,
 * repeated lengths, a length beside chunks) is refused, so that no proxy in
 * front can be made to disagree with it.  Memory is bounded by the limits
 * whatever the peer sends; a chunked body is decoded in place.
 */
#ifndef MD_NET_HTTP1_H
#define MD_NET_HTTP1_H

#include <stdint.h>

#include "base/buf.h"
#include "net/slice.h"

enum {
    MD_HTTP1_ERROR_SIZE = 96 /* of a text, with its end */
};

typedef struct md_http1_limits {
    uint32_t line_size_max; /* request line; beyond it 414 */
    uint32_t head_size_max; /* request line and fields, and again the trailers;
                               beyond it 431 */
    uint32_t n_fields_max;  /* fields, and again trailers; beyond it 431 */
    size_t body_size_max;   /* after chunk decoding; beyond it 413 */
} md_http1_limits;

#define MD_HTTP1_LIMITS_INIT                                                   \
    {                                                                          \
        .line_size_max = 8 * 1024, .head_size_max = 32 * 1024,                 \
        .n_fields_max = 100, .body_size_max = (size_t)64 << 20                 \
    }

typedef enum md_http1_event {
    MD_HTTP1_MORE,  /* feed more bytes */
    MD_HTTP1_HEAD,  /* the head is complete and a body is coming */
    MD_HTTP1_DONE,  /* the request is complete; go on with md_http1_next */
    MD_HTTP1_ERROR, /* answer error_status, then close */
} md_http1_event;

/* A part of the input buffer by offset, which survives its growth. */
typedef struct md_http1_part {
    uint32_t at;
    uint32_t size;
} md_http1_part;

typedef struct md_http1_field {
    md_http1_part name;
    md_http1_part value; /* without surrounding white space */
} md_http1_field;

/* Members are private but for the ones marked "read". */
typedef struct md_http1 {
    md_http1_limits limits;
    md_buf in;
    md_http1_field *fields;
    uint32_t n_fields; /* read */
    int state;
    md_http1_event event;

    size_t pos;     /* next byte to parse */
    size_t scan;    /* no line end between pos and here */
    size_t body_at; /* the decoded body */
    size_t body_size;
    size_t left;         /* of the body, or of the chunk */
    size_t framing_size; /* of the chunks, beyond what their sizes need */
    size_t trailer_size;
    uint32_t n_trailers;

    md_http1_part method;
    md_http1_part path;
    md_http1_part query;
    md_http1_part host;
    int minor; /* read: 0 or 1 of HTTP/1.x */
    bool has_host;
    bool has_length;
    bool has_encoding;
    bool absolute; /* the target named the host */
    bool wants_close;
    bool wants_keep_alive;
    bool expects_continue; /* read: waits for 100 before it sends the body */

    int error_status; /* read after MD_HTTP1_ERROR: 400, 413, ... */
    char error_text[MD_HTTP1_ERROR_SIZE];
} md_http1;

/* MD_INVALID when a limit is larger than the core can keep. */
md_status md_http1_limits_check(const md_http1_limits *limits, md_error *err);

/* Fails as md_http1_limits_check, or with MD_NOMEM; then there is nothing to
 * release. */
md_status md_http1_init(md_http1 *h, const md_http1_limits *limits,
                        const md_alloc *alloc, md_error *err);

void md_http1_release(md_http1 *h);

/* Where to put the next bytes and, in *size, how many fit (> 0); NULL when
 * out of memory.  Call md_http1_commit with the number that came. */
void *md_http1_space(md_http1 *h, size_t *size);
void md_http1_commit(md_http1 *h, size_t size);

/* Parse on.  MD_HTTP1_HEAD comes once per request that has a body; DONE and
 * ERROR are repeated until md_http1_next or the end. */
md_http1_event md_http1_step(md_http1 *h);

/* Bytes of memory that the input takes. */
size_t md_http1_capacity(const md_http1 *h);

/* The caller refuses the request for a reason of its own: MD_HTTP1_ERROR from
 * now on.  The text is copied, as far as it has room. */
void md_http1_refuse(md_http1 *h, int status, const char *text);

/* Copy up to `size` bytes in and step: *used tells how many were taken, fewer
 * than size when an event came first. */
md_http1_event md_http1_feed(md_http1 *h, const void *data, size_t size,
                             size_t *used);

/* Forget the finished request; bytes behind it stay for the next one. */
void md_http1_next(md_http1 *h);

/* Nothing of a request has come yet. */
bool md_http1_is_idle(const md_http1 *h);

/* The head is complete, the body is not. */
bool md_http1_in_body(const md_http1 *h);

/* Bytes have come that are not parsed yet. */
bool md_http1_has_unread(const md_http1 *h);

/* No byte has been parsed yet, ever; and the bytes that are not. */
bool md_http1_is_untouched(const md_http1 *h);
md_slice md_http1_unread(const md_http1 *h);

/* May the connection be used again after the answer? */
bool md_http1_keep_alive(const md_http1 *h);

/* Of the request; from MD_HTTP1_HEAD on. */
md_slice md_http1_method(const md_http1 *h);
md_slice md_http1_path(const md_http1 *h);  /* "/..." or "*", still encoded */
md_slice md_http1_query(const md_http1 *h); /* behind '?', or empty */
md_slice md_http1_host(const md_http1 *h);

/* First field of that name in any case; data is NULL when there is none. */
md_slice md_http1_field_get(const md_http1 *h, const char *name);

/* How many fields have that name. */
uint32_t md_http1_field_count(const md_http1 *h, const char *name);

/* Field number i < n_fields. */
void md_http1_field_at(const md_http1 *h, uint32_t i, md_slice *name,
                       md_slice *value);

/* The decoded body; from MD_HTTP1_DONE on. */
md_slice md_http1_body(const md_http1 *h);

/* Body bytes that have come so far. */
size_t md_http1_body_received(const md_http1 *h);

#endif
