/* How bytes may be compressed on their way: codings of HTTP (RFC 9110 8.4.1)
 * and of gRPC's messages, by zlib and libzstd. */
#ifndef MD_NET_CODING_H
#define MD_NET_CODING_H

#include "base/buf.h"
#include "net/slice.h"

typedef enum md_coding {
    MD_CODING_IDENTITY,
    MD_CODING_GZIP,
    MD_CODING_DEFLATE, /* zlib's format, as the RFC has it */
    MD_CODING_ZSTD,    /* RFC 8878; not of gRPC */
    MD_N_CODINGS
} md_coding;

const char *md_coding_name(md_coding c);

/* Of Content-Encoding: one, in any case; absent is identity.  MD_MEDIA_TYPE
 * for any other, and for several. */
md_status md_coding_parse(md_coding *out, md_slice name, md_error *err);

/* The one that a client with this Accept-Encoding (data NULL: none) likes
 * best; where it likes several as much, zstd if it names that, else gzip. */
md_coding md_coding_choose(md_slice accept);

/* Append what `in` is when it is decoded; not for identity.  MD_CORRUPT,
 * MD_TOO_LARGE as soon as out's limit is reached, MD_NOMEM. */
md_status md_coding_decode(md_buf *out, md_coding c, md_slice in,
                           md_error *err);

/* Append `in` coded. */
md_status md_coding_encode(md_buf *out, md_coding c, md_slice in,
                           md_error *err);

#endif
