#include "engine/recycle.h"

#include <assert.h>
#include <string.h>

#include "base/size.h"

enum {
    SMALLEST = 64, /* bytes of bin 0 */
    AGE_MAX = 4    /* trims that a block stays kept without being used */
};

/* In front of the bytes handed out, on a cache line of its own, so that they
 * begin on the next. */
struct md_recycle_block {
    md_recycle_block *next; /* in `kept` */
    size_t size;            /* of the bytes behind */
    uint32_t bin;
    uint32_t given; /* number of trims before it was given back */
};

/* The smallest bin that holds `size` bytes, and what it holds: 64, 80, 96,
 * 112, 128, 160, ... */
static uint32_t class_of(size_t size, size_t *holds)
{
    size_t base = SMALLEST;
    uint32_t bin = 0;

    while (bin + 4 < MD_RECYCLE_CLASSES && base * 2 < size) {
        base *= 2;
        bin += 4;
    }
    *holds = base;
    while (*holds < size && bin + 1 < MD_RECYCLE_CLASSES) {
        *holds += base / 4;
        bin++;
    }
    return bin;
}

static void *take(void *ctx, size_t size, size_t align)
{
    md_recycle *r = ctx;
    md_recycle_block *b;
    uint32_t bin;
    size_t total;

    (void)align; /* where asserts are off */
    assert(align <= MD_CACHE_LINE);
    if (size > SIZE_MAX / 4)
        return NULL;
    bin = class_of(size, &size);
    b = r->kept[bin];
    if (b) {
        r->kept[bin] = b->next;
        r->kept_size -= b->size;
    } else {
        if (!md_add_size(&total, size, MD_CACHE_LINE))
            return NULL;
        b = md_malloc_aligned(r->from, total);
        if (!b)
            return NULL;
        b->size = size;
        b->bin = bin;
    }
    r->used_size += b->size;
    return (unsigned char *)b + MD_CACHE_LINE;
}

static md_recycle_block *block_of(void *p)
{
    return (md_recycle_block *)(void *)((unsigned char *)p - MD_CACHE_LINE);
}

static void give(void *ctx, void *p)
{
    md_recycle *r = ctx;
    md_recycle_block *b;

    if (!p)
        return;
    b = block_of(p);
    b->given = r->n_trims;
    b->next = r->kept[b->bin];
    r->kept[b->bin] = b;
    r->kept_size += b->size;
    r->used_size -= b->size;
}

static void *resize(void *ctx, void *p, size_t old, size_t size, size_t align)
{
    void *q;

    if (p && size <= block_of(p)->size)
        return p;
    q = take(ctx, size, align);
    if (q && p) {
        memcpy(q, p, old);
        give(ctx, p);
    }
    return q;
}

void md_recycle_init(md_recycle *r, const md_alloc *from)
{
    *r = (md_recycle){ .alloc = { take, resize, give, r }, .from = from };
}

/* Free the kept blocks that are older than `age` trims. */
static void drop_older(md_recycle *r, uint32_t age)
{
    for (uint32_t i = 0; i < MD_RECYCLE_CLASSES && r->kept_size > 0; i++) {
        md_recycle_block **at = &r->kept[i];

        while (*at) {
            md_recycle_block *b = *at;

            if (r->n_trims - b->given < age) {
                at = &b->next;
                continue;
            }
            *at = b->next;
            r->kept_size -= b->size;
            md_free(r->from, b);
        }
    }
}

void md_recycle_trim(md_recycle *r)
{
    r->n_trims++;
    drop_older(r, AGE_MAX);
}

void md_recycle_release(md_recycle *r)
{
    assert(r->used_size == 0);
    drop_older(r, 0);
}
