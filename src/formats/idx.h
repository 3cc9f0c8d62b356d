/*
 * IDX: one array per file, as the MNIST sets have it (Y. LeCun, C. Cortes, C.
 * Burges, yann.lecun.com/exdb/mnist): two zero bytes, the element type, the
 * rank, then sizes of 32 bits and the elements, all big-endian.  The whole may
 * be packed by gzip.
 */
#ifndef MD_FORMATS_IDX_H
#define MD_FORMATS_IDX_H

#include <stdbool.h>

#include "tensor/tensor.h"

/* Bound on what a packed file unpacks to. */
#define MD_IDX_LIMIT ((size_t)8 << 30)

/* Can these bytes be such a file (not packed)? */
bool md_idx_probe(const void *bytes, size_t size);

/* Read an array; *out owns its data, of the machine's byte order.  MD_CORRUPT
 * for what is no IDX file or whose data has another size. */
md_status md_idx_parse(md_tensor *out, const void *bytes, size_t size,
                       const md_alloc *alloc, md_error *err);

/* The same of bytes that outlive *out and are not packed: where elements are
 * bytes, *out borrows them. */
md_status md_idx_view(md_tensor *out, const void *bytes, size_t size,
                      const md_alloc *alloc, md_error *err);

/* Read a file, packed or not. */
md_status md_idx_load(md_tensor *out, const char *path, const md_alloc *alloc,
                      md_error *err);

#endif
