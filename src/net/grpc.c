#include "net/grpc.h"

#include <limits.h>
#include <string.h>
#include <zlib.h>

#include "base/size.h"

enum {
    TIMEOUT_DIGITS_MAX = 8,
    GZIP_BITS = 15 + 16, /* zlib's way to say gzip with the largest window */
    ZLIB_BITS = 15,
    CHUNK_SIZE = 16 * 1024,
    LEVEL = 1, /* of 9: answers are wanted soon */
    MEM_LEVEL = 8
};

bool md_grpc_is_type(md_slice content_type)
{
    static const char type[] = "application/grpc";
    const size_t n = sizeof(type) - 1;
    md_slice head = { content_type.data, n };

    if (content_type.size < n || !md_slice_eq_nocase(head, type))
        return false;
    return content_type.size == n || content_type.data[n] == '+' ||
           content_type.data[n] == ';';
}

/* ---- messages ---- */

md_status md_grpc_prefix(md_grpc_message *out, bool *there, md_slice bytes,
                         size_t size_max, md_error *err)
{
    const unsigned char *p = (const unsigned char *)bytes.data;

    *there = bytes.size >= MD_GRPC_PREFIX_SIZE;
    if (bytes.size && p[0] > 1)
        return md_fail(err, MD_CORRUPT,
                       "gRPC message begins with %u, 0 or 1 expected", p[0]);
    if (!*there)
        return MD_OK;
    out->compressed = p[0] == 1;
    out->size = (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 |
                (uint32_t)p[3] << 8 | p[4];
    if (out->size > size_max)
        return md_fail(err, MD_TOO_LARGE,
                       "gRPC message of %u bytes given, at most %zu expected",
                       out->size, size_max);
    return MD_OK;
}

void md_grpc_prefix_write(unsigned char *to, bool compressed, size_t size)
{
    to[0] = compressed;
    to[1] = (unsigned char)(size >> 24);
    to[2] = (unsigned char)(size >> 16);
    to[3] = (unsigned char)(size >> 8);
    to[4] = (unsigned char)size;
}

/* ---- fields ---- */

/* Nanoseconds of a unit, or 0. */
static int64_t unit_ns(char unit)
{
    switch (unit) {
    case 'H':
        return 3600 * INT64_C(1000000000);
    case 'M':
        return 60 * INT64_C(1000000000);
    case 'S':
        return INT64_C(1000000000);
    case 'm':
        return 1000000;
    case 'u':
        return 1000;
    case 'n':
        return 1;
    default:
        return 0;
    }
}

md_status md_grpc_timeout(int64_t *ns, md_slice text, md_error *err)
{
    const size_t digits = text.size ? text.size - 1 : 0;
    const int64_t unit = text.size ? unit_ns(text.data[digits]) : 0;
    int64_t n = 0;
    bool ok = unit && digits > 0 && digits <= TIMEOUT_DIGITS_MAX;

    for (size_t i = 0; ok && i < digits; i++) {
        ok = text.data[i] >= '0' && text.data[i] <= '9';
        n = n * 10 + (text.data[i] - '0');
    }
    if (!ok)
        return md_fail(err, MD_INVALID,
                       "grpc-timeout '%.*s' given, up to %d digits and one of "
                       "HMSmun expected",
                       text.size > 20 ? 20 : (int)text.size, text.data,
                       TIMEOUT_DIGITS_MAX);
    /* 99999999 hours are more than 64 bits of nanoseconds hold. */
    if (!md_mul_i64(ns, n, unit))
        *ns = INT64_MAX;
    return MD_OK;
}

const char *md_grpc_coding_name(md_grpc_coding c)
{
    static const char *const names[] = { "identity", "gzip", "deflate" };

    return names[c];
}

md_status md_grpc_coding_parse(md_grpc_coding *out, md_slice name,
                               md_error *err)
{
    *out = MD_GRPC_IDENTITY;
    if (name.size == 0)
        return MD_OK;
    for (int c = MD_GRPC_IDENTITY; c <= MD_GRPC_DEFLATE; c++)
        if (md_slice_eq(name, md_grpc_coding_name((md_grpc_coding)c))) {
            *out = (md_grpc_coding)c;
            return MD_OK;
        }
    return md_fail(err, MD_UNSUPPORTED,
                   "grpc-encoding '%.*s' given, identity, gzip or deflate "
                   "expected",
                   name.size > 32 ? 32 : (int)name.size, name.data);
}

bool md_grpc_accepts(md_slice list, md_grpc_coding c)
{
    md_slice item;

    while (md_slice_next_item(&list, &item))
        if (md_slice_eq(item, md_grpc_coding_name(c)))
            return true;
    return c == MD_GRPC_IDENTITY;
}

md_status md_grpc_text_write(md_buf *out, const char *text, md_error *err)
{
    static const char hex[] = "0123456789ABCDEF";

    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        const char coded[] = { '%', hex[*p >> 4], hex[*p & 15] };
        bool plain = *p >= 0x20 && *p < 0x7f && *p != '%';

        MD_TRY(plain ? md_buf_putc(out, (char)*p, err)
                     : md_buf_append(out, coded, sizeof(coded), err));
    }
    return MD_OK;
}

/* ---- compression ---- */

/* Both directions of zlib, which differ in two calls. */
typedef int step_fn(z_stream *z, int flush);

/* Give all of `in` to `step`, and its output to out, up to the stream's end. */
static md_status pass(md_buf *out, z_stream *z, step_fn *step, md_slice in,
                      md_error *err)
{
    int rc = Z_OK;

    while (rc == Z_OK) {
        const uInt given = in.size > UINT_MAX ? UINT_MAX : (uInt)in.size;
        size_t room = out->limit - out->size;
        unsigned char over; /* at the limit, to see whether the end has come */

        room = room < CHUNK_SIZE ? room : CHUNK_SIZE;
        MD_TRY(md_buf_reserve(out, room, err));
        z->next_in = (Bytef *)in.data; /* only read */
        z->avail_in = given;
        z->next_out = room ? out->data + out->size : &over;
        z->avail_out = room ? (uInt)room : 1;
        rc = step(z, in.size == given ? Z_FINISH : Z_NO_FLUSH);
        in.data += given - z->avail_in;
        in.size -= given - z->avail_in;
        if (room == 0 && z->avail_out == 0)
            return md_fail(err, MD_TOO_LARGE,
                           "compressed gRPC message of more than %zu bytes",
                           out->limit);
        out->size += room ? room - z->avail_out : 0;
        if (rc == Z_BUF_ERROR && z->avail_out == 0)
            rc = Z_OK; /* more room is all it wants */
    }
    out->data[out->size] = '\0';
    if (rc == Z_STREAM_END && in.size == 0)
        return MD_OK;
    if (rc == Z_MEM_ERROR)
        return md_fail(err, MD_NOMEM, "no memory for compression");
    return md_fail(err, MD_CORRUPT, "compressed gRPC message is malformed");
}

md_status md_grpc_decode(md_buf *out, md_grpc_coding c, md_slice in,
                         md_error *err)
{
    z_stream z = { 0 };
    md_status s;

    if (c == MD_GRPC_IDENTITY)
        return md_fail(err, MD_CORRUPT,
                       "compressed gRPC message without grpc-encoding");
    if (inflateInit2(&z, c == MD_GRPC_GZIP ? GZIP_BITS : ZLIB_BITS) != Z_OK)
        return md_fail(err, MD_NOMEM, "no memory for decompression");
    s = pass(out, &z, inflate, in, err);
    inflateEnd(&z);
    return s;
}

md_status md_grpc_encode(md_buf *out, md_grpc_coding c, md_slice in,
                         md_error *err)
{
    z_stream z = { 0 };
    md_status s;

    if (c == MD_GRPC_IDENTITY)
        return md_buf_append(out, in.data, in.size, err);
    if (deflateInit2(&z, LEVEL, Z_DEFLATED,
                     c == MD_GRPC_GZIP ? GZIP_BITS : ZLIB_BITS, MEM_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return md_fail(err, MD_NOMEM, "no memory for compression");
    s = pass(out, &z, deflate, in, err);
    deflateEnd(&z);
    return s;
}
