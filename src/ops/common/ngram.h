/*
 * Hashes of n-grams (Engram): of the tokens up to each place, for n = 2 to
 * `most`, the exclusive or of token i back times multiplier i, which `heads`
 * sizes of tables take to rows of these.
 */
#ifndef MD_OPS_COMMON_NGRAM_H
#define MD_OPS_COMMON_NGRAM_H

#include "ops/common/util.h"

/* Which input is what; the first three are tokens, multipliers and sizes. */
typedef struct md_ngram_inputs {
    uint32_t past, offsets, eos, segments;
} md_ngram_inputs;

typedef struct md_ngram {
    int64_t most, heads, pad;
    int64_t window; /* most - 1 tokens before the first */
    int64_t n_out;  /* window * heads hashes of a token */
    bool reset;     /* nothing is seen beyond the end of a text */
    /* In an execution: */
    bool narrow;   /* computed in int32, not int64 */
    bool has_eos;  /* there is an end of texts */
    int64_t blank; /* for what is not there or not seen: that, or pad */
    const int64_t *multipliers, *sizes, *offsets; /* no offsets: NULL */
    int64_t *row;                                 /* n_out hashes */
} md_ngram;

/* The attributes, and all inputs but those that have an element for each token
 * or request. */
md_status md_ngram__infer(md_ngram *out, const md_infer *c,
                          const md_ngram_inputs *at, md_error *err);

/* The same in an execution, with numbers from `ar`; MD_INVALID for tables of
 * no rows. */
md_status md_ngram__load(md_ngram *out, const md_exec *x,
                         const md_ngram_inputs *at, md_arena *ar,
                         md_error *err);

/* Hashes of the n tokens of one request, which lie behind `window` others, as
 * do `segments` (NULL: one), into `out` from row `to` on. */
void md_ngram__hash(const md_ngram *g, md_tensor *out, int64_t to,
                    const int64_t *tokens, const int64_t *segments, int64_t n);

/* Of request `b`, n elements from `from` on of input i behind `window` others:
 * those of input `past`, or, where the node has none, `otherwise`. */
void md_ngram__behind(const md_ngram *g, int64_t *out, const md_exec *x,
                      uint32_t i, uint32_t past, int64_t otherwise, int64_t b,
                      int64_t from, int64_t n);

#endif
