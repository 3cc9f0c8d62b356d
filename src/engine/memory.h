/*
 * Packing buffers with lifetimes into one block: offsets by decreasing size,
 * lowest free gap first (the greedy-by-size scheme of Pisarchyk and Lee,
 * "Efficient Memory Management for Deep Neural Net Inference", 2020).
 *
 * Lifetimes do not change with sizes, nor does which buffers are of one size.
 * So who meets whom is found once, and buffers of new sizes are placed at the
 * cost of sorting the sizes and a look at the few that each buffer meets.
 */
#ifndef MD_ENGINE_MEMORY_H
#define MD_ENGINE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

typedef struct md_buffer {
    uint32_t from, to; /* first and last step that touches it, inclusive */
    uint32_t kind;     /* those of one kind have one size */
} md_buffer;

typedef struct md_packing {
    const md_buffer *buffers;
    uint32_t n, n_kinds;
    /* Buffers by kind: of kind k, members[first[k]] up to first[k + 1]. */
    uint32_t *first, *members;
    /* Those alive together with buffer i: meets[meet[i]] up to meet[i + 1];
     * NULL: not listed. */
    uint32_t *meet, *meets;
} md_packing;

/* Where buffers are for some sizes; `size` is the caller's to fill in. */
typedef struct md_places {
    size_t *size;   /* by kind, bytes; 0 needs no room */
    size_t *offset; /* by buffer, a multiple of MD_CACHE_LINE */
    size_t total;   /* of the block */
    struct md_piece *pieces;
    uint32_t *order, *next; /* by kind */
} md_places;

/* Memory is taken from `ar`; the buffers stay where they are.  `lists`: find
 * who meets whom now, because sizes will change. */
md_status md_packing_init(md_packing *p, const md_buffer *buffers, uint32_t n,
                          uint32_t n_kinds, bool lists, md_arena *ar,
                          md_error *err);

md_status md_places_init(md_places *out, const md_packing *p, md_arena *ar,
                         md_error *err);

/* Choose offsets so that buffers alive at the same time do not overlap.
 * MD_TOO_LARGE when all together have no size. */
md_status md_places_find(md_places *out, const md_packing *p, md_error *err);

#endif
