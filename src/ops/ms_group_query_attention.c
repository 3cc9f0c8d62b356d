/*
 * com.microsoft's GroupQueryAttention: heads of queries in groups share keys
 * and values; these have a past, which may be a buffer with room.
 *
 * Of batch element b, T = seqlens_k[b] + 1 keys count; Q new ones of them, at
 * most S, stand behind P = T - Q of the past.  Rows of queries from Q on are
 * padding: their results are 0 here.
 */
#include <math.h>
#include <string.h>

#include "ops/common/kv_cache.h"
#include "ops/common/mask_index.h"
#include "ops/common/rotate.h"
#include "ops/lower.h"

enum { /* inputs */
    IN_Q,
    IN_K,
    IN_V,
    IN_PAST_K,
    IN_PAST_V,
    IN_LENGTHS, /* T - 1 of each batch element */
    IN_TOTAL,   /* the most T */
    IN_COS,
    IN_SIN,
    IN_POSITIONS,
    IN_BIAS, /* [B or 1, N or 1, S, total] */
    IN_SINK,
    IN_K_SCALE,
    IN_V_SCALE,
    IN_Q_NORM,
    IN_K_NORM,
    IN_QUERIES, /* Q of each batch element */
};

enum { /* outputs */
    OUT_Y,
    OUT_K,
    OUT_V,
    OUT_QK,
    OUT_N
};

#define TYPES (MD_T(F32) | MD_T(F16) | MD_T(BF16))

/* Sizes of a node; constants in an execution. */
typedef struct sizes {
    int64_t heads, kv_heads;
    md_dim batch, n_q, size, total, n_past, n_present;
    md_dim row;  /* of the past and the present */
    bool packed; /* rows of q hold keys and values too */
    md_kv_cache cache;
} sizes;

/* --- inference --------------------------------------------------------- */

static md_status find_cache(const md_infer *c, md_kv_cache *f, md_error *err)
{
    if (md_node_attr_i(c->node, "sliding_window_cache", 0))
        return md_fail(err, MD_UNSUPPORTED, "sliding_window_cache");
    return md_kv_cache__form(f, c->node, err);
}

static md_status check_types(const md_infer *c, md_error *err)
{
    static const uint32_t floats[] = { IN_K,      IN_V,    IN_PAST_K,
                                       IN_PAST_V, IN_COS,  IN_SIN,
                                       IN_BIAS,   IN_SINK, IN_Q_NORM,
                                       IN_K_NORM };
    static const uint32_t pairs[][2] = { { IN_K, IN_V },
                                         { IN_PAST_K, IN_PAST_V },
                                         { IN_COS, IN_SIN },
                                         { IN_Q_NORM, IN_K_NORM } };
    md_kv_cache cache;

    MD_TRY(md_infer__need(c, IN_Q, TYPES, err));
    MD_TRY(md_infer__need(c, IN_LENGTHS, MD_T(I32), err));
    MD_TRY(md_infer__need(c, IN_TOTAL, MD_T(I32), err));
    MD_TRY(md_infer__may(c, IN_POSITIONS, MD_T(I64), err));
    MD_TRY(md_infer__may(c, IN_QUERIES, MD_T(I32), err));
    MD_TRY(find_cache(c, &cache, err));
    for (size_t i = 0; i < MD_COUNT(floats); i++) {
        if (cache.bits && (floats[i] == IN_PAST_K || floats[i] == IN_PAST_V)) {
            MD_TRY(md_infer__may(
                c, floats[i], UINT32_C(1) << md_kv_cache__type(&cache), err));
            continue;
        }
        MD_TRY(md_infer__may(c, floats[i], TYPES, err));
        MD_TRY(md_infer__same_dtype(c, IN_Q, floats[i], err));
    }
    for (size_t i = 0; i < MD_COUNT(pairs); i++) {
        if (md_infer_has(c, pairs[i][0]) != md_infer_has(c, pairs[i][1]))
            return md_fail(err, MD_INVALID,
                           "inputs %u and %u go together, one is missing",
                           (unsigned)pairs[i][0], (unsigned)pairs[i][1]);
    }
    return MD_OK;
}

static md_status check_ranks(const md_infer *c, md_error *err)
{
    MD_TRY(md_infer__rank(c, IN_Q, 3, 3, err));
    MD_TRY(md_infer__rank(c, IN_K, 3, 3, err));
    MD_TRY(md_infer__rank(c, IN_V, 3, 3, err));
    MD_TRY(md_infer__rank(c, IN_PAST_K, 4, 4, err));
    MD_TRY(md_infer__rank(c, IN_PAST_V, 4, 4, err));
    MD_TRY(md_infer__rank(c, IN_COS, 2, 2, err));
    MD_TRY(md_infer__rank(c, IN_SIN, 2, 2, err));
    return md_infer__rank(c, IN_POSITIONS, 2, 2, err);
}

static md_status check_attrs(const md_infer *c, sizes *s, md_error *err)
{
    const md_node *n = c->node;
    int64_t causal = md_node_attr_i(n, "causal", 1);
    int64_t window = md_node_attr_i(n, "local_window_size", -1);
    int64_t mode = md_node_attr_i(n, "qk_output", 0);

    *s = (sizes){ .heads = md_node_attr_i(n, "num_heads", 0),
                  .kv_heads = md_node_attr_i(n, "kv_num_heads", 0),
                  .packed = !md_infer_has(c, IN_K) };
    if (s->heads < 1 || s->kv_heads < 1 || s->heads > INT32_MAX ||
        s->heads % s->kv_heads)
        return md_fail(err, MD_INVALID,
                       "%lld heads of queries do not divide by %lld of keys",
                       (long long)s->heads, (long long)s->kv_heads);
    if (mode < 0 || mode > 2)
        return md_fail(err, MD_INVALID, "qk_output is %lld, 0 to 2 expected",
                       (long long)mode);
    if (window < -1 || window == 0 || (!causal && window != -1))
        return md_fail(err, MD_INVALID,
                       "local_window_size is %lld, -1 or, with causal, above 0 "
                       "expected",
                       (long long)window);
    if (md_node_attr_i(n, "do_rotary", 0) && !md_infer_has(c, IN_COS))
        return md_fail(err, MD_INVALID, "do_rotary without cos_cache");
    return MD_OK;
}

static md_status find_size(const md_infer *c, sizes *s, md_error *err)
{
    const md_type *q = c->in[IN_Q];
    int64_t n = s->heads + (s->packed ? 2 * s->kv_heads : 0);

    if (!md_dim_is_const(q->dim[2]))
        return md_infer__fresh(c, &s->size, err);
    if (q->dim[2].k % n)
        return md_fail(err, MD_INVALID,
                       "rows of %lld elements do not divide into %lld heads",
                       (long long)q->dim[2].k, (long long)n);
    s->size = MD_DIM(q->dim[2].k / n);
    return MD_OK;
}

static md_status check_new(const md_infer *c, const sizes *s, md_error *err)
{
    for (uint32_t i = IN_K; i <= IN_V && !s->packed; i++) {
        const md_type *t = c->in[i];
        md_dim row;

        if (!t->has_rank)
            continue;
        MD_TRY(md_dim__mul(c, &row, s->size, MD_DIM(s->kv_heads), err));
        MD_TRY(md_infer__must_equal(c, t->dim[0], s->batch, "a batch", err));
        MD_TRY(md_infer__must_equal(c, t->dim[1], s->n_q,
                                    "the number of keys or values", err));
        MD_TRY(md_infer__must_equal(c, t->dim[2], row,
                                    "a row of keys or values", err));
    }
    return MD_OK;
}

/* The past, and how many rows the present has. */
static md_status find_lengths(const md_infer *c, sizes *s, md_error *err)
{
    const md_tensor *total = c->cin[IN_TOTAL];

    MD_TRY(md_infer__length(c, c->in[IN_TOTAL], MD_DIM(1),
                            "total_sequence_length", err));
    MD_TRY(md_infer__fresh(c, &s->total, err));
    MD_TRY(md_infer__fresh(c, &s->n_present, err));
    s->n_past = MD_DIM(0);
    if (total && md_tensor_n(total) == 1)
        s->total = MD_DIM(md_tensor_get_i64(total, 0));
    if (md_dim_is_const(s->total) && s->total.k < 0)
        return md_fail(err, MD_INVALID,
                       "total_sequence_length is %lld, at least 0 expected",
                       (long long)s->total.k);
    if (md_dim_is_const(s->total) && md_dim_is_const(s->n_q) &&
        s->total.k < s->n_q.k)
        return md_fail(err, MD_INVALID,
                       "total_sequence_length is %lld with %lld new keys",
                       (long long)s->total.k, (long long)s->n_q.k);
    for (uint32_t i = IN_PAST_K; i <= IN_PAST_V && md_infer_has(c, i); i++) {
        const md_type *t = c->in[i];

        if (!t->has_rank)
            return md_infer__fresh(c, &s->n_past, err);
        MD_TRY(md_infer__must_equal(c, t->dim[0], s->batch, "the past's batch",
                                    err));
        MD_TRY(md_infer__must_equal(c, t->dim[1], MD_DIM(s->kv_heads),
                                    "the number of the past's heads", err));
        MD_TRY(md_infer__must_equal(c, t->dim[3], s->row,
                                    "the past's head size", err));
        if (i == IN_PAST_V)
            MD_TRY(md_infer__must_equal(c, t->dim[2], s->n_past,
                                        "the number of past values", err));
        s->n_past = t->dim[2];
    }
    if (md_dim_is_const(s->n_past) && md_dim_is_const(s->total))
        s->n_present =
            MD_DIM(s->total.k > s->n_past.k ? s->total.k : s->n_past.k);
    return MD_OK;
}

static md_status find_sizes(const md_infer *c, sizes *s, md_error *err)
{
    MD_TRY(check_attrs(c, s, err));
    s->batch = c->in[IN_Q]->dim[0];
    s->n_q = c->in[IN_Q]->dim[1];
    MD_TRY(find_cache(c, &s->cache, err));
    MD_TRY(find_size(c, s, err));
    MD_TRY(md_kv_cache__row(&s->cache, c, &s->row, s->size, err));
    MD_TRY(check_new(c, s, err));
    return find_lengths(c, s, err);
}

static md_status check_rest(const md_infer *c, const sizes *s, md_error *err)
{
    const md_type *pos =
        md_infer_has(c, IN_POSITIONS) ? c->in[IN_POSITIONS] : NULL;

    MD_TRY(md_infer__length(c, c->in[IN_LENGTHS], s->batch, "seqlens_k", err));
    for (uint32_t i = 0; i < 2; i++)
        MD_TRY(md_kv_cache__check_scale(&s->cache, c, IN_K_SCALE + i, i == 1,
                                        MD_DIM(s->kv_heads), s->size, err));
    if (md_infer_has(c, IN_QUERIES))
        MD_TRY(md_infer__length(c, c->in[IN_QUERIES], s->batch, "query_seqlens",
                                err));
    if (md_infer_has(c, IN_SINK))
        MD_TRY(md_infer__length(c, c->in[IN_SINK], MD_DIM(s->heads),
                                "head_sink", err));
    for (uint32_t i = IN_Q_NORM; i <= IN_K_NORM && md_infer_has(c, i); i++)
        MD_TRY(md_infer__length(c, c->in[i], s->size, "a norm weight", err));
    MD_TRY(md_mask_index__check_bias(c, IN_BIAS, s->batch, s->heads, s->n_q,
                                     s->total, err));
    if (md_infer_has(c, IN_COS)) {
        const md_type *cache = c->in[IN_COS];

        MD_TRY(md_rotate__check_caches(c, IN_COS, IN_SIN, -1, err));
        if (cache->has_rank && md_dim_is_const(cache->dim[1]) &&
            md_dim_is_const(s->size) && 2 * cache->dim[1].k > s->size.k)
            return md_fail(err, MD_INVALID,
                           "the caches turn %lld elements, heads have %lld",
                           (long long)(2 * cache->dim[1].k),
                           (long long)s->size.k);
    }
    if (!pos || !pos->has_rank)
        return MD_OK;
    MD_TRY(md_infer__must_equal(c, pos->dim[0], s->batch,
                                "axis 0 of position_ids", err));
    return md_infer__must_equal(c, pos->dim[1], s->n_q,
                                "axis 1 of position_ids", err);
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_type y, four;
    sizes s;

    MD_TRY(check_types(c, err));
    MD_TRY(check_ranks(c, err));
    MD_TRY(find_cache(c, &s.cache, err));
    for (uint32_t i = 0; i < c->node->n_out; i++)
        c->out[i] =
            (md_type){ .dtype = s.cache.bits && (i == OUT_K || i == OUT_V)
                                    ? md_kv_cache__type(&s.cache)
                                    : md_infer__dtype(c, IN_Q) };
    if (!c->in[IN_Q]->has_rank)
        return check_attrs(c, &s, err);
    MD_TRY(find_sizes(c, &s, err));
    MD_TRY(check_rest(c, &s, err));
    y = *c->in[IN_Q];
    MD_TRY(md_dim__mul(c, &y.dim[2], s.size, MD_DIM(s.heads), err));
    four = (md_type){ .dtype =
                          s.cache.bits ? md_kv_cache__type(&s.cache) : y.dtype,
                      .has_rank = true,
                      .rank = 4 };
    four.dim[0] = s.batch;
    four.dim[1] = MD_DIM(s.kv_heads);
    four.dim[2] = s.n_present;
    four.dim[3] = s.row;
    md_infer__give(c, OUT_Y, &y);
    md_infer__give(c, OUT_K, &four);
    md_infer__give(c, OUT_V, &four);
    four.dtype = y.dtype;
    four.dim[1] = MD_DIM(s.heads);
    four.dim[2] = s.n_q;
    four.dim[3] = s.total;
    md_infer__give(c, OUT_QK, &four);
    return MD_OK;
}

/* --- execution --------------------------------------------------------- */

typedef struct plan {
    md_attend a;
    const md_exec *x;
    sizes s;
    md_attend_mask mask;
    md_tensor past[2]; /* of quantized keys and values, as numbers */
} plan;

static const md_tensor *input(const md_exec *x, uint32_t i)
{
    return md_exec_has(x, i) ? x->in[i] : NULL;
}

/* P and T of each batch element. */
static md_status read_lengths(plan *p, md_arena *ar, md_error *err)
{
    const md_tensor *t = p->x->in[IN_LENGTHS], *q = input(p->x, IN_QUERIES);
    int64_t *past, *all, n_q = p->s.n_q.k, most = p->s.total.k;

    MD_TRY(md_exec__scratch(&past, ar, p->a.n_batch, sizeof(*past), err));
    MD_TRY(md_exec__scratch(&all, ar, p->a.n_batch, sizeof(*all), err));
    for (int64_t b = 0; b < p->a.n_batch; b++) {
        int64_t n = md_tensor_get_i64(t, b) + 1;
        int64_t now = n < n_q ? n : n_q;

        if (n < 0 || n > most)
            return md_fail(err, MD_INVALID,
                           "seqlens_k is %lld, -1 to %lld expected",
                           (long long)n - 1, (long long)most - 1);
        if (q && (md_tensor_get_i64(q, b) < 0 || md_tensor_get_i64(q, b) > now))
            return md_fail(err, MD_INVALID,
                           "query_seqlens is %lld, 0 to %lld expected",
                           (long long)md_tensor_get_i64(q, b), (long long)now);
        if (q)
            now = md_tensor_get_i64(q, b);
        if (n - now > p->s.n_past.k)
            return md_fail(err, MD_INVALID,
                           "seqlens_k is %lld for %lld new keys, but the past "
                           "has %lld",
                           (long long)n - 1, (long long)now,
                           (long long)p->s.n_past.k);
        past[b] = n - now;
        all[b] = n;
    }
    p->a.n_past = past;
    p->a.n_all = all;
    return MD_OK;
}

/* Root mean square normalization of each head's row. */
static void normalize(const md_heads *h, float *v, int64_t n,
                      const md_tensor *weight, double epsilon)
{
    for (int64_t r = 0; r < n; r++, v += h->size) {
        double sum = 0.0, inv;

        for (int64_t i = 0; i < h->size; i++)
            sum += (double)v[i] * v[i];
        inv = 1.0 / sqrt(sum / (double)h->size + epsilon);
        for (int64_t i = 0; i < h->size; i++)
            v[i] = (float)(v[i] * inv * md_tensor_get_f64(weight, i));
    }
}

/* Rows of queries or keys, normalized where there is a weight, as floats
 * [B, heads, S, H]. */
static md_status gather(const plan *p, md_heads *h, int64_t heads,
                        uint32_t weight, const char *epsilon, float **out,
                        md_arena *ar, md_error *err)
{
    const md_node *node = p->x->node;
    int64_t n = p->a.n_batch * heads * p->s.n_q.k;
    double eps = md_node_attr_f(node, epsilon,
                                md_node_attr_f(node, "qk_norm_epsilon", 1e-6f));

    MD_TRY(md_exec__scratch(out, ar, n * h->size, sizeof(**out), err));
    for (int64_t r = 0; r < n; r++) {
        int64_t i = r % p->s.n_q.k, head = r / p->s.n_q.k % heads;
        int64_t b = r / p->s.n_q.k / heads;

        md_load_f32(*out + r * h->size, h->t,
                    h->at + b * h->batch + head * h->head + i * h->row,
                    h->size);
    }
    if (input(p->x, weight))
        normalize(h, *out, n, p->x->in[weight], eps);
    *h = md_heads__first(h->t, heads, p->s.n_q.k, h->size);
    h->turned = *out;
    return MD_OK;
}

static md_status rotate(const plan *p, md_heads *h, int64_t heads, float *v,
                        md_arena *ar, md_error *err)
{
    const md_tensor *pos = input(p->x, IN_POSITIONS);
    int64_t n_q = p->s.n_q.k;
    md_tensor t = { .dtype = MD_DTYPE_F32 };
    md_rotate r = { .kernel = md_rotate_f32_select(p->x->cpu),
                    .cos = p->x->in[IN_COS],
                    .sin = p->x->in[IN_SIN],
                    .interleaved = md_node_attr_i(p->x->node,
                                                  "rotary_interleaved", 0) != 0,
                    .scale = 1.0,
                    .in = *h };

    t.data = v;
    r.turn = 2 * r.cos->shape.dim[1];
    r.in.t = &t;
    r.out = r.in;
    MD_TRY(md_rotate__begin(&r, ar, err));
    for (int64_t b = 0; b < p->a.n_batch; b++) {
        int64_t now = p->a.n_all[b] - p->a.n_past[b];

        for (int64_t i = 0; i < now; i++)
            MD_TRY(md_rotate__row(&r, heads, b, i,
                                  pos ? md_tensor_get_i64(pos, b * n_q + i)
                                      : p->a.n_past[b] + i,
                                  err));
    }
    return MD_OK;
}

static void place_rows(plan *p)
{
    const md_exec *x = p->x;
    int64_t size = p->s.size.k, n = p->s.n_q.k, kv = p->s.kv_heads;
    int64_t row = (p->s.heads + 2 * kv) * size;

    p->a.q = md_heads__last(x->in[IN_Q], p->s.heads, n, size);
    if (!p->s.packed) {
        p->a.k = md_heads__last(x->in[IN_K], kv, n, size);
        p->a.v = md_heads__last(x->in[IN_V], kv, n, size);
        return;
    }
    p->a.q.row = row;
    p->a.q.batch = n * row;
    p->a.k = p->a.v = p->a.q;
    p->a.k.at = p->s.heads * size;
    p->a.v.at = (p->s.heads + kv) * size;
}

/* Keys and values of the past as numbers, and new ones as what is left of them
 * once they are quantized; `k` are the new keys where they were turned. */
static md_status quantize(plan *p, float *k, md_arena *ar, md_error *err)
{
    const md_shape rows = {
        4, { p->a.n_batch, p->s.kv_heads, p->s.n_q.k, p->s.size.k }
    };
    md_heads *past[2] = { &p->a.past_k, &p->a.past_v };
    float *v[2] = { k, NULL };

    if (!k)
        MD_TRY(
            gather(p, &p->a.k, p->s.kv_heads, UINT32_MAX, "", &v[0], ar, err));
    MD_TRY(gather(p, &p->a.v, p->s.kv_heads, UINT32_MAX, "", &v[1], ar, err));
    for (uint32_t i = 0; i < 2; i++) {
        const md_tensor *scale = p->x->in[IN_K_SCALE + i];

        md_kv_cache__round(&p->s.cache, v[i], &rows, scale, i == 1);
        if (!past[i]->t)
            continue;
        MD_TRY(md_kv_cache__load(&p->s.cache, &p->past[i], past[i]->t, scale,
                                 i == 1, p->s.size.k, ar, err));
        past[i]->t = &p->past[i];
    }
    return MD_OK;
}

static md_status prepare_rows(plan *p, md_arena *ar, md_error *err)
{
    bool turns = md_node_attr_i(p->x->node, "do_rotary", 0) != 0;
    bool norms = input(p->x, IN_Q_NORM) != NULL;
    float *q, *k = NULL;

    place_rows(p);
    if (!turns && !norms)
        return p->s.cache.bits ? quantize(p, NULL, ar, err) : MD_OK;
    MD_TRY(gather(p, &p->a.q, p->s.heads, IN_Q_NORM, "q_norm_epsilon", &q, ar,
                  err));
    MD_TRY(gather(p, &p->a.k, p->s.kv_heads, IN_K_NORM, "k_norm_epsilon", &k,
                  ar, err));
    if (turns) {
        MD_TRY(rotate(p, &p->a.q, p->s.heads, q, ar, err));
        MD_TRY(rotate(p, &p->a.k, p->s.kv_heads, k, ar, err));
    }
    return p->s.cache.bits ? quantize(p, k, ar, err) : MD_OK;
}

/* What is computed, but for rows and lengths. */
static void describe(plan *p, md_tensor *const *out)
{
    const md_exec *x = p->x;
    const md_node *n = x->node;

    p->mask = md_mask_index__of(n, NULL, input(x, IN_BIAS));
    p->mask.causal = md_node_attr_i(n, "causal", 1) != 0;
    p->mask.window = md_node_attr_i(n, "local_window_size", -1);
    p->mask.padded = true;
    p->a = (md_attend){
        .n_batch = p->s.batch.k,
        .q_heads = p->s.heads,
        .kv_heads = p->s.kv_heads,
        .n_q = p->s.n_q.k,
        .n_keys = p->s.total.k,
        .past_k = md_heads__first(input(x, IN_PAST_K), p->s.kv_heads,
                                  p->s.n_past.k, p->s.size.k),
        .past_v = md_heads__first(input(x, IN_PAST_V), p->s.kv_heads,
                                  p->s.n_past.k, p->s.size.k),
        .y = md_heads__last(out[OUT_Y], p->s.heads, p->s.n_q.k, p->s.size.k),
        .scale = md_node_attr_f(n, "scale", 0.0f),
        .softcap = md_node_attr_f(n, "softcap", 0.0f),
        .smooth = md_node_attr_i(n, "smooth_softmax", -1) == 1,
        .sink = input(x, IN_SINK),
        .mask = &p->mask,
        .stage = md_node_attr_i(n, "qk_output", 0) == 2 ? MD_ATTEND_SOFTMAX
                                                        : MD_ATTEND_BIASED,
    };
    if (md_node_attr_i(n, "qk_output", 0))
        p->a.qk = out[OUT_QK];
    if (p->a.scale == 0.0)
        p->a.scale = 1.0 / sqrt((double)p->s.size.k);
}

static md_status prepare(plan *p, md_exec *x, md_tensor *const *out,
                         md_arena *ar, md_error *err)
{
    md_infer c;

    *p = (plan){ .x = x };
    MD_TRY(md_exec__infer_view(x, &c, ar, err));
    MD_TRY(find_sizes(&c, &p->s, err));
    describe(p, out);
    MD_TRY(read_lengths(p, ar, err));
    return prepare_rows(p, ar, err);
}

/* Of shapes alone: no lengths, no rows turned; out[OUT_K] is there. */
md_status md_group_query_attention__attend(md_attend *a, md_attend_mask *mask,
                                           const md_exec *x,
                                           md_tensor *const *out, md_arena *ar,
                                           md_error *err)
{
    const md_tensor *q = x->in[IN_Q], *past = input(x, IN_PAST_K);
    int64_t *lengths, batch = q->shape.dim[0];
    md_infer c;
    plan p = { .x = x };

    MD_TRY(md_exec__infer_view(x, &c, ar, err));
    MD_TRY(check_attrs(&c, &p.s, err));
    p.s.batch = MD_DIM(batch);
    p.s.n_q = MD_DIM(q->shape.dim[1]);
    p.s.total = p.s.n_present = MD_DIM(out[OUT_K]->shape.dim[2]);
    p.s.n_past = MD_DIM(past ? past->shape.dim[2] : 0);
    MD_TRY(find_size(&c, &p.s, err));
    describe(&p, out);
    place_rows(&p);
    MD_TRY(md_exec__scratch(&lengths, ar, 2 * batch, sizeof(*lengths), err));
    *mask = p.mask;
    *a = p.a;
    a->mask = mask;
    a->n_past = lengths;
    a->n_all = lengths + batch;
    return MD_OK;
}

/* Numbers that were codes become the same codes. */
static md_status store_present(const plan *p, md_tensor *const *out,
                               md_arena *ar, md_error *err)
{
    for (uint32_t i = 0; i < 2; i++) {
        md_tensor t = { .dtype = MD_DTYPE_F32 };
        float *v;

        if (!out[OUT_K + i])
            continue;
        t.shape = out[OUT_K + i]->shape;
        t.shape.dim[3] = p->s.size.k;
        MD_TRY(md_exec__scratch(&v, ar, md_shape_n(&t.shape), sizeof(*v), err));
        t.data = v;
        md_attend__present(&p->a, &t, 0, p->s.n_present.k, i == 1);
        md_kv_cache__store(&p->s.cache, out[OUT_K + i], v, p->s.size.k,
                           p->x->in[IN_K_SCALE + i], i == 1);
    }
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *const *out, md_arena *ar,
                         md_error *err)
{
    plan p;

    MD_TRY(prepare(&p, x, out, ar, err));
    for (int i = OUT_K; i < OUT_N; i++) {
        if (out[i])
            md_exec__zero(out[i]);
    }
    MD_TRY(md_attend__run(&p.a, ar, err));
    if (p.s.cache.bits)
        return store_present(&p, out, ar, err);
    md_attend__present(&p.a, out[OUT_K], 0, p.s.n_present.k, false);
    md_attend__present(&p.a, out[OUT_V], 0, p.s.n_present.k, true);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__several(x, infer, OUT_N, compute, err);
}

const md_op md_op_ms_group_query_attention = {
    .domain = "com.microsoft",
    .name = "GroupQueryAttention",
    .since = 1,
    .in_min = 1,
    .in_max = 17,
    .out_min = 1,
    .out_max = 4,
    .infer = infer,
    .run = run,
    .fast = &md_fast_attention,
};
