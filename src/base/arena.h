/*
 * Arena: many small objects with one lifetime.  Nothing in it is freed
 * singly; reset keeps the blocks for the next use.
 */
#ifndef MD_BASE_ARENA_H
#define MD_BASE_ARENA_H

#include <stddef.h>

#include "base/alloc.h"

typedef struct md_arena_block md_arena_block;

typedef struct md_arena {
    const md_alloc *alloc;
    md_arena_block *first;
    md_arena_block *current;
    size_t used;  /* bytes handed out, for statistics and limits */
    size_t limit; /* used never exceeds it; 0: no limit of its own */
} md_arena;

/* No allocation yet; `limit` bytes at most (0: unlimited). */
void md_arena_init(md_arena *ar, const md_alloc *alloc, size_t limit);

/* Free all blocks; the arena may be initialised again. */
void md_arena_release(md_arena *ar);

/* Forget all objects but keep the memory. */
void md_arena_reset(md_arena *ar);

/* size bytes aligned for any object; NULL when out of memory, over the limit,
 * or size is 0. */
void *md_arena_alloc(md_arena *ar, size_t size);

/* n zeroed elements of `size` bytes; NULL on overflow too. */
void *md_arena_calloc(md_arena *ar, size_t n, size_t size);

/*
 * Make room for one more element in an array of the arena: *array has room
 * for *cap elements of `size` bytes and holds n.  Doubles; the new room is
 * zeroed, the old array stays behind, which wastes at most what the new one
 * takes.  MD_NOMEM and MD_TOO_LARGE leave it as it was.
 */
md_status md_arena_grow(md_arena *ar, void *array, uint32_t *cap, uint32_t n,
                        size_t size, md_error *err);

/* size bytes on a cache line. */
void *md_arena_alloc_aligned(md_arena *ar, size_t size);

/* NUL-terminated copy of n bytes of s (n may be 0). */
char *md_arena_strndup(md_arena *ar, const char *s, size_t n);
char *md_arena_strdup(md_arena *ar, const char *s);

/* printf into the arena; NULL when out of memory. */
char *md_arena_printf(md_arena *ar, const char *fmt, ...) MD_PRINTF(2, 3);

#endif
