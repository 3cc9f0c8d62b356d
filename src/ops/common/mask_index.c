#include "ops/common/mask_index.h"

static bool may_equal(md_dim a, md_dim b)
{
    return !md_dim_is_const(a) || !md_dim_is_const(b) || a.k == b.k;
}

static bool may_be(md_dim a, md_dim b, int64_t mul, int64_t add)
{
    return !md_dim_is_const(a) || !md_dim_is_const(b) || a.k == b.k * mul + add;
}

/* The forms of a mask; of two axes one element stands for a whole row. */
static bool fits(const md_type *t, md_dim b, md_dim s, md_dim all, md_dim l)
{
    const md_dim *d = t->dim, one = MD_DIM(1);

    switch (t->rank) {
    case 1:
        return may_be(d[0], b, 1, 0) || may_be(d[0], b, 2, 0) ||
               may_be(d[0], b, 3, 2);
    case 2:
        return (may_equal(d[0], b) &&
                (may_equal(d[1], all) || may_equal(d[1], l))) ||
               ((may_equal(d[0], b) || may_equal(d[0], one)) &&
                may_equal(d[1], one));
    case 3:
        return may_equal(d[0], b) && may_equal(d[1], s) && may_equal(d[2], all);
    case 4:
        return may_equal(d[0], b) && may_equal(d[1], one) &&
               may_equal(d[2], d[3]) &&
               (!md_dim_is_const(d[3]) || !md_dim_is_const(all) ||
                d[3].k >= all.k);
    default:
        return false;
    }
}

md_status md_mask_index__check(const md_infer *c, uint32_t i, md_dim b,
                               md_dim s, md_dim t, md_dim l, md_error *err)
{
    char text[96];

    MD_TRY(md_infer__may(c, i, MD_T(I32), err));
    if (!md_infer_has(c, i) || !c->in[i]->has_rank ||
        fits(c->in[i], b, s, t, l))
        return MD_OK;
    if (c->in[i]->rank == 4 && md_node_attr_i(c->node, "unidirectional", 0))
        return md_fail(err, MD_INVALID,
                       "a mask of rank 4 does not go with unidirectional");
    return md_fail(err, MD_INVALID,
                   "the mask is %s, [B], [2*B], [B,T], [B,S,T] or [B,1,M,M] "
                   "expected for B %lld, S %lld and T %lld",
                   md_type_format(text, sizeof(text), c->model, c->in[i]),
                   (long long)b.k, (long long)s.k, (long long)t.k);
}

md_status md_mask_index__check_ends(const md_tensor *mask, int64_t n_batch,
                                    md_error *err)
{
    if (!mask || mask->shape.rank != 1)
        return MD_OK;
    for (int64_t b = 0; b < n_batch; b++) {
        int32_t end = ((const int32_t *)mask->data)[b];

        if (end < 0)
            return md_fail(err, MD_INVALID,
                           "the keys of batch element %lld end at %d",
                           (long long)b, (int)end);
    }
    return MD_OK;
}

md_status md_mask_index__check_bias(const md_infer *c, uint32_t i, md_dim b,
                                    int64_t heads, md_dim s, md_dim t,
                                    md_error *err)
{
    const md_dim want[4] = { b, MD_DIM(heads), s, t };

    MD_TRY(md_infer__may(c, i, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__same_dtype(c, 0, i, err));
    MD_TRY(md_infer__rank(c, i, 4, 4, err));
    if (!md_infer_has(c, i) || !c->in[i]->has_rank)
        return MD_OK;
    for (int d = 0; d < 4; d++) {
        md_dim has = c->in[i]->dim[d];

        if (d > 1)
            MD_TRY(md_infer__must_equal(
                c, has, want[d], "a dimension of the attention bias", err));
        else
            MD_TRY(md_infer__spreads(c, has, want[d], err));
    }
    return MD_OK;
}

md_attend_mask md_mask_index__of(const md_node *n, const md_tensor *mask,
                                 const md_tensor *bias)
{
    bool dummy = mask && mask->shape.rank == 2 && mask->shape.dim[1] == 1;
    md_attend_mask m = {
        .keys = dummy ? NULL : mask, /* the same for all keys */
        .bias = bias,
        .filter = md_node_attr_f(n, "mask_filter_value", -10000.0f),
        .causal = md_node_attr_i(n, "unidirectional", 0) != 0,
    };

    if (bias) {
        const int64_t *d = bias->shape.dim;

        m.stride[0] = d[0] == 1 ? 0 : d[1] * d[2] * d[3];
        m.stride[1] = d[1] == 1 ? 0 : d[2] * d[3];
        m.stride[2] = d[3];
        m.stride[3] = 1;
        m.n_bias = d[3];
    }
    return m;
}
