#include "ops/common/sequence.h"

md_status md_sequence__need(const md_infer *c, uint32_t i, md_error *err)
{
    if (!md_infer_has(c, i))
        return md_fail(err, MD_INVALID, "input %u of %s is missing", i,
                       c->node->op);
    if (c->in[i]->kind != MD_KIND_SEQUENCE || c->in[i]->of != MD_KIND_TENSOR)
        return md_fail(err, MD_INVALID,
                       "input %u is of kind %s, a sequence of tensors expected",
                       i, md_kind_name(c->in[i]->kind));
    return MD_OK;
}

md_status md_sequence__unite(const md_infer *c, md_type *out, const md_type *a,
                             const md_type *b, md_error *err)
{
    md_type t = *a;

    if (a->dtype != b->dtype && a->dtype != MD_DTYPE_NONE &&
        b->dtype != MD_DTYPE_NONE)
        return md_fail(err, MD_INVALID,
                       "tensors of %s and %s in a sequence, one type expected",
                       md_dtype_name(a->dtype), md_dtype_name(b->dtype));
    if (t.dtype == MD_DTYPE_NONE)
        t.dtype = b->dtype;
    if (!a->has_rank || !b->has_rank || a->rank != b->rank)
        t.has_rank = false;
    for (int d = 0; t.has_rank && d < t.rank; d++) {
        if (!md_dim_equal(t.dim[d], b->dim[d]))
            MD_TRY(md_infer__fresh(c, &t.dim[d], err));
    }
    *out = t;
    return MD_OK;
}

md_type md_sequence__item(const md_type *t)
{
    md_type item = *t;

    item.kind = t->of;
    item.of = MD_KIND_TENSOR;
    return item;
}

md_type md_sequence__of(md_kind kind, const md_type *item)
{
    md_type t = *item;

    t.kind = kind;
    t.of = item->kind;
    return t;
}

md_status md_sequence__check_position(const md_infer *c, uint32_t i,
                                      md_error *err)
{
    MD_TRY(md_infer__may(c, i, MD_TYPES_INDEX, err));
    if (md_infer_has(c, i))
        MD_TRY(md_infer__length(c, c->in[i], MD_DIM(1), "the position", err));
    return MD_OK;
}

md_status md_sequence__position(int64_t *out, const md_exec *x, uint32_t i,
                                int64_t n, bool end, int64_t otherwise,
                                md_error *err)
{
    int64_t at;

    *out = otherwise;
    if (!md_exec_has(x, i))
        return MD_OK;
    if (md_tensor_n(x->in[i]) != 1)
        return md_fail(err, MD_INVALID, "the position is %lld values",
                       (long long)md_tensor_n(x->in[i]));
    at = md_tensor_get_i64(x->in[i], 0);
    if (at < -n || at >= n + end)
        return md_fail(err, MD_INVALID,
                       "position %lld given, %lld to %lld expected",
                       (long long)at, (long long)-n, (long long)(n + end) - 1);
    *out = at < 0 ? at + n : at;
    return MD_OK;
}
