/* Base64 (RFC 4648 section 4), with padding. */
#ifndef MD_BASE_BASE64_H
#define MD_BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes that n encoded characters decode to at most; characters that n bytes
 * are encoded to. */
size_t md_base64_decoded_max(size_t n);
size_t md_base64_encoded_size(size_t n);

/* Decode n characters into out, which has md_base64_decoded_max(n) bytes.
 * Padding may be left out.  False for anything else. */
bool md_base64_decode(unsigned char *out, size_t *size, const char *text,
                      size_t n);

/* Encode n bytes into out, md_base64_encoded_size(n) characters, unterminated. */
void md_base64_encode(char *out, const void *data, size_t n);

#endif
