/*
 * com.microsoft's VarlenNGramHashMapping: NGramHashMapping of requests behind
 * each other, [tokens,n_out].  Each has its own past, and may ask for the
 * tokens that would be kept after each of its first ones.
 */
#include "ops/common/ngram.h"
#include "ops/common/varlen.h"

enum { /* inputs */
    IN_IDS,
    IN_BOUNDS = 3,
    IN_PAST,
    IN_OFFSETS,
    IN_EOS,
    IN_SEGMENTS,
    IN_PAST_SEGMENTS,
    IN_CAPTURE
};

enum { /* outputs */
    OUT_HASHES,
    OUT_TOKENS,
    OUT_SEGMENTS,
    OUT_UPDATE,
    OUT_N
};

static const md_ngram_inputs inputs = { IN_PAST, IN_OFFSETS, IN_EOS,
                                        IN_SEGMENTS };

static md_status check_segments(const md_infer *c, md_error *err)
{
    const md_node *n = c->node;
    bool asked =
        n->n_out > OUT_SEGMENTS && n->out[OUT_SEGMENTS] != MD_VALUE_NONE;

    MD_TRY(md_infer__may(c, IN_PAST_SEGMENTS, MD_T(I32), err));
    MD_TRY(md_infer__rank(c, IN_SEGMENTS, 1, 1, err));
    if (!md_infer_has(c, IN_SEGMENTS) &&
        (asked || md_infer_has(c, IN_PAST_SEGMENTS)))
        return md_fail(err, MD_INVALID, "%s without segment_ids",
                       asked ? "present_segment_ids" : "past_segment_ids");
    return MD_OK;
}

/* Input i, if it is there, is [batch,window]. */
static md_status check_past(const md_infer *c, uint32_t i, const md_type *kept,
                            const char *what, md_error *err)
{
    MD_TRY(md_infer__rank(c, i, 2, 2, err));
    for (int d = 0; md_infer_has(c, i) && c->in[i]->has_rank && d < 2; d++)
        MD_TRY(
            md_infer__must_equal(c, c->in[i]->dim[d], kept->dim[d], what, err));
    return MD_OK;
}

/* What there is of each request, and of each token; `kept` is
 * [batch,window]. */
static md_status check_sizes(const md_infer *c, const md_type *kept,
                             md_error *err)
{
    const md_type *ids = c->in[IN_IDS];

    MD_TRY(check_past(c, IN_PAST, kept, "an axis of past_ids", err));
    MD_TRY(check_past(c, IN_PAST_SEGMENTS, kept, "an axis of past_segment_ids",
                      err));
    if (!md_infer_has(c, IN_SEGMENTS) || !ids->has_rank)
        return MD_OK;
    return md_infer__length(c, c->in[IN_SEGMENTS], ids->dim[0], "segment_ids",
                            err);
}

static void give(const md_infer *c, uint32_t o, md_type t, md_dtype dtype)
{
    t.dtype = dtype;
    md_infer__give(c, o, &t);
}

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *ids = c->in[IN_IDS];
    md_type y, kept, update;
    int64_t capture;
    md_ngram g;

    MD_TRY(md_ngram__infer(&g, c, &inputs, err));
    MD_TRY(check_segments(c, err));
    MD_TRY(md_infer__rank(c, IN_IDS, 1, 1, err));
    MD_TRY(md_infer__fresh_type(c, &y, ids->dtype, 2, err));
    MD_TRY(md_infer__fresh_type(c, &kept, ids->dtype, 2, err));
    MD_TRY(md_varlen__infer(c, IN_BOUNDS, &kept.dim[0], err));
    kept.dim[1] = MD_DIM(g.window);
    MD_TRY(md_varlen__capture(c, IN_CAPTURE, kept.dim[0], &capture, err));
    MD_TRY(check_sizes(c, &kept, err));
    if (ids->has_rank)
        y.dim[0] = ids->dim[0];
    y.dim[1] = MD_DIM(g.n_out);
    update = kept;
    update.rank = 3;
    update.dim[1] = MD_DIM(capture);
    update.dim[2] = MD_DIM(g.window);
    give(c, OUT_HASHES, y, ids->dtype);
    give(c, OUT_TOKENS, kept, ids->dtype);
    give(c, OUT_SEGMENTS, kept, MD_DTYPE_I32);
    give(c, OUT_UPDATE, update, ids->dtype);
    return MD_OK;
}

/* What would be kept after each of the first tokens of request b, `n` of
 * them; pad for those that are not there, or not asked for. */
static void give_update(md_tensor *out, const md_exec *x, const md_ngram *g,
                        int64_t b, const int64_t *tokens, int64_t n)
{
    int64_t slots = out->shape.dim[1];
    int64_t given = md_varlen__captured(x, IN_CAPTURE, slots, b, n);

    for (int64_t k = 0; k < slots; k++) {
        int64_t to = (b * slots + k) * g->window;

        if (k < given)
            md_store_i64(out, to, tokens + k + 1, g->window);
        for (int64_t i = 0; i < g->window && k >= given; i++)
            md_tensor_set_i64(out, to + i, g->pad);
    }
}

static void compute_request(const md_exec *x, md_tensor *const *out,
                            const md_ngram *g, int64_t b, int64_t from,
                            int64_t to, int64_t *tokens, int64_t *segments)
{
    int64_t n = to - from, kept = b * g->window;

    md_ngram__behind(g, tokens, x, IN_IDS, IN_PAST, g->blank, b, from, n);
    if (segments)
        md_ngram__behind(g, segments, x, IN_SEGMENTS, IN_PAST_SEGMENTS,
                         md_tensor_get_i64(x->in[IN_SEGMENTS], from), b, from,
                         n);
    if (out[OUT_HASHES])
        md_ngram__hash(g, out[OUT_HASHES], from, tokens, segments, n);
    if (out[OUT_TOKENS])
        md_store_i64(out[OUT_TOKENS], kept, tokens + n, g->window);
    if (out[OUT_SEGMENTS] && segments)
        md_store_i64(out[OUT_SEGMENTS], kept, segments + n, g->window);
    if (out[OUT_UPDATE])
        give_update(out[OUT_UPDATE], x, g, b, tokens, n);
}

static md_status compute(md_exec *x, md_tensor *const *out, md_arena *ar,
                         md_error *err)
{
    int64_t all = md_tensor_n(x->in[IN_IDS]), *tokens, *segments = NULL;
    int64_t batch = md_tensor_n(x->in[IN_BOUNDS]) - 1;
    const int64_t *bounds;
    md_ngram g;

    MD_TRY(md_ngram__load(&g, x, &inputs, ar, err));
    MD_TRY(md_varlen__load(&bounds, x, IN_BOUNDS, all, 1, ar, err));
    MD_TRY(md_exec__scratch(&tokens, ar, g.window + all, sizeof(*tokens), err));
    if (md_exec_has(x, IN_SEGMENTS))
        MD_TRY(md_exec__scratch(&segments, ar, g.window + all,
                                sizeof(*segments), err));
    for (int64_t b = 0; b < batch; b++)
        compute_request(x, out, &g, b, bounds[b], bounds[b + 1], tokens,
                        segments);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__several(x, infer, OUT_N, compute, err);
}

const md_op md_op_ms_varlen_ngram_hash_mapping = {
    .domain = "com.microsoft",
    .name = "VarlenNGramHashMapping",
    .since = 1,
    .in_min = 4,
    .in_max = 10,
    .out_min = 1,
    .out_max = OUT_N,
    .infer = infer,
    .run = run,
};
