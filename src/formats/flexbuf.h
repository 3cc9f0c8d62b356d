/*
 * FlexBuffers: one number out of a map at the root (the options of custom
 * operators in TensorFlow Lite files).
 */
#ifndef MD_FORMATS_FLEXBUF_H
#define MD_FORMATS_FLEXBUF_H

#include <stdbool.h>
#include <stddef.h>

/* The number (or bool, as 0 or 1) under `key`; false when the bytes are no map,
 * have no such key, or are broken there. */
bool md_flexbuf_number(double *out, const void *bytes, size_t size,
                       const char *key);

#endif
