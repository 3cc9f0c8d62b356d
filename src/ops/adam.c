/* A step along the running average of gradients, divided by the root of that of
 * their squares. */
#include <math.h>

#include "ops/common/training.h"

static void step(const md_training *o, md_training_rows *r)
{
    double alpha = md_node_attr_f(o->node, "alpha", 0.9f);
    double beta = md_node_attr_f(o->node, "beta", 0.999f);
    double norm = md_node_attr_f(o->node, "norm_coefficient", 0.0f);
    double post = md_node_attr_f(o->node, "norm_coefficient_post", 0.0f);
    double epsilon = md_node_attr_f(o->node, "epsilon", 1e-6f);
    double rate = o->rate, *v = r->kept[0], *h = r->kept[1];

    if (o->t > 0.0) /* averages that began with 0 are too small */
        rate *= sqrt(1.0 - pow(beta, o->t)) / (1.0 - pow(alpha, o->t));
    for (int64_t i = 0; i < r->n; i++) {
        double g = norm * r->x[i] + r->g[i];

        v[i] = alpha * v[i] + (1.0 - alpha) * g;
        h[i] = beta * h[i] + (1.0 - beta) * g * g;
        r->x[i] =
            (1.0 - post) * (r->x[i] - rate * v[i] / (sqrt(h[i]) + epsilon));
    }
}

static md_status infer(const md_infer *c, md_error *err)
{
    return md_training__infer(c, 2, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_training__run(x, 2, infer, step, err);
}

const md_op md_op_adam = {
    .domain = "ai.onnx.preview.training",
    .name = "Adam",
    .since = 1,
    .in_min = 3,
    .in_max = -1,
    .out_min = 1,
    .out_max = -1,
    .infer = infer,
    .run = run,
};
