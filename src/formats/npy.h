/*
 * NPY: one array per file, as NumPy writes it (numpy.lib.format, versions 1.0,
 * 2.0 and 3.0).
 *
 * The header is a Python literal; it is parsed as exactly the dictionary that
 * NumPy writes and never evaluated.  Numbers of both byte orders and both
 * element orders become row-major native tensors; S and U arrays become
 * string tensors (UTF-8, trailing NULs dropped as in NumPy).
 */
#ifndef MD_FORMATS_NPY_H
#define MD_FORMATS_NPY_H

#include "base/buf.h"
#include "tensor/tensor.h"

/* Read an array; *out owns its data.  MD_CORRUPT for what is no NPY file or
 * whose data has another size, MD_UNSUPPORTED for objects, records and dates. */
md_status md_npy_parse(md_tensor *out, const void *bytes, size_t size,
                       const md_alloc *alloc, md_error *err);
md_status md_npy_load(md_tensor *out, const char *path, const md_alloc *alloc,
                      md_error *err);

/* The same of bytes that outlive *out: where the elements lie in the file as
 * they would in memory, *out borrows them. */
md_status md_npy_view(md_tensor *out, const void *bytes, size_t size,
                      const md_alloc *alloc, md_error *err);

/*
 * Append t as a version 1.0 file.  Types that NumPy lacks are written as their
 * bits: bfloat16 as uint16, float8 and narrower as uint8, one element each.
 * Strings are written as U (MD_UNSUPPORTED when one is not UTF-8).
 */
md_status md_npy_write(const md_tensor *t, md_buf *out, md_error *err);
md_status md_npy_save(const md_tensor *t, const char *path, md_error *err);

#endif
