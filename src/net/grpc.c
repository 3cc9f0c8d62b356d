#include "net/grpc.h"

#include "base/size.h"

enum {
    TIMEOUT_DIGITS_MAX = 8
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

md_status md_grpc_coding_parse(md_coding *out, md_slice name, md_error *err)
{
    *out = MD_CODING_IDENTITY;
    if (name.size == 0)
        return MD_OK;
    for (int c = MD_CODING_IDENTITY; c <= MD_CODING_DEFLATE; c++)
        if (md_slice_eq(name, md_coding_name((md_coding)c))) {
            *out = (md_coding)c;
            return MD_OK;
        }
    return md_fail(err, MD_UNSUPPORTED,
                   "grpc-encoding '%.*s' given, identity, gzip or deflate "
                   "expected",
                   name.size > 32 ? 32 : (int)name.size, name.data);
}

bool md_grpc_accepts(md_slice list, md_coding c)
{
    md_slice item;

    while (md_slice_next_item(&list, &item))
        if (md_slice_eq(item, md_coding_name(c)))
            return true;
    return c == MD_CODING_IDENTITY;
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
