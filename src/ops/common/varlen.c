#include "ops/common/varlen.h"

md_status md_varlen__infer(const md_infer *c, uint32_t i, md_dim *batch,
                           md_error *err)
{
    const md_type *t = c->in[i];

    MD_TRY(md_infer__need(c, i, MD_T(I32), err));
    MD_TRY(md_infer__rank(c, i, 1, 1, err));
    if (!t->has_rank)
        return md_infer__fresh(c, batch, err);
    if (md_dim_is_const(t->dim[0]) && t->dim[0].k < 2)
        return md_fail(err, MD_INVALID,
                       "cu_seqlens has %lld elements, at least 2 expected",
                       (long long)t->dim[0].k);
    MD_TRY(md_infer__at_least(c, t->dim[0], MD_DIM(2), err));
    return md_dim__affine(batch, t->dim[0], 1, -1, err);
}

md_status md_varlen__load(const int64_t **out, const md_exec *x, uint32_t i,
                          int64_t tokens, int64_t least, md_arena *ar,
                          md_error *err)
{
    int64_t n = md_tensor_n(x->in[i]), *at;
    bool rises = true;

    MD_TRY(md_exec__scratch(&at, ar, n, sizeof(*at), err));
    md_load_i64(at, x->in[i], 0, n);
    for (int64_t k = 1; k < n; k++)
        rises = rises && at[k] - at[k - 1] >= least;
    if (!rises || at[0] != 0 || at[n - 1] != tokens)
        return md_fail(err, MD_INVALID,
                       "cu_seqlens does not rise from 0 to %lld",
                       (long long)tokens);
    *out = at;
    return MD_OK;
}

md_status md_varlen__capture(const md_infer *c, uint32_t i, md_dim batch,
                             int64_t *capacity, md_error *err)
{
    enum {
        MOST = 8
    };
    int64_t n = md_node_attr_i(c->node, "state_update_capacity", 0);

    *capacity = n;
    if (n < 0 || n > MOST)
        return md_fail(err, MD_INVALID,
                       "state_update_capacity is %lld, 0 to %d expected",
                       (long long)n, MOST);
    MD_TRY(md_infer__may(c, i, MD_T(I32), err));
    if (md_infer_has(c, i) != (n > 0))
        return md_fail(err, MD_INVALID,
                       "capture_count %s state_update_capacity",
                       n > 0 ? "is missing beside" : "is given without");
    if (n == 0)
        return MD_OK;
    return md_infer__length(c, c->in[i], batch, "capture_count", err);
}

int64_t md_varlen__captured(const md_exec *x, uint32_t i, int64_t capacity,
                            int64_t b, int64_t n)
{
    int64_t asked = md_exec_has(x, i) ? md_tensor_get_i64(x->in[i], b) : 0;

    return md_max_i64(0, md_min_i64(asked, md_min_i64(capacity, n)));
}
