#include "formats/idx.h"

#include <string.h>

#include "base/file.h"
#include "base/size.h"
#include "formats/format.h"
#include "formats/gzip.h"

enum {
    MARK_SIZE = 4 /* zeros, type, rank */
};

static const struct {
    unsigned char code, size;
    md_dtype dtype;
} types[] = {
    { 0x08, 1, MD_DTYPE_U8 },  { 0x09, 1, MD_DTYPE_I8 },
    { 0x0b, 2, MD_DTYPE_I16 }, { 0x0c, 4, MD_DTYPE_I32 },
    { 0x0d, 4, MD_DTYPE_F32 }, { 0x0e, 8, MD_DTYPE_F64 },
};

typedef struct header {
    md_dtype dtype;
    size_t item; /* bytes of an element */
    size_t at;   /* where they begin */
    md_shape shape;
    int64_t n;
} header;

static bool find_type(header *h, unsigned code)
{
    for (size_t i = 0; i < MD_COUNT(types); i++) {
        if (types[i].code == code) {
            h->dtype = types[i].dtype;
            h->item = types[i].size;
            return true;
        }
    }
    return false;
}

bool md_idx_probe(const void *bytes, size_t size)
{
    const unsigned char *p = bytes;
    header h;

    return size >= MARK_SIZE && p[0] == 0 && p[1] == 0 && find_type(&h, p[2]) &&
           p[3] >= 1 && p[3] <= MD_RANK_MAX &&
           size >= MARK_SIZE + (size_t)p[3] * 4;
}

static md_status read_header(header *h, const unsigned char *p, size_t size,
                             md_error *err)
{
    char shape[MD_SHAPE_TEXT];
    size_t need;

    if (!md_idx_probe(p, size))
        return md_fail(err, MD_CORRUPT,
                       "not an IDX file: no known type and rank at its "
                       "beginning");
    (void)find_type(h, p[2]);
    h->shape.rank = p[3];
    h->at = MARK_SIZE + (size_t)p[3] * 4;
    for (int d = 0; d < h->shape.rank; d++) {
        const unsigned char *q = p + MARK_SIZE + (size_t)d * 4;

        h->shape.dim[d] = (int64_t)q[0] << 24 | (int64_t)q[1] << 16 |
                          (int64_t)q[2] << 8 | q[3];
    }
    MD_TRY(md_shape_count(&h->n, &h->shape, err));
    if (!md_mul_size(&need, (size_t)h->n, h->item) || need != size - h->at)
        return md_fail(err, MD_CORRUPT,
                       "IDX data of %zu bytes given, %lld elements of %zu "
                       "expected for %s %s",
                       size - h->at, (long long)h->n, h->item,
                       md_dtype_name(h->dtype),
                       md_shape_format(shape, sizeof(shape), &h->shape));
    return MD_OK;
}

/* Elements of `item` bytes, the other way round. */
static void swap_all(unsigned char *to, const unsigned char *from, int64_t n,
                     size_t item)
{
    for (int64_t i = 0; i < n; i++, to += item, from += item) {
        for (size_t k = 0; k < item; k++)
            to[k] = from[item - 1 - k];
    }
}

static md_status copy_data(md_tensor *out, const header *h,
                           const unsigned char *data, const md_alloc *alloc,
                           md_error *err)
{
    const int one = 1;
    bool little = *(const char *)&one == 1;

    MD_TRY(md_tensor_alloc_unset(out, h->dtype, &h->shape, alloc, err));
    if (h->n == 0)
        return MD_OK;
    if (h->item > 1 && little)
        swap_all(out->data, data, h->n, h->item);
    else
        memcpy(out->data, data, (size_t)h->n * h->item);
    return MD_OK;
}

md_status md_idx_parse(md_tensor *out, const void *bytes, size_t size,
                       const md_alloc *alloc, md_error *err)
{
    const unsigned char *p = bytes;
    header h;

    MD_TRY(read_header(&h, p, size, err));
    return copy_data(out, &h, p + h.at, alloc, err);
}

md_status md_idx_view(md_tensor *out, const void *bytes, size_t size,
                      const md_alloc *alloc, md_error *err)
{
    const unsigned char *p = bytes;
    header h;

    MD_TRY(read_header(&h, p, size, err));
    if (h.item > 1 || h.n == 0)
        return copy_data(out, &h, p + h.at, alloc, err);
    *out = (md_tensor){ .dtype = h.dtype,
                        .shape = h.shape,
                        .data = (void *)(uintptr_t)(p + h.at) };
    return MD_OK;
}

static md_status unpack(md_tensor *out, const md_map *map,
                        const md_alloc *alloc, md_error *err)
{
    md_buf bytes;
    md_status s;

    md_buf_init(&bytes, alloc, MD_IDX_LIMIT);
    s = md_gzip_read(&bytes, map->data, map->size, err);
    if (s == MD_OK)
        s = md_idx_parse(out, bytes.data, bytes.size, alloc, err);
    md_buf_release(&bytes);
    return s;
}

md_status md_idx_load(md_tensor *out, const char *path, const md_alloc *alloc,
                      md_error *err)
{
    md_map map;
    md_status s;

    MD_TRY(md_map_open(&map, path, err));
    s = md_gzip_probe(map.data, map.size)
            ? unpack(out, &map, alloc, err)
            : md_idx_parse(out, map.data, map.size, alloc, err);
    md_map_release(&map);
    return s == MD_OK ? s : md_wrap(err, s, "'%s': ", path);
}

const md_format md_format_idx = {
    .name = "idx",
    .title = "IDX array",
    .ending = ".idx",
    .probe = md_idx_probe,
    .load_tensor = md_idx_load,
};
