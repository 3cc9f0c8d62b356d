/*
 * ZIP archives, read from memory (PKWARE's APPNOTE 6.3.10: stored and
 * deflated entries, Zip64; no encryption, no split archives).
 *
 * The central directory is what counts; a local header is only skipped.  The
 * archive's bytes belong to the caller and must outlive it.  Bombs: what all
 * entries unpack to is bounded when the archive is opened, an entry that
 * announces more than deflate can give is refused, and unpacking stops at the
 * announced size; entries that share bytes are refused.
 */
#ifndef MD_FORMATS_ZIP_H
#define MD_FORMATS_ZIP_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"

typedef struct md_zip_entry {
    const char *name;
    size_t size;   /* unpacked */
    size_t packed; /* in the archive */
    size_t at;     /* of its local header */
    uint32_t crc;
    unsigned method;
    bool encrypted;
} md_zip_entry;

typedef struct md_zip {
    const unsigned char *data;
    size_t size;
    md_zip_entry *entries;
    uint32_t n_entries;
    md_arena arena;
} md_zip;

/* Read the directory; `limit` bounds the sum of all unpacked sizes.
 * MD_CORRUPT, MD_TOO_LARGE; release is needed only after success. */
md_status md_zip_open(md_zip *z, const void *bytes, size_t size, size_t limit,
                      const md_alloc *alloc, md_error *err);
void md_zip_release(md_zip *z);

/* The entry with that name (the last one, as later writes replace), or NULL. */
const md_zip_entry *md_zip_find(const md_zip *z, const char *name);

/* For readers that believe a name once: no two entries of one name, none that
 * leaves the folder that it would be unpacked in.  MD_CORRUPT names it. */
md_status md_zip_check_names(const md_zip *z, md_error *err);

/* The contents of a stored entry where they lie in the archive, checksum and
 * all.  MD_UNSUPPORTED for one that is packed: md_zip_read unpacks it. */
md_status md_zip_map(const unsigned char **out, const md_zip *z,
                     const md_zip_entry *e, md_error *err);

/* Append the unpacked contents to out; MD_CORRUPT when they do not have the
 * announced size and checksum. */
md_status md_zip_read(const md_zip *z, const md_zip_entry *e, md_buf *out,
                      md_error *err);

#endif
