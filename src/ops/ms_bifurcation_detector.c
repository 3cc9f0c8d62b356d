/*
 * com.microsoft's BifurcationDetector, of aggressive decoding: tokens that were
 * predicted from a place of the source on are appended up to the first that
 * differs from it; then where the last tokens, taken as few as tell one place,
 * stand in the source.
 */
#include "ops/common/util.h"

enum { /* inputs */
    IN_SOURCE,
    IN_TOKENS,
    IN_PLACE,
    IN_PREDICTED
};

static md_status find_sizes(const md_node *n, int64_t *min, int64_t *max,
                            md_error *err)
{
    *min = md_node_attr_i(n, "min_ngram_size", 1);
    *max = md_node_attr_i(n, "max_ngram_size", 3);
    if (*min < 1 || *max < *min)
        return md_fail(err, MD_INVALID,
                       "min_ngram_size %lld and max_ngram_size %lld, at least "
                       "1 and not smaller expected",
                       (long long)*min, (long long)*max);
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t = { .dtype = MD_DTYPE_I64, .has_rank = true, .rank = 1 };
    int64_t min, max;

    MD_TRY(md_infer__need(c, IN_SOURCE, MD_T(I64), err));
    MD_TRY(md_infer__need(c, IN_TOKENS, MD_T(I64), err));
    MD_TRY(md_infer__need(c, IN_PLACE, MD_T(I64), err));
    MD_TRY(md_infer__may(c, IN_PREDICTED, MD_T(I64), err));
    MD_TRY(md_infer__rank(c, IN_SOURCE, 1, 1, err));
    MD_TRY(md_infer__rank(c, IN_TOKENS, 1, 1, err));
    MD_TRY(md_infer__rank(c, IN_PREDICTED, 1, 1, err));
    MD_TRY(md_infer__length(c, c->in[IN_PLACE], MD_DIM(1),
                            "prev_suffix_match_idx", err));
    MD_TRY(find_sizes(c->node, &min, &max, err));
    MD_TRY(md_infer__fresh(c, &t.dim[0], err));
    md_infer__give(c, 0, &t);
    md_infer__give(c, 1, c->in[IN_PLACE]);
    return MD_OK;
}

/* How many predicted tokens are appended. */
static md_status count_predicted(const md_exec *x, int64_t *n, md_error *err)
{
    const md_tensor *source = x->in[IN_SOURCE];
    const int64_t *s = source->data, *p;
    int64_t at = md_tensor_get_i64(x->in[IN_PLACE], 0), left, i = 0;
    int64_t n_source = md_tensor_n(source);

    *n = 0;
    if (!md_exec_has(x, IN_PREDICTED))
        return MD_OK;
    if (at < 0 || at > n_source)
        return md_fail(err, MD_INVALID,
                       "prev_suffix_match_idx is %lld, 0 to %lld expected",
                       (long long)at, (long long)n_source);
    left = n_source - at;
    if (md_tensor_n(x->in[IN_PREDICTED]) != left + 1)
        return md_fail(err, MD_INVALID, "%lld predicted tokens, %lld expected",
                       (long long)md_tensor_n(x->in[IN_PREDICTED]),
                       (long long)left + 1);
    p = x->in[IN_PREDICTED]->data;
    while (i < left && s[at + i] == p[i])
        i++;
    *n = i + 1;
    return MD_OK;
}

/* Where in s, from `from` on, the n tokens of t are; -1: nowhere. */
static int64_t search(const int64_t *s, int64_t n_s, int64_t from,
                      const int64_t *t, int64_t n)
{
    for (int64_t i = from; i + n <= n_s; i++) {
        int64_t k = 0;

        while (k < n && s[i + k] == t[k])
            k++;
        if (k == n)
            return i;
    }
    return -1;
}

static int64_t match(const md_tensor *source, const int64_t *t, int64_t n,
                     int64_t min, int64_t max)
{
    const int64_t *s = source->data;
    int64_t n_s = md_tensor_n(source);

    for (int64_t k = min; k <= max && k <= n; k++) {
        int64_t at = search(s, n_s, 0, t + n - k, k);

        if (at < 0)
            return -1;
        if (search(s, n_s, at + 1, t + n - k, k) < 0)
            return at + k;
    }
    return -1;
}

static md_status compute(md_exec *x, const md_infer *c, md_arena *ar,
                         md_error *err)
{
    int64_t n = md_tensor_n(x->in[IN_TOKENS]), n_more, min, max, *all, at;
    md_tensor *out, *place;

    (void)c;
    MD_TRY(find_sizes(x->node, &min, &max, err));
    MD_TRY(count_predicted(x, &n_more, err));
    MD_TRY(md_exec__scratch(&all, ar, n + n_more, sizeof(*all), err));
    md_load_i64(all, x->in[IN_TOKENS], 0, n);
    if (n_more)
        md_load_i64(all + n, x->in[IN_PREDICTED], 0, n_more);
    n += n_more;
    MD_TRY(
        md_exec_output(x, 0, MD_DTYPE_I64, &(md_shape){ 1, { n } }, &out, err));
    MD_TRY(md_exec_output(x, 1, MD_DTYPE_I64, &x->in[IN_PLACE]->shape, &place,
                          err));
    at = match(x->in[IN_SOURCE], all, n, min, max);
    if (out)
        md_store_i64(out, 0, all, n);
    if (place)
        md_store_i64(place, 0, &at, 1);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__open(x, infer, compute, err);
}

const md_op md_op_ms_bifurcation_detector = {
    .domain = "com.microsoft",
    .name = "BifurcationDetector",
    .since = 1,
    .in_min = 3,
    .in_max = 4,
    .out_min = 1,
    .out_max = 2,
    .infer = infer,
    .run = run,
};
