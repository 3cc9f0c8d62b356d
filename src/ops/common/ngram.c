#include "ops/common/ngram.h"

enum {
    IN_IDS,
    IN_MULTIPLIERS,
    IN_SIZES
};

static md_status find_attrs(md_ngram *g, const md_node *n, md_error *err)
{
    *g = (md_ngram){ .most = md_node_attr_i(n, "max_ngram_size", 0),
                     .heads = md_node_attr_i(n, "n_head_per_ngram", 0),
                     .pad = md_node_attr_i(n, "pad_id", 0),
                     .reset = md_node_attr_i(n, "reset_on_eos", 0) != 0 };
    if (g->most < 2 || g->most > INT32_MAX)
        return md_fail(err, MD_INVALID,
                       "max_ngram_size is %lld, at least 2 expected",
                       (long long)g->most);
    if (g->heads < 1 || g->heads > INT32_MAX)
        return md_fail(err, MD_INVALID,
                       "n_head_per_ngram is %lld, at least 1 expected",
                       (long long)g->heads);
    if (!md_node_attr(n, "pad_id"))
        return md_fail(err, MD_INVALID, "pad_id is missing");
    g->window = g->most - 1;
    g->n_out = g->window * g->heads;
    return MD_OK;
}

static md_status check_types(const md_infer *c, const md_ngram_inputs *at,
                             md_error *err)
{
    const uint32_t ids[] = { IN_MULTIPLIERS, IN_SIZES, at->past, at->offsets,
                             at->eos };

    MD_TRY(md_infer__need(c, IN_IDS, MD_TYPES_INDEX, err));
    MD_TRY(md_infer__need(c, IN_MULTIPLIERS, MD_TYPES_INDEX, err));
    MD_TRY(md_infer__need(c, IN_SIZES, MD_TYPES_INDEX, err));
    for (size_t i = 0; i < MD_COUNT(ids); i++) {
        MD_TRY(md_infer__may(c, ids[i], MD_TYPES_INDEX, err));
        MD_TRY(md_infer__same_dtype(c, IN_IDS, ids[i], err));
    }
    return md_infer__may(c, at->segments, MD_T(I32), err);
}

md_status md_ngram__infer(md_ngram *out, const md_infer *c,
                          const md_ngram_inputs *at, md_error *err)
{
    const md_type *m = c->in[IN_MULTIPLIERS];

    MD_TRY(find_attrs(out, c->node, err));
    MD_TRY(check_types(c, at, err));
    if (md_infer__dtype(c, IN_IDS) == MD_DTYPE_I32 &&
        (out->pad < INT32_MIN || out->pad > INT32_MAX))
        return md_fail(err, MD_INVALID, "pad_id is %lld, an int32 expected",
                       (long long)out->pad);
    MD_TRY(md_infer__rank(c, IN_MULTIPLIERS, 1, 1, err));
    MD_TRY(md_infer__rank(c, IN_SIZES, 1, 1, err));
    MD_TRY(md_infer__rank(c, at->offsets, 1, 1, err));
    MD_TRY(md_infer__rank(c, at->eos, 0, 0, err));
    MD_TRY(md_infer__length(c, c->in[IN_SIZES], MD_DIM(out->n_out),
                            "vocab_sizes", err));
    if (md_infer_has(c, at->offsets))
        MD_TRY(md_infer__length(c, c->in[at->offsets], MD_DIM(out->n_out),
                                "head_offsets", err));
    if (!m->has_rank)
        return MD_OK;
    if (md_dim_is_const(m->dim[0]) && m->dim[0].k < out->most)
        return md_fail(err, MD_INVALID,
                       "multipliers has %lld elements, at least %lld expected",
                       (long long)m->dim[0].k, (long long)out->most);
    return md_infer__at_least(c, m->dim[0], MD_DIM(out->most), err);
}

static md_status numbers(const int64_t **out, const md_tensor *t, md_arena *ar,
                         md_error *err)
{
    int64_t n = md_tensor_n(t), *v;

    MD_TRY(md_exec__scratch(&v, ar, n, sizeof(*v), err));
    md_load_i64(v, t, 0, n);
    *out = v;
    return MD_OK;
}

md_status md_ngram__load(md_ngram *out, const md_exec *x,
                         const md_ngram_inputs *at, md_arena *ar, md_error *err)
{
    MD_TRY(find_attrs(out, x->node, err));
    out->narrow = x->in[IN_IDS]->dtype == MD_DTYPE_I32;
    out->has_eos = md_exec_has(x, at->eos);
    out->blank = out->has_eos ? md_tensor_get_i64(x->in[at->eos], 0) : out->pad;
    MD_TRY(numbers(&out->multipliers, x->in[IN_MULTIPLIERS], ar, err));
    MD_TRY(numbers(&out->sizes, x->in[IN_SIZES], ar, err));
    MD_TRY(md_exec__scratch(&out->row, ar, out->n_out, sizeof(*out->row), err));
    if (md_exec_has(x, at->offsets))
        MD_TRY(numbers(&out->offsets, x->in[at->offsets], ar, err));
    for (int64_t i = 0; i < out->n_out; i++) {
        if (out->sizes[i] < 1)
            return md_fail(err, MD_INVALID,
                           "vocab_sizes[%lld] is %lld, at least 1 expected",
                           (long long)i, (long long)out->sizes[i]);
    }
    return MD_OK;
}

/* v as a number of the type that is computed in. */
static int64_t wrapped(const md_ngram *g, uint64_t v)
{
    return g->narrow ? (int64_t)(int32_t)(uint32_t)v : (int64_t)v;
}

static int64_t hash(const md_ngram *g, uint64_t mixed, int64_t i)
{
    int64_t row = wrapped(g, mixed) % g->sizes[i];

    if (row < 0)
        row += g->sizes[i];
    return g->offsets ? wrapped(g, (uint64_t)row + (uint64_t)g->offsets[i])
                      : row;
}

static void hash_token(const md_ngram *g, const int64_t *tokens, int64_t t,
                       int64_t first)
{
    uint64_t mixed = 0;
    int64_t *to = g->row;

    for (int64_t back = 0; back < g->most; back++) {
        int64_t at = t - back;
        int64_t seen = back == 0 || at >= first ? tokens[at] : g->blank;

        mixed ^= (uint64_t)seen * (uint64_t)g->multipliers[back];
        for (int64_t h = 0; back > 0 && h < g->heads; h++)
            *to++ = hash(g, mixed, (back - 1) * g->heads + h);
    }
}

void md_ngram__hash(const md_ngram *g, md_tensor *out, int64_t to,
                    const int64_t *tokens, const int64_t *segments, int64_t n)
{
    int64_t first = 0; /* that is seen */

    for (int64_t t = 0; t < g->window + n; t++) {
        if (segments && t > 0 && segments[t] != segments[t - 1])
            first = t;
        if (t >= g->window) {
            hash_token(g, tokens, t, first);
            md_store_i64(out, (to + t - g->window) * g->n_out, g->row,
                         g->n_out);
        }
        if (g->reset && g->has_eos && tokens[t] == g->blank)
            first = t + 1;
    }
}

void md_ngram__behind(const md_ngram *g, int64_t *out, const md_exec *x,
                      uint32_t i, uint32_t past, int64_t otherwise, int64_t b,
                      int64_t from, int64_t n)
{
    if (md_exec_has(x, past))
        md_load_i64(out, x->in[past], b * g->window, g->window);
    for (int64_t k = 0; k < g->window && !md_exec_has(x, past); k++)
        out[k] = otherwise;
    md_load_i64(out + g->window, x->in[i], from, n);
}
