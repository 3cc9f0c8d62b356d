/* Writing the head of an HTTP/1.1 response (RFC 9110, 9112). */
#ifndef MD_NET_HTTP1_REPLY_H
#define MD_NET_HTTP1_REPLY_H

#include <stdint.h>

#include "base/buf.h"
#include "net/slice.h"

typedef struct md_http1_reply {
    int status;          /* 200 and up */
    md_slice fields;     /* whole lines, as md_http1_field_write makes them */
    size_t content_size; /* also told for HEAD, which gets no body */
    bool keep_alive;
    int minor;        /* of the request: 1.0 must be told of keep-alive */
    const char *date; /* as md_http_date_format; NULL: no Date */
} md_http1_reply;

/* Phrase of a status; never NULL. */
const char *md_http_reason(int status);

enum {
    MD_HTTP_DATE_SIZE = 30
};

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 5.6.7) for a time from 1970 to
 * 9999, which others are clamped to. */
void md_http_date_format(char out[MD_HTTP_DATE_SIZE], int64_t unix_time);

/* Append "name: value\r\n".  MD_INVALID for a name that is no token or a
 * value with control characters, so that no header can be smuggled in. */
md_status md_http1_field_write(md_buf *out, const char *name, const char *value,
                               md_error *err);

/* Append status line, fields and the empty line. */
md_status md_http1_reply_write(md_buf *out, const md_http1_reply *r,
                               md_error *err);

#endif
