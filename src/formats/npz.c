#include "formats/npz.h"

#include <string.h>
#include <zlib.h>

#include "base/file.h"
#include "formats/format.h"
#include "formats/npy.h"

struct md_npz {
    md_zip zip;
    md_map map; /* empty when the bytes are the caller's */
    const md_alloc *alloc;
    const char **names;
};

/* Names without ".npy", which NumPy adds and takes away. */
static md_status make_names(md_npz *npz, md_error *err)
{
    uint32_t n = npz->zip.n_entries;

    npz->names = md_arena_calloc(&npz->zip.arena, n + 1u, sizeof(*npz->names));
    if (!npz->names)
        return md_fail_nomem(err, n * sizeof(*npz->names));
    for (uint32_t i = 0; i < n; i++) {
        const char *name = npz->zip.entries[i].name;
        size_t size = strlen(name);

        if (size > 4 && strcmp(name + size - 4, ".npy") == 0)
            size -= 4;
        npz->names[i] = md_arena_strndup(&npz->zip.arena, name, size);
        if (!npz->names[i])
            return md_fail_nomem(err, size);
    }
    return MD_OK;
}

static md_status open_zip(md_npz *npz, const void *bytes, size_t size,
                          size_t limit, md_error *err)
{
    MD_TRY(md_zip_open(&npz->zip, bytes, size, limit ? limit : MD_NPZ_LIMIT,
                       npz->alloc, err));
    return make_names(npz, err);
}

static md_status make(md_npz **out, const md_alloc *alloc, md_error *err)
{
    *out = md_calloc(alloc, 1, sizeof(**out));
    if (!*out)
        return md_fail_nomem(err, sizeof(**out));
    (*out)->alloc = alloc;
    return MD_OK;
}

md_status md_npz_parse(md_npz **out, const void *bytes, size_t size,
                       size_t limit, const md_alloc *alloc, md_error *err)
{
    md_npz *npz;
    md_status s;

    MD_TRY(make(&npz, alloc, err));
    s = open_zip(npz, bytes, size, limit, err);
    if (s != MD_OK)
        md_npz_free(npz);
    else
        *out = npz;
    return s;
}

md_status md_npz_open(md_npz **out, const char *path, size_t limit,
                      const md_alloc *alloc, md_error *err)
{
    md_npz *npz;
    md_status s;

    MD_TRY(make(&npz, alloc, err));
    MD_GOTO(md_map_open(&npz->map, path, err));
    s = open_zip(npz, npz->map.data, npz->map.size, limit, err);
    if (s != MD_OK) {
        s = md_wrap(err, s, "'%s': ", path);
        goto out;
    }
    *out = npz;
    return MD_OK;
out:
    md_npz_free(npz);
    return s;
}

void md_npz_free(md_npz *npz)
{
    if (!npz)
        return;
    md_zip_release(&npz->zip);
    md_map_release(&npz->map);
    md_free(npz->alloc, npz);
}

uint32_t md_npz_count(const md_npz *npz)
{
    return npz->zip.n_entries;
}

const char *md_npz_name(const md_npz *npz, uint32_t i)
{
    return npz->names[i];
}

int64_t md_npz_find(const md_npz *npz, const char *name)
{
    for (uint32_t i = npz->zip.n_entries; i-- > 0;) {
        if (strcmp(npz->names[i], name) == 0)
            return i;
    }
    return -1;
}

md_status md_npz_read(md_tensor *out, const md_npz *npz, uint32_t i,
                      md_error *err)
{
    const md_zip_entry *e = &npz->zip.entries[i];
    md_buf bytes;
    md_status s;

    md_buf_init(&bytes, npz->alloc, e->size);
    MD_GOTO(md_zip_read(&npz->zip, e, &bytes, err));
    s = md_npy_parse(out, bytes.data, bytes.size, npz->alloc, err);
    if (s != MD_OK)
        s = md_wrap(err, s, "array '%s': ", npz->names[i]);
out:
    md_buf_release(&bytes);
    return s;
}

static void put(unsigned char *p, uint32_t v, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        p[i] = (unsigned char)(v >> (8 * i));
}

enum {
    LOCAL_SIZE = 30,
    ENTRY_SIZE = 46,
    END_SIZE = 22,
    VERSION = 20,      /* 2.0: the oldest that everyone reads */
    DATE = 1 << 5 | 1, /* 1980-01-01, so that equal arrays give equal files */
};

/* What local header and directory entry have in common, from offset 4 (6). */
static void put_common(unsigned char *p, uint32_t crc, size_t size,
                       size_t n_name)
{
    put(p, VERSION, 2);
    put(p + 8, DATE, 2);
    put(p + 10, crc, 4);
    put(p + 14, (uint32_t)size, 4);
    put(p + 18, (uint32_t)size, 4);
    put(p + 22, (uint32_t)n_name + 4, 2);
}

/* Append header, name and array; *crc, *size are the array's. */
static md_status write_local(md_buf *out, const char *name, const md_tensor *t,
                             uint32_t *crc, size_t *size, md_error *err)
{
    unsigned char head[LOCAL_SIZE] = { 'P', 'K', 3, 4 };
    size_t at = out->size;
    size_t n_name = strlen(name);
    size_t from;

    if (n_name > 60000)
        return md_fail(err, MD_TOO_LARGE, "array name of %zu bytes", n_name);
    MD_TRY(md_buf_append(out, head, sizeof(head), err));
    MD_TRY(md_buf_puts(out, name, err));
    MD_TRY(md_buf_puts(out, ".npy", err));
    from = out->size;
    MD_TRY(md_npy_write(t, out, err));
    *size = out->size - from;
    if (out->size > UINT32_MAX - ENTRY_SIZE)
        return md_fail(err, MD_TOO_LARGE, "npz of more than 4 GiB");
    *crc = (uint32_t)crc32(crc32(0, NULL, 0), out->data + from, (uInt)*size);
    put_common(out->data + at + 4, *crc, *size, n_name);
    return MD_OK;
}

static md_status write_entry(md_buf *out, const char *name, uint32_t crc,
                             size_t size, size_t at, md_error *err)
{
    unsigned char head[ENTRY_SIZE] = { 'P', 'K', 1, 2, VERSION };

    put_common(head + 6, crc, size, strlen(name));
    put(head + 42, (uint32_t)at, 4);
    MD_TRY(md_buf_append(out, head, sizeof(head), err));
    MD_TRY(md_buf_puts(out, name, err));
    return md_buf_puts(out, ".npy", err);
}

md_status md_npz_write(const char *const *names, const md_tensor *tensors,
                       uint32_t n, md_buf *out, md_error *err)
{
    unsigned char end[END_SIZE] = { 'P', 'K', 5, 6 };
    size_t base = out->size;
    md_buf directory;
    size_t from;
    md_status s;

    if (n > 60000)
        return md_fail(err, MD_TOO_LARGE, "npz of %u arrays", n);
    md_buf_init(&directory, out->alloc, (size_t)1 << 31);
    for (uint32_t i = 0; i < n; i++) {
        size_t at = out->size - base;
        uint32_t crc = 0;
        size_t size = 0;

        MD_GOTO(write_local(out, names[i], &tensors[i], &crc, &size, err));
        MD_GOTO(write_entry(&directory, names[i], crc, size, at, err));
    }
    from = out->size - base;
    put(end + 8, n, 2);
    put(end + 10, n, 2);
    put(end + 12, (uint32_t)directory.size, 4);
    put(end + 16, (uint32_t)from, 4);
    MD_GOTO(md_buf_append(out, directory.data, directory.size, err));
    MD_GOTO(md_buf_append(out, end, sizeof(end), err));
out:
    md_buf_release(&directory);
    return s;
}

/* A zip archive whose first entry is an array (Keras files are archives too),
 * or an empty one. */
static bool probe(const void *bytes, size_t size)
{
    const unsigned char *p = bytes;
    size_t n;

    if (size >= 4 && memcmp(p, "PK\5\6", 4) == 0)
        return true;
    if (size < LOCAL_SIZE || memcmp(p, "PK\3\4", 4) != 0)
        return false;
    n = p[26] | (size_t)p[27] << 8;
    return n > 4 && n <= size - LOCAL_SIZE &&
           memcmp(p + LOCAL_SIZE + n - 4, ".npy", 4) == 0;
}

const md_format md_format_npz = {
    .name = "npz",
    .title = "NumPy archive",
    .ending = ".npz",
    .probe = probe,
};
