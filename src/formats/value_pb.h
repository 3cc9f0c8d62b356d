/*
 * Values of every kind as files of ONNX's backend tests have them: TensorProto,
 * SequenceProto, OptionalProto and MapProto (onnx.proto, onnx-data.proto).
 * Such a file does not tell which it is, so its type has to be known.
 */
#ifndef MD_FORMATS_VALUE_PB_H
#define MD_FORMATS_VALUE_PB_H

#include "base/buf.h"
#include "graph/graph.h"

/* Read a value of `type`'s kind; *out owns its data.  Element types are the
 * file's, but where it holds none.  MD_CORRUPT, MD_UNSUPPORTED (sparse tensors,
 * maps to anything but scalars), MD_TOO_LARGE; external data is MD_DENIED. */
md_status md_value_pb_parse(md_tensor *out, const md_type *type,
                            const void *bytes, size_t size,
                            const md_alloc *alloc, md_error *err);
md_status md_value_pb_load(md_tensor *out, const md_type *type,
                           const char *path, const md_alloc *alloc,
                           md_error *err);

/* Append v, called `name` ("" for none), to out. */
md_status md_value_pb_write(const md_tensor *v, const char *name, md_buf *out,
                            md_error *err);
md_status md_value_pb_save(const md_tensor *v, const char *name,
                           const char *path, md_error *err);

#endif
