#include "graph/names.h"

#include <string.h>

#include "base/hash.h"

static const char *name_of(md_names_of of, uint32_t at)
{
    const char *name;

    /* The element's type is the caller's: read the pointer through its bytes. */
    memcpy(&name, (const char *)of.first + at * of.stride, sizeof(name));
    return name;
}

/* Where `name` is, or the empty slot to put it. */
static uint32_t find_slot(const md_names *x, md_names_of of, const char *name)
{
    uint32_t mask = x->cap - 1;
    uint32_t i = (uint32_t)md_hash(name, strlen(name)) & mask;

    while (x->slot[i] && strcmp(name_of(of, x->slot[i] - 1), name) != 0)
        i = (i + 1) & mask;
    return i;
}

uint32_t md_names__find(const md_names *x, md_names_of of, const char *name)
{
    uint32_t found;

    if (x->cap == 0)
        return MD_NAMES_NONE;
    found = x->slot[find_slot(x, of, name)];
    return found ? found - 1 : MD_NAMES_NONE;
}

static void put(md_names *x, md_names_of of, uint32_t at)
{
    x->slot[find_slot(x, of, name_of(of, at))] = at + 1;
}

md_status md_names__reserve(md_names *x, md_names_of of, md_arena *ar,
                            md_error *err)
{
    md_names grown = { .cap = x->cap ? x->cap * 2 : 32, .n = x->n };

    if (x->n + 1 < x->cap / 2)
        return MD_OK;
    if (grown.cap < x->cap)
        return md_fail(err, MD_TOO_LARGE, "more than %u names", x->n);
    grown.slot = md_arena_calloc(ar, grown.cap, sizeof(*grown.slot));
    if (!grown.slot)
        return md_fail_nomem(err, grown.cap * sizeof(*grown.slot));
    for (uint32_t i = 0; i < x->cap; i++) {
        if (x->slot[i])
            put(&grown, of, x->slot[i] - 1);
    }
    *x = grown;
    return MD_OK;
}

void md_names__add(md_names *x, md_names_of of, uint32_t at)
{
    put(x, of, at);
    x->n++;
}
