#include "ops/common/experts.h"

#include <math.h>
#include <string.h>

/* --- attributes and shapes ---------------------------------------------------- */

static md_status find_act(md_expert_act *out, const md_node *n, md_error *err)
{
    static const char *const names[] = {
        [MD_EXPERT_RELU] = "relu",         [MD_EXPERT_RELU2] = "relu2",
        [MD_EXPERT_GELU] = "gelu",         [MD_EXPERT_SILU] = "silu",
        [MD_EXPERT_IDENTITY] = "identity", [MD_EXPERT_SWIGLU] = "swiglu",
        [MD_EXPERT_GEGLU] = "geglu",
    };
    const char *name = md_node_attr_s(n, "activation_type", "relu");

    for (size_t i = 0; i < MD_COUNT(names); i++) {
        if (strcmp(names[i], name) == 0) {
            *out = (md_expert_act)i;
            return MD_OK;
        }
    }
    return md_fail(err, MD_INVALID, "activation_type is '%s'", name);
}

static bool is_gated(md_expert_act act)
{
    return act == MD_EXPERT_SWIGLU || act == MD_EXPERT_GEGLU;
}

md_status md_experts__attrs(md_experts *out, const md_node *n, md_error *err)
{
    int64_t fusion = md_node_attr_i(n, "swiglu_fusion", 0);

    *out = (md_experts){
        .k = md_node_attr_i(n, "k", 1),
        .normalize = md_node_attr_i(n, "normalize_routing_weights", 0) != 0,
        .alpha = md_node_attr_f(n, "activation_alpha", 1.0f),
        .beta = md_node_attr_f(n, "activation_beta", 0.0f),
        .limit = md_node_attr_f(n, "swiglu_limit", INFINITY),
    };
    MD_TRY(find_act(&out->act, n, err));
    if (out->k < 1 || out->k > INT32_MAX || fusion < 0 || fusion > 2)
        return md_fail(err, MD_INVALID,
                       "k is %lld and swiglu_fusion %lld, at least 1 and 0 to "
                       "2 expected",
                       (long long)out->k, (long long)fusion);
    if (md_node_attr_i(n, "use_sparse_mixer", 0) ||
        md_node_attr_i(n, "swiglu_limit_after_activation", 0))
        return md_fail(err, MD_UNSUPPORTED,
                       "use_sparse_mixer or swiglu_limit_after_activation, "
                       "which are of CUDA only");
    if (out->act == MD_EXPERT_GEGLU && fusion == 0)
        return md_fail(err, MD_INVALID, "geglu without swiglu_fusion");
    out->fusion = is_gated(out->act) ? (int)fusion : 0;
    return MD_OK;
}

/* Layer l is [E, rows, columns], as far as these are known. */
static md_status check_layer(const md_infer *c, const md_expert_inputs *in,
                             int l, int64_t codes, md_dim experts, md_dim rows,
                             md_dim columns, md_error *err)
{
    static const char *const what[] = { "fc1", "fc2", "fc3" };
    const md_type *w =
        md_infer_has(c, in->weight[l]) ? c->in[in->weight[l]] : NULL;

    if (!w)
        return MD_OK;
    MD_TRY(md_infer__rank(c, in->weight[l], 3, 3, err));
    MD_TRY(md_infer__rank(c, in->bias[l], 2, 2, err));
    if (!w->has_rank)
        return MD_OK;
    if (md_dim_is_const(columns) && columns.k % codes)
        return md_fail(err, MD_INVALID, "%s: rows of %lld codes fill no bytes",
                       what[l], (long long)columns.k);
    if (md_dim_is_const(columns))
        columns.k /= codes;
    MD_TRY(md_infer__must_equal(c, w->dim[0], experts, what[l], err));
    MD_TRY(md_infer__must_equal(c, w->dim[1], rows, what[l], err));
    if (codes == 1 || md_dim_is_const(columns))
        MD_TRY(md_infer__must_equal(c, w->dim[2], columns, what[l], err));
    if (!md_infer_has(c, in->bias[l]) || !c->in[in->bias[l]]->has_rank)
        return MD_OK;
    MD_TRY(md_infer__must_equal(c, c->in[in->bias[l]]->dim[0], experts, what[l],
                                err));
    return md_infer__must_equal(c, c->in[in->bias[l]]->dim[1], rows, what[l],
                                err);
}

static md_status check_router(const md_infer *c, const md_experts *o,
                              md_error *err)
{
    const md_type *x = c->in[0], *r = c->in[1];
    md_dim tokens;

    if (!x->has_rank || !r->has_rank)
        return MD_OK;
    MD_TRY(md_dim__span(c, &tokens, x, 0, x->rank - 1, err));
    MD_TRY(md_infer__must_equal(c, r->dim[0], tokens, "rows of router_probs",
                                err));
    if (md_dim_is_const(r->dim[1]) && r->dim[1].k < o->k)
        return md_fail(err, MD_INVALID, "k is %lld of %lld experts",
                       (long long)o->k, (long long)r->dim[1].k);
    return MD_OK;
}

md_status md_experts__infer(const md_infer *c, const md_expert_inputs *in,
                            const int64_t *codes, md_error *err)
{
    const md_type *x = c->in[0], *r = c->in[1], *w1 = c->in[in->weight[0]];
    bool up = md_infer_has(c, in->weight[2]);
    md_dim inter;
    md_experts o;

    MD_TRY(md_experts__attrs(&o, c->node, err));
    MD_TRY(md_infer__rank(c, 0, 2, 3, err));
    MD_TRY(md_infer__rank(c, 1, 2, 2, err));
    MD_TRY(md_infer__rank(c, in->weight[0], 3, 3, err));
    MD_TRY(check_router(c, &o, err));
    if (o.fusion ? up : o.act == MD_EXPERT_SWIGLU && !up)
        return md_fail(err, MD_INVALID, "swiglu_fusion is %d %s fc3", o.fusion,
                       up ? "with" : "without");
    md_infer__give(c, 0, x);
    if (!x->has_rank || !r->has_rank || !w1->has_rank)
        return MD_OK;
    inter = w1->dim[1];
    if (o.fusion && md_dim_is_const(inter) && inter.k % 2)
        return md_fail(err, MD_INVALID,
                       "fc1 has %lld rows, an even number "
                       "expected",
                       (long long)inter.k);
    MD_TRY(check_layer(c, in, 0, codes[0], r->dim[1], inter,
                       x->dim[x->rank - 1], err));
    if (o.fusion && md_dim_is_const(inter)) {
        inter = MD_DIM(inter.k / 2);
    } else if (o.fusion) { /* whatever fc2 takes */
        const md_type *w2 = c->in[in->weight[1]];

        inter = w2->has_rank && w2->rank == 3 ? w2->dim[2] : inter;
        inter.k *= md_dim_is_const(inter) ? codes[1] : 1;
    }
    MD_TRY(check_layer(c, in, 1, codes[1], r->dim[1], x->dim[x->rank - 1],
                       inter, err));
    return check_layer(c, in, 2, codes[2], r->dim[1], inter,
                       x->dim[x->rank - 1], err);
}

/* --- execution ------------------------------------------------------------------ */

/* One token at one expert. */
typedef struct visit {
    int64_t token;
    float weight;
} visit;

typedef struct work {
    const md_experts *o;
    md_expert_sizes s;
    md_expert_row *row;
    const void *ctx;
    const float *x;
    const float *bias[MD_EXPERT_LAYERS];
    const float *probs, *weights;
    visit *visits;     /* tokens * k, by token */
    int64_t *chosen;   /* the expert of each */
    float *h, *up, *y; /* of each visit: rows[0], rows[2], hidden */
    float *line;       /* of each expert: the longest row */
    int64_t longest;
} work;

/* The k best of n; of equals the last ones. */
static void choose(int64_t *best, const float *p, int64_t n, int64_t k)
{
    int64_t have = 0;

    for (int64_t e = 0; e < n; e++) {
        int64_t at = have < k ? have++ : k;

        while (at > 0 && !(p[best[at - 1]] > p[e])) {
            if (at < k)
                best[at] = best[at - 1];
            at--;
        }
        if (at < k)
            best[at] = e;
    }
}

static void route(work *w, int64_t token)
{
    int64_t n = w->s.experts, k = w->o->k, *best = w->chosen + token * k;
    const float *p = w->probs + token * n;
    visit *v = w->visits + token * k;
    double all = 0.0, taken = 0.0;

    choose(best, p, n, k);
    for (int64_t e = 0; e < n; e++)
        all += exp((double)p[e] - (double)p[best[0]]);
    for (int64_t i = 0; i < k; i++) {
        double u = w->weights ? (double)w->weights[token * n + best[i]]
                              : exp((double)p[best[i]] - (double)p[best[0]]);

        v[i] = (visit){ token, (float)u };
        taken += u;
    }
    if (w->o->normalize || w->weights)
        all = w->o->normalize ? taken : 1.0;
    for (int64_t i = 0; i < k; i++)
        v[i].weight = (float)((double)v[i].weight / all);
}

/* to[visit][r] = row r of layer l times from[visit], + bias, for the visits of
 * expert e. */
static void layer(const work *w, int l, int64_t e, const float *from, float *to)
{
    int64_t rows = w->s.rows[l], n = w->s.columns[l];
    float *line = w->line + e * w->longest;

    for (int64_t r = 0; r < rows; r++) {
        w->row(w->ctx, l, e, r, line, n);
        for (int64_t i = 0; i < w->s.tokens * w->o->k; i++) {
            const float *v = from + (l == 1 ? i : w->visits[i].token) *
                                        (l == 1 ? w->s.rows[0] : n);
            double sum = 0.0;

            if (w->chosen[i] != e)
                continue;
            for (int64_t c = 0; c < n; c++)
                sum += (double)line[c] * (double)v[c];
            if (w->bias[l])
                sum += (double)w->bias[l][e * rows + r];
            to[i * rows + r] = (float)sum;
        }
    }
}

static float gelu(float x)
{
    double v = (double)x, k = sqrt(2.0 / acos(-1.0));

    return (float)(0.5 * v * (1.0 + tanh(k * (v + 0.044715 * v * v * v))));
}

static float activate(const md_experts *o, float x)
{
    switch (o->act) {
    case MD_EXPERT_RELU:
        return x > 0.0f ? x : 0.0f;
    case MD_EXPERT_RELU2:
        return x > 0.0f ? x * x : 0.0f;
    case MD_EXPERT_GELU:
    case MD_EXPERT_GEGLU:
        return gelu(x);
    case MD_EXPERT_SILU:
        return x / (1.0f + expf(-x));
    case MD_EXPERT_SWIGLU:
        x = fminf(x, o->limit);
        return x / (1.0f + expf(-o->alpha * x));
    default:
        return x;
    }
}

static float lift(const md_experts *o, float up)
{
    if (o->act != MD_EXPERT_SWIGLU)
        return up;
    return fmaxf(fminf(up, o->limit), -o->limit) + o->beta;
}

/* h, of which the first n remain: activated, times what goes up. */
static void gate(const md_experts *o, float *h, const float *up, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float g = o->fusion == 1 ? h[2 * i] : h[i];
        float u = o->fusion == 1 ? h[2 * i + 1] : o->fusion ? h[n + i] : 1.0f;

        if (up)
            u = up[i];
        h[i] = activate(o, g);
        if (up || o->fusion)
            h[i] *= lift(o, u);
    }
}

static void visit_experts(void *ctx, int64_t from, int64_t to)
{
    const work *w = ctx;
    int64_t n = w->s.tokens * w->o->k;

    for (int64_t e = from; e < to; e++) {
        int64_t i = 0;

        while (i < n && w->chosen[i] != e)
            i++;
        if (i == n)
            continue;
        layer(w, 0, e, w->x, w->h);
        if (w->s.rows[2])
            layer(w, 2, e, w->x, w->up);
        for (i = 0; i < n; i++) {
            if (w->chosen[i] == e)
                gate(w->o, w->h + i * w->s.rows[0],
                     w->s.rows[2] ? w->up + i * w->s.rows[2] : NULL,
                     w->s.columns[1]);
        }
        layer(w, 1, e, w->h, w->y);
    }
}

static md_status find_sizes(work *w, const md_exec *x,
                            const md_expert_inputs *in, const int64_t *codes)
{
    const md_shape *s = &x->in[0]->shape;

    w->s = (md_expert_sizes){ .tokens = md_shape_span(s, 0, s->rank - 1),
                              .experts = x->in[1]->shape.dim[1],
                              .hidden = s->dim[s->rank - 1] };
    for (int l = 0; l < MD_EXPERT_LAYERS; l++) {
        const md_shape *t;

        if (!md_exec_has(x, in->weight[l]))
            continue;
        t = &x->in[in->weight[l]]->shape;
        w->s.rows[l] = t->dim[1];
        w->s.columns[l] = t->dim[2] * codes[l];
        w->longest = md_max_i64(w->longest, w->s.columns[l]);
    }
    return MD_OK;
}

static md_status load(work *w, const md_exec *x, const md_expert_inputs *in,
                      md_arena *ar, md_error *err)
{
    MD_TRY(md_exec__as_f32(&w->x, x->in[0], ar, err));
    MD_TRY(md_exec__as_f32(&w->probs, x->in[1], ar, err));
    if (md_exec_has(x, in->router_weights))
        MD_TRY(
            md_exec__as_f32(&w->weights, x->in[in->router_weights], ar, err));
    for (int l = 0; l < MD_EXPERT_LAYERS; l++) {
        if (md_exec_has(x, in->bias[l]))
            MD_TRY(md_exec__as_f32(&w->bias[l], x->in[in->bias[l]], ar, err));
    }
    return MD_OK;
}

static md_status make_room(work *w, md_arena *ar, md_error *err)
{
    int64_t n, of_h, of_up, of_y, lines;

    if (!md_mul_i64(&n, w->s.tokens, w->o->k) ||
        !md_mul_i64(&of_h, n, w->s.rows[0]) ||
        !md_mul_i64(&of_up, n, w->s.rows[2]) ||
        !md_mul_i64(&of_y, n, w->s.hidden) ||
        !md_mul_i64(&lines, w->s.experts, w->longest))
        return md_fail(err, MD_TOO_LARGE, "%lld tokens of %lld experts each",
                       (long long)w->s.tokens, (long long)w->o->k);
    MD_TRY(md_exec__scratch(&w->visits, ar, n, sizeof(*w->visits), err));
    MD_TRY(md_exec__scratch(&w->chosen, ar, n, sizeof(*w->chosen), err));
    MD_TRY(md_exec__scratch(&w->h, ar, of_h, sizeof(float), err));
    MD_TRY(md_exec__scratch(&w->up, ar, of_up, sizeof(float), err));
    MD_TRY(md_exec__scratch(&w->y, ar, of_y, sizeof(float), err));
    return md_exec__scratch(&w->line, ar, lines, sizeof(float), err);
}

/* In the order of the router, so that it does not depend on threads. */
static void add_up(const work *w, float *out)
{
    int64_t n = w->s.hidden;

    for (int64_t i = 0; i < w->s.tokens * w->o->k; i++) {
        float *to = out + w->visits[i].token * n;

        for (int64_t c = 0; c < n; c++)
            to[c] += w->visits[i].weight * w->y[i * n + c];
    }
}

md_status md_experts__run(md_exec *x, md_tensor *out, const md_experts *o,
                          const md_expert_inputs *in, const int64_t *codes,
                          md_expert_row *row, const void *ctx, md_arena *ar,
                          md_error *err)
{
    work w = { .o = o, .row = row, .ctx = ctx };
    double cost;
    float *sum;

    MD_TRY(find_sizes(&w, x, in, codes));
    MD_TRY(load(&w, x, in, ar, err));
    MD_TRY(make_room(&w, ar, err));
    for (int64_t t = 0; t < w.s.tokens; t++)
        route(&w, t);
    cost = (double)(w.s.tokens * o->k) / (double)w.s.experts *
           (double)w.s.columns[0] * (double)w.s.rows[0];
    md_exec__share(x, w.s.experts, cost, visit_experts, &w);
    MD_TRY(md_exec__f32_of(&sum, out, ar, err));
    add_up(&w, sum);
    md_exec__from_f32(out, sum);
    return MD_OK;
}
