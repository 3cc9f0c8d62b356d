#include "formats/pb.h"

#include <string.h>

#include "base/size.h"
#include "base/utf8.h"

enum {
    VARINT_MAX = 10, /* bytes: ceil(64 / 7) */
    SLICE_MIN = 4096 /* smaller payloads are copied: a slice costs 24 bytes */
};

md_pb md_pb_init(const void *bytes, size_t size)
{
    const unsigned char *p = bytes;

    return (md_pb){ p, size ? p + size : p, 0 };
}

size_t md_pb_size(const md_pb *r)
{
    return (size_t)(r->end - r->p);
}

static md_status read_varint(uint64_t *out, md_pb *r, md_error *err)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < VARINT_MAX; i++) {
        unsigned char c;

        if (r->p == r->end)
            return md_fail(err, MD_CORRUPT,
                           "protobuf ends inside a number, %u bytes in", i);
        c = *r->p++;
        /* The tenth byte has room for one bit. */
        if (i == VARINT_MAX - 1 && c > 1)
            break;
        v |= (uint64_t)(c & 0x7f) << (7 * i);
        if (c < 0x80) {
            *out = v;
            return MD_OK;
        }
    }
    return md_fail(err, MD_CORRUPT, "protobuf number has more than 64 bits");
}

static md_status read_fixed(uint64_t *out, md_pb *r, size_t size, md_error *err)
{
    uint64_t v = 0;

    if (md_pb_size(r) < size)
        return md_fail(err, MD_CORRUPT,
                       "protobuf ends inside a number, %zu of %zu bytes",
                       md_pb_size(r), size);
    for (size_t i = 0; i < size; i++)
        v |= (uint64_t)r->p[i] << (8 * i);
    r->p += size;
    *out = v;
    return MD_OK;
}

static md_status read_value(md_pb_field *f, md_pb *r, md_error *err)
{
    switch (f->wire) {
    case MD_PB_VARINT:
        return read_varint(&f->value, r, err);
    case MD_PB_FIXED64:
        return read_fixed(&f->value, r, 8, err);
    case MD_PB_FIXED32:
        return read_fixed(&f->value, r, 4, err);
    case MD_PB_LEN:
        MD_TRY(read_varint(&f->value, r, err));
        if (f->value > md_pb_size(r))
            return md_fail(err, MD_CORRUPT,
                           "protobuf field %u: %llu bytes announced, %zu left",
                           f->number, (unsigned long long)f->value,
                           md_pb_size(r));
        f->bytes = (md_pb){ r->p, r->p + f->value, r->depth + 1 };
        r->p += f->value;
        return MD_OK;
    }
    return md_fail(err, MD_CORRUPT,
                   "protobuf field %u: wire type %d is not 0, 1, 2 or 5",
                   f->number, (int)f->wire);
}

md_status md_pb_next(md_pb_field *f, md_pb *r, md_error *err)
{
    uint64_t tag;

    *f = (md_pb_field){ 0 };
    if (r->p == r->end)
        return MD_OK;
    MD_TRY(read_varint(&tag, r, err));
    if (tag >> 3 == 0 || tag >> 3 >= 1u << 29)
        return md_fail(err, MD_CORRUPT,
                       "protobuf field number %llu is not in [1, 2^29)",
                       (unsigned long long)(tag >> 3));
    f->number = (uint32_t)(tag >> 3);
    f->wire = (md_pb_wire)(tag & 7);
    return read_value(f, r, err);
}

static md_status fail_wire(const md_pb_field *f, const char *want,
                           md_error *err)
{
    return md_fail(err, MD_CORRUPT, "protobuf field %u: wire type %d is not %s",
                   f->number, (int)f->wire, want);
}

md_status md_pb_message(md_pb *out, const md_pb_field *f, md_error *err)
{
    if (f->wire != MD_PB_LEN)
        return fail_wire(f, "a message's", err);
    if (f->bytes.depth > MD_PB_DEPTH_MAX)
        return md_fail(err, MD_CORRUPT,
                       "protobuf messages nested deeper than %d",
                       MD_PB_DEPTH_MAX);
    *out = f->bytes;
    return MD_OK;
}

md_status md_pb_int(int64_t *out, const md_pb_field *f, md_error *err)
{
    if (f->wire != MD_PB_VARINT)
        return fail_wire(f, "an integer's", err);
    *out = (int64_t)f->value;
    return MD_OK;
}

static float float_of(uint64_t bits)
{
    uint32_t u = (uint32_t)bits;
    float v;

    memcpy(&v, &u, sizeof(v));
    return v;
}

md_status md_pb_float(float *out, const md_pb_field *f, md_error *err)
{
    if (f->wire != MD_PB_FIXED32)
        return fail_wire(f, "a float's", err);
    *out = float_of(f->value);
    return MD_OK;
}

md_status md_pb_take(uint64_t *out, bool *more, md_pb_field *f, md_pb_wire wire,
                     md_error *err)
{
    *more = true;
    if (f->wire == wire) {
        *out = f->value;
        f->wire = MD_PB_LEN;
        f->bytes = (md_pb){ 0 };
        return MD_OK;
    }
    if (f->wire != MD_PB_LEN)
        return fail_wire(f, "its list's", err);
    if (f->bytes.p == f->bytes.end) {
        *more = false;
        return MD_OK;
    }
    if (wire == MD_PB_VARINT)
        return read_varint(out, &f->bytes, err);
    return read_fixed(out, &f->bytes, wire == MD_PB_FIXED32 ? 4 : 8, err);
}

md_status md_pb_count(size_t *out, const md_pb_field *f, md_pb_wire wire,
                      md_error *err)
{
    size_t size = md_pb_size(&f->bytes);
    size_t n = 0;

    if (f->wire == wire) {
        *out = 1;
        return MD_OK;
    }
    if (f->wire != MD_PB_LEN)
        return fail_wire(f, "its list's", err);
    if (wire == MD_PB_VARINT) {
        for (size_t i = 0; i < size; i++)
            n += f->bytes.p[i] < 0x80;
    } else {
        n = size / (wire == MD_PB_FIXED32 ? 4 : 8);
    }
    *out = n;
    return MD_OK;
}

md_status md_pb_text(const char **out, const md_pb_field *f, md_arena *ar,
                     md_error *err)
{
    size_t size = md_pb_size(&f->bytes);
    char *copy;

    if (f->wire != MD_PB_LEN)
        return fail_wire(f, "a string's", err);
    for (size_t at = 0, n; at < size; at += n) {
        n = md_utf8_next(f->bytes.p + at, size - at);
        if (n == 0 || f->bytes.p[at] == 0)
            return md_fail(
                err, MD_CORRUPT,
                "protobuf field %u: byte 0x%02x at %zu is not UTF-8 text",
                f->number, f->bytes.p[at], at);
    }
    copy = md_arena_strndup(ar, (const char *)f->bytes.p, size);
    if (!copy)
        return md_fail_nomem(err, size);
    *out = copy;
    return MD_OK;
}

bool md_pb_text_equal(const md_pb_field *f, const char *text)
{
    size_t n = strlen(text);

    return f->wire == MD_PB_LEN && md_pb_size(&f->bytes) == n &&
           memcmp(f->bytes.p, text, n) == 0;
}

void md_pb_writer_init(md_pb_writer *w, const md_alloc *alloc, size_t limit)
{
    *w = (md_pb_writer){ .status = MD_OK };
    md_buf_init(&w->buf, alloc, limit);
}

void md_pb_writer_release(md_pb_writer *w)
{
    md_free(w->buf.alloc, w->slices);
    md_buf_release(&w->buf);
    md_pb_writer_init(w, w->buf.alloc, w->buf.limit);
}

void md_pb_writer_clear(md_pb_writer *w)
{
    md_buf_reset(&w->buf);
    w->n_slices = 0;
    w->sliced = 0;
    w->status = MD_OK;
}

md_status md_pb_writer_finish(const md_pb_writer *w, size_t *size,
                              md_error *err)
{
    if (w->status != MD_OK)
        return md_fail(err, w->status, "%s", w->error.msg);
    if (size)
        *size = w->buf.size + w->sliced;
    return MD_OK;
}

md_status md_pb_writer_drain(const md_pb_writer *w, md_pb_sink *sink, void *ctx,
                             md_error *err)
{
    size_t at = 0;

    MD_TRY(md_pb_writer_finish(w, NULL, err));
    for (uint32_t i = 0; i < w->n_slices; i++) {
        const md_pb_slice *s = &w->slices[i];

        if (s->at > at)
            MD_TRY(sink(ctx, w->buf.data + at, s->at - at, err));
        MD_TRY(sink(ctx, s->data, s->size, err));
        at = s->at;
    }
    if (w->buf.size == at)
        return MD_OK;
    return sink(ctx, w->buf.data + at, w->buf.size - at, err);
}

static void append(md_pb_writer *w, const void *data, size_t size)
{
    if (w->status == MD_OK)
        w->status = md_buf_append(&w->buf, data, size, &w->error);
}

static size_t encode_varint(unsigned char out[VARINT_MAX], uint64_t v)
{
    size_t n = 0;

    for (; v >= 0x80; v >>= 7)
        out[n++] = (unsigned char)(v | 0x80);
    out[n++] = (unsigned char)v;
    return n;
}

static void put_varint(md_pb_writer *w, uint64_t v)
{
    unsigned char bytes[VARINT_MAX];

    append(w, bytes, encode_varint(bytes, v));
}

static void put_tag(md_pb_writer *w, uint32_t number, md_pb_wire wire)
{
    put_varint(w, (uint64_t)number << 3 | (unsigned)wire);
}

void md_pb_put_int(md_pb_writer *w, uint32_t number, int64_t v)
{
    put_tag(w, number, MD_PB_VARINT);
    put_varint(w, (uint64_t)v);
}

static void put_float_bits(md_pb_writer *w, float v)
{
    unsigned char bytes[4];
    uint32_t u;

    memcpy(&u, &v, sizeof(u));
    for (unsigned i = 0; i < 4; i++)
        bytes[i] = (unsigned char)(u >> (8 * i));
    append(w, bytes, sizeof(bytes));
}

void md_pb_put_float(md_pb_writer *w, uint32_t number, float v)
{
    put_tag(w, number, MD_PB_FIXED32);
    put_float_bits(w, v);
}

void md_pb_put_bytes(md_pb_writer *w, uint32_t number, const void *data,
                     size_t size)
{
    put_tag(w, number, MD_PB_LEN);
    put_varint(w, size);
    append(w, data, size);
}

void md_pb_put_text(md_pb_writer *w, uint32_t number, const char *text)
{
    md_pb_put_bytes(w, number, text, strlen(text));
}

void md_pb_put_slice(md_pb_writer *w, uint32_t number, const void *data,
                     size_t size)
{
    if (size < SLICE_MIN) {
        md_pb_put_bytes(w, number, data, size);
        return;
    }
    put_tag(w, number, MD_PB_LEN);
    put_varint(w, size);
    if (w->status == MD_OK)
        w->status = md_grow(w->buf.alloc, (void *)&w->slices, &w->cap_slices,
                            w->n_slices, sizeof(*w->slices), &w->error);
    if (w->status == MD_OK && !md_add_size(&w->sliced, w->sliced, size))
        w->status = md_fail(&w->error, MD_TOO_LARGE,
                            "protobuf message larger than 2^64 bytes");
    if (w->status != MD_OK)
        return;
    w->slices[w->n_slices++] = (md_pb_slice){ w->buf.size, data, size };
}

void md_pb_put_ints(md_pb_writer *w, uint32_t number, const int64_t *v,
                    size_t n)
{
    md_pb_mark mark;

    if (n == 0)
        return;
    mark = md_pb_begin(w, number);
    for (size_t i = 0; i < n; i++)
        put_varint(w, (uint64_t)v[i]);
    md_pb_end(w, mark);
}

void md_pb_put_floats(md_pb_writer *w, uint32_t number, const float *v,
                      size_t n)
{
    md_pb_mark mark;

    if (n == 0)
        return;
    mark = md_pb_begin(w, number);
    for (size_t i = 0; i < n; i++)
        put_float_bits(w, v[i]);
    md_pb_end(w, mark);
}

md_pb_mark md_pb_begin(md_pb_writer *w, uint32_t number)
{
    put_tag(w, number, MD_PB_LEN);
    return (md_pb_mark){ w->buf.size, w->sliced, w->n_slices };
}

/* The length is inserted when it is known: what moves is small, since big
 * payloads are slices. */
void md_pb_end(md_pb_writer *w, md_pb_mark mark)
{
    unsigned char bytes[VARINT_MAX];
    size_t held;
    size_t n;

    if (w->status != MD_OK)
        return;
    held = w->buf.size - mark.at;
    n = encode_varint(bytes, held + (w->sliced - mark.sliced));
    append(w, bytes, n);
    if (w->status != MD_OK)
        return;
    memmove(w->buf.data + mark.at + n, w->buf.data + mark.at, held);
    memcpy(w->buf.data + mark.at, bytes, n);
    for (uint32_t i = mark.slice; i < w->n_slices; i++)
        w->slices[i].at += n;
}
