#include "formats/bundle.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "formats/confine.h"

enum {
    HEADER_SHARDS = 1,
    HEADER_ENDIANNESS = 2,
    ENTRY_TYPE = 1,
    ENTRY_SHAPE = 2,
    ENTRY_SHARD = 3,
    ENTRY_OFFSET = 4,
    ENTRY_SIZE = 5,
    ENTRY_CRC = 6,
    ENTRY_SLICES = 7,
    SHARDS_MAX = 100000, /* five digits */
    NAME_MAX_SIZE = 512,
    VARINT_MAX = 5
};

/* What the index says of a tensor. */
typedef struct entry {
    int64_t type, shard, offset, size;
    md_shape shape;
    uint32_t crc;
    bool in_parts, has_rank;
} entry;

static md_status open_file(md_map *out, const md_bundle *b, const char *path,
                           md_error *err)
{
    md_status s;
    int fd;

    MD_TRY(md_confined_open(&fd, b->folder, path, err));
    s = md_map_fd(out, fd, path, err);
    close(fd);
    return s;
}

/* Map a file beside the index for as long as the model lives. */
static md_status map_file(md_map *out, md_bundle *b, const char *path,
                          md_error *err)
{
    md_map map;
    md_status s;

    MD_TRY(open_file(&map, b, path, err));
    *out = map;
    s = md_model_keep_map(b->model, &map, err);
    if (s != MD_OK)
        md_map_release(&map);
    return s;
}

static md_status read_header(md_bundle *b, md_error *err)
{
    const md_sstable_entry *e = md_sstable_find(&b->table, "", 0);
    int64_t shards = 0;
    int64_t endianness = 0;
    md_pb bytes;
    md_pb_field f;

    if (!e)
        return md_fail(err, MD_CORRUPT, "checkpoint: the index has no header");
    bytes = md_pb_init(e->value, e->n_value);
    for (;;) {
        MD_TRY(md_pb_next(&f, &bytes, err));
        if (f.number == 0)
            break;
        if (f.number == HEADER_SHARDS)
            MD_TRY(md_pb_int(&shards, &f, err));
        if (f.number == HEADER_ENDIANNESS)
            MD_TRY(md_pb_int(&endianness, &f, err));
    }
    if (shards < 1 || shards >= SHARDS_MAX)
        return md_fail(err, MD_CORRUPT, "checkpoint: %lld files of data",
                       (long long)shards);
    if (endianness != 0)
        return md_fail(err, MD_UNSUPPORTED, "checkpoint: it is big-endian");
    b->n_shards = (uint32_t)shards;
    b->shards = md_arena_calloc(b->ar, b->n_shards, sizeof(*b->shards));
    return b->shards ? MD_OK : md_fail_nomem(err, b->n_shards);
}

md_status md_bundle_read(md_bundle *out, const void *index, size_t size,
                         md_arena *ar, md_error *err)
{
    out->ar = ar;
    MD_TRY(md_sstable_read(&out->table, index, size, ar, err));
    return read_header(out, err);
}

md_status md_bundle_open(md_bundle *out, const char *folder, const char *prefix,
                         md_model *model, md_arena *ar, md_error *err)
{
    char path[NAME_MAX_SIZE];
    md_map map;

    *out = (md_bundle){
        .folder = folder, .prefix = prefix, .model = model, .ar = ar
    };
    if (strlen(prefix) > NAME_MAX_SIZE / 2)
        return md_fail(err, MD_TOO_LARGE, "checkpoint: a name of %zu bytes",
                       strlen(prefix));
    snprintf(path, sizeof(path), "%s.index", prefix);
    MD_TRY(map_file(&map, out, path, err));
    return md_bundle_read(out, map.data, map.size, ar, err);
}

static md_status read_entry(entry *out, const md_sstable_entry *e,
                            md_error *err)
{
    md_pb bytes = md_pb_init(e->value, e->n_value);
    md_pb_field f;
    md_pb shape;

    *out = (entry){ .has_rank = true };
    for (;;) {
        MD_TRY(md_pb_next(&f, &bytes, err));
        switch (f.number) {
        case 0:
            return MD_OK;
        case ENTRY_TYPE:
            MD_TRY(md_pb_int(&out->type, &f, err));
            break;
        case ENTRY_SHAPE:
            MD_TRY(md_pb_message(&shape, &f, err));
            MD_TRY(md_tf_read_shape(&out->shape, &out->has_rank, shape, err));
            break;
        case ENTRY_SHARD:
            MD_TRY(md_pb_int(&out->shard, &f, err));
            break;
        case ENTRY_OFFSET:
            MD_TRY(md_pb_int(&out->offset, &f, err));
            break;
        case ENTRY_SIZE:
            MD_TRY(md_pb_int(&out->size, &f, err));
            break;
        case ENTRY_CRC:
            out->crc = (uint32_t)f.value;
            break;
        case ENTRY_SLICES:
            out->in_parts = true;
            break;
        default:
            break;
        }
    }
}

/* The tensor's bytes in its shard. */
static md_status find_bytes(const unsigned char **out, md_bundle *b,
                            const entry *e, md_error *err)
{
    char path[NAME_MAX_SIZE];
    md_map *map;

    if (e->shard < 0 || e->shard >= b->n_shards)
        return md_fail(err, MD_CORRUPT, "in file %lld of %u",
                       (long long)e->shard, b->n_shards);
    map = &b->shards[e->shard];
    snprintf(path, sizeof(path), "%s.data-%05lld-of-%05u", b->prefix,
             (long long)e->shard, b->n_shards);
    if (!map->data && !b->folder)
        return md_fail(err, MD_DENIED, "in '%s', and there is no folder", path);
    if (!map->data)
        MD_TRY(map_file(map, b, path, err));
    if (e->offset < 0 || e->size < 0 || (uint64_t)e->offset > map->size ||
        (uint64_t)e->size > map->size - (uint64_t)e->offset)
        return md_fail(err, MD_CORRUPT,
                       "bytes [%lld, +%lld) of a file of %zu bytes",
                       (long long)e->offset, (long long)e->size, map->size);
    *out = map->data + e->offset;
    return MD_OK;
}

/* The lengths, each a varint, their checksum, then the strings; to what
 * md_tf_tensor has. */
static md_status use_strings(md_tf_tensor *t, md_bundle *b,
                             const unsigned char *p, size_t size, md_error *err)
{
    const unsigned char *end = p + size;
    size_t n = (size_t)md_shape_n(&t->shape);
    size_t place = (n + 2) * 4;
    size_t total = place;
    int32_t *at;

    if (n > size || size > INT32_MAX / 8)
        return md_fail(err, MD_CORRUPT, "%zu strings in %zu bytes", n, size);
    at = md_arena_calloc(b->ar, n + 2 + size / 4 + 1, 4);
    if (!at)
        return md_fail_nomem(err, size);
    at[0] = (int32_t)n;
    at[1] = (int32_t)place;
    for (size_t i = 0; i < n; i++) {
        uint64_t v = 0;
        unsigned shift = 0;

        while (p < end && (*p & 0x80) && shift < 7 * VARINT_MAX) {
            v |= (uint64_t)(*p++ & 0x7f) << shift;
            shift += 7;
        }
        if (p == end || (*p & 0x80))
            return md_fail(err, MD_CORRUPT, "string %zu has no length", i);
        v |= (uint64_t)*p++ << shift;
        if (v > size - (total - place))
            return md_fail(err, MD_CORRUPT, "string %zu of %llu bytes", i,
                           (unsigned long long)v);
        total += (size_t)v;
        at[i + 2] = (int32_t)total;
    }
    if ((size_t)(end - p) != total - place + 4)
        return md_fail(err, MD_CORRUPT, "strings of %zu bytes, %td are there",
                       total - place, end - p);
    if (total > place)
        memcpy((char *)at + place, p + 4, total - place);
    t->data = (const unsigned char *)at;
    t->size = total;
    return MD_OK;
}

static md_status get(md_tf_tensor *out, md_bundle *b, const entry *e,
                     md_error *err)
{
    const unsigned char *p = NULL;
    uint32_t crc;

    *out = (md_tf_tensor){ .shape = e->shape };
    if (e->in_parts)
        return md_fail(err, MD_UNSUPPORTED,
                       "in parts (a partitioned "
                       "variable)");
    out->dtype = e->type > 0 && e->type < 100 ? md_tf_dtype((int)e->type)
                                              : MD_DTYPE_NONE;
    if (out->dtype == MD_DTYPE_NONE)
        return md_fail(err, MD_UNSUPPORTED, "of type %lld", (long long)e->type);
    for (int i = 0; i < e->shape.rank; i++) {
        if (e->shape.dim[i] < 0)
            return md_fail(err, MD_CORRUPT, "without a size");
    }
    MD_TRY(md_tensor_bytes(&out->size, out->dtype, &out->shape, err));
    MD_TRY(find_bytes(&p, b, e, err));
    if (out->dtype == MD_DTYPE_STRING)
        return use_strings(out, b, p, (size_t)e->size, err);
    if ((uint64_t)e->size != out->size)
        return md_fail(err, MD_CORRUPT, "%lld bytes, %zu expected",
                       (long long)e->size, out->size);
    crc = md_crc32c_mask(md_crc32c(0, p, out->size));
    if (crc != e->crc)
        return md_fail(err, MD_CORRUPT, "checksum %08x, %08x expected", crc,
                       e->crc);
    out->data = p;
    out->in_file = true;
    return MD_OK;
}

md_status md_bundle_get(md_tf_tensor *out, md_bundle *b, const char *name,
                        md_error *err)
{
    const md_sstable_entry *found =
        md_sstable_find(&b->table, name, strlen(name));
    entry e;
    md_status s;

    if (!found)
        return md_fail(err, MD_NOT_FOUND,
                       "checkpoint: no tensor '%.120s' among %u", name,
                       b->table.n);
    s = read_entry(&e, found, err);
    if (s == MD_OK)
        s = get(out, b, &e, err);
    return s == MD_OK ? s
                      : md_wrap(err, s, "checkpoint: tensor '%.120s': ", name);
}

bool md_bundle_has(const md_bundle *b, const char *name)
{
    return name[0] && md_sstable_find(&b->table, name, strlen(name)) != NULL;
}
