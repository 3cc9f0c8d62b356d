/*
 * modeld's own: what is left of com.microsoft's Attention once its projection
 * is computed.  Queries, keys and values of all heads lie side by side in the
 * rows of input 0; the past of both in one tensor [2, B, N, P, H].
 */
#include <math.h>

#include "ops/common/mask_index.h"
#include "ops/lower.h"

enum { /* inputs */
    IN_QKV,
    IN_MASK,
    IN_PAST,
    IN_BIAS,
    IN_PAST_LENGTH, /* of a past with room for what is new */
};

#define TYPES (MD_T(F32) | MD_T(F16) | MD_T(BF16))

/* Elements of a row of queries (and of keys), of values; -1: not known. */
typedef struct widths {
    int64_t heads, q, v;
} widths;

static md_status find_widths(const md_infer *c, widths *w, md_error *err)
{
    const md_type *t = c->in[IN_QKV];
    int64_t all = t->has_rank && md_dim_is_const(t->dim[2]) ? t->dim[2].k : -1;
    uint32_t n;
    const int64_t *sizes = md_node_attr_is(c->node, "qkv_hidden_sizes", &n);

    *w = (widths){ .heads = md_node_attr_i(c->node, "num_heads", 0) };
    if (w->heads < 1 || w->heads > INT32_MAX)
        return md_fail(err, MD_INVALID,
                       "num_heads is %lld, at least 1 expected",
                       (long long)w->heads);
    if (sizes && (n != 3 || sizes[0] != sizes[1] || sizes[0] < 0 ||
                  sizes[2] < 0 || sizes[0] > INT32_MAX || sizes[2] > INT32_MAX))
        return md_fail(err, MD_INVALID,
                       "qkv_hidden_sizes are three expected, the first two "
                       "equal");
    w->q = sizes ? sizes[0] : all < 0 ? -1 : all / 3;
    w->v = sizes ? sizes[2] : w->q;
    if (all < 0)
        return MD_OK;
    if (2 * w->q + w->v != all)
        return md_fail(err, MD_INVALID,
                       "rows of %lld elements do not hold queries and keys of "
                       "%lld and values of %lld",
                       (long long)all, (long long)w->q, (long long)w->v);
    if (w->q % w->heads || w->v % w->heads)
        return md_fail(err, MD_INVALID,
                       "rows of %lld and %lld elements do not divide into %lld "
                       "heads",
                       (long long)w->q, (long long)w->v, (long long)w->heads);
    return MD_OK;
}

static bool shares(const md_infer *c)
{
    return md_node_attr_i(c->node, "past_present_share_buffer", 0) != 0 &&
           md_infer_has(c, IN_PAST);
}

/* How much of a past with room for what is new counts, where it is known. */
static md_status find_shared(const md_infer *c, md_dim *all, md_error *err)
{
    const md_tensor *t =
        md_infer_has(c, IN_PAST_LENGTH) ? c->cin[IN_PAST_LENGTH] : NULL;
    md_dim has = c->in[IN_PAST]->dim[3], now = c->in[IN_QKV]->dim[1];
    int64_t n, room = has.k - now.k;

    if (!t || !md_dim_is_const(has) || !md_dim_is_const(now))
        return MD_OK;
    n = md_tensor_n(t) == 1 ? md_tensor_get_i64(t, 0) : -1;
    if (n < 0 || n > room)
        return md_fail(err, MD_INVALID,
                       "past_sequence_length is %lld, 0 to %lld expected",
                       (long long)n, (long long)room);
    *all = MD_DIM(n + now.k);
    return MD_OK;
}

/* Keys in all, and rows of the present. */
static md_status find_lengths(const md_infer *c, const widths *w, md_dim *all,
                              md_dim *present, md_error *err)
{
    const md_type *t = c->in[IN_QKV];
    const md_type *past = md_infer_has(c, IN_PAST) ? c->in[IN_PAST] : NULL;
    const md_dim want[5] = {
        MD_DIM(2), t->dim[0], MD_DIM(w->heads), { 0 }, MD_DIM(w->q / w->heads)
    };

    *all = *present = t->dim[1];
    if (!past)
        return MD_OK;
    MD_TRY(md_infer__fresh(c, all, err));
    *present = *all;
    if (!past->has_rank)
        return MD_OK;
    for (int d = 0; d < 5; d++) {
        if (d != 3 && (d != 4 || w->q >= 0))
            MD_TRY(md_infer__must_equal(c, past->dim[d], want[d],
                                        "a dimension of the past", err));
    }
    *present = past->dim[3];
    if (shares(c))
        return find_shared(c, all, err);
    MD_TRY(md_dim__add(c, all, t->dim[1], past->dim[3], err));
    *present = *all;
    return MD_OK;
}

static md_status check_types(const md_infer *c, md_error *err)
{
    MD_TRY(md_infer__need(c, IN_QKV, TYPES, err));
    MD_TRY(md_infer__rank(c, IN_QKV, 3, 3, err));
    MD_TRY(md_infer__may(c, IN_PAST, TYPES, err));
    MD_TRY(md_infer__same_dtype(c, IN_QKV, IN_PAST, err));
    MD_TRY(md_infer__rank(c, IN_PAST, 5, 5, err));
    MD_TRY(md_infer__may(c, IN_PAST_LENGTH, MD_T(I32), err));
    if (md_node_attr_i(c->node, "do_rotary", 0))
        return md_fail(err, MD_UNSUPPORTED, "do_rotary");
    if (shares(c) && !md_infer_has(c, IN_PAST_LENGTH))
        return md_fail(err, MD_INVALID,
                       "past_present_share_buffer without a "
                       "past_sequence_length");
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *t = c->in[IN_QKV];
    md_type y = { .dtype = t->dtype }, present;
    md_dim all;
    widths w;

    MD_TRY(check_types(c, err));
    MD_TRY(find_widths(c, &w, err));
    md_infer__give(c, 0, &y);
    md_infer__give(c, 1, &y);
    if (!t->has_rank)
        return MD_OK;
    if (md_infer_has(c, IN_PAST) && w.q != w.v)
        return md_fail(err, MD_INVALID,
                       "a past expects values as long as keys");
    MD_TRY(md_infer__fresh_type(c, &present, t->dtype, 5, err));
    present.dim[0] = MD_DIM(2);
    present.dim[1] = t->dim[0];
    present.dim[2] = MD_DIM(w.heads);
    MD_TRY(find_lengths(c, &w, &all, &present.dim[3], err));
    MD_TRY(md_mask_index__check(c, IN_MASK, t->dim[0], t->dim[1], all,
                                t->dim[1], err));
    MD_TRY(md_mask_index__check_bias(c, IN_BIAS, t->dim[0], w.heads, t->dim[1],
                                     all, err));
    y = *t;
    MD_TRY(md_infer__fresh(c, &y.dim[2], err));
    if (w.v >= 0) {
        y.dim[2] = MD_DIM(w.v);
        present.dim[4] = MD_DIM(w.v / w.heads);
    }
    md_infer__give(c, 0, &y);
    md_infer__give(c, 1, &present);
    return MD_OK;
}

/* Heads of a part of each row. */
static md_heads part_of(const md_tensor *t, int64_t at, int64_t heads,
                        int64_t width)
{
    const int64_t *d = t->shape.dim;
    md_heads h = md_heads__last(t, heads, d[1], width / heads);

    h.at = at;
    h.batch = d[1] * d[2];
    h.row = d[2];
    return h;
}

md_status md_qkv_attention__attend(md_attend *a, md_attend_mask *mask,
                                   const md_exec *x, md_tensor *const *out,
                                   md_arena *ar, md_error *err)
{
    const md_tensor *qkv = x->in[IN_QKV];
    const md_tensor *past = md_exec_has(x, IN_PAST) ? x->in[IN_PAST] : NULL;
    md_dim all, present;
    int64_t *lengths;
    md_infer c;
    widths w;

    *mask = md_mask_index__of(x->node,
                              md_exec_has(x, IN_MASK) ? x->in[IN_MASK] : NULL,
                              md_exec_has(x, IN_BIAS) ? x->in[IN_BIAS] : NULL);
    MD_TRY(md_exec__infer_view(x, &c, ar, err));
    MD_TRY(find_widths(&c, &w, err));
    MD_TRY(find_lengths(&c, &w, &all, &present, err));
    *a = (md_attend){ .n_batch = qkv->shape.dim[0],
                      .q_heads = w.heads,
                      .kv_heads = w.heads,
                      .n_q = qkv->shape.dim[1],
                      .n_keys = all.k,
                      .q = part_of(qkv, 0, w.heads, w.q),
                      .k = part_of(qkv, w.q, w.heads, w.q),
                      .v = part_of(qkv, 2 * w.q, w.heads, w.v) };
    a->mask = mask;
    a->y = md_heads__last(out[0], w.heads, a->n_q, w.v / w.heads);
    if (past) {
        const int64_t *d = past->shape.dim;

        a->past_k = md_heads__first(past, w.heads, d[3], d[4]);
        a->past_v = a->past_k;
        a->past_v.at = d[1] * d[2] * d[3] * d[4];
    }
    a->scale = md_node_attr_f(x->node, "scale", 0.0f);
    if (a->scale == 0.0)
        a->scale = 1.0 / sqrt((double)a->k.size);
    MD_TRY(
        md_exec__scratch(&lengths, ar, 2 * a->n_batch, sizeof(*lengths), err));
    for (int64_t b = 0; b < a->n_batch; b++) {
        lengths[b] = a->n_keys - a->n_q;
        lengths[a->n_batch + b] = a->n_keys;
    }
    a->n_past = lengths;
    a->n_all = lengths + a->n_batch;
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *const *out, md_arena *ar,
                         md_error *err)
{
    md_attend_mask mask;
    md_attend a;

    MD_TRY(md_qkv_attention__attend(&a, &mask, x, out, ar, err));
    MD_TRY(md_mask_index__check_ends(mask.keys, a.n_batch, err));
    MD_TRY(md_attend__run(&a, ar, err));
    if (out[1]) {
        int64_t n = out[1]->shape.dim[3];

        if (md_node_attr_i(x->node, "past_present_share_buffer", 0) &&
            md_exec_has(x, IN_PAST))
            md_move_all(out[1], x->in[IN_PAST]);
        md_attend__present(&a, out[1], 0, n, false);
        md_attend__present(&a, out[1], md_tensor_n(out[1]) / 2, n, true);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__several(x, infer, 2, compute, err);
}

const md_op md_op_qkv_attention = {
    .domain = "modeld",
    .name = "QkvAttention",
    .since = 1,
    .in_min = 1,
    .in_max = 5,
    .out_min = 1,
    .out_max = 2,
    .infer = infer,
    .run = run,
    .fast = &md_fast_attention,
};
