/*
 * com.microsoft's MoEGroupRouter: which experts a token is sent to, as
 * DeepSeek-V3 chooses them.  s = sigmoid(logits); of the groups of experts those
 * whose best few add up to most by s + bias, and in them the best experts by
 * s + bias: log(max(s, 1e-20)) for these, a sentinel for the others.
 *
 * logits [..., E], or rows [T, width] and projection_weight [E, width];
 * expert_bias [E].  Or no choice is made: outputs 1 and 2 are s + bias and s.
 */
#include <math.h>

#include "ops/common/util.h"

enum { /* inputs */
    IN_LOGITS,
    IN_BIAS,
    IN_WEIGHT
};

enum { /* outputs */
    OUT_PROBS,
    OUT_SCORES,
    OUT_WEIGHTS,
    OUT_N
};

#define TYPES (MD_T(F32) | MD_T(F16) | MD_T(BF16))

/* Positive numbers. */
typedef struct choice {
    int64_t n_group, n_groups_taken, n_summed, n_taken;
} choice;

static md_status read_choice(choice *c, const md_node *n, md_error *err)
{
    *c = (choice){ .n_group = md_node_attr_i(n, "n_group", 1),
                   .n_groups_taken = md_node_attr_i(n, "topk_group", 1),
                   .n_summed = md_node_attr_i(n, "group_topk", 2),
                   .n_taken = md_node_attr_i(n, "top_k", 0) };
    if (c->n_group < 1 || c->n_groups_taken < 1 || c->n_summed < 1 ||
        c->n_taken < 1 || c->n_groups_taken > c->n_group)
        return md_fail(err, MD_INVALID,
                       "top_k is %lld, group_topk %lld, topk_group %lld of "
                       "n_group %lld, 1 and more, and no more groups than "
                       "there are, expected",
                       (long long)c->n_taken, (long long)c->n_summed,
                       (long long)c->n_groups_taken, (long long)c->n_group);
    return MD_OK;
}

static bool wants(const md_node *n, uint32_t i)
{
    return i < n->n_out && n->out[i] != MD_VALUE_NONE;
}

/* A choice, or both of what one is made from. */
static md_status check_outputs(const md_infer *c, const choice *how,
                               md_error *err)
{
    bool full = wants(c->node, OUT_SCORES);

    if (full != wants(c->node, OUT_WEIGHTS) ||
        full == wants(c->node, OUT_PROBS))
        return md_fail(err, MD_INVALID,
                       "either router_probs, or selection_scores and "
                       "router_weights are expected");
    if (full && (how->n_group != 1 || how->n_groups_taken != 1))
        return md_fail(err, MD_INVALID,
                       "selection_scores of %lld groups, 1 expected",
                       (long long)how->n_group);
    if (!full && md_infer_has(c, IN_WEIGHT))
        return md_fail(err, MD_INVALID,
                       "projection_weight without selection_scores");
    return MD_OK;
}

/* Tokens and experts. */
static md_status find_sizes(const md_infer *c, md_type *y, md_error *err)
{
    const md_type *x = c->in[IN_LOGITS], *w;

    MD_TRY(md_infer__fresh_type(c, y, MD_DTYPE_F32, 2, err));
    if (!x->has_rank)
        return MD_OK;
    if (x->rank < 2 || (md_infer_has(c, IN_WEIGHT) && x->rank != 2))
        return md_fail(err, MD_INVALID, "logits have rank %d", x->rank);
    MD_TRY(md_dim__span(c, &y->dim[0], x, 0, x->rank - 1, err));
    y->dim[1] = x->dim[x->rank - 1];
    if (md_infer_has(c, IN_WEIGHT)) {
        w = c->in[IN_WEIGHT];
        MD_TRY(md_infer__rank(c, IN_WEIGHT, 2, 2, err));
        MD_TRY(md_infer__fresh(c, &y->dim[1], err));
        if (w->has_rank) {
            MD_TRY(md_infer__must_equal(c, w->dim[1], x->dim[1],
                                        "axis 1 of projection_weight", err));
            y->dim[1] = w->dim[0];
        }
    }
    return md_infer__length(c, c->in[IN_BIAS], y->dim[1], "expert_bias", err);
}

static md_status check_experts(const choice *c, md_dim experts, md_error *err)
{
    if (!md_dim_is_const(experts))
        return MD_OK;
    if (experts.k % c->n_group != 0 ||
        c->n_taken > experts.k / c->n_group * c->n_groups_taken)
        return md_fail(err, MD_INVALID,
                       "%lld experts in %lld groups, of which %lld are taken: "
                       "top_k is %lld",
                       (long long)experts.k, (long long)c->n_group,
                       (long long)c->n_groups_taken, (long long)c->n_taken);
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_type y;
    choice how;

    MD_TRY(md_infer__need(c, IN_LOGITS, TYPES, err));
    MD_TRY(md_infer__need(c, IN_BIAS, MD_T(F32), err));
    MD_TRY(md_infer__may(c, IN_WEIGHT, TYPES, err));
    MD_TRY(md_infer__same_dtype(c, IN_LOGITS, IN_WEIGHT, err));
    MD_TRY(read_choice(&how, c->node, err));
    MD_TRY(check_outputs(c, &how, err));
    MD_TRY(find_sizes(c, &y, err));
    MD_TRY(check_experts(&how, y.dim[1], err));
    md_infer__give(c, OUT_SCORES, &y);
    md_infer__give(c, OUT_WEIGHTS, &y);
    y.dtype = md_infer__dtype(c, IN_LOGITS);
    md_infer__give(c, OUT_PROBS, &y);
    return MD_OK;
}

/* --- execution --------------------------------------------------------- */

/* The rows of all experts. */
typedef struct scores {
    int64_t n; /* experts */
    float *s, *biased, *group;
    const float *bias;
    bool *taken;
} scores;

/* s and s + bias of row i. */
static void score(const scores *t, const md_exec *x, int64_t i)
{
    const md_tensor *in = x->in[IN_LOGITS];
    const md_tensor *w = md_exec_has(x, IN_WEIGHT) ? x->in[IN_WEIGHT] : NULL;
    int64_t width = w ? w->shape.dim[1] : 0;

    if (!w)
        md_load_f32(t->s, in, i * t->n, t->n);
    for (int64_t e = 0; e < t->n; e++) {
        double sum = 0.0;

        for (int64_t k = 0; k < width; k++)
            sum += md_tensor_get_f64(in, i * width + k) *
                   md_tensor_get_f64(w, e * width + k);
        if (w)
            t->s[e] = (float)sum;
        t->s[e] = 1.0f / (1.0f + expf(-t->s[e]));
        t->biased[e] = t->s[e] + t->bias[e];
    }
}

/* Is a better than b?  What is no number is better than all. */
static bool is_better(float a, float b)
{
    return a > b || (isnan(a) && !isnan(b));
}

/* Mark the best `most` of the n values that are not ruled out by `among`, the
 * first of equal ones. */
static void take_best(bool *taken, const float *v, int64_t n, int64_t most,
                      const bool *among, int64_t per)
{
    for (int64_t k = 0; k < most; k++) {
        int64_t best = -1;

        for (int64_t i = 0; i < n; i++) {
            if (!taken[i] && (!among || among[i / per]) &&
                (best < 0 || is_better(v[i], v[best])))
                best = i;
        }
        if (best >= 0)
            taken[best] = true;
    }
}

/* The best n_summed of a group, added up. */
static float group_score(const scores *t, int64_t from, int64_t per,
                         int64_t n_summed, bool *seen)
{
    float sum = 0.0f;

    for (int64_t i = 0; i < per; i++)
        seen[i] = false;
    take_best(seen, t->biased + from, per, n_summed < per ? n_summed : per,
              NULL, 1);
    for (int64_t i = 0; i < per; i++)
        sum += seen[i] ? t->biased[from + i] : 0.0f;
    return sum;
}

static void choose(const scores *t, const choice *c, bool *groups)
{
    int64_t per = t->n / c->n_group;

    for (int64_t g = 0; g < c->n_group; g++) {
        t->group[g] = group_score(t, g * per, per, c->n_summed, t->taken);
        groups[g] = false;
    }
    take_best(groups, t->group, c->n_group, c->n_groups_taken, NULL, 1);
    for (int64_t e = 0; e < t->n; e++)
        t->taken[e] = false;
    take_best(t->taken, t->biased, t->n, c->n_taken, groups, per);
}

static md_status make_room(scores *t, bool **groups, const choice *c,
                           md_arena *ar, md_error *err)
{
    int64_t n = t->n, most = n > c->n_group ? n : c->n_group;

    MD_TRY(md_exec__scratch(&t->s, ar, n, sizeof(*t->s), err));
    MD_TRY(md_exec__scratch(&t->biased, ar, n, sizeof(*t->biased), err));
    MD_TRY(md_exec__scratch(&t->group, ar, most, sizeof(*t->group), err));
    MD_TRY(md_exec__scratch(&t->taken, ar, n, sizeof(*t->taken), err));
    return md_exec__scratch(groups, ar, most, sizeof(**groups), err);
}

static md_status compute(md_exec *x, md_tensor *const *out, md_arena *ar,
                         md_error *err)
{
    const md_tensor *any = out[OUT_PROBS] ? out[OUT_PROBS] : out[OUT_SCORES];
    float sentinel = md_node_attr_f(x->node, "router_sentinel", -10000.0f);
    scores t = { .n = any->shape.dim[1], .bias = x->in[IN_BIAS]->data };
    bool *groups;
    choice c;

    MD_TRY(read_choice(&c, x->node, err));
    MD_TRY(make_room(&t, &groups, &c, ar, err));
    for (int64_t i = 0; i < any->shape.dim[0]; i++) {
        score(&t, x, i);
        if (!out[OUT_PROBS]) {
            md_store_f32(out[OUT_SCORES], i * t.n, t.biased, t.n);
            md_store_f32(out[OUT_WEIGHTS], i * t.n, t.s, t.n);
            continue;
        }
        choose(&t, &c, groups);
        for (int64_t e = 0; e < t.n; e++)
            md_tensor_set_f64(
                out[OUT_PROBS], i * t.n + e,
                (double)(t.taken[e] ? logf(fmaxf(t.s[e], 1e-20f)) : sentinel));
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__several(x, infer, OUT_N, compute, err);
}

const md_op md_op_ms_moe_group_router = {
    .domain = "com.microsoft",
    .name = "MoEGroupRouter",
    .since = 1,
    .in_min = 2,
    .in_max = 3,
    .out_min = 1,
    .out_max = 3,
    .infer = infer,
    .run = run,
};
