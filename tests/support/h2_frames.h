/*
 * HTTP/2 frames as bytes, for tests that are the peer of net/http2: a writer
 * of whatever frames one likes, right or wrong, and a reader that puts what
 * came into words.
 */
#ifndef MD_TESTS_SUPPORT_H2_FRAMES_H
#define MD_TESTS_SUPPORT_H2_FRAMES_H

#include "base/buf.h"

enum {
    H2_DATA,
    H2_HEADERS,
    H2_PRIORITY,
    H2_RST_STREAM,
    H2_SETTINGS,
    H2_PUSH_PROMISE,
    H2_PING,
    H2_GOAWAY,
    H2_WINDOW_UPDATE,
    H2_CONTINUATION,

    H2_END_STREAM = 0x1,
    H2_ACK = 0x1,
    H2_END_HEADERS = 0x4
};

/* Append the preface and an empty SETTINGS. */
void h2_put_hello(md_buf *b);

/* Append one frame; payload NULL: `size` zeros. */
void h2_put_frame(md_buf *b, int type, int flags, uint32_t stream,
                  const void *payload, size_t size);

/* The same with a 32-bit number as payload. */
void h2_put_number(md_buf *b, int type, uint32_t stream, uint32_t n);

/* Append a header block of literal fields to `block`: name, value, ..., NULL. */
void h2_put_fields(md_buf *block, const char *name, ...);

/* A HEADERS frame with method and path, then name, value, ..., NULL. */
void h2_put_request(md_buf *b, uint32_t stream, int flags, const char *method,
                    const char *path, ...);

typedef struct h2_reader {
    struct nghttp2_hd_inflater *inflater;
    md_buf words;
} h2_reader;

void h2_reader_init(h2_reader *r);
void h2_reader_release(h2_reader *r);

/*
 * Append a line for each frame of `bytes`, but for WINDOW_UPDATE and
 * SETTINGS: "HEADERS 1 :status=200 end", "DATA 1 'text' end", "DATA 1 (9000)",
 * with dots for what is not printable, "RST_STREAM 1 8", "GOAWAY 1 11", "PING ack".  Dates are left out.
 */
void h2_read(h2_reader *r, const md_buf *bytes);

/* The same for the whole frames that `bytes` begins with, which are taken off
 * it. */
void h2_read_whole(h2_reader *r, md_buf *bytes);

/* The lines, terminated. */
const char *h2_words(const h2_reader *r);

#endif
