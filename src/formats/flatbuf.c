#include "formats/flatbuf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    SMALLEST = 8 /* root offset and identifier */
};

static void fault(md_fb *fb, md_status s, const char *fmt, ...) MD_PRINTF(3, 4);

static void fault(md_fb *fb, md_status s, const char *fmt, ...)
{
    va_list ap;

    if (fb->status != MD_OK)
        return;
    fb->status = s;
    va_start(ap, fmt);
    vsnprintf(fb->fault, sizeof(fb->fault), fmt, ap);
    va_end(ap);
}

/* Are n bytes at `at` inside the file? */
static bool inside(const md_fb *fb, size_t at, size_t n)
{
    return at <= fb->size && n <= fb->size - at;
}

static uint16_t get_u16(const md_fb *fb, size_t at)
{
    return (uint16_t)(fb->data[at] | fb->data[at + 1] << 8);
}

static uint32_t get_u32(const md_fb *fb, size_t at)
{
    return (uint32_t)get_u16(fb, at) | (uint32_t)get_u16(fb, at + 2) << 16;
}

static uint64_t get_u64(const md_fb *fb, size_t at)
{
    return (uint64_t)get_u32(fb, at) | (uint64_t)get_u32(fb, at + 4) << 32;
}

void md_fb_init(md_fb *fb, const void *bytes, size_t size, const char *what)
{
    *fb = (md_fb){ .data = bytes, .size = size, .what = what };
}

md_status md_fb_check(const md_fb *fb, md_error *err)
{
    if (fb->status == MD_OK)
        return MD_OK;
    return md_fail(err, fb->status, "%s: %s", fb->what, fb->fault);
}

/* The table at `at`, which vtable precedes or follows it anywhere. */
static md_fb_table open_table(md_fb *fb, size_t at)
{
    md_fb_table t = { .fb = NULL };
    md_fb_table got = { .fb = fb, .at = at };
    int64_t vtable;

    if (fb->status != MD_OK)
        return t;
    if (++fb->n_tables > MD_FB_TABLES_MAX) {
        fault(fb, MD_TOO_LARGE, "more than %d tables", MD_FB_TABLES_MAX);
        return t;
    }
    if (!inside(fb, at, 4)) {
        fault(fb, MD_CORRUPT, "a table at byte %zu of %zu", at, fb->size);
        return t;
    }
    vtable = (int64_t)at - (int32_t)get_u32(fb, at);
    if (vtable < 0 || !inside(fb, (size_t)vtable, 4)) {
        fault(fb, MD_CORRUPT, "table at byte %zu has its vtable at %lld of %zu",
              at, (long long)vtable, fb->size);
        return t;
    }
    got.vtable = (size_t)vtable;
    got.vtable_size = get_u16(fb, got.vtable);
    got.size = get_u16(fb, got.vtable + 2);
    if (got.vtable_size < 4 || got.vtable_size % 2 != 0 || got.size < 4 ||
        !inside(fb, got.vtable, got.vtable_size) || !inside(fb, at, got.size)) {
        fault(fb, MD_CORRUPT,
              "table at byte %zu of %u bytes with a vtable of %u leaves the "
              "%zu bytes",
              at, (unsigned)got.size, (unsigned)got.vtable_size, fb->size);
        return t;
    }
    return got;
}

/* Where an offset at `at` leads; 0 and a fault when outside. */
static size_t follow(md_fb *fb, size_t at)
{
    uint32_t by = get_u32(fb, at);

    if (by == 0 || !inside(fb, at, (size_t)by + 4)) {
        fault(fb, MD_CORRUPT, "offset %lu at byte %zu leaves the %zu bytes",
              (unsigned long)by, at, fb->size);
        return 0;
    }
    return at + by;
}

md_fb_table md_fb_root(md_fb *fb, const char *id)
{
    size_t at;

    if (fb->size < SMALLEST) {
        fault(fb, MD_CORRUPT, "%zu bytes, at least %d expected", fb->size,
              SMALLEST);
        return (md_fb_table){ .fb = NULL };
    }
    if (memcmp(fb->data + 4, id, 4) != 0) {
        fault(fb, MD_CORRUPT, "no identifier '%s'", id);
        return (md_fb_table){ .fb = NULL };
    }
    at = follow(fb, 0);
    return at ? open_table(fb, at) : (md_fb_table){ .fb = NULL };
}

/* Place of field f of `size` bytes; 0 when absent. */
static size_t place(const md_fb_table *t, unsigned f, size_t size)
{
    size_t slot = 4 + 2 * (size_t)f;
    uint16_t off;

    if (!t->fb || t->fb->status != MD_OK || slot + 2 > t->vtable_size)
        return 0;
    off = get_u16(t->fb, t->vtable + slot);
    if (off == 0)
        return 0;
    if (off < 4 || off + size > t->size) {
        fault(t->fb, MD_CORRUPT,
              "field %u at byte %u of the table at %zu of %u bytes", f,
              (unsigned)off, t->at, (unsigned)t->size);
        return 0;
    }
    return t->at + off;
}

bool md_fb_has(const md_fb_table *t, unsigned f)
{
    return place(t, f, 1) != 0;
}

int md_fb_i8(const md_fb_table *t, unsigned f, int8_t otherwise)
{
    return (int8_t)md_fb_u8(t, f, (uint8_t)otherwise);
}

uint8_t md_fb_u8(const md_fb_table *t, unsigned f, uint8_t otherwise)
{
    size_t at = place(t, f, 1);

    return at ? t->fb->data[at] : otherwise;
}

int32_t md_fb_i32(const md_fb_table *t, unsigned f, int32_t otherwise)
{
    return (int32_t)md_fb_u32(t, f, (uint32_t)otherwise);
}

uint32_t md_fb_u32(const md_fb_table *t, unsigned f, uint32_t otherwise)
{
    size_t at = place(t, f, 4);

    return at ? get_u32(t->fb, at) : otherwise;
}

int64_t md_fb_i64(const md_fb_table *t, unsigned f, int64_t otherwise)
{
    return (int64_t)md_fb_u64(t, f, (uint64_t)otherwise);
}

uint64_t md_fb_u64(const md_fb_table *t, unsigned f, uint64_t otherwise)
{
    size_t at = place(t, f, 8);

    return at ? get_u64(t->fb, at) : otherwise;
}

static float as_f32(uint32_t bits)
{
    float v;

    memcpy(&v, &bits, sizeof(v));
    return v;
}

float md_fb_f32(const md_fb_table *t, unsigned f, float otherwise)
{
    size_t at = place(t, f, 4);

    return at ? as_f32(get_u32(t->fb, at)) : otherwise;
}

bool md_fb_bool(const md_fb_table *t, unsigned f, bool otherwise)
{
    return md_fb_u8(t, f, otherwise) != 0;
}

md_fb_table md_fb_sub(const md_fb_table *t, unsigned f)
{
    size_t at = place(t, f, 4);

    at = at ? follow(t->fb, at) : 0;
    return at ? open_table(t->fb, at) : (md_fb_table){ .fb = NULL };
}

/* The vector at `at` (0: none). */
static md_fb_vector open_vector(md_fb *fb, size_t at, size_t size)
{
    md_fb_vector v = { .fb = fb };
    uint32_t n;

    if (at == 0)
        return v;
    n = get_u32(fb, at);
    if (n > (fb->size - at - 4) / size) {
        fault(fb, MD_CORRUPT,
              "vector at byte %zu of %lu elements of %zu bytes leaves the %zu "
              "bytes",
              at, (unsigned long)n, size, fb->size);
        return v;
    }
    v.at = at + 4;
    v.n = n;
    return v;
}

md_fb_vector md_fb_vec(const md_fb_table *t, unsigned f, size_t size)
{
    size_t at = place(t, f, 4);

    return open_vector(t->fb, at ? follow(t->fb, at) : 0, size);
}

static const char *open_text(md_fb *fb, size_t at)
{
    md_fb_vector v = open_vector(fb, at, 1);

    if (v.at == 0)
        return "";
    if (!inside(fb, v.at, (size_t)v.n + 1) || fb->data[v.at + v.n] != '\0') {
        fault(fb, MD_CORRUPT, "text at byte %zu has no end", at);
        return "";
    }
    return (const char *)fb->data + v.at;
}

const char *md_fb_text(const md_fb_table *t, unsigned f)
{
    size_t at = place(t, f, 4);

    return open_text(t->fb, at ? follow(t->fb, at) : 0);
}

md_fb_table md_fb_vec_table(const md_fb_vector *v, uint32_t i)
{
    size_t at = follow(v->fb, v->at + (size_t)i * 4);

    return at ? open_table(v->fb, at) : (md_fb_table){ .fb = NULL };
}

const char *md_fb_vec_text(const md_fb_vector *v, uint32_t i)
{
    return open_text(v->fb, follow(v->fb, v->at + (size_t)i * 4));
}

int32_t md_fb_vec_i32(const md_fb_vector *v, uint32_t i)
{
    return (int32_t)get_u32(v->fb, v->at + (size_t)i * 4);
}

int64_t md_fb_vec_i64(const md_fb_vector *v, uint32_t i)
{
    return (int64_t)get_u64(v->fb, v->at + (size_t)i * 8);
}

float md_fb_vec_f32(const md_fb_vector *v, uint32_t i)
{
    return as_f32(get_u32(v->fb, v->at + (size_t)i * 4));
}

const unsigned char *md_fb_vec_bytes(const md_fb_vector *v)
{
    static const unsigned char none[1];

    return v->n > 0 ? v->fb->data + v->at : none;
}
