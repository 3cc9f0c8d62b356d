/* Embeddings of words, positions and segments, added and normalized. */
#ifndef MD_OPS_COMMON_EMBED_H
#define MD_OPS_COMMON_EMBED_H

#include "ops/common/util.h"

typedef struct md_embed {
    bool quantized; /* tables, gamma and beta are codes: scales, zero points */
} md_embed;

md_status md_embed__infer(const md_infer *c, const md_embed *f, md_error *err);
md_status md_embed__run(md_exec *x, const md_embed *f, md_infer_fn *infer,
                        md_error *err);

#endif
