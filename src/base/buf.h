/* A growing byte buffer that is born with its maximum. */
#ifndef MD_BASE_BUF_H
#define MD_BASE_BUF_H

#include <stddef.h>

#include "base/alloc.h"

typedef struct md_buf {
    unsigned char *data; /* size bytes, then at least one NUL once not NULL */
    size_t size;
    size_t cap;
    size_t limit; /* size never exceeds it */
    const md_alloc *alloc;
} md_buf;

/* Nothing is allocated yet. */
void md_buf_init(md_buf *b, const md_alloc *alloc, size_t limit);

/* Free the bytes; the buffer is empty and usable again. */
void md_buf_release(md_buf *b);

/* Forget the contents, keep the memory. */
void md_buf_reset(md_buf *b);

/* Room for `more` bytes after size.  MD_TOO_LARGE over the limit. */
md_status md_buf_reserve(md_buf *b, size_t more, md_error *err);

md_status md_buf_append(md_buf *b, const void *p, size_t n, md_error *err);
md_status md_buf_puts(md_buf *b, const char *s, md_error *err);
md_status md_buf_putc(md_buf *b, char c, md_error *err);
md_status md_buf_printf(md_buf *b, md_error *err, const char *fmt, ...)
    MD_PRINTF(3, 4);

/* Drop the first n bytes (n <= size) and move the rest to the front. */
void md_buf_consume(md_buf *b, size_t n);

#endif
