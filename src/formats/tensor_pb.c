#include "formats/tensor_pb.h"

#include "formats/format.h"
#include "formats/value_pb.h"

static const md_type tensor = { .kind = MD_KIND_TENSOR };

md_status md_tensor_pb_parse(md_tensor *out, const void *bytes, size_t size,
                             const md_alloc *alloc, md_error *err)
{
    return md_value_pb_parse(out, &tensor, bytes, size, alloc, err);
}

md_status md_tensor_pb_load(md_tensor *out, const char *path,
                            const md_alloc *alloc, md_error *err)
{
    return md_value_pb_load(out, &tensor, path, alloc, err);
}

md_status md_tensor_pb_write(const md_tensor *t, const char *name, md_buf *out,
                             md_error *err)
{
    return md_value_pb_write(t, name, out, err);
}

md_status md_tensor_pb_save(const md_tensor *t, const char *name,
                            const char *path, md_error *err)
{
    return md_value_pb_save(t, name, path, err);
}

const md_format md_format_tensor_pb = {
    .name = "tensor_pb",
    .title = "ONNX tensor",
    .ending = ".pb",
    .load_tensor = md_tensor_pb_load,
};
