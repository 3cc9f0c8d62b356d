/* Zstandard (RFC 8878), by libzstd; as md_coding_encode and _decode. */
#ifndef MD_NET_CODING_IMPL_H
#define MD_NET_CODING_IMPL_H

#include "net/coding.h"

md_status md_coding__zstd_encode(md_buf *out, md_slice in, md_error *err);

/* All frames that follow each other; MD_TOO_LARGE also for one that wants a
 * window of more than 8 MiB, as RFC 9659 has it. */
md_status md_coding__zstd_decode(md_buf *out, md_slice in, md_error *err);

#endif
