#include "ops/common/loss.h"

#include <string.h>

typedef enum reduction {
    NONE,
    SUM,
    MEAN,
} reduction;

static md_status find_reduction(reduction *out, const md_node *n, md_error *err)
{
    static const char *const names[] = { "none", "sum", "mean" };
    const char *name = md_node_attr_s(n, "reduction", "mean");

    for (size_t i = 0; i < MD_COUNT(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (reduction)i;
            return MD_OK;
        }
    }
    return md_fail(err, MD_INVALID,
                   "reduction '%.40s' given, none, sum or mean expected", name);
}

/* Labels have every dim of the scores but the classes. */
static md_status check_labels(const md_infer *c, md_error *err)
{
    const md_type *x = c->in[0], *labels = c->in[1];

    if (!x->has_rank || !labels->has_rank)
        return MD_OK;
    MD_TRY(md_infer__rank(c, 1, x->rank - 1, x->rank - 1, err));
    for (int i = 0; i < labels->rank; i++)
        MD_TRY(md_infer__must_equal(c, labels->dim[i], x->dim[i + (i > 0)],
                                    "labels and scores", err));
    return MD_OK;
}

md_status md_loss__infer(const md_infer *c, md_error *err)
{
    md_type t = *c->in[1];
    reduction how;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__rank(c, 0, 2, MD_RANK_MAX, err));
    MD_TRY(md_infer__need(c, 1, MD_TYPES_INDEX, err));
    MD_TRY(check_labels(c, err));
    if (md_infer_has(c, 2)) {
        MD_TRY(md_infer__need(c, 2, MD_TYPES_FLOAT, err));
        MD_TRY(md_infer__same_dtype(c, 0, 2, err));
        MD_TRY(md_infer__rank(c, 2, 1, 1, err));
        if (c->in[0]->has_rank)
            MD_TRY(md_infer__length(c, c->in[2], c->in[0]->dim[1], "weights",
                                    err));
    }
    MD_TRY(find_reduction(&how, c->node, err));
    t.dtype = c->in[0]->dtype;
    if (how != NONE)
        t.has_rank = true, t.rank = 0;
    md_infer__give(c, 0, &t);
    md_infer__give(c, 1, c->in[0]);
    return MD_OK;
}

/* Of the labels that count. */
typedef struct sums {
    double loss, weight;
} sums;

/* Loss and weight of label i, where v are its scores; both 0 if ignored. */
static md_status loss_of(sums *out, const md_exec *x, const double *v,
                         int64_t i, md_error *err)
{
    const int64_t label = md_tensor_get_i64(x->in[1], i);
    const int64_t n = x->in[0]->shape.dim[1];
    const md_attr *ignored = md_node_attr(x->node, "ignore_index");

    *out = (sums){ 0, 0 };
    if (ignored && label == md_node_attr_i(x->node, "ignore_index", 0))
        return MD_OK;
    if (label < 0 || label >= n)
        return md_fail(err, MD_INVALID, "label %lld given, 0 to %lld expected",
                       (long long)label, (long long)n - 1);
    out->weight = md_exec_has(x, 2) ? md_tensor_get_f64(x->in[2], label) : 1.0;
    out->loss = -v[label] * out->weight;
    return MD_OK;
}

md_status md_loss__run(md_exec *x, md_tensor *const *out, md_loss_fn *fn,
                       md_arena *ar, md_error *err)
{
    const md_shape *s = &x->in[0]->shape;
    const int64_t n = s->dim[1], inner = md_shape_span(s, 2, s->rank);
    const int64_t count = s->dim[0] * inner;
    sums all = { 0, 0 }, one;
    reduction how;
    double *v;

    MD_TRY(find_reduction(&how, x->node, err));
    MD_TRY(md_exec__scratch(&v, ar, n, sizeof(*v), err));
    for (int64_t i = 0; i < count; i++) {
        const int64_t at = i / inner * n * inner + i % inner;

        for (int64_t k = 0; k < n; k++)
            v[k] = md_tensor_get_f64(x->in[0], at + k * inner);
        if (fn && n > 0)
            fn(v, n);
        for (int64_t k = 0; k < n && out[1]; k++)
            md_tensor_set_f64(out[1], at + k * inner, v[k]);
        MD_TRY(loss_of(&one, x, v, i, err));
        all.loss += one.loss;
        all.weight += one.weight;
        if (how == NONE && out[0])
            md_tensor_set_f64(out[0], i, one.loss);
    }
    if (how != NONE && out[0])
        md_tensor_set_f64(out[0], 0,
                          how == MEAN ? all.loss / all.weight : all.loss);
    return MD_OK;
}

/* Labels that count, where others are 0; *counts tells which (NONE: all). */
static md_part counting(md_grad *g, md_part *counts)
{
    const md_attr *ignore = md_node_attr(g->m.node, "ignore_index");
    md_part labels = md_grad_in(g, 1), others;

    *counts = MD_PART_NONE;
    if (!ignore)
        return labels;
    others = md_grad_2(g, "Equal", labels,
                       md_grad_num(g, labels, (double)ignore->v.i));
    *counts = md_grad_1(g, "Not", others);
    return md_grad_where(g, others, md_grad_num(g, labels, 0), labels);
}

md_part md_loss__steps(md_grad *g, md_part scores)
{
    static const int64_t one = 1;
    const char *how = md_node_attr_s(g->m.node, "reduction", "mean");
    md_part counts, labels = counting(g, &counts), weight = md_grad_in(g, 2);
    md_part loss;

    loss =
        MD_GRAD_STEP(g, .op = "GatherElements",
                     .in = { scores, md_grad_unsqueeze(g, labels, &one, 1) },
                     .n_in = 2, .attr = { MD_GIVE_I("axis", 1) }, .n_attr = 1);
    loss = md_grad_1(g, "Neg", md_grad_squeeze(g, loss, &one, 1));
    if (weight != MD_PART_NONE)
        weight = md_grad_2(g, "Gather", weight, labels);
    if (counts != MD_PART_NONE) {
        counts = md_grad_cast(g, counts, md_grad_type(g, scores)->dtype);
        weight =
            weight == MD_PART_NONE ? counts : md_grad_mul(g, weight, counts);
    }
    if (weight != MD_PART_NONE)
        loss = md_grad_mul(g, loss, weight);
    if (strcmp(how, "none") == 0)
        return loss;
    if (strcmp(how, "mean") == 0 && weight == MD_PART_NONE)
        return MD_GRAD_STEP(g, .op = "ReduceMean", .in = { loss }, .n_in = 1,
                            .attr = { MD_GIVE_I("keepdims", 0) }, .n_attr = 1);
    loss = MD_GRAD_STEP(g, .op = "ReduceSum", .in = { loss }, .n_in = 1,
                        .attr = { MD_GIVE_I("keepdims", 0) }, .n_attr = 1);
    if (strcmp(how, "sum") == 0)
        return loss;
    weight = MD_GRAD_STEP(g, .op = "ReduceSum", .in = { weight }, .n_in = 1,
                          .attr = { MD_GIVE_I("keepdims", 0) }, .n_attr = 1);
    return md_grad_div(g, loss, weight);
}
