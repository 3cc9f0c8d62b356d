/*
 * safetensors files: 8 bytes of length, a JSON header of names, types, shapes
 * and places, and the tensors' bytes.
 *
 * Checked: the header's size and depth, each tensor's bytes against type and
 * shape, places inside the file that neither overlap nor leave holes (as the
 * format's own reader demands), names that come once.
 */
#ifndef MD_FORMATS_SAFETENSORS_H
#define MD_FORMATS_SAFETENSORS_H

#include "base/arena.h"
#include "tensor/tensor.h"

typedef struct md_safetensor {
    const char *name;
    md_tensor t; /* borrows the file's bytes, at any address */
} md_safetensor;

typedef struct md_safetensors {
    md_safetensor *tensors; /* in the order of the file's bytes */
    uint32_t n;
    const char *format; /* "pt", "mlx", ... of its metadata; "" */
} md_safetensors;

/* Do these bytes begin as such a file does? */
bool md_safetensors_probe(const void *bytes, size_t size);

/* Read the header; everything but the tensors' bytes lies in the arena.
 * MD_CORRUPT and MD_UNSUPPORTED name the tensor. */
md_status md_safetensors_read(md_safetensors *out, const void *bytes,
                              size_t size, md_arena *arena, md_error *err);

#endif
