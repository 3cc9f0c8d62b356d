/* modeld's own: what is left of com.microsoft's PackedAttention once its
 * projection is computed; see qkv_attention.c. */
#include <math.h>

#include "ops/common/packed.h"

static const md_packed places = { .offsets = 1, .sums = 2, .bias = 3 };

static md_status find_widths(const md_infer *c, int64_t *heads, int64_t *q,
                             int64_t *v, md_error *err)
{
    const md_type *t = c->in[0];
    int64_t all = t->has_rank && md_dim_is_const(t->dim[1]) ? t->dim[1].k : -1;
    uint32_t n;
    const int64_t *given = md_node_attr_is(c->node, "qkv_hidden_sizes", &n);

    *heads = md_node_attr_i(c->node, "num_heads", 0);
    *q = n == 3 ? given[0] : all < 0 ? -1 : all / 3;
    *v = n == 3 ? given[2] : *q;
    if (*heads < 1 || *heads > INT32_MAX)
        return md_fail(err, MD_INVALID,
                       "num_heads is %lld, at least 1 expected",
                       (long long)*heads);
    if (n != 0 && (n != 3 || given[0] != given[1] || *q < 0 || *v < 0 ||
                   *q > INT32_MAX || *v > INT32_MAX))
        return md_fail(err, MD_INVALID,
                       "qkv_hidden_sizes are three expected, the first two "
                       "equal");
    if (all >= 0 && (2 * *q + *v != all || *q % *heads || *v % *heads))
        return md_fail(err, MD_INVALID,
                       "rows of %lld elements do not hold queries and keys of "
                       "%lld and values of %lld for %lld heads",
                       (long long)all, (long long)*q, (long long)*v,
                       (long long)*heads);
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_type y = { .dtype = c->in[0]->dtype };
    int64_t heads, q, v;

    MD_TRY(md_infer__need(c, 0, MD_T(F32) | MD_T(F16), err));
    MD_TRY(md_infer__rank(c, 0, 2, 2, err));
    MD_TRY(find_widths(c, &heads, &q, &v, err));
    MD_TRY(md_packed__check(c, &places, heads, err));
    MD_TRY(md_infer__fresh_type(c, &y, y.dtype, 2, err));
    if (c->in[0]->has_rank)
        y.dim[0] = c->in[0]->dim[0];
    if (v >= 0)
        y.dim[1] = MD_DIM(v);
    md_infer__give(c, 0, &y);
    return MD_OK;
}

static md_heads part_of(const md_tensor *t, int64_t at, int64_t size)
{
    return (md_heads){
        .t = t, .size = size, .at = at, .head = size, .row = t->shape.dim[1]
    };
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_tensor *t = x->in[0];
    md_attend a = { .n_batch = 1 };
    int64_t heads, q, v;
    md_infer c;

    MD_TRY(md_exec__infer_view(x, &c, ar, err));
    MD_TRY(find_widths(&c, &heads, &q, &v, err));
    a.q_heads = a.kv_heads = heads;
    a.q = part_of(t, 0, q / heads);
    a.k = part_of(t, q, q / heads);
    a.v = part_of(t, 2 * q, v / heads);
    a.y = part_of(out, 0, v / heads);
    a.scale = md_node_attr_f(x->node, "scale", 0.0f);
    if (a.scale == 0.0)
        a.scale = 1.0 / sqrt((double)a.q.size);
    md_exec__zero(out);
    return md_packed__attend(&a, x, &places, t->shape.dim[0], ar, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_qkv_packed_attention = {
    .domain = "modeld",
    .name = "QkvPackedAttention",
    .since = 1,
    .in_min = 3,
    .in_max = 4,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
