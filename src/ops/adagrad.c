/* A step along the gradient, divided by the root of all squares so far. */
#include <math.h>

#include "ops/common/training.h"

static void step(const md_training *o, md_training_rows *r)
{
    double decay = md_node_attr_f(o->node, "decay_factor", 0.0f);
    double norm = md_node_attr_f(o->node, "norm_coefficient", 0.0f);
    double epsilon = md_node_attr_f(o->node, "epsilon", 1e-6f);
    double rate = o->rate / (1.0 + o->t * decay), *h = r->kept[0];

    for (int64_t i = 0; i < r->n; i++) {
        double g = norm * r->x[i] + r->g[i];

        h[i] += g * g;
        r->x[i] -= rate * g / (sqrt(h[i]) + epsilon);
    }
}

static md_status infer(const md_infer *c, md_error *err)
{
    return md_training__infer(c, 1, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_training__run(x, 1, infer, step, err);
}

const md_op md_op_adagrad = {
    .domain = "ai.onnx.preview.training",
    .name = "Adagrad",
    .since = 1,
    .in_min = 3,
    .in_max = -1,
    .out_min = 1,
    .out_max = -1,
    .infer = infer,
    .run = run,
};
