/* com.microsoft's NGramHashMapping (Engram): which rows of tables of n-grams
 * each token of a batch reads, [B,L,n_out], and the last tokens for the next
 * call, [B,window]. */
#include <string.h>

#include "ops/common/ngram.h"

enum { /* inputs */
    IN_IDS,
    IN_PAST = 3,
    IN_OFFSETS,
    IN_EOS,
    IN_SEGMENTS,
    IN_NONE
};

enum { /* outputs */
    OUT_HASHES,
    OUT_TOKENS,
    OUT_N
};

static const md_ngram_inputs inputs = { IN_PAST, IN_OFFSETS, IN_EOS,
                                        IN_SEGMENTS };

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *ids = c->in[IN_IDS], *past, *segments;
    md_type y, kept;
    md_ngram g;

    MD_TRY(md_ngram__infer(&g, c, &inputs, err));
    MD_TRY(md_infer__rank(c, IN_IDS, 2, 2, err));
    MD_TRY(md_infer__rank(c, IN_PAST, 2, 2, err));
    MD_TRY(md_infer__rank(c, IN_SEGMENTS, 2, 2, err));
    MD_TRY(md_infer__fresh_type(c, &y, ids->dtype, 3, err));
    past = md_infer_has(c, IN_PAST) ? c->in[IN_PAST] : NULL;
    segments = md_infer_has(c, IN_SEGMENTS) ? c->in[IN_SEGMENTS] : NULL;
    for (int d = 0; ids->has_rank && d < 2; d++) {
        y.dim[d] = ids->dim[d];
        if (segments && segments->has_rank)
            MD_TRY(md_infer__must_equal(c, segments->dim[d], ids->dim[d],
                                        "an axis of segment_ids", err));
    }
    y.dim[2] = MD_DIM(g.n_out);
    if (past && past->has_rank && ids->has_rank)
        MD_TRY(md_infer__must_equal(c, past->dim[0], ids->dim[0],
                                    "axis 0 of past_ids", err));
    if (past && past->has_rank)
        MD_TRY(md_infer__must_equal(c, past->dim[1], MD_DIM(g.window),
                                    "axis 1 of past_ids", err));
    md_infer__give(c, OUT_HASHES, &y);
    kept = y;
    kept.rank = 2;
    kept.dim[1] = MD_DIM(g.window);
    md_infer__give(c, OUT_TOKENS, &kept);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *const *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *s = &x->in[IN_IDS]->shape;
    int64_t n = s->dim[1], *tokens, *segments = NULL;
    md_ngram g;

    MD_TRY(md_ngram__load(&g, x, &inputs, ar, err));
    MD_TRY(md_exec__scratch(&tokens, ar, g.window + n, sizeof(*tokens), err));
    if (md_exec_has(x, IN_SEGMENTS))
        MD_TRY(md_exec__scratch(&segments, ar, g.window + n, sizeof(*segments),
                                err));
    for (int64_t b = 0; b < s->dim[0]; b++) {
        md_ngram__behind(&g, tokens, x, IN_IDS, IN_PAST, g.blank, b, b * n, n);
        if (segments && n > 0)
            md_ngram__behind(&g, segments, x, IN_SEGMENTS, IN_NONE,
                             md_tensor_get_i64(x->in[IN_SEGMENTS], b * n), b,
                             b * n, n);
        if (out[OUT_HASHES])
            md_ngram__hash(&g, out[OUT_HASHES], b * n, tokens, segments, n);
        if (out[OUT_TOKENS])
            md_store_i64(out[OUT_TOKENS], b * g.window, tokens + n, g.window);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__several(x, infer, OUT_N, compute, err);
}

const md_op md_op_ms_ngram_hash_mapping = {
    .domain = "com.microsoft",
    .name = "NGramHashMapping",
    .since = 1,
    .in_min = 3,
    .in_max = 7,
    .out_min = 1,
    .out_max = OUT_N,
    .infer = infer,
    .run = run,
};
