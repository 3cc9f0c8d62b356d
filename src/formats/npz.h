/* NPZ: named arrays in one file, a zip archive of NPY files. */
#ifndef MD_FORMATS_NPZ_H
#define MD_FORMATS_NPZ_H

#include "formats/zip.h"
#include "tensor/tensor.h"

/* Default bound on what an archive unpacks to. */
#define MD_NPZ_LIMIT ((size_t)8 << 30)

typedef struct md_npz md_npz;

/* Map the file and read its directory; arrays are unpacked when they are
 * read.  `limit`: bytes that all of them may unpack to (0: MD_NPZ_LIMIT). */
md_status md_npz_open(md_npz **out, const char *path, size_t limit,
                      const md_alloc *alloc, md_error *err);

/* The same from bytes that outlive it. */
md_status md_npz_parse(md_npz **out, const void *bytes, size_t size,
                       size_t limit, const md_alloc *alloc, md_error *err);

/* NULL is allowed. */
void md_npz_free(md_npz *npz);

uint32_t md_npz_count(const md_npz *npz);

/* Name of array i, without ".npy"; belongs to npz. */
const char *md_npz_name(const md_npz *npz, uint32_t i);

/* Index of the array called `name`, the last one as NumPy has it, or -1. */
int64_t md_npz_find(const md_npz *npz, const char *name);

/* Unpack array i (i < count); *out owns its data. */
md_status md_npz_read(md_tensor *out, const md_npz *npz, uint32_t i,
                      md_error *err);

/* Append an archive with n tensors, not compressed; MD_TOO_LARGE when one has
 * 4 GiB or more. */
md_status md_npz_write(const char *const *names, const md_tensor *tensors,
                       uint32_t n, md_buf *out, md_error *err);

#endif
