/*
 * Element types: all that ONNX names (onnx.proto, TensorProto.DataType).
 *
 * Types below 8 bits are packed, first element in the lowest bits; a string
 * element is an md_str whose bytes belong to the tensor's owner.
 */
#ifndef MD_TENSOR_DTYPE_H
#define MD_TENSOR_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum md_dtype {
    MD_DTYPE_NONE = 0, /* unknown */
#define DTYPE(id, value, bits, name, v2, npy, cls) MD_DTYPE_##id = (value),
#include "tensor/dtypes.def"
#undef DTYPE
    MD_DTYPE_N
} md_dtype;

/* A string element: n bytes at p, not NUL-terminated. */
typedef struct md_str {
    const char *p;
    size_t n;
} md_str;

/* True for every value that ONNX defines. */
bool md_dtype_is_valid(int value);

/* Bits of one element; 0 for MD_DTYPE_NONE. */
unsigned md_dtype_bits(md_dtype t);

/* What addresses of elements are multiples of: the bytes of an element, or of
 * one part of a complex one; 1 below 8 bits. */
size_t md_dtype_align(md_dtype t);

/* "float32"; "unknown" for MD_DTYPE_NONE. */
const char *md_dtype_name(md_dtype t);

/* Open Inference Protocol name ("FP32"); "" where it has none. */
const char *md_dtype_v2_name(md_dtype t);

/* NPY descr ("<f4") under which the bits are written. */
const char *md_dtype_npy(md_dtype t);

/* The type called by name or v2 name (exact); MD_DTYPE_NONE if none is. */
md_dtype md_dtype_parse(const char *name);
md_dtype md_dtype_parse_v2(const char *name);

bool md_dtype_is_float(md_dtype t);   /* any width, not complex */
bool md_dtype_is_integer(md_dtype t); /* signed or unsigned, not bool */
bool md_dtype_is_signed(md_dtype t);  /* signed integer */

/* Bytes of n elements, sub-byte types rounded up; false on overflow. */
bool md_dtype_size(size_t *out, md_dtype t, int64_t n);

/* Largest and smallest value of an integer type (uint64: as int64 max). */
int64_t md_dtype_int_max(md_dtype t);
int64_t md_dtype_int_min(md_dtype t);

#endif
