#include "support/h2_frames.h"

#include "support/test.h"

#include <nghttp2/nghttp2.h>
#include <string.h>

enum {
    SHOWN_MAX = 200 /* longer DATA is told by its size */
};

static void put(md_buf *b, const void *p, size_t n)
{
    md_error err = MD_ERROR_INIT;

    assert_md_ok(md_buf_append(b, p, n, &err), &err);
}

static void put_u32(md_buf *b, uint32_t n)
{
    const unsigned char bytes[] = { (unsigned char)(n >> 24),
                                    (unsigned char)(n >> 16),
                                    (unsigned char)(n >> 8), (unsigned char)n };

    put(b, bytes, sizeof(bytes));
}

void h2_put_frame(md_buf *b, int type, int flags, uint32_t stream,
                  const void *payload, size_t size)
{
    const unsigned char head[] = { (unsigned char)(size >> 16),
                                   (unsigned char)(size >> 8),
                                   (unsigned char)size, (unsigned char)type,
                                   (unsigned char)flags };
    md_error err = MD_ERROR_INIT;

    put(b, head, sizeof(head));
    put_u32(b, stream);
    if (payload) {
        put(b, payload, size);
        return;
    }
    assert_md_ok(md_buf_reserve(b, size + 1, &err), &err);
    memset(b->data + b->size, 0, size + 1);
    b->size += size;
}

void h2_put_number(md_buf *b, int type, uint32_t stream, uint32_t n)
{
    const unsigned char bytes[] = { (unsigned char)(n >> 24),
                                    (unsigned char)(n >> 16),
                                    (unsigned char)(n >> 8), (unsigned char)n };

    h2_put_frame(b, type, 0, stream, bytes, sizeof(bytes));
}

void h2_put_hello(md_buf *b)
{
    put(b, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
    h2_put_frame(b, H2_SETTINGS, 0, 0, NULL, 0);
}

/* A string of RFC 7541 5.2, not coded by Huffman. */
static void put_text(md_buf *b, const char *text)
{
    size_t n = strlen(text);
    unsigned char c = n < 127 ? (unsigned char)n : 127;

    put(b, &c, 1);
    if (n >= 127) {
        size_t rest = n - 127;

        for (; rest >= 128; rest /= 128) {
            c = (unsigned char)(rest % 128 + 128);
            put(b, &c, 1);
        }
        c = (unsigned char)rest;
        put(b, &c, 1);
    }
    put(b, text, n);
}

/* A literal without indexing, with its name (RFC 7541 6.2.2). */
static void put_field(md_buf *b, const char *name, const char *value)
{
    put(b, "", 1);
    put_text(b, name);
    put_text(b, value);
}

static void put_list(md_buf *b, const char *name, va_list ap)
{
    for (; name; name = va_arg(ap, const char *))
        put_field(b, name, va_arg(ap, const char *));
}

void h2_put_fields(md_buf *block, const char *name, ...)
{
    va_list ap;

    va_start(ap, name);
    put_list(block, name, ap);
    va_end(ap);
}

void h2_put_request(md_buf *b, uint32_t stream, int flags, const char *method,
                    const char *path, ...)
{
    md_buf block;
    va_list ap;

    md_buf_init(&block, md_alloc_default(), 1 << 20);
    h2_put_fields(&block, ":method", method, ":scheme", "http", ":path", path,
                  ":authority", "test", NULL);
    va_start(ap, path);
    put_list(&block, va_arg(ap, const char *), ap);
    va_end(ap);
    h2_put_frame(b, H2_HEADERS, flags, stream, block.data, block.size);
    md_buf_release(&block);
}

/* ---- reading ---- */

void h2_reader_init(h2_reader *r)
{
    assert_int_equal(nghttp2_hd_inflate_new(&r->inflater), 0);
    md_buf_init(&r->words, md_alloc_default(), 1 << 24);
}

void h2_reader_release(h2_reader *r)
{
    nghttp2_hd_inflate_del(r->inflater);
    md_buf_release(&r->words);
}

const char *h2_words(const h2_reader *r)
{
    return r->words.data ? (const char *)r->words.data : "";
}

static void say_fields(h2_reader *r, const unsigned char *p, size_t n)
{
    for (;;) {
        nghttp2_nv nv;
        int flags = 0;
        ssize_t used =
            nghttp2_hd_inflate_hd2(r->inflater, &nv, &flags, p, n, 1);

        assert_true(used >= 0);
        p += used;
        n -= (size_t)used;
        if (flags & NGHTTP2_HD_INFLATE_EMIT &&
            !(nv.namelen == 4 && memcmp(nv.name, "date", 4) == 0))
            md_buf_printf(&r->words, NULL, " %.*s=%.*s", (int)nv.namelen,
                          (const char *)nv.name, (int)nv.valuelen,
                          (const char *)nv.value);
        if (flags & NGHTTP2_HD_INFLATE_FINAL)
            break;
    }
    nghttp2_hd_inflate_end_headers(r->inflater);
}

static uint32_t number(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
           p[3];
}

static void say_data(md_buf *w, const unsigned char *p, size_t n)
{
    if (n > SHOWN_MAX) {
        md_buf_printf(w, NULL, " (%zu)", n);
        return;
    }
    md_buf_puts(w, " '", NULL);
    for (size_t i = 0; i < n; i++)
        md_buf_printf(w, NULL, "%c", p[i] >= 0x20 && p[i] < 0x7f ? p[i] : '.');
    md_buf_putc(w, '\'', NULL);
}

static void say(h2_reader *r, int type, int flags, uint32_t stream,
                const unsigned char *p, size_t n)
{
    static const char *const names[] = {
        "DATA",         "HEADERS", "PRIORITY", "RST_STREAM",    "SETTINGS",
        "PUSH_PROMISE", "PING",    "GOAWAY",   "WINDOW_UPDATE", "CONTINUATION"
    };
    md_buf *w = &r->words;

    if (type == H2_SETTINGS || type == H2_WINDOW_UPDATE)
        return;
    assert_in_range(type, 0, H2_CONTINUATION);
    md_buf_puts(w, names[type], NULL);
    if (stream)
        md_buf_printf(w, NULL, " %u", stream);
    if (type == H2_HEADERS)
        say_fields(r, p, n);
    else if (type == H2_DATA)
        say_data(w, p, n);
    else if (type == H2_RST_STREAM)
        md_buf_printf(w, NULL, " %u", number(p));
    else if (type == H2_GOAWAY)
        md_buf_printf(w, NULL, " %u %u", number(p), number(p + 4));
    else if (type == H2_PING && (flags & H2_ACK))
        md_buf_puts(w, " ack", NULL);
    if (type <= H2_HEADERS && (flags & H2_END_STREAM))
        md_buf_puts(w, " end", NULL);
    md_buf_putc(w, '\n', NULL);
}

void h2_read(h2_reader *r, const md_buf *bytes)
{
    const unsigned char *p = bytes->data;
    size_t left = bytes->size;

    while (left) {
        size_t size;

        assert_true(left >= 9);
        size = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];
        assert_true(left >= 9 + size);
        say(r, p[3], p[4], number(p + 5) & 0x7fffffff, p + 9, size);
        p += 9 + size;
        left -= 9 + size;
    }
}

void h2_read_whole(h2_reader *r, md_buf *bytes)
{
    md_buf whole = *bytes;
    size_t at = 0;

    while (bytes->size - at >= 9) {
        const unsigned char *p = bytes->data + at;
        const size_t n =
            9 + ((size_t)p[0] << 16 | (size_t)p[1] << 8 | (size_t)p[2]);

        if (bytes->size - at < n)
            break;
        at += n;
    }
    whole.size = at;
    h2_read(r, &whole);
    md_buf_consume(bytes, at);
}
