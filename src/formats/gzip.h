/* GZIP files (RFC 1952), any number of members one behind the other. */
#ifndef MD_FORMATS_GZIP_H
#define MD_FORMATS_GZIP_H

#include <stdbool.h>

#include "base/buf.h"

bool md_gzip_probe(const void *bytes, size_t size);

/* Append the unpacked contents to out, whose limit is the bound on bombs.
 * MD_CORRUPT for what is damaged, cut short or followed by something else,
 * MD_TOO_LARGE over the limit. */
md_status md_gzip_read(md_buf *out, const void *bytes, size_t size,
                       md_error *err);

#endif
