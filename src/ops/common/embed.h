/* Embeddings of words, positions and segments, added and normalized. */
#ifndef MD_OPS_COMMON_EMBED_H
#define MD_OPS_COMMON_EMBED_H

#include "ops/common/util.h"

typedef struct md_embed {
    bool quantized; /* tables, gamma and beta are codes: scales, zero points */
} md_embed;

enum { /* inputs */
    MD_EMBED_IDS,
    MD_EMBED_SEGMENTS,
    MD_EMBED_WORDS, /* tables, then what they are scaled by */
    MD_EMBED_POSITIONS,
    MD_EMBED_SEGMENT_TABLE,
    MD_EMBED_GAMMA,
    MD_EMBED_BETA,
    MD_EMBED_MASK,
    MD_EMBED_POSITION_IDS, /* of codes: the scale of the words, ... */
    MD_EMBED_SCALES = MD_EMBED_POSITION_IDS,
    MD_EMBED_ZEROS = MD_EMBED_SCALES + 5,
};

/* The rows of the tables that tokens are made of. */
typedef struct md_embed_rows {
    const int32_t *ids, *segments; /* by token; segments may be NULL */
    const int32_t *positions;      /* NULL: tokens count within a sequence */
    bool again;                    /* positions are those of each sequence */
    int64_t length;                /* tokens of a sequence */
    int64_t n_words, n_positions, n_segments; /* rows of the tables */
} md_embed_rows;

/* The row of the positions for a token. */
static inline int64_t md_embed__position(const md_embed_rows *r, int64_t token)
{
    int64_t at = token % r->length;

    return r->positions ? r->positions[r->again ? at : token] : at;
}

/* The rows of the first n tokens are there: MD_INVALID names one that is not,
 * and the input that it is missing from. */
md_status md_embed__check_rows(const md_embed_rows *r, int64_t n,
                               md_error *err);

/* How many of each row of a mask [rows][n] are 1; mask may be NULL. */
void md_embed__count(int32_t *out, const int32_t *mask, int64_t rows,
                     int64_t n);

md_status md_embed__infer(const md_infer *c, const md_embed *f, md_error *err);
md_status md_embed__run(md_exec *x, const md_embed *f, md_infer_fn *infer,
                        md_error *err);

#endif
