/*
 * Attention by a state that each token is written into and read from:
 *
 *   S = exp(g) S + k v^T             (linear: without g)
 *   S = exp(g) S + k (b (v - (exp(g) S)^T k))^T   (delta rules)
 *   o = scale S^T q
 *
 * Heads of keys and values, each with a state of its own, are independent: one
 * thread takes one.  Computed in float32, as the standard's reference does.
 */
#include <math.h>
#include <string.h>

#include "ops/common/util.h"

enum { /* inputs */
    IN_Q,
    IN_K,
    IN_V,
    IN_PAST,
    IN_DECAY,
    IN_BETA,
    IN_N
};

enum {
    LANES = 8 /* elements computed together: a constant, for vectors */
};

typedef struct rule {
    bool gated, delta;
} rule;

/* Sizes; those that are not known are -1. */
typedef struct sizes {
    int64_t q_heads, kv_heads;
    md_dim batch, length, key, value; /* key and value: of a head */
} sizes;

static md_status find_rule(const md_node *n, rule *out, md_error *err)
{
    const char *name = md_node_attr_s(n, "update_rule", "gated_delta");

    *out = (rule){ strncmp(name, "gated", 5) == 0,
                   strcmp(name, "delta") == 0 ||
                       strcmp(name, "gated_delta") == 0 };
    if (out->delta || strcmp(name, "gated") == 0 || strcmp(name, "linear") == 0)
        return MD_OK;
    return md_fail(err, MD_INVALID,
                   "update_rule is '%s', linear, gated, delta or gated_delta "
                   "expected",
                   name);
}

static md_status check_presence(const md_infer *c, rule r, md_error *err)
{
    static const char *const what[] = { "decay", "beta" };
    const bool wanted[] = { r.gated, r.delta };

    for (uint32_t i = 0; i < 2; i++) {
        if (md_infer_has(c, IN_DECAY + i) != wanted[i])
            return md_fail(
                err, MD_INVALID, "update_rule '%s' %s input %s",
                md_node_attr_s(c->node, "update_rule", "gated_delta"),
                wanted[i] ? "needs" : "does not take", what[i]);
    }
    return MD_OK;
}

/* The size of one head in rows of input i. */
static md_status head_size(const md_infer *c, uint32_t i, int64_t heads,
                           md_dim *out, md_error *err)
{
    md_dim row = c->in[i]->dim[2];

    if (!md_dim_is_const(row))
        return md_infer__fresh(c, out, err);
    if (row.k % heads)
        return md_fail(err, MD_INVALID,
                       "input %u has rows of %lld, which do not divide into "
                       "%lld heads",
                       (unsigned)i, (long long)row.k, (long long)heads);
    *out = MD_DIM(row.k / heads);
    return MD_OK;
}

static md_status find_sizes(const md_infer *c, sizes *s, md_error *err)
{
    md_dim key;

    s->q_heads = md_node_attr_i(c->node, "q_num_heads", 0);
    s->kv_heads = md_node_attr_i(c->node, "kv_num_heads", 0);
    if (s->kv_heads < 1 || s->q_heads < 1 || s->q_heads % s->kv_heads)
        return md_fail(err, MD_INVALID,
                       "q_num_heads is %lld, a multiple of kv_num_heads, %lld, "
                       "expected",
                       (long long)s->q_heads, (long long)s->kv_heads);
    if (!c->in[IN_Q]->has_rank || !c->in[IN_K]->has_rank ||
        !c->in[IN_V]->has_rank)
        return MD_OK;
    s->batch = c->in[IN_Q]->dim[0];
    s->length = c->in[IN_Q]->dim[1];
    MD_TRY(head_size(c, IN_Q, s->q_heads, &s->key, err));
    MD_TRY(head_size(c, IN_K, s->kv_heads, &key, err));
    MD_TRY(head_size(c, IN_V, s->kv_heads, &s->value, err));
    return md_infer__must_equal(c, key, s->key, "the size of the keys' heads",
                                err);
}

/* decay: [batch, length, heads] or with a row for each key; beta: [batch,
 * length, heads] or 1 for all. */
static md_status check_last(const md_infer *c, const sizes *s, md_error *err)
{
    const md_type *decay = md_infer_has(c, IN_DECAY) ? c->in[IN_DECAY] : NULL;
    const md_type *beta = md_infer_has(c, IN_BETA) ? c->in[IN_BETA] : NULL;

    if (decay && decay->has_rank && md_dim_is_const(decay->dim[2]) &&
        decay->dim[2].k != s->kv_heads && md_dim_is_const(s->key) &&
        decay->dim[2].k != s->kv_heads * s->key.k)
        return md_fail(err, MD_INVALID,
                       "decay has rows of %lld, %lld or %lld expected",
                       (long long)decay->dim[2].k, (long long)s->kv_heads,
                       (long long)(s->kv_heads * s->key.k));
    if (beta && beta->has_rank && md_dim_is_const(beta->dim[2]) &&
        beta->dim[2].k != s->kv_heads && beta->dim[2].k != 1)
        return md_fail(err, MD_INVALID,
                       "beta has rows of %lld, %lld or 1 expected",
                       (long long)beta->dim[2].k, (long long)s->kv_heads);
    return MD_OK;
}

static md_status check_past(const md_infer *c, const md_type *state,
                            md_error *err)
{
    const md_type *past = md_infer_has(c, IN_PAST) ? c->in[IN_PAST] : NULL;

    for (int i = 0; past && past->has_rank && i < 4; i++)
        MD_TRY(md_infer__must_equal(c, past->dim[i], state->dim[i],
                                    "a dimension of past_state", err));
    return MD_OK;
}

static md_status check_inputs(const md_infer *c, md_error *err)
{
    uint32_t types = MD_T(F32) | MD_T(F16) | MD_T(BF16);

    for (uint32_t i = 0; i < IN_N; i++) {
        if (i <= IN_V)
            MD_TRY(md_infer__need(c, i, types, err));
        MD_TRY(md_infer__may(c, i, types, err));
        if (i != IN_PAST)
            MD_TRY(md_infer__same_dtype(c, IN_Q, i, err));
        MD_TRY(md_infer__rank(c, i, i == IN_PAST ? 4 : 3, i == IN_PAST ? 4 : 3,
                              err));
        if (i == IN_PAST || !md_infer_has(c, i) || !c->in[i]->has_rank ||
            !c->in[IN_Q]->has_rank)
            continue;
        MD_TRY(md_infer__must_equal(c, c->in[i]->dim[0], c->in[IN_Q]->dim[0],
                                    "an input's batch", err));
        MD_TRY(md_infer__must_equal(c, c->in[i]->dim[1], c->in[IN_Q]->dim[1],
                                    "an input's length", err));
    }
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_type out = { .dtype = md_infer__dtype(c, IN_Q) }, state = out;
    sizes s = { 0 };
    rule r;

    MD_TRY(find_rule(c->node, &r, err));
    MD_TRY(check_presence(c, r, err));
    MD_TRY(check_inputs(c, err));
    MD_TRY(find_sizes(c, &s, err));
    if (md_infer_has(c, IN_PAST))
        state.dtype = c->in[IN_PAST]->dtype;
    if (c->in[IN_Q]->has_rank && c->in[IN_K]->has_rank &&
        c->in[IN_V]->has_rank) {
        out.has_rank = state.has_rank = true;
        out.rank = 3;
        out.dim[0] = s.batch;
        out.dim[1] = s.length;
        MD_TRY(md_dim__mul(c, &out.dim[2], s.value, MD_DIM(s.q_heads), err));
        state.rank = 4;
        state.dim[0] = s.batch;
        state.dim[1] = MD_DIM(s.kv_heads);
        state.dim[2] = s.key;
        state.dim[3] = s.value;
        MD_TRY(check_last(c, &s, err));
        MD_TRY(check_past(c, &state, err));
    }
    md_infer__give(c, 0, &out);
    md_infer__give(c, 1, &state);
    return MD_OK;
}

/* --- execution --------------------------------------------------------- */

typedef struct attention {
    const md_tensor *in[IN_N]; /* NULL where absent */
    md_tensor *out, *present;
    int64_t q_heads, kv_heads, length, key, value;
    rule rule;
    float scale;
    float *memory;
    int64_t each; /* floats for each thread */
} attention;

/* Memory of a thread. */
typedef struct parts {
    float *state;         /* [key, value] */
    float *q, *k, *decay; /* [key] */
    float *v, *sum;       /* [value] */
} parts;

static parts cut(const attention *a, float *at)
{
    parts p;

    p.state = at;
    p.q = p.state + a->key * a->value;
    p.k = p.q + a->key;
    p.decay = p.k + a->key;
    p.v = p.decay + a->key;
    p.sum = p.v + a->value;
    return p;
}

/* to[j] += f * from[j] */
static void add_scaled(float *restrict to, const float *from, float f,
                       int64_t n)
{
    int64_t j = 0;

    for (; j + LANES <= n; j += LANES) {
        for (int k = 0; k < LANES; k++)
            to[j + k] += f * from[j + k];
    }
    for (; j < n; j++)
        to[j] += f * from[j];
}

/* Head h of a row of `heads` heads. */
static void load_head(float *out, const md_tensor *t, int64_t row,
                      int64_t heads, int64_t h, int64_t n)
{
    md_load_f32(out, t, (row * heads + h) * n, n);
}

static void scale_row(float *to, float f, int64_t n)
{
    int64_t j = 0;

    for (; j + LANES <= n; j += LANES) {
        for (int k = 0; k < LANES; k++)
            to[j + k] *= f;
    }
    for (; j < n; j++)
        to[j] *= f;
}

static void decay_state(const attention *a, const parts *p, int64_t row,
                        int64_t h)
{
    const md_tensor *t = a->in[IN_DECAY];
    int64_t n = t->shape.dim[2] / a->kv_heads;

    load_head(p->decay, t, row, a->kv_heads, h, n);
    for (int64_t i = 0; i < n; i++)
        p->decay[i] = expf(p->decay[i]);
    for (int64_t i = 0; i < a->key; i++)
        scale_row(p->state + i * a->value, p->decay[n == 1 ? 0 : i], a->value);
}

/* sum[j] = sum over i of x[i] * state[i][j] */
static void read_state(const attention *a, const parts *p, const float *x)
{
    for (int64_t j = 0; j < a->value; j++)
        p->sum[j] = 0.0f;
    for (int64_t i = 0; i < a->key; i++)
        add_scaled(p->sum, p->state + i * a->value, x[i], a->value);
}

/* What the state does not already hold of the value, in part. */
static void correct_value(const attention *a, const parts *p, int64_t row,
                          int64_t h)
{
    const md_tensor *t = a->in[IN_BETA];
    int64_t n = t->shape.dim[2];
    float beta;

    md_load_f32(&beta, t, row * n + (n == 1 ? 0 : h), 1);
    read_state(a, p, p->k);
    for (int64_t j = 0; j < a->value; j++)
        p->v[j] = beta * (p->v[j] - p->sum[j]);
}

static void take_token(const attention *a, const parts *p, int64_t row,
                       int64_t h)
{
    int64_t group = a->q_heads / a->kv_heads;

    load_head(p->k, a->in[IN_K], row, a->kv_heads, h, a->key);
    load_head(p->v, a->in[IN_V], row, a->kv_heads, h, a->value);
    if (a->rule.gated)
        decay_state(a, p, row, h);
    if (a->rule.delta)
        correct_value(a, p, row, h);
    for (int64_t i = 0; i < a->key; i++)
        add_scaled(p->state + i * a->value, p->v, p->k[i], a->value);
    for (int64_t q = h * group; a->out && q < (h + 1) * group; q++) {
        load_head(p->q, a->in[IN_Q], row, a->q_heads, q, a->key);
        read_state(a, p, p->q);
        for (int64_t j = 0; j < a->value; j++)
            p->sum[j] *= a->scale;
        md_store_f32(a->out, (row * a->q_heads + q) * a->value, p->sum,
                     a->value);
    }
}

/* Head `chunk % kv_heads` of one batch element. */
static void run_head(void *ctx, int64_t chunk, int worker)
{
    const attention *a = ctx;
    int64_t b = chunk / a->kv_heads, n = a->key * a->value;
    parts p = cut(a, a->memory + worker * a->each);

    if (a->in[IN_PAST])
        md_load_f32(p.state, a->in[IN_PAST], chunk * n, n);
    else
        memset(p.state, 0, (size_t)n * sizeof(*p.state));
    for (int64_t t = 0; t < a->length; t++)
        take_token(a, &p, b * a->length + t, chunk % a->kv_heads);
    if (a->present)
        md_store_f32(a->present, chunk * n, p.state, n);
}

static md_status compute(md_exec *x, md_tensor *const *out, md_arena *ar,
                         md_error *err)
{
    attention a = { .out = out[0],
                    .present = out[1],
                    .scale = md_node_attr_f(x->node, "scale", 0.0f) };
    sizes s = { 0 };
    md_infer c;

    MD_TRY(md_exec__infer_view(x, &c, ar, err));
    MD_TRY(find_rule(x->node, &a.rule, err));
    MD_TRY(find_sizes(&c, &s, err));
    for (uint32_t i = 0; i < IN_N; i++)
        a.in[i] = md_exec_has(x, i) ? x->in[i] : NULL;
    a.q_heads = s.q_heads;
    a.kv_heads = s.kv_heads;
    a.length = s.length.k;
    a.key = s.key.k;
    a.value = s.value.k;
    if (a.scale == 0.0f)
        a.scale = 1.0f / sqrtf((float)a.key);
    if (!md_mul_i64(&a.each, a.key, a.value) ||
        !md_add_i64(&a.each, a.each, 3 * a.key + 2 * a.value))
        return md_fail_nomem(err, SIZE_MAX);
    MD_TRY(md_exec__scratch(&a.memory, ar, md_pool_width(x->pool),
                            (size_t)a.each * sizeof(*a.memory), err));
    md_pool_run(x->pool, MD_POOL_WIDTH_MAX, s.batch.k * a.kv_heads, run_head,
                &a);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__several(x, infer, 2, compute, err);
}

const md_op md_op_linear_attention = {
    .domain = "",
    .name = "LinearAttention",
    .since = 27,
    .in_min = 3,
    .in_max = 6,
    .out_min = 1,
    .out_max = 2,
    .infer = infer,
    .run = run,
};
