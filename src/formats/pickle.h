/*
 * Pickles (Python's pickle protocols 0 to 5), as a tree of what they describe.
 *
 * Nothing is ever called, imported or looked up: a global is a pair of names, a
 * call is a node with a global and its arguments.  Which globals may occur is
 * the caller's to say; all others are named in one refusal.
 *
 * Nodes and items are plain arrays of numbers, so that a process that is not
 * trusted can hand them over (md_pickle_check is for who takes them); texts
 * point into the pickle's bytes.
 *
 * Bounds: every opcode makes at most three nodes; the memo takes no index much
 * above what was put before; containers deeper than MD_PICKLE_DEPTH_MAX, or in
 * a circle, are refused.
 */
#ifndef MD_FORMATS_PICKLE_H
#define MD_FORMATS_PICKLE_H

#include <stdbool.h>

#include "base/arena.h"

enum {
    MD_PICKLE_DEPTH_MAX = 256, /* PyTorch modules nest to 40 or so */
    MD_PICKLE_NONE = -1
};

typedef enum md_pickle_kind {
    MD_PICKLE_NULL, /* None */
    MD_PICKLE_BOOL,
    MD_PICKLE_INT,
    MD_PICKLE_BIG, /* an int beyond 64 bits: text, little-endian */
    MD_PICKLE_FLOAT,
    MD_PICKLE_TEXT,
    MD_PICKLE_BYTES,
    MD_PICKLE_TUPLE,
    MD_PICKLE_LIST,
    MD_PICKLE_SET,
    MD_PICKLE_DICT,       /* items: key, value, key, ... */
    MD_PICKLE_GLOBAL,     /* items: module, name */
    MD_PICKLE_CALL,       /* items: what, arguments (a tuple) */
    MD_PICKLE_OBJECT,     /* items: class, arguments */
    MD_PICKLE_PERSISTENT, /* items: its id */
    MD_PICKLE_KINDS
} md_pickle_kind;

typedef struct md_pickle_node {
    uint32_t kind;
    uint32_t n;     /* items, or bytes of a text */
    uint32_t first; /* index of the first item */
    int32_t state;  /* what BUILD gave it; MD_PICKLE_NONE */
    union {
        int64_t i; /* BOOL, INT; offset of a text */
        double f;
    } v;
} md_pickle_node;

typedef struct md_pickle {
    const unsigned char *bytes;
    size_t size; /* up to and with STOP */
    md_pickle_node *nodes;
    uint32_t *items; /* indices of nodes */
    uint32_t n_nodes, n_items;
    uint32_t root;
} md_pickle;

/* May this global occur?  Names are not terminated. */
typedef bool md_pickle_allow_fn(const char *module, size_t n_module,
                                const char *name, size_t n_name);

/*
 * Read the pickle at the beginning of bytes, up to its STOP.  Everything lies
 * in the arena.  `allowed` says in a refusal what is ("tensors and plain
 * containers").  MD_CORRUPT, MD_UNSUPPORTED (globals, opcodes), MD_TOO_LARGE.
 */
md_status md_pickle_parse(md_pickle *out, const void *bytes, size_t size,
                          md_pickle_allow_fn *allow, const char *allowed,
                          md_arena *arena, md_error *err);

/* Indices, texts, depth and circles of nodes that somebody else made for
 * p->bytes (of p->size); scratch lies in the arena. */
md_status md_pickle_check(const md_pickle *p, md_arena *arena, md_error *err);

/* Item i of a node (i < n). */
const md_pickle_node *md_pickle_item(const md_pickle *p,
                                     const md_pickle_node *n, uint32_t i);

/* Is n this text? */
bool md_pickle_is(const md_pickle *p, const md_pickle_node *n,
                  const char *text);

/* Is n the global `module.name`? */
bool md_pickle_is_global(const md_pickle *p, const md_pickle_node *n,
                         const char *module, const char *name);

/* The value of a DICT under a text key, the last one; NULL when there is
 * none. */
const md_pickle_node *md_pickle_get(const md_pickle *p,
                                    const md_pickle_node *dict,
                                    const char *key);

/* A terminated copy of a TEXT in the arena; NULL when n is none, has a NUL
 * inside, or there is no memory. */
const char *md_pickle_text(const md_pickle *p, const md_pickle_node *n,
                           md_arena *arena);

#endif
