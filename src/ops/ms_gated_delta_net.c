/*
 * com.microsoft's GatedDeltaNet: attention by a state for each head of values,
 * over tokens of all requests one behind the other:
 *
 *   S = exp(g) S                   (gated rules; g of the head, or of each key)
 *   d = v, or b (v - S k)          (delta rules)
 *   S = S + d k^T,   o = scale S q
 *
 * S is [head_v, head_k].  Heads of queries and keys are shared by as many heads
 * of values.  Requests and heads are independent; computed in double.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ops/common/varlen.h"

enum { /* inputs */
    IN_Q,
    IN_K,
    IN_V,
    IN_BOUNDS, /* first token of each request, and the end */
    IN_DECAY,
    IN_BETA,
    IN_STATE,
    IN_A_LOG,
    IN_DT_BIAS,
    IN_CAPTURE,
    IN_ACTIVE,
};

enum { /* outputs */
    OUT_Y,
    OUT_STATE,
    OUT_UPDATE,
    OUT_N
};

enum {
    CAPTURE_MAX = 8
};

#define TYPES (MD_T(F32) | MD_T(F16) | MD_T(BF16))

typedef enum gate_kind {
    GATE_NONE,
    GATE_SOFTPLUS,
    GATE_SIGMOID
} gate_kind;

typedef struct rule {
    bool gated, delta, normalize, beta_sigmoid;
    gate_kind gate;
    int64_t capture; /* slots of transitions */
    double scale, bound;
} rule;

/* --- attributes ---------------------------------------------------------------- */

static md_status find_gate(const md_node *n, rule *r, md_error *err)
{
    static const struct {
        const char *name;
        gate_kind kind;
    } rows[] = { { "none", GATE_NONE },
                 { "softplus", GATE_SOFTPLUS },
                 { "qwen", GATE_SOFTPLUS },
                 { "sigmoid", GATE_SIGMOID },
                 { "kda", GATE_SIGMOID } };
    const char *gate = md_node_attr_s(n, "gate_activation", "none");
    const char *beta = md_node_attr_s(n, "beta_activation", "none");

    r->beta_sigmoid = strcmp(beta, "sigmoid") == 0;
    if (!r->beta_sigmoid && strcmp(beta, "none") != 0)
        return md_fail(err, MD_INVALID, "beta_activation is '%s'", beta);
    for (size_t i = 0; i < MD_COUNT(rows); i++) {
        if (strcmp(rows[i].name, gate) == 0) {
            r->gate = rows[i].kind;
            return MD_OK;
        }
    }
    return md_fail(err, MD_INVALID, "gate_activation is '%s'", gate);
}

static md_status find_rule(rule *r, const md_node *n, md_error *err)
{
    const char *name = md_node_attr_s(n, "update_rule", "gated_delta");

    *r = (rule){ .gated = strncmp(name, "gated", 5) == 0,
                 .delta = strcmp(name, "delta") == 0 ||
                          strcmp(name, "gated_delta") == 0,
                 .normalize = md_node_attr_i(n, "qk_l2_norm", 0) != 0,
                 .capture = md_node_attr_i(n, "state_update_capacity", 0),
                 .scale = md_node_attr_f(n, "scale", 0.0f),
                 .bound = md_node_attr_f(n, "gate_lower_bound", -5.0f) };
    if (!r->delta && strcmp(name, "gated") != 0 && strcmp(name, "linear") != 0)
        return md_fail(err, MD_INVALID,
                       "update_rule is '%s', linear, gated, delta or "
                       "gated_delta expected",
                       name);
    if (r->capture < 0 || r->capture > CAPTURE_MAX)
        return md_fail(err, MD_INVALID,
                       "state_update_capacity is %lld, 0 to %d expected",
                       (long long)r->capture, CAPTURE_MAX);
    return find_gate(n, r, err);
}

/* --- sizes ----------------------------------------------------------------------- */

/* Of one node; -1 where not known. */
typedef struct sizes {
    int64_t tokens, batch, heads_k, heads_v, key, value;
    int64_t per_head; /* decays of a head: 1 or key */
    bool packed;      /* rows of q hold keys and values too */
} sizes;

static int64_t known(md_dim d)
{
    return md_dim_is_const(d) ? d.k : -1;
}

static md_status check_types(const md_infer *c, const rule *r, md_error *err)
{
    const struct {
        uint32_t i;
        bool wanted;
    } rows[] = { { IN_DECAY, r->gated },
                 { IN_BETA, r->delta },
                 { IN_CAPTURE, r->capture > 0 } };

    MD_TRY(md_infer__need(c, IN_Q, TYPES, err));
    for (uint32_t i = IN_K; i <= IN_V; i++) {
        MD_TRY(md_infer__may(c, i, TYPES, err));
        MD_TRY(md_infer__same_dtype(c, IN_Q, i, err));
    }
    MD_TRY(md_infer__may(c, IN_BOUNDS, MD_T(I32), err));
    MD_TRY(md_infer__may(c, IN_DECAY, TYPES, err));
    MD_TRY(md_infer__may(c, IN_BETA, TYPES, err));
    for (uint32_t i = IN_STATE; i <= IN_DT_BIAS; i++)
        MD_TRY(md_infer__may(c, i, MD_T(F32), err));
    MD_TRY(md_infer__may(c, IN_CAPTURE, MD_T(I32), err));
    MD_TRY(md_infer__may(c, IN_ACTIVE, MD_T(I32), err));
    for (size_t i = 0; i < MD_COUNT(rows); i++) {
        if (md_infer_has(c, rows[i].i) != rows[i].wanted)
            return md_fail(err, MD_INVALID,
                           "input %u is %s for these attributes", rows[i].i,
                           rows[i].wanted ? "missing" : "one too many");
    }
    if (r->gate != GATE_NONE &&
        (!md_infer_has(c, IN_A_LOG) || !md_infer_has(c, IN_DT_BIAS)))
        return md_fail(err, MD_INVALID,
                       "gate_activation without a_log and dt_bias");
    if (r->gate == GATE_NONE &&
        (md_infer_has(c, IN_A_LOG) || md_infer_has(c, IN_DT_BIAS)))
        return md_fail(err, MD_INVALID,
                       "a_log or dt_bias without gate_activation");
    if (md_infer_has(c, IN_K) != md_infer_has(c, IN_V) ||
        (!md_infer_has(c, IN_K) && !md_infer_has(c, IN_STATE)) ||
        (!md_infer_has(c, IN_BOUNDS) && !md_infer_has(c, IN_STATE)))
        return md_fail(err, MD_INVALID,
                       "key, value or, without them or bounds, initial_state "
                       "is missing");
    return MD_OK;
}

/* Query, key and value are [tokens, heads, size], or [batch, length, ...]. */
static md_status check_ranks(const md_infer *c, const sizes *s, md_error *err)
{
    const md_type *q = c->in[IN_Q];
    int lead = s->packed ? 2 : 3;
    int lo = q->has_rank ? q->rank : lead, hi = q->has_rank ? lo : lead + 1;

    MD_TRY(md_infer__rank(c, IN_Q, lead, lead + 1, err));
    if (lo > lead && md_infer_has(c, IN_BOUNDS))
        return md_fail(err, MD_INVALID, "cu_seqlens with rank %d of query", lo);
    MD_TRY(md_infer__rank(c, IN_K, lo, hi, err));
    MD_TRY(md_infer__rank(c, IN_V, lo, hi, err));
    MD_TRY(md_infer__rank(c, IN_BOUNDS, 1, 1, err));
    lo -= s->packed ? 0 : 1;
    hi -= s->packed ? 0 : 1;
    MD_TRY(md_infer__rank(c, IN_DECAY, lo, hi + 1, err));
    MD_TRY(md_infer__rank(c, IN_BETA, lo, hi, err));
    return md_infer__rank(c, IN_STATE, 4, 4, err);
}

static void from_state(sizes *s, const md_type *state)
{
    if (!state || !state->has_rank)
        return;
    s->batch = known(state->dim[0]);
    s->heads_v = known(state->dim[1]);
    s->value = known(state->dim[2]);
    s->key = known(state->dim[3]);
}

static md_status find_heads(const md_infer *c, sizes *s, md_error *err)
{
    const md_type *q = c->in[IN_Q];
    const md_type *v = s->packed ? NULL : c->in[IN_V];
    int64_t row, keys;

    if (!q->has_rank)
        return MD_OK;
    if (v && v->has_rank) {
        s->heads_k = known(q->dim[q->rank - 2]);
        s->key = known(q->dim[q->rank - 1]);
        s->heads_v = known(v->dim[v->rank - 2]);
        s->value = known(v->dim[v->rank - 1]);
    }
    row = known(q->dim[q->rank - 1]);
    if (s->packed && row >= 0 && s->heads_v > 0 && s->key > 0) {
        keys = row - s->heads_v * s->value;
        s->heads_k = keys / (2 * s->key);
        if (keys <= 0 || keys % (2 * s->key))
            return md_fail(err, MD_INVALID,
                           "rows of %lld elements hold no queries, keys and "
                           "values",
                           (long long)row);
    }
    if (s->heads_k >= 0 && s->heads_v >= 0 &&
        (s->heads_k == 0 || s->heads_v == 0 || s->heads_v % s->heads_k))
        return md_fail(
            err, MD_INVALID,
            "%lld heads of values are not shared out to %lld of keys",
            (long long)s->heads_v, (long long)s->heads_k);
    return MD_OK;
}

static md_status find_tokens(const md_infer *c, sizes *s, md_error *err)
{
    const md_type *q = c->in[IN_Q];
    md_dim tokens;

    if (q->has_rank) {
        MD_TRY(
            md_dim__span(c, &tokens, q, 0, q->rank - (s->packed ? 1 : 2), err));
        s->tokens = known(tokens);
    }
    if (md_infer_has(c, IN_BOUNDS)) {
        const md_type *t = c->in[IN_BOUNDS];

        s->batch =
            t->has_rank && md_dim_is_const(t->dim[0]) ? t->dim[0].k - 1 : -1;
        if (t->has_rank && md_dim_is_const(t->dim[0]) && t->dim[0].k < 2)
            return md_fail(err, MD_INVALID,
                           "cu_seqlens has %lld elements, at least 2 expected",
                           (long long)t->dim[0].k);
    }
    if (md_infer_has(c, IN_BOUNDS) || s->batch < 0 || s->tokens < 0 ||
        (s->batch > 0 && s->tokens % s->batch == 0) || s->tokens == 0)
        return MD_OK;
    return md_fail(err, MD_INVALID, "%lld tokens of %lld requests",
                   (long long)s->tokens, (long long)s->batch);
}

/* The number of elements of input i is one of two, where these are known. */
static md_status check_count(const md_infer *c, uint32_t i, int64_t n,
                             int64_t other, md_error *err)
{
    md_shape shape;

    if (!md_infer_has(c, i) || n < 0 || other < 0 ||
        !md_type_static(c->in[i], &shape) || md_shape_n(&shape) == n ||
        md_shape_n(&shape) == other)
        return MD_OK;
    return md_fail(err, MD_INVALID, "input %u has %lld elements, %lld expected",
                   i, (long long)md_shape_n(&shape), (long long)n);
}

static int64_t times(int64_t a, int64_t b)
{
    int64_t r;

    return a < 0 || b < 0 || !md_mul_i64(&r, a, b) ? -1 : r;
}

static md_status check_counts(const md_infer *c, const sizes *s, md_error *err)
{
    int64_t rows = times(s->tokens, s->heads_v);
    int64_t by_key = times(s->heads_v, s->key);
    int64_t keys = times(times(s->tokens, s->heads_k), s->key);
    int64_t values = times(rows, s->value);

    if (!s->packed) {
        MD_TRY(check_count(c, IN_K, keys, keys, err));
        MD_TRY(check_count(c, IN_V, values, values, err));
    }
    MD_TRY(check_count(c, IN_DECAY, rows, times(rows, s->key), err));
    MD_TRY(check_count(c, IN_BETA, rows, rows, err));
    MD_TRY(check_count(c, IN_A_LOG, s->heads_v, s->heads_v, err));
    MD_TRY(check_count(c, IN_DT_BIAS, s->heads_v, by_key, err));
    return check_count(c, IN_CAPTURE, s->batch, s->batch, err);
}

/* Keys have the shape of the queries, values their tokens. */
static md_status check_rows(const md_infer *c, const sizes *s, md_error *err)
{
    const md_type *q = c->in[IN_Q];

    for (uint32_t i = IN_K; !s->packed && q->has_rank && i <= IN_V; i++) {
        const md_type *t = c->in[i];

        for (int d = 0; t->has_rank && d < q->rank - (i == IN_V ? 2 : 0); d++)
            MD_TRY(md_infer__must_equal(c, t->dim[d], q->dim[d],
                                        "an axis of keys or values", err));
    }
    return MD_OK;
}

/* Input i is [tokens, heads_v], for each key with another axis of keys. */
static md_status check_heads(const md_infer *c, const sizes *s, uint32_t i,
                             bool by_key, md_error *err)
{
    const md_type *t = md_infer_has(c, i) ? c->in[i] : NULL;
    char what[32];
    int last;

    if (!t || !t->has_rank)
        return MD_OK;
    last = t->rank - 1;
    snprintf(what, sizeof(what), "an axis of input %u", (unsigned)i);
    if (by_key && s->key >= 0)
        MD_TRY(
            md_infer__must_equal(c, t->dim[last], MD_DIM(s->key), what, err));
    last -= by_key;
    if (s->heads_v >= 0)
        MD_TRY(md_infer__must_equal(c, t->dim[last], MD_DIM(s->heads_v), what,
                                    err));
    return MD_OK;
}

/* The state is [batch, heads_v, head_v, head_k]. */
static md_status check_state(const md_infer *c, const sizes *s, md_error *err)
{
    const md_type *t = md_infer_has(c, IN_STATE) ? c->in[IN_STATE] : NULL;
    const int64_t axes[] = { s->batch, s->heads_v, s->value, s->key };
    char what[48];

    for (int d = 0; t && t->has_rank && d < t->rank; d++) {
        snprintf(what, sizeof(what), "axis %d of initial_state", d);
        if (axes[d] >= 0)
            MD_TRY(
                md_infer__must_equal(c, t->dim[d], MD_DIM(axes[d]), what, err));
    }
    return MD_OK;
}

static md_status find_sizes(const md_infer *c, const rule *r, sizes *s,
                            md_error *err)
{
    const md_type *decay;
    bool by_key;

    *s = (sizes){ -1, -1, -1, -1, -1, -1, 1, !md_infer_has(c, IN_K) };
    MD_TRY(check_types(c, r, err));
    MD_TRY(check_ranks(c, s, err));
    from_state(s, md_infer_has(c, IN_STATE) ? c->in[IN_STATE] : NULL);
    MD_TRY(find_heads(c, s, err));
    MD_TRY(find_tokens(c, s, err));
    decay = md_infer_has(c, IN_DECAY) ? c->in[IN_DECAY] : NULL;
    if (decay && (!decay->has_rank || !c->in[IN_Q]->has_rank)) {
        s->per_head = -1;
    } else if (decay) {
        by_key = decay->rank == c->in[IN_Q]->rank + s->packed;
        if (by_key)
            s->per_head = s->key;
        MD_TRY(check_heads(c, s, IN_DECAY, by_key, err));
    }
    MD_TRY(check_heads(c, s, IN_BETA, false, err));
    MD_TRY(check_rows(c, s, err));
    MD_TRY(check_state(c, s, err));
    return check_counts(c, s, err);
}

static md_status dim_of(const md_infer *c, md_dim *d, int64_t n, md_error *err)
{
    if (n < 0)
        return md_infer__fresh(c, d, err);
    *d = MD_DIM(n);
    return MD_OK;
}

static int64_t update_size(const sizes *s, const rule *r)
{
    int64_t n = times(s->heads_v, s->per_head);
    int64_t keys = times(s->heads_k, s->key);
    int64_t values = times(s->heads_v, s->value);

    return n < 0 || keys < 0 || values < 0
               ? -1
               : times(r->capture, n + keys + values);
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_type y = { .dtype = c->in[IN_Q]->dtype }, t = { .dtype = MD_DTYPE_F32 };
    const md_type *q = c->in[IN_Q];
    sizes s;
    rule r;

    MD_TRY(find_rule(&r, c->node, err));
    MD_TRY(find_sizes(c, &r, &s, err));
    if (q->has_rank) {
        y.has_rank = true;
        y.rank = q->rank + s.packed;
        for (int d = 0; d < y.rank - 2; d++)
            y.dim[d] = q->dim[d];
        MD_TRY(dim_of(c, &y.dim[y.rank - 2], s.heads_v, err));
        MD_TRY(dim_of(c, &y.dim[y.rank - 1], s.value, err));
    }
    md_infer__give(c, OUT_Y, &y);
    t.has_rank = true;
    t.rank = 4;
    MD_TRY(dim_of(c, &t.dim[0], s.batch, err));
    MD_TRY(dim_of(c, &t.dim[1], s.heads_v, err));
    MD_TRY(dim_of(c, &t.dim[2], s.value, err));
    MD_TRY(dim_of(c, &t.dim[3], s.key, err));
    md_infer__give(c, OUT_STATE, &t);
    t.rank = 2;
    MD_TRY(dim_of(c, &t.dim[1], update_size(&s, &r), err));
    md_infer__give(c, OUT_UPDATE, &t);
    return MD_OK;
}

/* --- execution -------------------------------------------------------------------- */

typedef struct work {
    sizes s;
    rule r;
    const float *q, *k, *v, *decay, *beta, *a_log, *dt_bias;
    int64_t q_row, k_row, v_row; /* elements from token to token */
    const int64_t *bounds;       /* batch + 1 */
    const int64_t *capture;      /* of each request; NULL: none */
    double *state;               /* [batch, heads_v, value, key] */
    float *y;                    /* [tokens, heads_v, value] */
    float *update;               /* or NULL */
    double *scratch; /* 3 key + value numbers for each request and head */
} work;

static void load_vector(double *out, const float *from, int64_t n,
                        bool normalize)
{
    double sum = 0.0;

    for (int64_t i = 0; i < n; i++) {
        out[i] = (double)from[i];
        sum += out[i] * out[i];
    }
    for (int64_t i = 0; i < n && normalize && sum > 0.0; i++)
        out[i] /= sqrt(sum);
}

static double softplus(double x)
{
    return x > 0.0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

/* exp(g) of each key at token t of head h. */
static void find_decay(const work *w, int64_t t, int64_t h, double *out)
{
    const sizes *s = &w->s;

    for (int64_t i = 0; i < s->key; i++) {
        int64_t j = s->per_head == 1 ? 0 : i;
        double g = 0.0, a;

        if (w->r.gated)
            g = (double)w->decay[(t * s->heads_v + h) * s->per_head + j];
        if (w->r.gated && w->r.gate != GATE_NONE) {
            a = exp((double)w->a_log[h]);
            g += (double)w->dt_bias[h * s->per_head + j];
            g = w->r.gate == GATE_SOFTPLUS ? -a * softplus(g)
                                           : w->r.bound / (1.0 + exp(-a * g));
        }
        out[i] = exp(g);
    }
}

static double find_beta(const work *w, int64_t t, int64_t h)
{
    double b = w->r.delta ? (double)w->beta[t * w->s.heads_v + h] : 1.0;

    return w->r.delta && w->r.beta_sigmoid ? 1.0 / (1.0 + exp(-b)) : b;
}

/* The transition of token `slot` of request b as it is replayed. */
static void keep(const work *w, int64_t b, int64_t h, int64_t slot,
                 const double *decay, const double *k, const double *d)
{
    const sizes *s = &w->s;
    int64_t n = s->heads_v * s->per_head, share = s->heads_v / s->heads_k;
    float *at = w->update + b * update_size(s, &w->r);
    float *keys = at + w->r.capture * n + slot * s->heads_k * s->key;
    float *values = at + w->r.capture * (n + s->heads_k * s->key) +
                    (slot * s->heads_v + h) * s->value;

    for (int64_t i = 0; i < s->per_head; i++)
        at[slot * n + h * s->per_head + i] = (float)decay[i];
    for (int64_t i = 0; i < s->key && h % share == 0; i++)
        keys[h / share * s->key + i] = (float)k[i];
    for (int64_t i = 0; i < s->value; i++)
        values[i] = (float)d[i];
}

static void token(const work *w, int64_t b, int64_t h, int64_t t, double *S)
{
    const sizes *s = &w->s;
    int64_t head = h / (s->heads_v / s->heads_k), n = s->key;
    double *q = w->scratch + (b * s->heads_v + h) * (3 * n + s->value);
    double *k = q + n, *decay = k + n, *d = decay + n;
    const float *v = w->v + t * w->v_row + h * s->value;
    double beta = find_beta(w, t, h);

    load_vector(q, w->q + t * w->q_row + head * n, n, w->r.normalize);
    load_vector(k, w->k + t * w->k_row + head * n, n, w->r.normalize);
    find_decay(w, t, h, decay);
    for (int64_t j = 0; j < s->value; j++) {
        double *row = S + j * n, read = 0.0, y = 0.0;

        for (int64_t i = 0; i < n; i++) {
            row[i] *= decay[i];
            read += row[i] * k[i];
        }
        d[j] = w->r.delta ? beta * ((double)v[j] - read) : (double)v[j];
        for (int64_t i = 0; i < n; i++) {
            row[i] += d[j] * k[i];
            y += row[i] * q[i];
        }
        if (w->y)
            w->y[(t * s->heads_v + h) * s->value + j] = (float)(w->r.scale * y);
    }
    if (w->update && w->capture && t - w->bounds[b] < w->capture[b])
        keep(w, b, h, t - w->bounds[b], decay, k, d);
}

static void run_heads(void *ctx, int64_t from, int64_t to)
{
    const work *w = ctx;

    for (int64_t i = from; i < to; i++) {
        int64_t b = i / w->s.heads_v, h = i % w->s.heads_v;
        double *S = w->state + i * w->s.value * w->s.key;

        for (int64_t t = w->bounds[b]; t < w->bounds[b + 1]; t++)
            token(w, b, h, t, S);
    }
}

static md_status find_bounds(work *w, const md_exec *x, md_arena *ar,
                             md_error *err)
{
    int64_t n = w->s.batch, *even, *capture;
    bool active = md_exec__scalar(x, IN_ACTIVE, 1.0) != 0.0;

    if (md_exec_has(x, IN_BOUNDS)) {
        MD_TRY(
            md_varlen__load(&w->bounds, x, IN_BOUNDS, w->s.tokens, 0, ar, err));
    } else {
        MD_TRY(md_exec__scratch(&even, ar, n + 1, sizeof(*even), err));
        for (int64_t b = 0; b <= n && n > 0; b++)
            even[b] = b * (w->s.tokens / n);
        w->bounds = even;
    }
    if (!md_exec_has(x, IN_CAPTURE) || !active)
        return MD_OK;
    MD_TRY(md_exec__scratch(&capture, ar, n, sizeof(*capture), err));
    for (int64_t b = 0; b < n; b++)
        capture[b] =
            md_min_i64(md_tensor_get_i64(x->in[IN_CAPTURE], b), w->r.capture);
    w->capture = capture;
    return MD_OK;
}

static md_status load(work *w, const md_exec *x, md_arena *ar, md_error *err)
{
    const struct {
        uint32_t i;
        const float **to;
    } rows[] = { { IN_Q, &w->q },
                 { IN_K, &w->k },
                 { IN_V, &w->v },
                 { IN_DECAY, &w->decay },
                 { IN_BETA, &w->beta },
                 { IN_A_LOG, &w->a_log },
                 { IN_DT_BIAS, &w->dt_bias } };
    const sizes *s = &w->s;
    int64_t bias = s->heads_v * s->per_head;

    for (size_t i = 0; i < MD_COUNT(rows); i++) {
        if (md_exec_has(x, rows[i].i))
            MD_TRY(md_exec__as_f32(rows[i].to, x->in[rows[i].i], ar, err));
    }
    w->q_row = w->k_row = s->heads_k * s->key;
    w->v_row = s->heads_v * s->value;
    if (s->packed) {
        w->k = w->q + w->q_row;
        w->v = w->k + w->k_row;
        w->q_row = w->k_row = w->v_row = 2 * w->q_row + w->v_row;
    }
    if (w->r.gated && w->r.gate != GATE_NONE &&
        md_tensor_n(x->in[IN_DT_BIAS]) != bias)
        return md_fail(err, MD_INVALID,
                       "dt_bias has %lld elements, %lld "
                       "expected",
                       (long long)md_tensor_n(x->in[IN_DT_BIAS]),
                       (long long)bias);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *const *out, md_arena *ar,
                         md_error *err)
{
    work w = { 0 };
    md_infer c;
    int64_t heads, n;

    MD_TRY(md_exec__infer_view(x, &c, ar, err));
    MD_TRY(find_rule(&w.r, x->node, err));
    MD_TRY(find_sizes(&c, &w.r, &w.s, err));
    if (w.r.scale == 0.0)
        w.r.scale = 1.0 / sqrt((double)w.s.key);
    heads = w.s.batch * w.s.heads_v;
    n = heads * w.s.value * w.s.key;
    MD_TRY(load(&w, x, ar, err));
    MD_TRY(find_bounds(&w, x, ar, err));
    MD_TRY(md_exec__scratch(&w.state, ar, n, sizeof(*w.state), err));
    MD_TRY(md_exec__scratch(&w.scratch, ar, heads * (3 * w.s.key + w.s.value),
                            sizeof(*w.scratch), err));
    if (md_exec_has(x, IN_STATE))
        md_load_f64(w.state, x->in[IN_STATE], 0, n);
    if (out[OUT_Y])
        MD_TRY(md_exec__f32_of(&w.y, out[OUT_Y], ar, err));
    if (out[OUT_UPDATE]) {
        md_exec__zero(out[OUT_UPDATE]);
        w.update = out[OUT_UPDATE]->data;
    }
    md_exec__share(x, heads,
                   4.0 * (double)w.s.tokens * (double)w.s.key *
                       (double)w.s.value / (double)(w.s.batch ? w.s.batch : 1),
                   run_heads, &w);
    if (out[OUT_Y])
        md_exec__from_f32(out[OUT_Y], w.y);
    if (out[OUT_STATE])
        md_store_f64(out[OUT_STATE], 0, w.state, n);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__several(x, infer, OUT_N, compute, err);
}

const md_op md_op_ms_gated_delta_net = {
    .domain = "com.microsoft",
    .name = "GatedDeltaNet",
    .since = 1,
    .in_min = 1,
    .in_max = 11,
    .out_min = 1,
    .out_max = OUT_N,
    .infer = infer,
    .run = run,
};
