#include "formats/sstable.h"

#include <string.h>

#include "base/crc32c.h"

enum {
    FOOTER = 48,
    MAGIC_AT = 40,
    TRAILER = 5, /* compression, checksum */
    VARINT_MAX = 10,
    KEY_MAX = 1 << 16
};

static const unsigned char magic[] = { 0x57, 0xfb, 0x80, 0x8b,
                                       0x24, 0x75, 0x47, 0xdb };

/* Bytes not read yet, and where they began. */
typedef struct cursor {
    const unsigned char *p, *end;
    const unsigned char *file;
} cursor;

typedef struct handle {
    uint64_t at, size;
} handle;

typedef struct reader {
    md_sstable *t;
    const unsigned char *bytes;
    size_t size;
    md_arena *ar;
    md_error *err;
} reader;

static md_status varint(uint64_t *out, cursor *c, md_error *err)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < VARINT_MAX && c->p < c->end; i++) {
        unsigned char b = *c->p++;

        v |= (uint64_t)(b & 0x7f) << (7 * i);
        if (b < 0x80) {
            *out = v;
            return MD_OK;
        }
    }
    return md_fail(err, MD_CORRUPT, "table: no number at byte %td",
                   c->p - c->file);
}

static md_status read_handle(handle *out, cursor *c, md_error *err)
{
    MD_TRY(varint(&out->at, c, err));
    return varint(&out->size, c, err);
}

static uint32_t get_u32(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
           (uint32_t)p[3] << 24;
}

/* The entries of a block, without its list of restarts. */
static md_status open_block(cursor *out, const reader *r, const handle *h)
{
    const unsigned char *p;
    uint32_t crc;
    uint32_t n;

    if (h->at > r->size || r->size - h->at < TRAILER ||
        h->size > r->size - h->at - TRAILER || h->size < 4)
        return md_fail(r->err, MD_CORRUPT,
                       "table: block at byte %llu of %llu bytes in a file of "
                       "%zu",
                       (unsigned long long)h->at, (unsigned long long)h->size,
                       r->size);
    p = r->bytes + h->at;
    crc = md_crc32c_mask(md_crc32c(0, p, (size_t)h->size + 1));
    if (crc != get_u32(p + h->size + 1))
        return md_fail(r->err, MD_CORRUPT,
                       "table: block at byte %llu has checksum %08x, %08x "
                       "expected",
                       (unsigned long long)h->at, crc,
                       get_u32(p + h->size + 1));
    if (p[h->size] != 0)
        return md_fail(r->err, MD_UNSUPPORTED,
                       "table: block at byte %llu is compressed (%d)",
                       (unsigned long long)h->at, p[h->size]);
    n = get_u32(p + h->size - 4);
    if (n > (h->size - 4) / 4)
        return md_fail(r->err, MD_CORRUPT,
                       "table: block at byte %llu of %llu bytes with %u "
                       "restarts",
                       (unsigned long long)h->at, (unsigned long long)h->size,
                       n);
    *out = (cursor){ p, p + h->size - 4 - (size_t)n * 4, r->bytes };
    return MD_OK;
}

/* The next entry; before is the one in front of it in the block. */
static md_status next(md_sstable_entry *out, const md_sstable_entry *before,
                      cursor *c, const reader *r)
{
    uint64_t shared, fresh, size;
    size_t left;
    char *key;

    MD_TRY(varint(&shared, c, r->err));
    MD_TRY(varint(&fresh, c, r->err));
    MD_TRY(varint(&size, c, r->err));
    left = (size_t)(c->end - c->p);
    if (shared > before->n_key || fresh > KEY_MAX || shared + fresh > KEY_MAX ||
        fresh > left || size > left - fresh)
        return md_fail(r->err, MD_CORRUPT,
                       "table: entry before byte %td takes %llu bytes of the "
                       "key of %zu in front, %llu of its own and %llu for its "
                       "value, %zu are left",
                       c->p - c->file, (unsigned long long)shared,
                       before->n_key, (unsigned long long)fresh,
                       (unsigned long long)size, left);
    key = md_arena_alloc(r->ar, (size_t)(shared + fresh) + 1);
    if (!key)
        return md_fail_nomem(r->err, shared + fresh + 1);
    if (shared > 0)
        memcpy(key, before->key, (size_t)shared);
    memcpy(key + shared, c->p, (size_t)fresh);
    key[shared + fresh] = '\0';
    *out = (md_sstable_entry){ key, (size_t)(shared + fresh), c->p + fresh,
                               (size_t)size };
    c->p += fresh + size;
    return MD_OK;
}

static int compare(const char *a, size_t n_a, const char *b, size_t n_b)
{
    int d = memcmp(a, b, n_a < n_b ? n_a : n_b);

    return d ? d : n_a < n_b ? -1 : n_a > n_b;
}

static md_status keep(reader *r, const md_sstable_entry *e)
{
    md_sstable *t = r->t;
    const md_sstable_entry *last = t->n > 0 ? &t->entries[t->n - 1] : NULL;

    if (last && compare(last->key, last->n_key, e->key, e->n_key) >= 0)
        return md_fail(r->err, MD_CORRUPT,
                       "table: key '%.80s' comes after '%.80s'", e->key,
                       last->key);
    MD_TRY(
        md_arena_grow(r->ar, &t->entries, &t->cap, t->n, sizeof(*e), r->err));
    t->entries[t->n++] = *e;
    return MD_OK;
}

static md_status read_data(reader *r, const handle *h)
{
    md_sstable_entry e = { .key = "" };
    cursor c;

    MD_TRY(open_block(&c, r, h));
    while (c.p < c.end) {
        md_sstable_entry before = e;

        MD_TRY(next(&e, &before, &c, r));
        MD_TRY(keep(r, &e));
    }
    return MD_OK;
}

md_status md_sstable_read(md_sstable *out, const void *bytes, size_t size,
                          md_arena *ar, md_error *err)
{
    reader r = { out, bytes, size, ar, err };
    md_sstable_entry e = { .key = "" };
    handle h = { 0, 0 };
    cursor c;

    *out = (md_sstable){ .n = 0 };
    if (size < FOOTER ||
        memcmp(r.bytes + size - FOOTER + MAGIC_AT, magic, sizeof(magic)) != 0)
        return md_fail(err, MD_CORRUPT, "table: %zu bytes without its footer",
                       size);
    c = (cursor){ r.bytes + size - FOOTER, r.bytes + size - sizeof(magic),
                  r.bytes };
    MD_TRY(read_handle(&h, &c, err)); /* of an index of filters, unused */
    MD_TRY(read_handle(&h, &c, err));
    MD_TRY(open_block(&c, &r, &h));
    while (c.p < c.end) {
        md_sstable_entry before = e;
        cursor value;

        MD_TRY(next(&e, &before, &c, &r));
        value = (cursor){ e.value, e.value + e.n_value, r.bytes };
        MD_TRY(read_handle(&h, &value, err));
        MD_TRY(read_data(&r, &h));
    }
    return MD_OK;
}

const md_sstable_entry *md_sstable_find(const md_sstable *t, const char *key,
                                        size_t n_key)
{
    uint32_t lo = 0;
    uint32_t hi = t->n;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        const md_sstable_entry *e = &t->entries[mid];
        int d = compare(e->key, e->n_key, key, n_key);

        if (d == 0)
            return e;
        if (d < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}
