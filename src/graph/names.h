/*
 * The index of a growing array of named things: value by name, symbol by
 * name.  Shared inside graph; lies in the model's arena.
 *
 * Open addressing, at most half full, under md_hash, so that a model cannot
 * choose names that collide.  Slots hold positions in the array, whose
 * elements the index reads through an md_names_of.
 */
#ifndef MD_GRAPH_NAMES_H
#define MD_GRAPH_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

typedef struct md_names {
    uint32_t *slot; /* 0: empty, else 1 + position */
    uint32_t cap;   /* a power of two, or 0 */
    uint32_t n;     /* slots in use */
} md_names;

/* Where the names are: a `const char *` every `stride` bytes. */
typedef struct md_names_of {
    const void *first;
    size_t stride;
} md_names_of;

#define MD_NAMES_NONE UINT32_MAX

/* Position of the element called `name`, or MD_NAMES_NONE. */
uint32_t md_names__find(const md_names *x, md_names_of of, const char *name);

/* Make room for one more name; MD_NOMEM leaves the index as it was. */
md_status md_names__reserve(md_names *x, md_names_of of, md_arena *ar,
                            md_error *err);

/* Note that element `at` is called what it is called: a name that is not in
 * the index yet, after md_names__reserve. */
void md_names__add(md_names *x, md_names_of of, uint32_t at);

#endif
