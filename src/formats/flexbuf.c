#include "formats/flexbuf.h"

#include <stdint.h>
#include <string.h>

/* Types of values, from the top 6 bits of a type byte. */
enum {
    TYPE_INT = 1,
    TYPE_UINT = 2,
    TYPE_FLOAT = 3,
    TYPE_INDIRECT_INT = 6,
    TYPE_INDIRECT_UINT = 7,
    TYPE_INDIRECT_FLOAT = 8,
    TYPE_MAP = 9,
    TYPE_BOOL = 26
};

typedef struct flex {
    const unsigned char *data;
    size_t size;
} flex;

static bool inside(const flex *f, size_t at, size_t n)
{
    return at <= f->size && n <= f->size - at;
}

static bool get_uint(uint64_t *out, const flex *f, size_t at, size_t width)
{
    uint64_t v = 0;

    if (!inside(f, at, width))
        return false;
    for (size_t i = 0; i < width; i++)
        v |= (uint64_t)f->data[at + i] << 8 * i;
    *out = v;
    return true;
}

/* What the offset at `at` (it leads backwards) points to. */
static bool follow(size_t *out, const flex *f, size_t at, size_t width)
{
    uint64_t back = 0;

    if (!get_uint(&back, f, at, width) || back > at)
        return false;
    *out = at - (size_t)back;
    return true;
}

static double as_float(uint64_t bits, size_t width)
{
    uint32_t low = (uint32_t)bits;
    double d;
    float f;

    if (width == 8) {
        memcpy(&d, &bits, sizeof(d));
        return d;
    }
    memcpy(&f, &low, sizeof(f));
    return (double)f;
}

static bool read_number(double *out, const flex *f, size_t at, size_t width,
                        unsigned type)
{
    unsigned kind = type >> 2;
    uint64_t v = 0;

    if (kind >= TYPE_INDIRECT_INT && kind <= TYPE_INDIRECT_FLOAT) {
        if (!follow(&at, f, at, width))
            return false;
        width = (size_t)1 << (type & 3);
        kind -= TYPE_INDIRECT_INT - TYPE_INT;
    }
    if (!get_uint(&v, f, at, width))
        return false;
    if (kind == TYPE_FLOAT && width >= 4)
        *out = as_float(v, width);
    else if (kind == TYPE_INT)
        *out = (double)((int64_t)(v << (64 - 8 * width)) >> (64 - 8 * width));
    else if (kind == TYPE_UINT || kind == TYPE_BOOL)
        *out = (double)v;
    else
        return false;
    return true;
}

/* The key at `at`, with its NUL inside the bytes, is `key`. */
static bool is_key(const flex *f, size_t at, const char *key)
{
    size_t n = strlen(key) + 1;

    return inside(f, at, n) && memcmp(f->data + at, key, n) == 0;
}

/*
 * A map: before its values their number, before that the width of the keys'
 * vector and the offset to it; behind the values a type byte for each.
 */
static bool find(double *out, const flex *f, size_t map, size_t width,
                 const char *key)
{
    uint64_t n = 0;
    uint64_t key_width = 0;
    size_t keys;

    if (map < 3 * width || !get_uint(&n, f, map - width, width) ||
        !get_uint(&key_width, f, map - 2 * width, width) ||
        !follow(&keys, f, map - 3 * width, width) ||
        (key_width != 1 && key_width != 2 && key_width != 4 &&
         key_width != 8) ||
        n > f->size / (width + 1) || n > f->size / key_width)
        return false;
    for (size_t i = 0; i < n; i++) {
        size_t at;

        if (!follow(&at, f, keys + i * (size_t)key_width, (size_t)key_width))
            return false;
        if (!is_key(f, at, key))
            continue;
        if (!inside(f, map, (size_t)n * (width + 1)))
            return false;
        return read_number(out, f, map + i * width, width,
                           f->data[map + (size_t)n * width + i]);
    }
    return false;
}

bool md_flexbuf_number(double *out, const void *bytes, size_t size,
                       const char *key)
{
    flex f = { bytes, size };
    unsigned type;
    size_t width;
    size_t at;

    if (size < 3)
        return false;
    width = f.data[size - 1];
    type = f.data[size - 2];
    if ((width != 1 && width != 2 && width != 4 && width != 8) ||
        width > size - 2 || type >> 2 != TYPE_MAP ||
        !follow(&at, &f, size - 2 - width, width))
        return false;
    return find(out, &f, at, (size_t)1 << (type & 3), key);
}
