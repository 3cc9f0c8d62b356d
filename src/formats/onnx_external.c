/* External data of ONNX tensors: files beside the model. */
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "formats/confine.h"
#include "formats/onnx_impl.h"

struct md_onnx_file {
    const char *location;
    md_map map;
    md_onnx_file *next;
};

/* Decimal digits only, below 2^63. */
static md_status parse_size(uint64_t *out, const char *key, const char *text,
                            md_error *err)
{
    uint64_t v = 0;
    const char *p = text;

    for (; *p >= '0' && *p <= '9' && p - text < 18; p++)
        v = v * 10 + (uint64_t)(*p - '0');
    if (*p || p == text)
        return md_fail(err, MD_CORRUPT,
                       "external data: %s '%.40s' is not a number of bytes",
                       key, text);
    *out = v;
    return MD_OK;
}

md_status md_onnx__external_entry(md_onnx_external *x, md_onnx_reader *r,
                                  const md_pb_field *f, md_error *err)
{
    md_meta pair;

    MD_TRY(md_onnx__read_pair(&pair, r, f, err));
    if (strcmp(pair.key, "location") == 0)
        x->location = pair.value;
    if (strcmp(pair.key, "offset") == 0)
        return parse_size(&x->offset, "offset", pair.value, err);
    if (strcmp(pair.key, "length") == 0) {
        x->has_length = true;
        return parse_size(&x->length, "length", pair.value, err);
    }
    return MD_OK;
}

static md_status map_file(md_onnx_file **out, md_onnx_reader *r,
                          const char *location, md_error *err)
{
    md_onnx_file *file = NULL;
    md_map map;
    md_status s;
    int fd;

    for (file = r->files; file; file = file->next) {
        if (strcmp(file->location, location) == 0) {
            *out = file;
            return MD_OK;
        }
    }
    file = md_arena_calloc(&r->model->arena, 1, sizeof(*file));
    if (!file)
        return md_fail_nomem(err, sizeof(*file));
    file->location = location;
    MD_TRY(md_confined_open(&fd, r->opts.folder, location, err));
    s = md_map_fd(&map, fd, location, err);
    close(fd);
    MD_TRY(s);
    file->map = map;
    s = md_model_keep_map(r->model, &map, err);
    if (s != MD_OK) {
        md_map_release(&map);
        return s;
    }
    file->next = r->files;
    r->files = file;
    *out = file;
    return MD_OK;
}

md_status md_onnx__external_data(md_pb *out, md_onnx_reader *r,
                                 const md_onnx_external *x, md_error *err)
{
    md_onnx_file *file = NULL;
    uint64_t length = x->length;

    if (!x->location)
        return md_fail(err, MD_CORRUPT, "external data without a location");
    if (!r->opts.folder)
        return md_fail(err, MD_DENIED,
                       "external data '%s', but the model has no folder",
                       x->location);
    MD_TRY(map_file(&file, r, x->location, err));
    if (x->offset > file->map.size ||
        (x->has_length && x->length > file->map.size - x->offset))
        return md_fail(err, MD_CORRUPT,
                       "external data '%s': bytes [%llu, +%llu) of a file of "
                       "%zu bytes",
                       x->location, (unsigned long long)x->offset,
                       (unsigned long long)x->length, file->map.size);
    if (!x->has_length)
        length = file->map.size - x->offset;
    *out = md_pb_init(file->map.data + x->offset, (size_t)length);
    return MD_OK;
}
