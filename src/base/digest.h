/*
 * A checksum at the speed of memory, for large blocks that were written by this
 * program: it tells damage and what is another version, not what somebody made
 * up on purpose.  The numbers are those of this program on this kind of machine:
 * bytes are taken as native words.
 */
#ifndef MD_BASE_DIGEST_H
#define MD_BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

/* Of n bytes behind others whose digest is `before` (0: they are the first).
 * Where the bytes are divided counts. */
uint64_t md_digest(uint64_t before, const void *bytes, size_t n);

/* Of a text and where it ends; NULL is "". */
uint64_t md_digest_text(uint64_t before, const char *text);

#endif
