/* UTF-8 (RFC 3629): no surrogates, no overlong forms, nothing above 10FFFF. */
#ifndef MD_BASE_UTF8_H
#define MD_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length of the character at p, which has n > 0 bytes; 0 when there is none. */
size_t md_utf8_next(const unsigned char *p, size_t n);

/* The character whose md_utf8_next is k > 0. */
uint32_t md_utf8_get(const unsigned char *p, size_t k);

/* Whether n bytes are UTF-8 throughout. */
bool md_utf8_valid(const void *text, size_t n);

/* Length of the longest beginning of at most `max` of n bytes that splits no
 * character; text that is not UTF-8 may be cut anywhere. */
size_t md_utf8_cut(const void *text, size_t n, size_t max);

/* Encode a character; returns its length, 1 to 4. */
size_t md_utf8_put(char dst[4], uint32_t rune);

#endif
