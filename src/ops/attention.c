/* Scaled dot product attention, in double whatever softmax_precision asks for.
 * A row whose mask leaves nothing to attend to has probabilities 0. */
#include <math.h>
#include <string.h>

#include "ops/common/attend.h"
#include "ops/lower.h"

enum { /* inputs */
    IN_Q,
    IN_K,
    IN_V,
    IN_MASK,
    IN_PAST_K,
    IN_PAST_V,
    IN_LENGTHS, /* valid keys of each batch element */
};

enum { /* outputs */
    OUT_Y,
    OUT_K,
    OUT_V,
    OUT_QK,
    OUT_N
};

enum { /* dimensions of queries, keys and values with heads */
    BATCH,
    HEADS,
    LENGTH,
    SIZE
};

/* --- inference --------------------------------------------------------- */

/* Input i as [batch, heads, length, size]. */
static md_status with_heads(const md_infer *c, uint32_t i, md_type *out,
                            md_error *err)
{
    const char *attr = i == IN_Q ? "q_num_heads" : "kv_num_heads";
    int64_t heads = md_node_attr_i(c->node, attr, 0);
    const md_type *in = c->in[i];

    *out = *in;
    if (in->rank == 4)
        return heads == 0 ? MD_OK
                          : md_infer__must_equal(c, in->dim[HEADS],
                                                 MD_DIM(heads), attr, err);
    if (heads < 1)
        return md_fail(err, MD_INVALID,
                       "%s is %lld, at least 1 expected for inputs of rank 3",
                       attr, (long long)heads);
    out->rank = 4;
    out->dim[HEADS] = MD_DIM(heads);
    out->dim[LENGTH] = in->dim[1];
    if (!md_dim_is_const(in->dim[2]))
        return md_infer__fresh(c, &out->dim[SIZE], err);
    if (in->dim[2].k % heads)
        return md_fail(err, MD_INVALID,
                       "input %u has rows of %lld, which do not divide into "
                       "%lld heads",
                       (unsigned)i, (long long)in->dim[2].k, (long long)heads);
    out->dim[SIZE] = MD_DIM(in->dim[2].k / heads);
    return MD_OK;
}

static md_status check_types(const md_infer *c, md_error *err)
{
    for (uint32_t i = IN_Q; i <= IN_V; i++) {
        MD_TRY(md_infer__need(c, i, MD_TYPES_FLOAT, err));
        MD_TRY(md_infer__rank(c, i, 3, 4, err));
        if (c->in[i]->has_rank && c->in[IN_Q]->has_rank)
            MD_TRY(md_infer__rank(c, i, c->in[IN_Q]->rank, c->in[IN_Q]->rank,
                                  err));
    }
    MD_TRY(md_infer__same_dtype(c, IN_Q, IN_K, err));
    MD_TRY(md_infer__may(c, IN_MASK, MD_TYPES_NUMBER | MD_T(BOOL), err));
    MD_TRY(md_infer__rank(c, IN_MASK, 1, 4, err));
    for (uint32_t i = IN_PAST_K; i <= IN_PAST_V; i++) {
        MD_TRY(md_infer__may(c, i, MD_TYPES_FLOAT, err));
        MD_TRY(md_infer__same_dtype(c, i, i - IN_PAST_K + IN_K, err));
        MD_TRY(md_infer__rank(c, i, 4, 4, err));
    }
    MD_TRY(md_infer__may(c, IN_LENGTHS, MD_T(I64), err));
    return md_infer__rank(c, IN_LENGTHS, 1, 1, err);
}

/* Inputs and outputs that are there only together, or never. */
static md_status check_presence(const md_infer *c, md_error *err)
{
    const md_node *n = c->node;
    bool past = md_infer_has(c, IN_PAST_K);
    bool present = (n->n_out > OUT_K && n->out[OUT_K] != MD_VALUE_NONE) ||
                   (n->n_out > OUT_V && n->out[OUT_V] != MD_VALUE_NONE);
    int64_t mode = md_node_attr_i(n, "qk_matmul_output_mode", 0);

    if (past != md_infer_has(c, IN_PAST_V))
        return md_fail(err, MD_INVALID,
                       "past_key and past_value go together, %s is missing",
                       past ? "past_value" : "past_key");
    if (md_infer_has(c, IN_LENGTHS) && c->opset < 24)
        return md_fail(err, MD_INVALID,
                       "nonpad_kv_seqlen is given, which opset %lld lacks",
                       (long long)c->opset);
    if (md_infer_has(c, IN_LENGTHS) && (past || present))
        return md_fail(err, MD_INVALID,
                       "nonpad_kv_seqlen does not go with past or present keys "
                       "and values");
    if (mode < 0 || mode > 3)
        return md_fail(err, MD_INVALID,
                       "qk_matmul_output_mode is %lld, 0 to 3 expected",
                       (long long)mode);
    return MD_OK;
}

/* The mask broadcasts to the scores; its last axis may be shorter. */
static md_status check_mask(const md_infer *c, const md_type *scores,
                            md_error *err)
{
    const md_type *mask = md_infer_has(c, IN_MASK) ? c->in[IN_MASK] : NULL;

    for (int i = 0; mask && mask->has_rank && i < mask->rank; i++) {
        md_dim m = mask->dim[i], s = scores->dim[4 - mask->rank + i];
        bool last = i == mask->rank - 1;

        if (!md_dim_is_const(m) || !md_dim_is_const(s) || m.k == s.k ||
            (last ? m.k < s.k : m.k == 1))
            continue;
        return md_fail(
            err, MD_INVALID, "axis %d of the mask is %lld, %s%lld expected", i,
            (long long)m.k, last ? "at most " : "1 or ", (long long)s.k);
    }
    return MD_OK;
}

/* What the shapes of q, k and v have in common; keys and values with the past
 * in front. */
static md_status relate(const md_infer *c, const md_type *q, md_type *k,
                        md_type *v, md_error *err)
{
    MD_TRY(md_infer__must_equal(c, k->dim[BATCH], q->dim[BATCH],
                                "the keys' batch", err));
    MD_TRY(md_infer__must_equal(c, v->dim[BATCH], q->dim[BATCH],
                                "the values' batch", err));
    MD_TRY(md_infer__must_equal(c, k->dim[SIZE], q->dim[SIZE],
                                "the keys' head size", err));
    MD_TRY(md_infer__must_equal(c, v->dim[HEADS], k->dim[HEADS],
                                "the number of the values' heads", err));
    MD_TRY(md_infer__must_equal(c, v->dim[LENGTH], k->dim[LENGTH],
                                "the number of values", err));
    if (md_dim_is_const(q->dim[HEADS]) && md_dim_is_const(k->dim[HEADS]) &&
        (k->dim[HEADS].k == 0 || q->dim[HEADS].k % k->dim[HEADS].k))
        return md_fail(err, MD_INVALID,
                       "%lld heads of queries do not divide by %lld of keys",
                       (long long)q->dim[HEADS].k, (long long)k->dim[HEADS].k);
    for (uint32_t i = 0; i < 2; i++) {
        md_type *now = i == 0 ? k : v;
        const md_type *past;

        if (!md_infer_has(c, IN_PAST_K + i))
            continue;
        past = c->in[IN_PAST_K + i];
        if (!past->has_rank) {
            MD_TRY(md_infer__fresh(c, &now->dim[LENGTH], err));
            continue;
        }
        for (int d = 0; d < 4; d++) {
            if (d != LENGTH)
                MD_TRY(md_infer__must_equal(c, past->dim[d], now->dim[d],
                                            "a dimension of the past", err));
        }
        MD_TRY(md_dim__add(c, &now->dim[LENGTH], now->dim[LENGTH],
                           past->dim[LENGTH], err));
    }
    return md_infer__must_equal(c, v->dim[LENGTH], k->dim[LENGTH],
                                "the number of values with the past", err);
}

/* q, k and v as relate leaves them. */
static md_status find_shapes(const md_infer *c, md_type *q, md_type *k,
                             md_type *v, md_error *err)
{
    MD_TRY(with_heads(c, IN_Q, q, err));
    MD_TRY(with_heads(c, IN_K, k, err));
    MD_TRY(with_heads(c, IN_V, v, err));
    return relate(c, q, k, v, err);
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_type q, k, v, y, scores;

    MD_TRY(check_types(c, err));
    MD_TRY(check_presence(c, err));
    for (uint32_t i = 0; i < c->node->n_out; i++)
        c->out[i] = (md_type){ .dtype = md_infer__dtype(c, i % 3) };
    if (!c->in[IN_Q]->has_rank || !c->in[IN_K]->has_rank ||
        !c->in[IN_V]->has_rank)
        return MD_OK;
    MD_TRY(find_shapes(c, &q, &k, &v, err));
    scores = y = q;
    scores.dim[SIZE] = k.dim[LENGTH];
    MD_TRY(check_mask(c, &scores, err));
    if (md_infer_has(c, IN_LENGTHS))
        MD_TRY(md_infer__length(c, c->in[IN_LENGTHS], q.dim[BATCH],
                                "nonpad_kv_seqlen", err));
    y.dim[SIZE] = v.dim[SIZE];
    if (c->in[IN_Q]->rank == 3) {
        y.rank = 3;
        y.dim[1] = q.dim[LENGTH];
        MD_TRY(md_dim__mul(c, &y.dim[2], q.dim[HEADS], v.dim[SIZE], err));
    }
    md_infer__give(c, OUT_Y, &y);
    md_infer__give(c, OUT_K, &k);
    md_infer__give(c, OUT_V, &v);
    md_infer__give(c, OUT_QK, &scores);
    return MD_OK;
}

/* --- execution --------------------------------------------------------- */

static const md_tensor *input(const md_exec *x, uint32_t i)
{
    return md_exec_has(x, i) ? x->in[i] : NULL;
}

static md_heads heads_of(const md_tensor *t, const md_type *with_heads,
                         int64_t n)
{
    const md_dim *d = with_heads->dim;

    return t && t->shape.rank == 3
               ? md_heads__last(t, d[HEADS].k, n, d[SIZE].k)
               : md_heads__first(t, d[HEADS].k, n, d[SIZE].k);
}

static void read_mask(md_attend_mask *m, const md_attend *a, const md_exec *x)
{
    const md_tensor *mask = input(x, IN_MASK);
    md_shape whole = { 4, { a->n_batch, a->q_heads, a->n_q, 0 } };
    int64_t stride[MD_RANK_MAX];

    *m = (md_attend_mask){ .bias = mask,
                           .lengths = input(x, IN_LENGTHS),
                           .causal =
                               md_node_attr_i(x->node, "is_causal", 0) != 0 };
    if (!mask)
        return;
    m->n_bias = whole.dim[3] = mask->shape.dim[mask->shape.rank - 1];
    md_shape_broadcast_strides(stride, &mask->shape, &whole);
    memcpy(m->stride, stride, sizeof(m->stride));
}

/* Every batch element has as many keys. */
static md_status read_lengths(md_attend *a, int64_t n_past, md_arena *ar,
                              md_error *err)
{
    int64_t *past, *all;

    MD_TRY(md_exec__scratch(&past, ar, a->n_batch, sizeof(*past), err));
    MD_TRY(md_exec__scratch(&all, ar, a->n_batch, sizeof(*all), err));
    for (int64_t b = 0; b < a->n_batch; b++) {
        past[b] = n_past;
        all[b] = a->n_keys;
    }
    a->n_past = past;
    a->n_all = all;
    return MD_OK;
}

md_status md_attention__attend(md_attend *a, md_attend_mask *mask,
                               const md_exec *x, md_tensor *const *out,
                               md_arena *ar, md_error *err)
{
    const md_tensor *past = input(x, IN_PAST_K);
    int64_t n_past = past ? past->shape.dim[LENGTH] : 0, n_new;
    md_type q, k, v, y;
    md_infer c;

    MD_TRY(md_exec__infer_view(x, &c, ar, err));
    MD_TRY(find_shapes(&c, &q, &k, &v, err));
    n_new = k.dim[LENGTH].k - n_past;
    y = q;
    y.dim[SIZE] = v.dim[SIZE];
    *a = (md_attend){
        .n_batch = q.dim[BATCH].k,
        .q_heads = q.dim[HEADS].k,
        .kv_heads = k.dim[HEADS].k,
        .n_q = q.dim[LENGTH].k,
        .n_keys = k.dim[LENGTH].k,
        .q = heads_of(x->in[IN_Q], &q, q.dim[LENGTH].k),
        .k = heads_of(x->in[IN_K], &k, n_new),
        .v = heads_of(x->in[IN_V], &v, n_new),
        .past_k = heads_of(past, &k, n_past),
        .past_v = heads_of(input(x, IN_PAST_V), &v, n_past),
        .y = heads_of(out[OUT_Y], &y, q.dim[LENGTH].k),
        .scale = md_node_attr_f(x->node, "scale", 0.0f),
        .softcap = md_node_attr_f(x->node, "softcap", 0.0f),
        .mask = mask,
        .qk = out[OUT_QK],
        .stage = (md_attend_stage)md_node_attr_i(x->node,
                                                 "qk_matmul_output_mode", 0),
    };
    if (!md_node_attr(x->node, "scale"))
        a->scale = 1.0 / sqrt((double)q.dim[SIZE].k);
    read_mask(mask, a, x);
    return read_lengths(a, n_past, ar, err);
}

static md_status compute(md_exec *x, md_tensor *const *out, md_arena *ar,
                         md_error *err)
{
    md_attend_mask mask;
    md_attend a;

    MD_TRY(md_attention__attend(&a, &mask, x, out, ar, err));
    MD_TRY(md_attend__run(&a, ar, err));
    md_attend__present(&a, out[OUT_K], 0, a.n_keys, false);
    md_attend__present(&a, out[OUT_V], 0, a.n_keys, true);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__several(x, infer, OUT_N, compute, err);
}

static int64_t macs(const md_node *n, const md_shape *const *in,
                    const md_shape *const *out)
{
    int64_t keys = in[IN_K]->dim[in[IN_K]->rank - 2];

    if (n->n_in > IN_PAST_K && n->in[IN_PAST_K] != MD_VALUE_NONE)
        keys += in[IN_PAST_K]->dim[LENGTH];
    return md_macs__times(keys, md_shape_n(in[IN_Q]) + md_shape_n(out[OUT_Y]));
}

const md_op md_op_attention = {
    .domain = "",
    .name = "Attention",
    .since = 23,
    .in_min = 3,
    .in_max = 7,
    .out_min = 1,
    .out_max = 4,
    .infer = infer,
    .run = run,
    .macs = macs,
    .fast = &md_fast_attention,
};
