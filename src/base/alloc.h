/*
 * The allocator interface.
 *
 * Top-level constructors take a `const md_alloc *` and keep it in the object;
 * what an object allocates it frees with the same allocator.  Out of memory
 * is an ordinary status everywhere.  Tests pass counting and failing ones.
 */
#ifndef MD_BASE_ALLOC_H
#define MD_BASE_ALLOC_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct md_alloc {
    /* `size` > 0 bytes aligned to `align` (a power of two), or NULL. */
    void *(*alloc)(void *ctx, size_t size, size_t align);
    /* Grow or shrink; contents up to min(old, size) are kept, the alignment
     * of the block too.  NULL leaves the old block valid. */
    void *(*resize)(void *ctx, void *p, size_t old, size_t size, size_t align);
    void (*free)(void *ctx, void *p); /* p may be NULL */
    void *ctx;
} md_alloc;

typedef enum md_mem_tag {
#define MEM(id, what) MD_MEM_##id,
#include "base/mem_tags.def"
#undef MEM
    MD_MEM_N_TAGS
} md_mem_tag;

typedef struct md_mem_stat {
    const char *name;
    const char *help;
    uint64_t bytes;     /* allocated now */
    uint64_t bytes_max; /* high-water mark */
    uint64_t n_allocs;  /* calls so far */
} md_mem_stat;

/* The process-wide allocator that accounts under `tag`.  Thread-safe. */
const md_alloc *md_alloc_tagged(md_mem_tag tag);

/* md_alloc_tagged(MD_MEM_general). */
const md_alloc *md_alloc_default(void);

/* Current figures of one tag. */
md_mem_stat md_mem_stat_get(md_mem_tag tag);

/* Aligned for any object; NULL when out of memory or size is 0. */
void *md_malloc(const md_alloc *a, size_t size);

/* n zeroed elements of `size` bytes; NULL on overflow too. */
void *md_calloc(const md_alloc *a, size_t n, size_t size);

/* `size` bytes on a cache-line boundary, not cleared. */
void *md_malloc_aligned(const md_alloc *a, size_t size);

void *md_resize(const md_alloc *a, void *p, size_t old, size_t size);

void md_free(const md_alloc *a, void *p);

/* A NUL-terminated copy of n bytes of s; NULL when out of memory. */
char *md_strndup(const md_alloc *a, const char *s, size_t n);

/*
 * Make room for one more element in a growing array: *array has room for
 * *cap elements of `size` bytes and holds n.  Doubles; MD_NOMEM leaves it as
 * it was.
 */
md_status md_grow(const md_alloc *a, void *array, uint32_t *cap, uint32_t n,
                  size_t size, md_error *err);

#endif
