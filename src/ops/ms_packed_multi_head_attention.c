/* com.microsoft's PackedMultiHeadAttention: MultiHeadAttention of sequences
 * without padding; queries [T,N*H] with keys and values beside them, or [T,N,3,H]
 * which hold all. */
#include <math.h>

#include "ops/common/packed.h"

enum { /* inputs */
    IN_Q,
    IN_K,
    IN_V,
    IN_BIAS,
};

#define TYPES (MD_T(F32) | MD_T(F16))

static const md_packed places = { .offsets = 4, .sums = 5, .bias = 6 };

typedef struct sizes {
    int64_t heads;
    md_dim size, v_size;
    bool packed;
} sizes;

static md_status head_size(const md_infer *c, md_dim row, int64_t heads,
                           md_dim *out, md_error *err)
{
    if (!md_dim_is_const(row))
        return md_infer__fresh(c, out, err);
    if (row.k % heads)
        return md_fail(err, MD_INVALID,
                       "rows of %lld elements do not divide into %lld heads",
                       (long long)row.k, (long long)heads);
    *out = MD_DIM(row.k / heads);
    return MD_OK;
}

static md_status find_sizes(const md_infer *c, sizes *s, md_error *err)
{
    const md_type *q = c->in[IN_Q], *k, *v;

    *s = (sizes){ .heads = md_node_attr_i(c->node, "num_heads", 0),
                  .packed = q->rank == 4 };
    if (s->heads < 1 || s->heads > INT32_MAX)
        return md_fail(err, MD_INVALID,
                       "num_heads is %lld, at least 1 expected",
                       (long long)s->heads);
    if (md_infer_has(c, IN_K) != !s->packed ||
        md_infer_has(c, IN_V) != !s->packed)
        return md_fail(err, MD_INVALID,
                       "key and value go with a query of rank 2, none with one "
                       "of rank 4");
    if (s->packed) {
        MD_TRY(md_infer__must_equal(c, q->dim[1], MD_DIM(s->heads),
                                    "axis 1 of the query", err));
        MD_TRY(md_infer__must_equal(c, q->dim[2], MD_DIM(3),
                                    "axis 2 of the query", err));
        s->size = s->v_size = q->dim[3];
        return MD_OK;
    }
    MD_TRY(head_size(c, q->dim[1], s->heads, &s->size, err));
    k = c->in[IN_K];
    v = c->in[IN_V];
    for (int d = 0; d < 2 && k->has_rank; d++)
        MD_TRY(md_infer__must_equal(c, k->dim[d], q->dim[d],
                                    "a dimension of the key", err));
    if (!v->has_rank)
        return md_infer__fresh(c, &s->v_size, err);
    MD_TRY(md_infer__must_equal(c, v->dim[0], q->dim[0], "the number of values",
                                err));
    return head_size(c, v->dim[1], s->heads, &s->v_size, err);
}

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *q = c->in[IN_Q];
    md_type y = { .dtype = q->dtype };
    sizes s;

    MD_TRY(md_infer__need(c, IN_Q, TYPES, err));
    for (uint32_t i = IN_K; i <= IN_BIAS; i++) {
        MD_TRY(md_infer__may(c, i, TYPES, err));
        MD_TRY(md_infer__same_dtype(c, IN_Q, i, err));
        MD_TRY(md_infer__rank(c, i, i == IN_BIAS ? 1 : 2, i == IN_BIAS ? 1 : 2,
                              err));
    }
    md_infer__give(c, 0, &y);
    if (!q->has_rank)
        return MD_OK;
    if (q->rank != 2 && q->rank != 4)
        return md_fail(err, MD_INVALID,
                       "the query has rank %d, 2 or 4 expected", q->rank);
    MD_TRY(find_sizes(c, &s, err));
    MD_TRY(md_packed__check(c, &places, s.heads, err));
    if (md_infer_has(c, IN_BIAS) && md_dim_is_const(s.size) &&
        md_dim_is_const(s.v_size))
        MD_TRY(md_infer__length(c, c->in[IN_BIAS],
                                MD_DIM(s.heads * (2 * s.size.k + s.v_size.k)),
                                "bias", err));
    y.has_rank = true;
    y.rank = 2;
    y.dim[0] = q->dim[0];
    MD_TRY(md_dim__mul(c, &y.dim[1], s.v_size, MD_DIM(s.heads), err));
    md_infer__give(c, 0, &y);
    return MD_OK;
}

static md_heads part_of(const md_tensor *t, int64_t i, const sizes *s)
{
    return (md_heads){ .t = t,
                       .size = s->size.k,
                       .at = i * s->size.k,
                       .head = 3 * s->size.k,
                       .row = s->heads * 3 * s->size.k };
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    int64_t tokens = x->in[IN_Q]->shape.dim[0];
    md_attend a = { .n_batch = 1 };
    md_infer c;
    sizes s;

    MD_TRY(md_exec__infer_view(x, &c, ar, err));
    MD_TRY(find_sizes(&c, &s, err));
    a.q_heads = a.kv_heads = s.heads;
    a.scale = md_node_attr_f(x->node, "scale", 0.0f);
    if (a.scale == 0.0)
        a.scale = 1.0 / sqrt((double)s.size.k);
    if (s.packed) {
        a.q = part_of(x->in[IN_Q], 0, &s);
        a.k = part_of(x->in[IN_Q], 1, &s);
        a.v = part_of(x->in[IN_Q], 2, &s);
    } else {
        a.q = md_heads__last(x->in[IN_Q], s.heads, tokens, s.size.k);
        a.k = md_heads__last(x->in[IN_K], s.heads, tokens, s.size.k);
        a.v = md_heads__last(x->in[IN_V], s.heads, tokens, s.v_size.k);
    }
    if (md_exec_has(x, IN_BIAS)) {
        a.q.bias = a.k.bias = a.v.bias = x->in[IN_BIAS];
        a.k.bias_at = s.heads * s.size.k;
        a.v.bias_at = 2 * s.heads * s.size.k;
    }
    a.y = md_heads__last(out, s.heads, tokens, s.v_size.k);
    md_exec__zero(out);
    return md_packed__attend(&a, x, &places, tokens, ar, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ms_packed_multi_head_attention = {
    .domain = "com.microsoft",
    .name = "PackedMultiHeadAttention",
    .since = 1,
    .in_min = 1,
    .in_max = 7,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
