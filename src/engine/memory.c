#include "engine/memory.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/size.h"

static int by_size(const void *pa, const void *pb)
{
    const md_buffer *a = *(md_buffer *const *)pa;
    const md_buffer *b = *(md_buffer *const *)pb;

    if (a->size != b->size)
        return a->size < b->size ? 1 : -1;
    return a < b ? -1 : a > b;
}

static bool alive_together(const md_buffer *a, const md_buffer *b)
{
    return a->from <= b->to && b->from <= a->to;
}

/* placed[] is sorted by offset. */
static size_t lowest_gap(const md_buffer *b, md_buffer *const *placed,
                         uint32_t n)
{
    size_t at = 0;

    for (uint32_t i = 0; i < n; i++) {
        const md_buffer *p = placed[i];
        size_t end = md_round_up(p->offset + p->size, MD_CACHE_LINE);

        if (!alive_together(b, p) || end <= at)
            continue;
        if (p->offset >= at && p->offset - at >= b->size)
            break;
        at = end;
    }
    return at;
}

md_status md_memory_pack(md_buffer *buffers, uint32_t n, size_t *total,
                         md_arena *ar, md_error *err)
{
    md_buffer **order;
    md_buffer **placed;
    uint32_t n_placed = 0, n_order = 0;
    size_t sum = 0;

    *total = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (buffers[i].size > SIZE_MAX / 2 ||
            !md_add_size(&sum, sum, buffers[i].size + MD_CACHE_LINE))
            return md_fail(err, MD_TOO_LARGE,
                           "activations need more than 2^64 bytes");
    }
    if (n == 0)
        return MD_OK;
    order = md_arena_alloc(ar, (size_t)n * 2 * sizeof(*order));
    if (!order)
        return md_fail_nomem(err, n * sizeof(*order));
    placed = order + n;
    for (uint32_t i = 0; i < n; i++) {
        if (buffers[i].size > 0)
            order[n_order++] = &buffers[i];
    }
    qsort(order, n_order, sizeof(*order), by_size);
    for (uint32_t i = 0; i < n_order; i++) {
        md_buffer *b = order[i];
        uint32_t at = n_placed++;

        b->offset = lowest_gap(b, placed, at);
        for (; at > 0 && placed[at - 1]->offset > b->offset; at--)
            placed[at] = placed[at - 1];
        placed[at] = b;
        if (b->offset + b->size > *total)
            *total = b->offset + b->size;
    }
    return MD_OK;
}
