#include "formats/gzip.h"

#include "formats/zlib_use.h"

enum {
    PIECE = 1 << 15, /* bytes unpacked at a time: deflate's window */
    HEADER_SIZE = 10,
    GZIP_BITS = MAX_WBITS + 16 /* zlib's word for "with gzip's header" */
};

bool md_gzip_probe(const void *bytes, size_t size)
{
    const unsigned char *p = bytes;

    return size >= HEADER_SIZE && p[0] == 0x1f && p[1] == 0x8b && p[2] == 8;
}

/* One member, from zs->next_in on, where *left bytes are. */
static md_status read_member(z_stream *zs, size_t *left, md_buf *out,
                             md_error *err)
{
    unsigned char piece[PIECE];
    int got = Z_OK;

    while (got == Z_OK) {
        const unsigned in = md_zlib__piece(*left);

        zs->avail_in = in;
        zs->next_out = piece;
        zs->avail_out = PIECE;
        got = inflate(zs, Z_NO_FLUSH);
        *left -= in - zs->avail_in;
        if (PIECE - zs->avail_out > out->limit - out->size)
            return md_fail(err, MD_TOO_LARGE,
                           "gzip data unpacks to more than %zu bytes",
                           out->limit);
        MD_TRY(md_buf_append(out, piece, PIECE - zs->avail_out, err));
    }
    if (got == Z_MEM_ERROR)
        return md_fail_nomem(err, 1 << MAX_WBITS);
    if (got != Z_STREAM_END)
        return md_fail(err, MD_CORRUPT, "gzip data is damaged or cut short");
    return MD_OK;
}

md_status md_gzip_read(md_buf *out, const void *bytes, size_t size,
                       md_error *err)
{
    z_stream zs = { .zalloc = md_zlib__alloc,
                    .zfree = md_zlib__free,
                    .opaque = (void *)(uintptr_t)out->alloc };
    size_t left = size;
    md_status s = MD_OK;

    if (inflateInit2(&zs, GZIP_BITS) != Z_OK)
        return md_fail_nomem(err, 1 << MAX_WBITS);
    zs.next_in = (unsigned char *)(uintptr_t)bytes;
    do {
        s = read_member(&zs, &left, out, err);
        inflateReset(&zs);
    } while (s == MD_OK && left > 0);
    inflateEnd(&zs);
    return s;
}
