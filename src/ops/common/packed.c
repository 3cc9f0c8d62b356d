#include "ops/common/packed.h"

md_status md_packed__check(const md_infer *c, const md_packed *at,
                           int64_t heads, md_error *err)
{
    const md_type *offsets = c->in[at->offsets];
    md_dim batch;

    MD_TRY(md_infer__need(c, at->offsets, MD_T(I32), err));
    MD_TRY(md_infer__need(c, at->sums, MD_T(I32), err));
    MD_TRY(md_infer__rank(c, at->offsets, 2, 2, err));
    if (!offsets->has_rank)
        return MD_OK;
    MD_TRY(md_dim__affine(&batch, offsets->dim[0], 1, 1, err));
    MD_TRY(md_infer__length(c, c->in[at->sums], batch,
                            "cumulative_sequence_length", err));
    return md_mask_index__check_bias(c, at->bias, offsets->dim[0], heads,
                                     offsets->dim[1], offsets->dim[1], err);
}

/* The heads of tokens from `at` on. */
static md_heads from_token(const md_heads *h, int64_t at)
{
    md_heads r = *h;

    r.at += at * h->row;
    return r;
}

md_status md_packed__attend(md_attend *a, const md_exec *x, const md_packed *at,
                            int64_t tokens, md_arena *ar, md_error *err)
{
    const int32_t *sums = x->in[at->sums]->data;
    int64_t batch = x->in[at->offsets]->shape.dim[0];
    int64_t length = x->in[at->offsets]->shape.dim[1], none = 0, n;
    md_attend_mask mask = md_mask_index__of(
        x->node, NULL, md_exec_has(x, at->bias) ? x->in[at->bias] : NULL);
    md_attend one;

    if (sums[0] != 0)
        return md_fail(err, MD_INVALID,
                       "cumulative_sequence_length begins with %d, 0 expected",
                       (int)sums[0]);
    for (int64_t b = 0; b < batch; b++) {
        n = (int64_t)sums[b + 1] - sums[b];
        if (n < 0 || n > length || sums[b + 1] > tokens)
            return md_fail(err, MD_INVALID,
                           "cumulative_sequence_length goes from %lld to %lld, "
                           "up to %lld more and %lld in all expected",
                           (long long)sums[b], (long long)sums[b + 1],
                           (long long)length, (long long)tokens);
        mask.bias_at = b * mask.stride[0];
        one = *a;
        one.n_batch = 1;
        one.n_q = one.n_keys = n;
        one.n_past = &none;
        one.n_all = &n;
        one.mask = &mask;
        one.q = from_token(&a->q, sums[b]);
        one.k = from_token(&a->k, sums[b]);
        one.v = from_token(&a->v, sums[b]);
        one.y = from_token(&a->y, sums[b]);
        MD_TRY(md_attend__run(&one, ar, err));
    }
    return MD_OK;
}
