#include "formats/tensor_pb.h"

#include "base/file.h"
#include "formats/format.h"
#include "formats/onnx_impl.h"

md_status md_tensor_pb_parse(md_tensor *out, const void *bytes, size_t size,
                             const md_alloc *alloc, md_error *err)
{
    md_onnx_reader r = { .opts = MD_ONNX_OPTS_INIT };
    md_onnx_tensor t;
    md_status s;

    /* The model is the arena that names are read into. */
    MD_TRY(md_model_new(&r.model, alloc, 0, err));
    s = md_onnx__read_tensor(&t, &r, md_pb_init(bytes, size), MD_ONNX_OWNED,
                             "tensor", err);
    if (s == MD_OK)
        *out = t.t;
    md_model_free(r.model);
    return s;
}

md_status md_tensor_pb_load(md_tensor *out, const char *path,
                            const md_alloc *alloc, md_error *err)
{
    md_map map;
    md_status s;

    MD_TRY(md_map_open(&map, path, err));
    s = md_tensor_pb_parse(out, map.data, map.size, alloc, err);
    md_map_release(&map);
    return s == MD_OK ? s : md_wrap(err, s, "'%s': ", path);
}

static md_status append(void *ctx, const void *data, size_t size, md_error *err)
{
    return md_buf_append(ctx, data, size, err);
}

md_status md_tensor_pb_write(const md_tensor *t, const char *name, md_buf *out,
                             md_error *err)
{
    md_onnx_writer w = { .n_outside = 0 };
    md_status s;

    md_pb_writer_init(&w.pb, out->alloc, out->limit);
    md_onnx__put_tensor_fields(&w, name, t, false);
    s = md_pb_writer_drain(&w.pb, append, out, err);
    md_pb_writer_release(&w.pb);
    return s;
}

md_status md_tensor_pb_save(const md_tensor *t, const char *name,
                            const char *path, md_error *err)
{
    md_buf bytes;
    md_status s;

    md_buf_init(&bytes, md_alloc_default(), SIZE_MAX / 2);
    MD_GOTO(md_tensor_pb_write(t, name, &bytes, err));
    MD_GOTO(md_file_write_atomic(path, bytes.data, bytes.size, err));
out:
    md_buf_release(&bytes);
    return s;
}

const md_format md_format_tensor_pb = {
    .name = "tensor_pb",
    .title = "ONNX tensor",
    .ending = ".pb",
    .load_tensor = md_tensor_pb_load,
};
