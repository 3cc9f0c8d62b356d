/*
 * Answers by what was asked: the outputs of a model for inputs that it has had
 * before.  Bounded in bytes; what was used longest ago goes first.  All
 * functions may be called by any thread.
 *
 * A key is 128 bits of two keyed hashes of the model's identity and of types,
 * shapes and contents of all inputs.  The hashes' keys are random and never
 * told, so nobody can make two requests that have the same one.
 */
#ifndef MD_SERVE_CACHE_H
#define MD_SERVE_CACHE_H

#include <stdatomic.h>

#include "tensor/tensor.h"

typedef struct md_cache md_cache;
typedef struct md_cache_entry md_cache_entry;

typedef struct md_cache_key {
    uint64_t h[2];
} md_cache_key;

/* Now, and since the start; read from any thread. */
typedef struct md_cache_stats {
    _Atomic uint64_t bytes;
    _Atomic uint64_t entries;
    _Atomic uint64_t hits;
    _Atomic uint64_t misses;
    _Atomic uint64_t evictions;
} md_cache_stats;

/* size_max bytes of entries, what they need themselves included. */
md_status md_cache_new(md_cache **out, size_t size_max, const md_alloc *alloc,
                       md_error *err);

/* None may be held; NULL is allowed. */
void md_cache_free(md_cache *c);

/* Begin the key of a request to this model, then add each input in order. */
void md_cache_key_begin(const md_cache *c, md_cache_key *k, uint64_t model);
void md_cache_key_add(const md_cache *c, md_cache_key *k, const md_tensor *t);

/* NULL, or the answer, to be let go; n_out outputs, which stay until then. */
md_cache_entry *md_cache_find(md_cache *c, const md_cache_key *k);
const md_tensor *md_cache_outputs(const md_cache_entry *e, uint32_t *n_out);
void md_cache_let_go(md_cache *c, md_cache_entry *e);

/* Keep copies of n outputs.  One that is larger than all, or for which there
 * is no memory, is not kept. */
void md_cache_put(md_cache *c, const md_cache_key *k,
                  const md_tensor *const *outputs, uint32_t n);

const md_cache_stats *md_cache_stats_get(const md_cache *c);

#endif
