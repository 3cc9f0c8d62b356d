#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"

void md_buf_init(md_buf *b, const md_alloc *alloc, size_t limit)
{
    *b = (md_buf){ .alloc = alloc, .limit = limit };
}

void md_buf_release(md_buf *b)
{
    md_free(b->alloc, b->data);
    md_buf_init(b, b->alloc, b->limit);
}

void md_buf_reset(md_buf *b)
{
    b->size = 0;
    if (b->data)
        b->data[0] = '\0';
}

md_status md_buf_reserve(md_buf *b, size_t more, md_error *err)
{
    size_t need;
    size_t cap;
    unsigned char *p;

    if (!md_add_size(&need, b->size, more) || need > b->limit ||
        need == SIZE_MAX)
        return md_fail(err, MD_TOO_LARGE,
                       "buffer of %zu bytes cannot take %zu more, limit %zu",
                       b->size, more, b->limit);
    need++; /* the NUL behind the contents */
    if (need <= b->cap)
        return MD_OK;
    cap = b->cap ? b->cap : 64;
    while (cap < need && cap <= SIZE_MAX / 2)
        cap *= 2;
    if (cap < need)
        cap = need;
    p = md_resize(b->alloc, b->data, b->cap, cap);
    if (!p)
        return md_fail_nomem(err, cap);
    p[b->size] = '\0';
    b->data = p;
    b->cap = cap;
    return MD_OK;
}

md_status md_buf_append(md_buf *b, const void *p, size_t n, md_error *err)
{
    if (n == 0)
        return MD_OK;
    MD_TRY(md_buf_reserve(b, n, err));
    memcpy(b->data + b->size, p, n);
    b->size += n;
    b->data[b->size] = '\0';
    return MD_OK;
}

md_status md_buf_puts(md_buf *b, const char *s, md_error *err)
{
    return md_buf_append(b, s, strlen(s), err);
}

md_status md_buf_putc(md_buf *b, char c, md_error *err)
{
    return md_buf_append(b, &c, 1, err);
}

md_status md_buf_printf(md_buf *b, md_error *err, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        return md_fail(err, MD_INVALID, "cannot format '%s'", fmt);
    MD_TRY(md_buf_reserve(b, (size_t)n, err));
    va_start(ap, fmt);
    vsnprintf((char *)b->data + b->size, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->size += (size_t)n;
    return MD_OK;
}

void md_buf_consume(md_buf *b, size_t n)
{
    assert(n <= b->size);
    if (n == 0)
        return;
    b->size -= n;
    memmove(b->data, b->data + n, b->size);
    b->data[b->size] = '\0';
}
