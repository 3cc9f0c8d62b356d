#include "base/arena.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"

struct md_arena_block {
    md_arena_block *next;
    size_t size; /* of data */
    size_t used;
    _Alignas(MD_CACHE_LINE) unsigned char data[];
};

enum {
    BLOCK_SIZE_MIN = 8 * 1024,
    BLOCK_SIZE_MAX = 1024 * 1024
};

void md_arena_init(md_arena *ar, const md_alloc *alloc, size_t limit)
{
    *ar = (md_arena){ .alloc = alloc, .limit = limit };
}

void md_arena_release(md_arena *ar)
{
    md_arena_block *b = ar->first;

    while (b) {
        md_arena_block *next = b->next;

        md_free(ar->alloc, b);
        b = next;
    }
    ar->first = NULL;
    ar->current = NULL;
    ar->used = 0;
}

void md_arena_reset(md_arena *ar)
{
    for (md_arena_block *b = ar->first; b; b = b->next)
        b->used = 0;
    ar->current = ar->first;
    ar->used = 0;
}

/* Room for `size` bytes at `align` in b, or NULL. */
static void *take(md_arena_block *b, size_t size, size_t align)
{
    size_t at = md_round_up(b->used, align);

    if (at > b->size || size > b->size - at)
        return NULL;
    b->used = at + size;
    return b->data + at;
}

/* A fresh block with room for size bytes, made current. */
static bool add_block(md_arena *ar, size_t size)
{
    size_t want = ar->current ? ar->current->size * 2 : BLOCK_SIZE_MIN;
    size_t total;
    md_arena_block *b;

    if (want > BLOCK_SIZE_MAX)
        want = BLOCK_SIZE_MAX;
    if (want < size)
        want = size;
    if (!md_add_size(&total, want, sizeof(md_arena_block)))
        return false;
    b = ar->alloc->alloc(ar->alloc->ctx, total, MD_CACHE_LINE);
    if (!b)
        return false;
    b->size = want;
    b->used = 0;
    b->next = NULL;
    if (ar->current) {
        b->next = ar->current->next;
        ar->current->next = b;
    } else {
        ar->first = b;
    }
    ar->current = b;
    return true;
}

static void *alloc_at(md_arena *ar, size_t size, size_t align)
{
    void *p = NULL;

    if (size == 0 || size > SIZE_MAX / 2)
        return NULL;
    if (ar->limit && size > ar->limit - ar->used)
        return NULL;
    while (ar->current && !(p = take(ar->current, size, align)) &&
           ar->current->next)
        ar->current = ar->current->next;
    if (!p && add_block(ar, size))
        p = take(ar->current, size, align);
    if (p)
        ar->used += size;
    return p;
}

void *md_arena_alloc(md_arena *ar, size_t size)
{
    return alloc_at(ar, size, _Alignof(max_align_t));
}

void *md_arena_alloc_aligned(md_arena *ar, size_t size)
{
    return alloc_at(ar, size, MD_CACHE_LINE);
}

void *md_arena_calloc(md_arena *ar, size_t n, size_t size)
{
    size_t total;
    void *p;

    if (!md_mul_size(&total, n, size))
        return NULL;
    p = md_arena_alloc(ar, total);
    if (p)
        memset(p, 0, total);
    return p;
}

char *md_arena_strndup(md_arena *ar, const char *s, size_t n)
{
    char *p = n < SIZE_MAX ? md_arena_alloc(ar, n + 1) : NULL;

    if (p) {
        if (n)
            memcpy(p, s, n);
        p[n] = '\0';
    }
    return p;
}

char *md_arena_strdup(md_arena *ar, const char *s)
{
    return md_arena_strndup(ar, s, strlen(s));
}

char *md_arena_printf(md_arena *ar, const char *fmt, ...)
{
    va_list ap;
    char *p;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        return NULL;
    p = md_arena_alloc(ar, (size_t)n + 1);
    if (!p)
        return NULL;
    va_start(ap, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return p;
}

md_status md_arena_grow(md_arena *ar, void *array, uint32_t *cap, uint32_t n,
                        size_t size, md_error *err)
{
    void *old;
    void *grown;
    size_t bytes;
    uint32_t want;

    if (n < *cap)
        return MD_OK;
    want = *cap ? *cap * 2 : 8;
    if (want <= *cap || !md_mul_size(&bytes, want, size))
        return md_fail(err, MD_TOO_LARGE, "array of %u elements", *cap);
    grown = md_arena_alloc(ar, bytes);
    if (!grown)
        return md_fail_nomem(err, bytes);
    /* array is the address of a T *: read and write it through its bytes. */
    memcpy(&old, array, sizeof(old));
    if (n)
        memcpy(grown, old, n * size);
    memset((char *)grown + n * size, 0, bytes - n * size);
    memcpy(array, &grown, sizeof(grown));
    *cap = want;
    return MD_OK;
}
