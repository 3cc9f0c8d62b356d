/* A step along what is left of the steps before and the gradient. */
#include <string.h>

#include "ops/common/training.h"

static md_status find_mode(const md_node *n, bool *nesterov, md_error *err)
{
    static const char *const needed[] = { "alpha", "beta", "mode",
                                          "norm_coefficient" };
    const char *mode = md_node_attr_s(n, "mode", "");

    for (size_t i = 0; i < MD_COUNT(needed); i++) {
        if (!md_node_attr(n, needed[i]))
            return md_fail(err, MD_INVALID, "attribute '%s' is missing",
                           needed[i]);
    }
    *nesterov = strcmp(mode, "nesterov") == 0;
    if (*nesterov || strcmp(mode, "standard") == 0)
        return MD_OK;
    return md_fail(err, MD_INVALID,
                   "mode is '%s', standard or nesterov expected", mode);
}

static void step(const md_training *o, md_training_rows *r)
{
    double alpha = md_node_attr_f(o->node, "alpha", 0.0f);
    double beta = md_node_attr_f(o->node, "beta", 0.0f);
    double norm = md_node_attr_f(o->node, "norm_coefficient", 0.0f);
    bool nesterov =
        strcmp(md_node_attr_s(o->node, "mode", ""), "nesterov") == 0;
    double *v = r->kept[0];

    beta = o->t > 0.0 ? beta : 1.0;
    for (int64_t i = 0; i < r->n; i++) {
        double g = norm * r->x[i] + r->g[i];

        v[i] = alpha * v[i] + beta * g;
        r->x[i] -= o->rate * (nesterov ? g + alpha * v[i] : v[i]);
    }
}

static md_status infer(const md_infer *c, md_error *err)
{
    bool nesterov;

    MD_TRY(find_mode(c->node, &nesterov, err));
    return md_training__infer(c, 1, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_training__run(x, 1, infer, step, err);
}

const md_op md_op_momentum = {
    .domain = "ai.onnx.preview.training",
    .name = "Momentum",
    .since = 1,
    .in_min = 3,
    .in_max = -1,
    .out_min = 1,
    .out_max = -1,
    .infer = infer,
    .run = run,
};
