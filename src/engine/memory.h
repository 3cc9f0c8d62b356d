/*
 * Packing buffers with lifetimes into one block: offsets by decreasing size,
 * lowest free gap first (the greedy-by-size scheme of Pisarchyk and Lee,
 * "Efficient Memory Management for Deep Neural Net Inference", 2020).
 */
#ifndef MD_ENGINE_MEMORY_H
#define MD_ENGINE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

typedef struct md_buffer {
    size_t size;       /* bytes; 0 needs no room */
    uint32_t from, to; /* first and last step that touches it, inclusive */
    size_t offset;     /* the answer: a multiple of MD_CACHE_LINE */
} md_buffer;

/* Choose offsets so that buffers alive at the same time do not overlap;
 * *total is the size of the block.  `ar` is for scratch. */
md_status md_memory_pack(md_buffer *buffers, uint32_t n, size_t *total,
                         md_arena *ar, md_error *err);

#endif
