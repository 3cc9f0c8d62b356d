#include <zstd.h>
#include <zstd_errors.h>

#include "net/coding_impl.h"

enum {
    CHUNK_SIZE = 16 * 1024,
    LEVEL = 1, /* of 19: answers are wanted soon */
    WINDOW_LOG_MAX = 23
};

static md_status fail(size_t rc, md_error *err)
{
    switch (ZSTD_getErrorCode(rc)) {
    case ZSTD_error_memory_allocation:
        return md_fail(err, MD_NOMEM, "no memory for compression");
    case ZSTD_error_frameParameter_windowTooLarge:
        return md_fail(err, MD_TOO_LARGE,
                       "compressed bytes want a window of more than %d bytes",
                       1 << WINDOW_LOG_MAX);
    default:
        return md_fail(err, MD_CORRUPT, "compressed bytes are malformed");
    }
}

/* One step; *rc is zstd's.  At the limit there is room for one byte beside
 * it, to see whether the end has come. */
static md_status step(md_buf *out, ZSTD_DCtx *d, ZSTD_inBuffer *in, bool *full,
                      size_t *rc, md_error *err)
{
    size_t room = out->limit - out->size;
    ZSTD_outBuffer to;
    unsigned char over;

    room = room < CHUNK_SIZE ? room : CHUNK_SIZE;
    MD_TRY(md_buf_reserve(out, room, err));
    to.dst = room ? out->data + out->size : &over;
    to.size = room ? room : 1;
    to.pos = 0;
    *rc = ZSTD_decompressStream(d, &to, in);
    if (ZSTD_isError(*rc))
        return fail(*rc, err);
    if (room == 0 && to.pos > 0)
        return md_fail(
            err, MD_TOO_LARGE,
            "compressed bytes are more than %zu when they are decoded",
            out->limit);
    out->size += room ? to.pos : 0;
    *full = to.pos == to.size;
    return MD_OK;
}

md_status md_coding__zstd_decode(md_buf *out, md_slice in, md_error *err)
{
    ZSTD_inBuffer from = { in.data, in.size, 0 };
    ZSTD_DCtx *d = ZSTD_createDCtx();
    bool full = true;
    size_t rc = 1; /* 0: a frame has come to its end */
    md_status s = MD_OK;

    if (!d)
        return md_fail(err, MD_NOMEM, "no memory for decompression");
    (void)ZSTD_DCtx_setParameter(d, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
    while (s == MD_OK && (from.pos < from.size || (rc != 0 && full)))
        s = step(out, d, &from, &full, &rc, err);
    ZSTD_freeDCtx(d);
    if (s == MD_OK && rc != 0)
        return md_fail(err, MD_CORRUPT,
                       "compressed bytes are malformed: their end is missing");
    if (s == MD_OK)
        out->data[out->size] = '\0';
    return s;
}

md_status md_coding__zstd_encode(md_buf *out, md_slice in, md_error *err)
{
    const size_t left = out->limit - out->size;
    const size_t bound = ZSTD_compressBound(in.size);
    const size_t room = bound < left ? bound : left;
    size_t rc;

    MD_TRY(md_buf_reserve(out, room, err));
    rc = ZSTD_compress(out->data + out->size, room, in.data, in.size, LEVEL);
    if (ZSTD_isError(rc) &&
        ZSTD_getErrorCode(rc) == ZSTD_error_memory_allocation)
        return fail(rc, err);
    if (ZSTD_isError(rc))
        return md_fail(err, MD_TOO_LARGE, "compressed bytes are more than %zu",
                       room);
    out->size += rc;
    out->data[out->size] = '\0';
    return MD_OK;
}
