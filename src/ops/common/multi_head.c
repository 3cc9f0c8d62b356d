#include "ops/common/multi_head.h"

#include <math.h>

#define TYPES (MD_T(F32) | MD_T(F16) | MD_T(BF16))

static bool has(const md_infer *c, uint32_t i)
{
    return i != MD_VALUE_NONE && md_infer_has(c, i);
}

/* --- inference --------------------------------------------------------- */

static md_status check_types(const md_infer *c, const md_multi_head *at,
                             md_error *err)
{
    const uint32_t floats[] = { at->key,    at->value,  at->bias,
                                at->past_k, at->past_v, 0 };
    const uint32_t ints[] = { at->past_length, at->beam_width, at->beams };

    MD_TRY(md_infer__need(c, 0, TYPES, err));
    for (size_t i = 0; i < MD_COUNT(floats); i++) {
        MD_TRY(md_infer__may(c, floats[i], TYPES, err));
        MD_TRY(md_infer__same_dtype(c, 0, floats[i], err));
    }
    for (size_t i = 0; i < MD_COUNT(ints); i++) {
        if (has(c, ints[i]))
            MD_TRY(md_infer__may(c, ints[i], MD_T(I32), err));
    }
    MD_TRY(md_infer__rank(c, at->key, 3, 5, err));
    MD_TRY(md_infer__rank(c, at->value, 3, 4, err));
    MD_TRY(md_infer__rank(c, at->past_k, 4, 4, err));
    MD_TRY(md_infer__rank(c, at->past_v, 4, 4, err));
    if (has(c, at->past_k) != has(c, at->past_v))
        return md_fail(err, MD_INVALID,
                       "past_key and past_value go together, %s is missing",
                       has(c, at->past_k) ? "past_value" : "past_key");
    return MD_OK;
}

/* The size of one of n heads; unknown of an unknown row. */
static md_status head_size(const md_infer *c, md_dim row, int64_t heads,
                           md_dim *size, md_error *err)
{
    if (!md_dim_is_const(row))
        return md_infer__fresh(c, size, err);
    if (row.k % heads)
        return md_fail(err, MD_INVALID,
                       "rows of %lld elements do not divide into %lld heads",
                       (long long)row.k, (long long)heads);
    *size = MD_DIM(row.k / heads);
    return MD_OK;
}

static md_status same(md_dim a, md_dim b, const char *what, md_error *err)
{
    return md_infer__same_dim(a, b, what, err);
}

/* Queries that hold keys and values too. */
static md_status read_packed(const md_infer *c, md_multi_head_sizes *s,
                             md_error *err)
{
    const md_type *q = c->in[0];

    s->n_new = q->dim[1];
    if (q->rank == 5) {
        s->layout = MD_HEADS_QKV;
        MD_TRY(same(q->dim[2], MD_DIM(s->heads), "axis 2 of the query", err));
        MD_TRY(same(q->dim[3], MD_DIM(3), "axis 3 of the query", err));
        s->size = q->dim[4];
    } else {
        s->layout = MD_HEADS_QKV_ROWS;
        MD_TRY(head_size(c, q->dim[2], 3 * s->heads, &s->size, err));
    }
    s->v_size = s->size;
    return MD_OK;
}

static md_status read_key(const md_infer *c, const md_multi_head *at,
                          md_multi_head_sizes *s, md_error *err)
{
    const md_type *k = c->in[at->key];
    md_dim size;

    if (k->rank == 3) {
        s->layout = MD_HEADS_APART;
        s->n_new = k->dim[1];
        MD_TRY(same(k->dim[2], c->in[0]->dim[2], "a row of the key", err));
        return MD_OK;
    }
    s->layout = k->rank == 4 ? MD_HEADS_CROSS : MD_HEADS_KV;
    s->n_new = k->dim[k->rank == 4 ? 2 : 1];
    size = k->dim[k->rank - 1];
    MD_TRY(same(k->dim[k->rank == 4 ? 1 : 2], MD_DIM(s->heads),
                "the number of the key's heads", err));
    if (k->rank == 5)
        MD_TRY(same(k->dim[3], MD_DIM(2), "axis 3 of the key", err));
    MD_TRY(same(size, s->size, "the key's head size", err));
    if (md_dim_is_const(size))
        s->size = size;
    s->v_size = s->size;
    return MD_OK;
}

static md_status read_value(const md_infer *c, const md_multi_head *at,
                            md_multi_head_sizes *s, md_error *err)
{
    const md_type *v = has(c, at->value) ? c->in[at->value] : NULL;
    bool cross = s->layout == MD_HEADS_CROSS;

    if ((s->layout == MD_HEADS_KV) != !v)
        return md_fail(err, MD_INVALID, "the value is %s",
                       v ? "given though the key holds it" : "missing");
    if (!v)
        return MD_OK;
    if (!v->has_rank)
        return md_infer__fresh(c, &s->v_size, err);
    if (v->rank != (cross ? 4 : 3))
        return md_fail(err, MD_INVALID, "the value has rank %d, %d expected",
                       v->rank, cross ? 4 : 3);
    MD_TRY(same(v->dim[0], s->batch, "the value's batch", err));
    MD_TRY(same(v->dim[cross ? 2 : 1], s->n_new, "the number of values", err));
    if (!cross)
        return head_size(c, v->dim[2], s->heads, &s->v_size, err);
    MD_TRY(same(v->dim[1], MD_DIM(s->heads), "the number of the value's heads",
                err));
    s->v_size = v->dim[3];
    return MD_OK;
}

/* How much of a past with room for what is new counts, where it is known. */
static md_status read_shared(const md_infer *c, const md_multi_head *at,
                             md_multi_head_sizes *s, md_error *err)
{
    const md_tensor *t = c->cin[at->past_length];
    int64_t n, room = s->n_past.k - s->n_new.k;

    if (!t || !md_dim_is_const(s->n_past) || !md_dim_is_const(s->n_new))
        return MD_OK;
    n = md_tensor_n(t) == 1 ? md_tensor_get_i64(t, 0) : -1;
    if (n < 0 || n > room)
        return md_fail(err, MD_INVALID,
                       "past_sequence_length is %lld, 0 to %lld expected",
                       (long long)n, (long long)room);
    s->n_all = MD_DIM(n + s->n_new.k);
    return MD_OK;
}

static md_status read_past(const md_infer *c, const md_multi_head *at,
                           md_multi_head_sizes *s, md_error *err)
{
    s->n_past = MD_DIM(0);
    s->n_all = s->n_present = s->n_new;
    if (!has(c, at->past_k))
        return MD_OK;
    s->shared = has(c, at->past_length);
    MD_TRY(md_infer__fresh(c, &s->n_past, err));
    s->n_all = s->n_present = s->n_past;
    for (uint32_t i = 0; i < 2; i++) {
        const md_type *p = c->in[i == 0 ? at->past_k : at->past_v];

        if (!p->has_rank)
            continue;
        MD_TRY(same(p->dim[0], s->batch, "the past's batch", err));
        MD_TRY(same(p->dim[1], MD_DIM(s->heads),
                    "the number of the past's heads", err));
        MD_TRY(same(p->dim[3], i == 0 ? s->size : s->v_size,
                    "the past's head size", err));
        if (i == 1)
            MD_TRY(
                same(p->dim[2], s->n_past, "the number of past values", err));
        s->n_past = p->dim[2];
    }
    s->n_present = s->n_past;
    if (s->shared)
        return read_shared(c, at, s, err);
    MD_TRY(md_dim__add(c, &s->n_all, s->n_past, s->n_new, err));
    s->n_present = s->n_all;
    return MD_OK;
}

md_status md_multi_head__sizes(const md_infer *c, const md_multi_head *at,
                               md_multi_head_sizes *s, md_error *err)
{
    const md_type *q = c->in[0];

    *s = (md_multi_head_sizes){
        .heads = md_node_attr_i(c->node, "num_heads", 0),
        .batch = q->dim[0],
        .n_q = q->dim[1],
    };
    if (!has(c, at->key)) {
        if (has(c, at->value))
            return md_fail(err, MD_INVALID, "the key is missing");
        MD_TRY(read_packed(c, s, err));
        return read_past(c, at, s, err);
    }
    if (q->rank != 3)
        return md_fail(err, MD_INVALID,
                       "the query has rank %d, 3 expected beside a key",
                       q->rank);
    MD_TRY(same(c->in[at->key]->dim[0], s->batch, "the key's batch", err));
    MD_TRY(head_size(c, q->dim[2], s->heads, &s->size, err));
    MD_TRY(read_key(c, at, s, err));
    MD_TRY(read_value(c, at, s, err));
    if (s->layout == MD_HEADS_CROSS && has(c, at->past_k))
        return md_fail(err, MD_INVALID,
                       "a past does not go with a key of rank 4");
    return read_past(c, at, s, err);
}

/* One number for each of the queries', keys' and values' elements. */
static md_status check_bias(const md_infer *c, const md_multi_head *at,
                            const md_multi_head_sizes *s, md_error *err)
{
    md_dim n;

    if (!has(c, at->bias))
        return MD_OK;
    if (s->layout == MD_HEADS_KV)
        return md_fail(err, MD_INVALID,
                       "a bias does not go with a key of rank %d",
                       c->in[at->key]->rank);
    if (!md_dim_is_const(s->size) || !md_dim_is_const(s->v_size))
        return md_infer__rank(c, at->bias, 1, 1, err);
    n = MD_DIM(s->heads * (2 * s->size.k + s->v_size.k));
    return md_infer__length(c, c->in[at->bias], n, "bias", err);
}

static md_status give(const md_infer *c, const md_multi_head_sizes *s,
                      md_error *err)
{
    md_type y = { .dtype = c->in[0]->dtype, .has_rank = true, .rank = 3 };
    md_type four = { .dtype = y.dtype, .has_rank = true, .rank = 4 };

    y.dim[0] = four.dim[0] = s->batch;
    y.dim[1] = s->n_q;
    MD_TRY(md_dim__mul(c, &y.dim[2], s->v_size, MD_DIM(s->heads), err));
    md_infer__give(c, 0, &y);
    four.dim[1] = MD_DIM(s->heads);
    four.dim[2] = s->n_present;
    four.dim[3] = s->size;
    md_infer__give(c, 1, &four);
    four.dim[3] = s->v_size;
    md_infer__give(c, 2, &four);
    four.dim[2] = s->n_q;
    four.dim[3] = s->n_all;
    md_infer__give(c, 3, &four);
    return MD_OK;
}

md_status md_multi_head__infer(const md_infer *c, const md_multi_head *at,
                               md_error *err)
{
    int64_t heads = md_node_attr_i(c->node, "num_heads", 0);
    md_multi_head_sizes s;

    if (heads < 1 || heads > INT32_MAX)
        return md_fail(err, MD_INVALID,
                       "num_heads is %lld, at least 1 expected",
                       (long long)heads);
    MD_TRY(check_types(c, at, err));
    for (uint32_t i = 0; i < c->node->n_out; i++)
        c->out[i] = (md_type){ .dtype = md_infer__dtype(c, 0) };
    if (!c->in[0]->has_rank || (has(c, at->key) && !c->in[at->key]->has_rank))
        return MD_OK;
    if (c->in[0]->rank != 3 && c->in[0]->rank != 5)
        return md_fail(err, MD_INVALID,
                       "the query has rank %d, 3 or 5 expected",
                       c->in[0]->rank);
    MD_TRY(md_multi_head__sizes(c, at, &s, err));
    MD_TRY(check_bias(c, at, &s, err));
    if (at->one)
        MD_TRY(same(s.n_q, MD_DIM(1), "the number of queries", err));
    MD_TRY(md_mask_index__check(c, at->mask, s.batch, s.n_q, s.n_all, s.n_new,
                                err));
    MD_TRY(md_mask_index__check_bias(c, at->attention_bias, s.batch, s.heads,
                                     s.n_q, s.n_all, err));
    return give(c, &s, err);
}

/* --- execution --------------------------------------------------------- */

static const md_tensor *input(const md_exec *x, uint32_t i)
{
    return i != MD_VALUE_NONE && md_exec_has(x, i) ? x->in[i] : NULL;
}

/* The beam that row j of the past came from. */
static int64_t beam_of(const md_attend *a, int64_t b, int64_t j)
{
    const int64_t *d = a->beams->shape.dim;

    return b / d[1] * d[1] + ((const int32_t *)a->beams->data)[b * d[2] + j];
}

/* Part i of n that lie side by side in each head's row. */
static md_heads beside(const md_tensor *t, int64_t heads, int64_t n,
                       int64_t size, int64_t i, int64_t parts)
{
    return (md_heads){ .t = t,
                       .size = size,
                       .at = i * size,
                       .batch = n * heads * parts * size,
                       .head = parts * size,
                       .row = heads * parts * size };
}

static void place_rows(md_attend *a, const md_exec *x, const md_multi_head *at,
                       const md_multi_head_sizes *s)
{
    const md_tensor *q = x->in[0], *k = input(x, at->key);
    const md_tensor *v = input(x, at->value);
    int64_t n = s->heads, size = s->size.k, v_size = s->v_size.k;
    int64_t n_q = s->n_q.k, n_new = s->n_new.k;

    a->q = md_heads__last(q, n, n_q, size);
    switch (s->layout) {
    case MD_HEADS_APART:
        a->k = md_heads__last(k, n, n_new, size);
        a->v = md_heads__last(v, n, n_new, v_size);
        break;
    case MD_HEADS_CROSS:
        a->k = md_heads__first(k, n, n_new, size);
        a->v = md_heads__first(v, n, n_new, v_size);
        break;
    case MD_HEADS_KV:
        a->k = beside(k, n, n_new, size, 0, 2);
        a->v = beside(k, n, n_new, size, 1, 2);
        break;
    case MD_HEADS_QKV:
        a->q = beside(q, n, n_q, size, 0, 3);
        a->k = beside(q, n, n_q, size, 1, 3);
        a->v = beside(q, n, n_q, size, 2, 3);
        break;
    case MD_HEADS_QKV_ROWS:
        a->q.batch = n_q * 3 * n * size;
        a->q.row = 3 * n * size;
        a->k = a->v = a->q;
        a->k.at = n * size;
        a->v.at = 2 * n * size;
        break;
    }
}

static md_status read_lengths(md_attend *a, const md_multi_head_sizes *s,
                              md_arena *ar, md_error *err)
{
    int64_t *n;

    a->n_keys = s->n_all.k;
    MD_TRY(md_exec__scratch(&n, ar, 2 * a->n_batch, sizeof(*n), err));
    for (int64_t b = 0; b < a->n_batch; b++) {
        n[b] = s->n_all.k - s->n_new.k;
        n[a->n_batch + b] = a->n_keys;
    }
    a->n_past = n;
    a->n_all = n + a->n_batch;
    return MD_OK;
}

/* Beams are those of the node's own batch, for every row of the past. */
static md_status read_beams(md_attend *a, const md_exec *x,
                            const md_multi_head *at, md_error *err)
{
    const md_tensor *t = input(x, at->beams);
    const md_tensor *width = input(x, at->beam_width);
    int64_t past = a->n_batch ? a->n_past[0] : 0;

    if (!t && width && md_tensor_n(width) == 1 &&
        md_tensor_get_i64(width, 0) > 1)
        return md_fail(err, MD_INVALID,
                       "beam_width is %lld and cache_indirection is missing",
                       (long long)md_tensor_get_i64(width, 0));
    if (!t || past == 0)
        return MD_OK;
    if (t->shape.rank != 3 || t->shape.dim[0] * t->shape.dim[1] != a->n_batch ||
        t->shape.dim[2] < past)
        return md_fail(err, MD_INVALID,
                       "cache_indirection is not [batch, beams, length] for "
                       "%lld rows of %lld",
                       (long long)a->n_batch, (long long)past);
    for (int64_t i = 0; i < md_tensor_n(t); i++) {
        int64_t beam = md_tensor_get_i64(t, i);

        if (i % t->shape.dim[2] < past && (beam < 0 || beam >= t->shape.dim[1]))
            return md_fail(
                err, MD_INVALID,
                "cache_indirection has beam %lld, 0 to %lld expected",
                (long long)beam, (long long)t->shape.dim[1] - 1);
    }
    a->beams = t;
    a->source = beam_of;
    return MD_OK;
}

static void add_row_bias(md_attend *a, const md_tensor *bias,
                         const md_multi_head_sizes *s)
{
    int64_t width = s->heads * s->size.k;

    a->q.bias = bias;
    if (s->layout == MD_HEADS_CROSS) /* keys and values have theirs */
        return;
    a->k.bias = a->v.bias = bias;
    a->k.bias_at = width;
    a->v.bias_at = 2 * width;
}

md_status md_multi_head__attend(md_attend *a, md_attend_mask *mask,
                                const md_exec *x, const md_multi_head *at,
                                md_tensor *const *out, md_arena *ar,
                                md_error *err)
{
    md_multi_head_sizes s;
    md_infer c;

    MD_TRY(md_exec__infer_view(x, &c, ar, err));
    MD_TRY(md_multi_head__sizes(&c, at, &s, err));
    *mask = md_mask_index__of(x->node, input(x, at->mask),
                              input(x, at->attention_bias));
    *a = (md_attend){ .n_batch = s.batch.k,
                      .q_heads = s.heads,
                      .kv_heads = s.heads,
                      .n_q = s.n_q.k,
                      .mask = mask,
                      .qk = out[3],
                      .stage = MD_ATTEND_BIASED };
    place_rows(a, x, at, &s);
    a->past_k =
        md_heads__first(input(x, at->past_k), s.heads, s.n_past.k, s.size.k);
    a->past_v =
        md_heads__first(input(x, at->past_v), s.heads, s.n_past.k, s.v_size.k);
    a->y = md_heads__last(out[0], s.heads, s.n_q.k, s.v_size.k);
    if (input(x, at->bias))
        add_row_bias(a, input(x, at->bias), &s);
    a->scale = md_node_attr_f(x->node, "scale", 0.0f);
    if (a->scale == 0.0)
        a->scale = 1.0 / sqrt((double)s.size.k);
    return read_lengths(a, &s, ar, err);
}

static md_status compute(md_exec *x, const md_multi_head *at,
                         md_tensor *const *out, md_arena *ar, md_error *err)
{
    md_attend_mask mask;
    md_attend a;

    MD_TRY(md_multi_head__attend(&a, &mask, x, at, out, ar, err));
    MD_TRY(read_beams(&a, x, at, err));
    MD_TRY(md_attend__run(&a, ar, err));
    a.source = NULL; /* the present is the past as it is */
    for (int i = 1; i <= 2; i++) {
        uint32_t past = i == 1 ? at->past_k : at->past_v;

        if (!out[i])
            continue;
        if (input(x, at->past_length) && input(x, past))
            md_move_all(out[i], x->in[past]); /* one buffer, if not in place */
        md_attend__present(&a, out[i], 0, out[i]->shape.dim[2], i == 2);
    }
    return MD_OK;
}

md_status md_multi_head__run(md_exec *x, const md_multi_head *at,
                             md_infer_fn *infer, md_error *err)
{
    md_tensor *out[4];
    md_arena ar;
    md_status s;

    MD_TRY(md_exec__outputs(x, infer, out, 4, err));
    md_arena_init(&ar, x->alloc, 0);
    s = compute(x, at, out, &ar, err);
    md_arena_release(&ar);
    return s;
}
