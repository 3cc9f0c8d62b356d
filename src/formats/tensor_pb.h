/* Tensors as TensorProto files: the .pb vectors of ONNX's backend tests. */
#ifndef MD_FORMATS_TENSOR_PB_H
#define MD_FORMATS_TENSOR_PB_H

#include "base/buf.h"
#include "tensor/tensor.h"

/* Read a serialized TensorProto; *out owns its data.  MD_CORRUPT,
 * MD_UNSUPPORTED; external data is MD_DENIED. */
md_status md_tensor_pb_parse(md_tensor *out, const void *bytes, size_t size,
                             const md_alloc *alloc, md_error *err);
md_status md_tensor_pb_load(md_tensor *out, const char *path,
                            const md_alloc *alloc, md_error *err);

/* Append t as TensorProto called `name` ("" for none) to out. */
md_status md_tensor_pb_write(const md_tensor *t, const char *name, md_buf *out,
                             md_error *err);
md_status md_tensor_pb_save(const md_tensor *t, const char *name,
                            const char *path, md_error *err);

#endif
