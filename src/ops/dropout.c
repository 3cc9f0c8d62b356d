/*
 * At inference the input passes unchanged; the mask is all true, before opset
 * 10 all 1 in the input's type.  In training each element is 0 with the
 * probability `ratio`, and the others grow so that the expected sum stays.
 *
 * Training is what input 2 says since opset 12, and before opset 7 what
 * is_test does not deny; in between there was none.
 */
#include "ops/common/random.h"
#include "ops/common/view.h"
#include "ops/grad.h"

enum { /* inputs */
    IN_X,
    IN_RATIO,
    IN_TRAINING
};

static md_status infer(const md_infer *c, md_error *err)
{
    MD_TRY(md_infer__need(c, IN_X, MD_TYPES_FLOAT | MD_TYPES_F8, err));
    if (c->opset < 12 && c->node->n_in > 1)
        return md_fail(err, MD_INVALID,
                       "ratio is an attribute before opset 12, not input 1");
    MD_TRY(md_infer__may(c, IN_RATIO, MD_TYPES_FLOAT | MD_TYPES_F8, err));
    MD_TRY(md_infer__may(c, IN_TRAINING, MD_T(BOOL), err));
    if (md_infer_has(c, IN_RATIO))
        MD_TRY(md_infer__length(c, c->in[IN_RATIO], MD_DIM(1), "ratio", err));
    if (md_infer_has(c, IN_TRAINING))
        MD_TRY(md_infer__length(c, c->in[IN_TRAINING], MD_DIM(1),
                                "training_mode", err));
    md_infer__give(c, 0, c->in[IN_X]);
    md_infer__like(c, 1, 0, c->opset < 10 ? c->in[IN_X]->dtype : MD_DTYPE_BOOL);
    return MD_OK;
}

/* Where nothing is drawn, the output is the input's bytes. */
static unsigned flags_of(const md_graph *g, const md_node *n, int64_t opset)
{
    bool training = opset < 7 && !md_node_attr_i(n, "is_test", 0);

    if (opset >= 12 && n->n_in > IN_TRAINING &&
        n->in[IN_TRAINING] != MD_VALUE_NONE) {
        const md_tensor *t = g->values[n->in[IN_TRAINING]].cdata;

        training = !t || md_tensor_n(t) != 1 || md_tensor_get_i64(t, 0);
    }
    return training ? MD_OP_IMPURE : MD_OP_VIEW;
}

static void pass_on(const md_exec *x, md_tensor *const *out)
{
    if (out[0])
        md_move_all(out[0], x->in[IN_X]);
    for (int64_t i = 0; out[1] && i < md_tensor_n(out[1]); i++)
        md_tensor_set_f64(out[1], i, 1.0);
}

static void draw(const md_exec *x, md_tensor *const *out, double ratio)
{
    int64_t n = md_tensor_n(x->in[IN_X]);
    double scale = 1.0 / (1.0 - ratio);
    md_random r;

    md_random__start(&r, x->node);
    for (int64_t i = 0; i < n; i++) {
        double keep = md_random__uniform(&r) >= ratio;

        if (out[0])
            md_tensor_set_f64(out[0], i,
                              keep * md_tensor_get_f64(x->in[IN_X], i) * scale);
        if (out[1])
            md_tensor_set_f64(out[1], i, keep);
    }
}

static md_status run(md_exec *x, md_error *err)
{
    double ratio = md_node_attr_f(x->node, "ratio", 0.5f);
    bool training = x->opset < 7 && !md_node_attr_i(x->node, "is_test", 0);
    md_tensor *out[2];

    MD_TRY(md_exec__outputs(x, infer, out, 2, err));
    if (x->opset >= 12) {
        ratio = md_exec__scalar(x, IN_RATIO, 0.5);
        training = md_exec__scalar(x, IN_TRAINING, 0.0) != 0.0;
    }
    if (training && !(ratio >= 0.0 && ratio < 1.0))
        return md_fail(err, MD_INVALID,
                       "ratio is %g, at least 0 and below 1 expected", ratio);
    if (training && ratio > 0.0)
        draw(x, out, ratio);
    else
        pass_on(x, out);
    return MD_OK;
}

/* In training, what was kept was scaled. */
static void grad(md_grad *g)
{
    md_part x = md_grad_in(g, 0), dy = md_grad_of(g, 0), keep, scale;
    md_part ratio = md_grad_in(g, IN_RATIO), on = md_grad_in(g, IN_TRAINING);
    md_dtype type = md_grad_type(g, x)->dtype;

    if (g->m.opset < 12 || on == MD_PART_NONE) {
        if (g->m.opset < 7 && !md_node_attr_i(g->m.node, "is_test", 0))
            md_grad_refuse(g, "training in opset %lld", (long long)g->m.opset);
        md_grad_give(g, 0, dy);
        return;
    }
    ratio = ratio == MD_PART_NONE ? md_grad_num(g, x, 0.5)
                                  : md_grad_cast(g, ratio, type);
    scale = md_grad_sub(g, md_grad_num(g, x, 1),
                        md_grad_mul(g, ratio, md_grad_cast(g, on, type)));
    keep = md_grad_where(g, md_grad_out(g, 1), dy, md_grad_num(g, x, 0));
    md_grad_give(g, 0, md_grad_div(g, keep, scale));
}

const md_op md_op_dropout = {
    .domain = "",
    .name = "Dropout",
    .since = 1,
    .in_min = 1,
    .in_max = 3,
    .out_min = 1,
    .out_max = 2,
    .flags = MD_OP_SYMBOLIC,
    .flags_of = flags_of,
    .infer = infer,
    .run = run,
    .grad = grad,
    .grad_needs = 1u << 1,
};
