#include "net/coding.h"

#include <assert.h>
#include <limits.h>
#include <zlib.h>

#include "net/coding_impl.h"

enum {
    GZIP_BITS = 15 + 16, /* zlib's way to say gzip with the largest window */
    ZLIB_BITS = 15,
    CHUNK_SIZE = 16 * 1024,
    LEVEL = 1, /* of 9: answers are wanted soon */
    MEM_LEVEL = 8,
    WEIGHT_ONE = 1000, /* weights of Accept-Encoding are in thousandths */
    WEIGHT_UNSAID = -1
};

const char *md_coding_name(md_coding c)
{
    static const char *const names[] = { "identity", "gzip", "deflate",
                                         "zstd" };

    return names[c];
}

/* Index of the coding, or MD_N_CODINGS. */
static md_coding find(md_slice name)
{
    if (md_slice_eq_nocase(name, "x-gzip")) /* RFC 9110 8.4.1.3 */
        return MD_CODING_GZIP;
    for (int c = 0; c < MD_N_CODINGS; c++)
        if (md_slice_eq_nocase(name, md_coding_name((md_coding)c)))
            return (md_coding)c;
    return MD_N_CODINGS;
}

md_status md_coding_parse(md_coding *out, md_slice name, md_error *err)
{
    *out = name.size ? find(name) : MD_CODING_IDENTITY;
    if (*out < MD_N_CODINGS)
        return MD_OK;
    return md_fail(
        err, MD_MEDIA_TYPE,
        "content encoding '%.*s' given, gzip, deflate, zstd or identity "
        "expected",
        name.size > 32 ? 32 : (int)name.size, name.data);
}

/* ---- what a client likes ---- */

/* "0.5" in thousandths; 0 for what is none. */
static int weight_of(md_slice s)
{
    int w = 0;
    int unit = WEIGHT_ONE;

    if (s.size == 0 || s.size > 5 || (s.size > 1 && s.data[1] != '.'))
        return 0;
    for (size_t i = 0; i < s.size; i++) {
        if (i == 1)
            continue;
        if (s.data[i] < '0' || s.data[i] > '9')
            return 0;
        w += (s.data[i] - '0') * unit;
        unit /= 10;
    }
    return w > WEIGHT_ONE ? 0 : w;
}

/* Take "gzip;q=0.5" apart. */
static int take_weight(md_slice *item)
{
    const char *semi = item->size ? memchr(item->data, ';', item->size) : NULL;
    md_slice rest;

    if (!semi)
        return WEIGHT_ONE;
    rest = (md_slice){ semi + 1, item->size - (size_t)(semi + 1 - item->data) };
    rest = md_slice_trim(rest);
    item->size = (size_t)(semi - item->data);
    *item = md_slice_trim(*item);
    if (rest.size < 2 || (rest.data[0] | 0x20) != 'q' || rest.data[1] != '=')
        return 0;
    return weight_of((md_slice){ rest.data + 2, rest.size - 2 });
}

md_coding md_coding_choose(md_slice accept)
{
    static const md_coding order[] = { MD_CODING_ZSTD, MD_CODING_GZIP,
                                       MD_CODING_DEFLATE };
    int weights[MD_N_CODINGS + 1]; /* the last one for those not named */
    md_coding best = MD_CODING_IDENTITY;
    md_slice item;

    for (int c = 0; c <= MD_N_CODINGS; c++)
        weights[c] = WEIGHT_UNSAID;
    while (md_slice_next_item(&accept, &item)) {
        const int w = take_weight(&item);

        if (md_slice_eq(item, "*"))
            weights[MD_N_CODINGS] = w;
        else if (find(item) < MD_N_CODINGS)
            weights[find(item)] = w;
    }
    /* Who says "*" may never have heard of zstd. */
    for (int c = 0; c < MD_CODING_ZSTD; c++)
        if (weights[c] == WEIGHT_UNSAID)
            weights[c] = weights[MD_N_CODINGS];
    /* Without a word about it, identity is what is left (RFC 9110 12.5.3). */
    for (size_t i = 0; i < MD_COUNT(order); i++) {
        const md_coding c = order[i];

        if (weights[c] > 0 &&
            (best == MD_CODING_IDENTITY ? weights[c] >= weights[best]
                                        : weights[c] > weights[best]))
            best = c;
    }
    return best;
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
            return md_fail(
                err, MD_TOO_LARGE,
                "compressed bytes are more than %zu when they are decoded",
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
    return md_fail(err, MD_CORRUPT, "compressed bytes are malformed");
}

md_status md_coding_decode(md_buf *out, md_coding c, md_slice in, md_error *err)
{
    z_stream z = { 0 };
    md_status s;

    assert(c != MD_CODING_IDENTITY);
    if (c == MD_CODING_ZSTD)
        return md_coding__zstd_decode(out, in, err);
    if (inflateInit2(&z, c == MD_CODING_GZIP ? GZIP_BITS : ZLIB_BITS) != Z_OK)
        return md_fail(err, MD_NOMEM, "no memory for decompression");
    s = pass(out, &z, inflate, in, err);
    inflateEnd(&z);
    return s;
}

md_status md_coding_encode(md_buf *out, md_coding c, md_slice in, md_error *err)
{
    z_stream z = { 0 };
    md_status s;

    if (c == MD_CODING_IDENTITY)
        return md_buf_append(out, in.data, in.size, err);
    if (c == MD_CODING_ZSTD)
        return md_coding__zstd_encode(out, in, err);
    if (deflateInit2(&z, LEVEL, Z_DEFLATED,
                     c == MD_CODING_GZIP ? GZIP_BITS : ZLIB_BITS, MEM_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return md_fail(err, MD_NOMEM, "no memory for compression");
    s = pass(out, &z, deflate, in, err);
    deflateEnd(&z);
    return s;
}
