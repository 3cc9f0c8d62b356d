#include "formats/zip.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "formats/zlib_use.h"

enum {
    END_SIZE = 22, /* end of central directory, without its comment */
    END64_SIZE = 56,
    LOCATOR_SIZE = 20,
    ENTRY_SIZE = 46, /* in the central directory, without names */
    LOCAL_SIZE = 30,
    COMMENT_MAX = 65535,
    STORED = 0,
    DEFLATED = 8,
    FLAG_ENCRYPTED = 1,
    EXTRA_ZIP64 = 1,
    /* Deflate cannot do better: a run of 258 bytes takes at least two bits. */
    RATIO_MAX = 1032,
};

#define SIGNATURE_END 0x06054b50u
#define SIGNATURE_END64 0x06064b50u
#define SIGNATURE_LOCATOR 0x07064b50u
#define SIGNATURE_ENTRY 0x02014b50u
#define SIGNATURE_LOCAL 0x04034b50u

static uint64_t get(const unsigned char *p, unsigned size)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < size; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static unsigned get16(const unsigned char *p)
{
    return (unsigned)get(p, 2);
}

static uint32_t get32(const unsigned char *p)
{
    return (uint32_t)get(p, 4);
}

/* Where the central directory lies and how many entries it has. */
typedef struct directory {
    uint64_t at, size, n;
} directory;

/* The end record: the last one whose comment reaches the end of the file. */
static const unsigned char *find_end(const unsigned char *p, size_t size)
{
    size_t lowest =
        size > END_SIZE + COMMENT_MAX ? size - END_SIZE - COMMENT_MAX : 0;

    if (size < END_SIZE)
        return NULL;
    for (size_t at = size - END_SIZE + 1; at-- > lowest;) {
        if (get32(p + at) == SIGNATURE_END &&
            get16(p + at + 20) == size - at - END_SIZE)
            return p + at;
    }
    return NULL;
}

static md_status read_end64(directory *d, const unsigned char *p, size_t end,
                            md_error *err)
{
    uint64_t at;

    if (end < LOCATOR_SIZE ||
        get32(p + end - LOCATOR_SIZE) != SIGNATURE_LOCATOR)
        return MD_OK; /* not Zip64 after all */
    at = get(p + end - LOCATOR_SIZE + 8, 8);
    if (end - LOCATOR_SIZE < END64_SIZE ||
        at > end - LOCATOR_SIZE - END64_SIZE ||
        get32(p + at) != SIGNATURE_END64)
        return md_fail(err, MD_CORRUPT,
                       "zip64 end record at %llu of %zu bytes is none",
                       (unsigned long long)at, end);
    d->n = get(p + at + 32, 8);
    d->size = get(p + at + 40, 8);
    d->at = get(p + at + 48, 8);
    return MD_OK;
}

static md_status find_directory(directory *d, const unsigned char *p,
                                size_t size, md_error *err)
{
    const unsigned char *end = find_end(p, size);

    if (!end)
        return md_fail(err, MD_CORRUPT,
                       "not a zip archive, or cut short: end record missing in "
                       "%zu bytes",
                       size);
    *d = (directory){ .n = get16(end + 10),
                      .size = get32(end + 12),
                      .at = get32(end + 16) };
    if (d->n == 0xffff || d->size == UINT32_MAX || d->at == UINT32_MAX)
        MD_TRY(read_end64(d, p, (size_t)(end - p), err));
    if (d->at > size || d->size > size - d->at || d->n > d->size / ENTRY_SIZE)
        return md_fail(err, MD_CORRUPT,
                       "zip directory of %llu entries in bytes [%llu, +%llu) "
                       "of %zu",
                       (unsigned long long)d->n, (unsigned long long)d->at,
                       (unsigned long long)d->size, size);
    return MD_OK;
}

/* Replace the values that are all ones by those of the Zip64 field. */
static md_status read_extra(uint64_t v[3], const unsigned char *p, size_t n,
                            md_error *err)
{
    while (n >= 4) {
        unsigned id = get16(p);
        size_t size = get16(p + 2);

        p += 4;
        n -= 4;
        if (size > n)
            break;
        for (unsigned i = 0; id == EXTRA_ZIP64 && i < 3; i++) {
            if (v[i] != UINT32_MAX)
                continue;
            if (size < 8)
                return md_fail(err, MD_CORRUPT, "zip64 field is too short");
            v[i] = get(p, 8);
            p += 8;
            n -= 8;
            size -= 8;
        }
        p += size;
        n -= size;
    }
    return MD_OK;
}

/* One record of the directory; *used is its size. */
static md_status read_entry(md_zip_entry *e, size_t *used, md_zip *z,
                            const unsigned char *p, size_t left, md_error *err)
{
    size_t n_name;
    size_t n_extra;
    uint64_t v[3]; /* unpacked size, packed size, place: order of Zip64 */

    if (left < ENTRY_SIZE || get32(p) != SIGNATURE_ENTRY)
        return md_fail(err, MD_CORRUPT, "zip directory ends early");
    n_name = get16(p + 28);
    n_extra = get16(p + 30);
    *used = ENTRY_SIZE + n_name + n_extra + get16(p + 32);
    if (*used > left)
        return md_fail(err, MD_CORRUPT, "zip directory ends early");
    v[0] = get32(p + 24);
    v[1] = get32(p + 20);
    v[2] = get32(p + 42);
    MD_TRY(read_extra(v, p + ENTRY_SIZE + n_name, n_extra, err));
    *e = (md_zip_entry){ .size = v[0],
                         .packed = v[1],
                         .at = v[2],
                         .crc = get32(p + 16),
                         .method = get16(p + 10),
                         .encrypted = get16(p + 8) & FLAG_ENCRYPTED };
    if (memchr(p + ENTRY_SIZE, '\0', n_name))
        return md_fail(err, MD_CORRUPT, "zip entry with a NUL in its name");
    e->name = md_arena_strndup(&z->arena, (const char *)p + ENTRY_SIZE, n_name);
    return e->name ? MD_OK : md_fail_nomem(err, n_name);
}

static md_status check_entry(const md_zip_entry *e, size_t size, md_error *err)
{
    if (e->at > size || e->packed > size - e->at)
        return md_fail(err, MD_CORRUPT,
                       "zip entry '%s': %zu bytes at %zu of %zu", e->name,
                       e->packed, e->at, size);
    if (e->size / RATIO_MAX > e->packed)
        return md_fail(err, MD_CORRUPT,
                       "zip entry '%s': %zu bytes announced, packed in %zu",
                       e->name, e->size, e->packed);
    return MD_OK;
}

static md_status read_entries(md_zip *z, const directory *d, size_t limit,
                              md_error *err)
{
    const unsigned char *p = z->data + d->at;
    size_t left = d->size;
    size_t packed = 0;
    size_t sum = 0;

    z->entries = md_arena_calloc(&z->arena, d->n + 1, sizeof(*z->entries));
    if (!z->entries)
        return md_fail_nomem(err, d->n * sizeof(*z->entries));
    for (; z->n_entries < d->n; z->n_entries++) {
        md_zip_entry *e = &z->entries[z->n_entries];
        size_t used = 0;

        MD_TRY(read_entry(e, &used, z, p, left, err));
        MD_TRY(check_entry(e, z->size, err));
        p += used;
        left -= used;
        packed += e->packed; /* each fits the file: at most n * size */
        if (packed > z->size)
            return md_fail(err, MD_CORRUPT, "zip entries overlap at '%s'",
                           e->name);
        if (e->size > limit - sum)
            return md_fail(err, MD_TOO_LARGE,
                           "zip archive unpacks to more than %zu bytes", limit);
        sum += e->size;
    }
    return MD_OK;
}

md_status md_zip_open(md_zip *z, const void *bytes, size_t size, size_t limit,
                      const md_alloc *alloc, md_error *err)
{
    directory d = { 0 };
    md_status s;

    *z = (md_zip){ .data = bytes, .size = size };
    md_arena_init(&z->arena, alloc, 0);
    MD_TRY(find_directory(&d, bytes, size, err));
    s = read_entries(z, &d, limit, err);
    if (s != MD_OK)
        md_zip_release(z);
    return s;
}

void md_zip_release(md_zip *z)
{
    md_arena_release(&z->arena);
    *z = (md_zip){ .n_entries = 0 };
}

const md_zip_entry *md_zip_find(const md_zip *z, const char *name)
{
    for (uint32_t i = z->n_entries; i-- > 0;) {
        if (strcmp(z->entries[i].name, name) == 0)
            return &z->entries[i];
    }
    return NULL;
}

/* Unpack exactly e->size bytes to `to` (which has room for them). */
static md_status inflate_entry(unsigned char *to, const md_zip_entry *e,
                               const unsigned char *from, const md_alloc *alloc,
                               md_error *err)
{
    z_stream zs = { .zalloc = md_zlib__alloc,
                    .zfree = md_zlib__free,
                    .opaque = (void *)(uintptr_t)alloc };
    size_t in_left = e->packed;
    size_t out_left = e->size;
    unsigned char over; /* room for the byte that must not come */
    int got;

    if (inflateInit2(&zs, -MAX_WBITS) != Z_OK)
        return md_fail_nomem(err, 1 << MAX_WBITS);
    zs.next_in = (unsigned char *)(uintptr_t)from;
    do {
        unsigned in = md_zlib__piece(in_left);
        unsigned out = out_left ? md_zlib__piece(out_left) : 1;

        zs.avail_in = in;
        zs.next_out = out_left ? to + (e->size - out_left) : &over;
        zs.avail_out = out;
        got = inflate(&zs, Z_NO_FLUSH);
        in_left -= in - zs.avail_in;
        if (out_left)
            out_left -= out - zs.avail_out;
        else if (zs.avail_out == 0)
            got = Z_BUF_ERROR; /* more than was announced */
    } while (got == Z_OK);
    inflateEnd(&zs);
    if (got == Z_MEM_ERROR)
        return md_fail_nomem(err, 1 << MAX_WBITS);
    if (got != Z_STREAM_END || out_left || in_left)
        return md_fail(err, MD_CORRUPT,
                       "zip entry '%s' does not unpack to %zu bytes", e->name,
                       e->size);
    return MD_OK;
}

/* The packed bytes, behind the local header. */
static md_status find_data(const unsigned char **out, const md_zip *z,
                           const md_zip_entry *e, md_error *err)
{
    const unsigned char *p = z->data + e->at;
    size_t left = z->size - e->at;
    size_t skip;

    if (left < LOCAL_SIZE || get32(p) != SIGNATURE_LOCAL)
        return md_fail(err, MD_CORRUPT, "zip entry '%s': no header at %zu",
                       e->name, e->at);
    skip = LOCAL_SIZE + get16(p + 26) + get16(p + 28);
    if (skip > left || e->packed > left - skip)
        return md_fail(err, MD_CORRUPT,
                       "zip entry '%s': %zu bytes announced, %zu left", e->name,
                       e->packed, skip > left ? 0 : left - skip);
    /* Who reads from the front would see another file. */
    if (get16(p + 26) != strlen(e->name) ||
        memcmp(p + LOCAL_SIZE, e->name, strlen(e->name)) != 0)
        return md_fail(err, MD_CORRUPT,
                       "zip entry '%s': its header at %zu has another name",
                       e->name, e->at);
    *out = p + skip;
    return MD_OK;
}

static uint32_t checksum(const unsigned char *p, size_t n)
{
    uLong crc = crc32(0, NULL, 0);

    while (n > 0) {
        unsigned k = md_zlib__piece(n);

        crc = crc32(crc, p, k);
        p += k;
        n -= k;
    }
    return (uint32_t)crc;
}

md_status md_zip_read(const md_zip *z, const md_zip_entry *e, md_buf *out,
                      md_error *err)
{
    const unsigned char *from = NULL;
    unsigned char *to;

    if (e->encrypted || (e->method != STORED && e->method != DEFLATED))
        return md_fail(err, MD_UNSUPPORTED, "zip entry '%s': %s %u", e->name,
                       e->encrypted ? "encrypted, method" : "method",
                       e->method);
    MD_TRY(find_data(&from, z, e, err));
    MD_TRY(md_buf_reserve(out, e->size, err));
    to = out->data + out->size;
    if (e->method == DEFLATED)
        MD_TRY(inflate_entry(to, e, from, out->alloc, err));
    else if (e->packed != e->size)
        return md_fail(err, MD_CORRUPT,
                       "zip entry '%s': stored in %zu bytes, %zu announced",
                       e->name, e->packed, e->size);
    else if (e->size)
        memcpy(to, from, e->size);
    if (checksum(to, e->size) != e->crc)
        return md_fail(err, MD_CORRUPT, "zip entry '%s': checksum differs",
                       e->name);
    out->size += e->size;
    out->data[out->size] = '\0';
    return MD_OK;
}

md_status md_zip_map(const unsigned char **out, const md_zip *z,
                     const md_zip_entry *e, md_error *err)
{
    const unsigned char *from = NULL;

    if (e->encrypted || e->method != STORED)
        return md_fail(err, MD_UNSUPPORTED,
                       "zip entry '%s' is %s, stored bytes expected", e->name,
                       e->encrypted ? "encrypted" : "packed");
    MD_TRY(find_data(&from, z, e, err));
    if (e->packed != e->size)
        return md_fail(err, MD_CORRUPT,
                       "zip entry '%s': stored in %zu bytes, %zu announced",
                       e->name, e->packed, e->size);
    if (checksum(from, e->size) != e->crc)
        return md_fail(err, MD_CORRUPT, "zip entry '%s': checksum differs",
                       e->name);
    *out = from;
    return MD_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* "/x", "..", "a/../b", "a\\b", "c:x" */
static bool leaves_folder(const char *name)
{
    if (name[0] == '/' || strpbrk(name, "\\:"))
        return true;
    for (const char *p = name; p; p = strchr(p, '/')) {
        p += *p == '/';
        if (p[0] == '.' && p[1] == '.' && (p[2] == '/' || p[2] == '\0'))
            return true;
    }
    return false;
}

md_status md_zip_check_names(const md_zip *z, md_error *err)
{
    const md_alloc *alloc = z->arena.alloc;
    const char **names =
        md_calloc(alloc, (size_t)z->n_entries + 1, sizeof(*names));
    md_status s = names ? MD_OK : md_fail_nomem(err, z->n_entries);

    for (uint32_t i = 0; s == MD_OK && i < z->n_entries; i++) {
        names[i] = z->entries[i].name;
        if (leaves_folder(names[i]))
            s = md_fail(err, MD_CORRUPT,
                        "zip entry '%.200s': a name inside the archive "
                        "expected",
                        names[i]);
    }
    if (s == MD_OK && z->n_entries > 1)
        qsort(names, z->n_entries, sizeof(*names), by_name);
    for (uint32_t i = 1; s == MD_OK && i < z->n_entries; i++) {
        if (strcmp(names[i - 1], names[i]) == 0)
            s = md_fail(err, MD_CORRUPT, "zip entry '%.200s' comes twice",
                        names[i]);
    }
    md_free(alloc, names);
    return s;
}
