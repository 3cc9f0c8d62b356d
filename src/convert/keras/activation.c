/* Activations: the functions by name and the layers. */
#include <math.h>
#include <string.h>

#include "convert/keras/layer.h"

/*
 * An activation that is one operator: its attributes, where they differ from
 * ONNX's defaults.  Keras 2 and 3 disagree about hard_sigmoid (major).
 */
typedef struct simple {
    const char *name;
    const char *op;
    const char *key; /* a float attribute, or NULL */
    float value;
    int major; /* 2: up to Keras 2, 3: from Keras 3; 0: all */
} simple;

static const simple simples[] = {
    { "celu", "Celu", "alpha", 1.0f, 0 },
    { "elu", "Elu", "alpha", 1.0f, 0 },
    { "exponential", "Exp", NULL, 0, 0 },
    { "hard_shrink", "Shrink", "lambd", 0.5f, 0 },
    { "hard_sigmoid", "HardSigmoid", "alpha", 0.2f, 2 },
    { "hard_sigmoid", "HardSigmoid", "alpha", 1.0f / 6.0f, 3 },
    { "hard_silu", "HardSwish", NULL, 0, 0 },
    { "hard_swish", "HardSwish", NULL, 0, 0 },
    { "leaky_relu", "LeakyRelu", "alpha", 0.2f, 0 },
    { "mish", "Mish", NULL, 0, 0 },
    { "relu", "Relu", NULL, 0, 0 },
    { "selu", "Selu", NULL, 0, 0 },
    { "sigmoid", "Sigmoid", NULL, 0, 0 },
    { "softplus", "Softplus", NULL, 0, 0 },
    { "softsign", "Softsign", NULL, 0, 0 },
    { "sparse_sigmoid", "HardSigmoid", "alpha", 0.5f, 0 },
    { "tanh", "Tanh", NULL, 0, 0 },
};

/* Those that take more than one node, or an attribute of another kind. */
static const char *const composed[] = {
    "gelu",        "hard_tanh",  "linear", "log_sigmoid",
    "log_softmax", "relu6",      "silu",   "softmax",
    "soft_shrink", "squareplus", "swish",  "tanh_shrink",
};

bool md_keras_knows_activation(const char *name)
{
    for (size_t i = 0; i < MD_COUNT(simples); i++) {
        if (strcmp(simples[i].name, name) == 0)
            return true;
    }
    for (size_t i = 0; i < MD_COUNT(composed); i++) {
        if (strcmp(composed[i], name) == 0)
            return true;
    }
    return false;
}

static md_status unary(md_keras_value *out, md_keras_build *b, const char *op,
                       md_node **node, md_error *err)
{
    return md_keras_op(&out->id, b, op, &out->id, 1, node, err);
}

static md_status binary(md_keras_value *out, md_keras_build *b, const char *op,
                        md_value_id x, md_value_id y, md_error *err)
{
    return md_keras_op(&out->id, b, op, (md_value_id[]){ x, y }, 2, NULL, err);
}

/* op(x, constant) */
static md_status with_scalar(md_keras_value *out, md_keras_build *b,
                             const char *op, const char *stem, float c,
                             md_error *err)
{
    md_value_id id;

    MD_TRY(md_keras_const_floats(&id, b, stem, &c, NULL, err));
    return binary(out, b, op, out->id, id, err);
}

static md_status clip(md_keras_value *out, md_keras_build *b, float lo,
                      float hi, md_error *err)
{
    md_value_id in[3] = { out->id };

    MD_TRY(md_keras_const_floats(&in[1], b, "min", &lo, NULL, err));
    MD_TRY(md_keras_const_floats(&in[2], b, "max", &hi, NULL, err));
    return md_keras_op(&out->id, b, "Clip", in, 3, NULL, err);
}

static md_status softmax(md_keras_value *out, md_keras_build *b, const char *op,
                         int axis, md_error *err)
{
    md_node *node;

    axis = md_keras_axis(out, axis);
    MD_TRY(unary(out, b, op, &node, err));
    return md_node_set_attr_i(b->g, node, "axis", axis, err);
}

/* (x + sqrt(x^2 + 4)) / 2 */
static md_status squareplus(md_keras_value *out, md_keras_build *b,
                            md_error *err)
{
    md_value_id x = out->id;

    MD_TRY(binary(out, b, "Mul", x, x, err));
    MD_TRY(with_scalar(out, b, "Add", "four", 4.0f, err));
    MD_TRY(unary(out, b, "Sqrt", NULL, err));
    MD_TRY(binary(out, b, "Add", x, out->id, err));
    return with_scalar(out, b, "Mul", "half", 0.5f, err);
}

static md_status compose(md_keras_value *out, md_keras_build *b,
                         const char *name, md_error *err)
{
    md_value_id x = out->id;
    md_node *node;

    if (strcmp(name, "gelu") == 0)
        return unary(out, b, "Gelu", NULL, err);
    if (strcmp(name, "hard_tanh") == 0)
        return clip(out, b, -1.0f, 1.0f, err);
    if (strcmp(name, "relu6") == 0)
        return clip(out, b, 0.0f, 6.0f, err);
    if (strcmp(name, "silu") == 0 || strcmp(name, "swish") == 0) {
        MD_TRY(unary(out, b, "Sigmoid", NULL, err));
        return binary(out, b, "Mul", x, out->id, err);
    }
    if (strcmp(name, "tanh_shrink") == 0) {
        MD_TRY(unary(out, b, "Tanh", NULL, err));
        return binary(out, b, "Sub", x, out->id, err);
    }
    if (strcmp(name, "soft_shrink") == 0) {
        MD_TRY(unary(out, b, "Shrink", &node, err));
        MD_TRY(md_node_set_attr_f(b->g, node, "lambd", 0.5f, err));
        return md_node_set_attr_f(b->g, node, "bias", 0.5f, err);
    }
    if (strcmp(name, "log_sigmoid") == 0) {
        /* log(1 / (1 + e^-x)) = -softplus(-x) */
        MD_TRY(unary(out, b, "Neg", NULL, err));
        MD_TRY(unary(out, b, "Softplus", NULL, err));
        return unary(out, b, "Neg", NULL, err);
    }
    if (strcmp(name, "squareplus") == 0)
        return squareplus(out, b, err);
    return softmax(out, b,
                   strcmp(name, "softmax") == 0 ? "Softmax" : "LogSoftmax",
                   out->rank - 1, err);
}

md_status md_keras_activate(md_keras_value *out, md_keras_build *b,
                            const md_keras_value *v, const char *name,
                            md_error *err)
{
    *out = *v;
    if (!name || strcmp(name, "linear") == 0)
        return MD_OK;
    for (size_t i = 0; i < MD_COUNT(simples); i++) {
        const simple *a = &simples[i];
        md_node *node;

        if (strcmp(a->name, name) != 0 || (a->major == 2 && b->major > 2) ||
            (a->major == 3 && b->major < 3))
            continue;
        MD_TRY(unary(out, b, a->op, &node, err));
        return a->key ? md_node_set_attr_f(b->g, node, a->key, a->value, err)
                      : MD_OK;
    }
    /* Only these two look at more than one element at a time. */
    if (strstr(name, "softmax"))
        MD_TRY(md_keras_unify(out, b, 1, err));
    return compose(out, b, name, err);
}

md_status md_keras_emit_activation(md_keras_build *b, const md_keras_value *in,
                                   uint32_t n_in, md_keras_value *out,
                                   md_error *err)
{
    (void)n_in;
    return md_keras_activate(out, b, in, md_keras_activation(b->layer->config),
                             err);
}

md_status md_keras_emit_identity(md_keras_build *b, const md_keras_value *in,
                                 uint32_t n_in, md_keras_value *out,
                                 md_error *err)
{
    (void)b;
    (void)n_in;
    (void)err;
    *out = *in;
    return MD_OK;
}

static md_status leaky(md_keras_value *out, md_keras_build *b, double slope,
                       md_error *err)
{
    md_node *node;

    MD_TRY(unary(out, b, "LeakyRelu", &node, err));
    return md_node_set_attr_f(b->g, node, "alpha", (float)slope, err);
}

md_status md_keras_emit_leaky_relu(md_keras_build *b, const md_keras_value *in,
                                   uint32_t n_in, md_keras_value *out,
                                   md_error *err)
{
    double alpha = md_keras_number(b->layer->config, "alpha", 0.3);

    (void)n_in;
    *out = *in;
    return leaky(out, b,
                 md_keras_number(b->layer->config, "negative_slope", alpha),
                 err);
}

/* max_value where x >= max_value, x where x >= threshold, else
 * slope * (x - threshold). */
md_status md_keras_emit_relu(md_keras_build *b, const md_keras_value *in,
                             uint32_t n_in, md_keras_value *out, md_error *err)
{
    const json_t *c = b->layer->config;
    double top = md_keras_number(c, "max_value", INFINITY);
    double slope = md_keras_number(c, "negative_slope", 0);
    double threshold = md_keras_number(c, "threshold", 0);
    md_node *node;

    (void)n_in;
    *out = *in;
    if (threshold != 0) {
        if (slope != 0 || !isinf(top) || threshold < 0)
            return md_keras_fail(b, err, MD_UNSUPPORTED,
                                 "threshold %g with slope %g and maximum %g",
                                 threshold, slope, top);
        MD_TRY(unary(out, b, "ThresholdedRelu", &node, err));
        return md_node_set_attr_f(b->g, node, "alpha", (float)threshold, err);
    }
    if (slope == 0 && isinf(top))
        return unary(out, b, "Relu", NULL, err);
    if (slope == 0)
        return clip(out, b, 0.0f, (float)top, err);
    MD_TRY(leaky(out, b, slope, err));
    return isinf(top) ? MD_OK
                      : with_scalar(out, b, "Min", "max", (float)top, err);
}

md_status md_keras_emit_thresholded_relu(md_keras_build *b,
                                         const md_keras_value *in,
                                         uint32_t n_in, md_keras_value *out,
                                         md_error *err)
{
    md_node *node;

    (void)n_in;
    *out = *in;
    MD_TRY(unary(out, b, "ThresholdedRelu", &node, err));
    return md_node_set_attr_f(
        b->g, node, "alpha",
        (float)md_keras_number(b->layer->config, "theta", 1), err);
}

md_status md_keras_emit_elu(md_keras_build *b, const md_keras_value *in,
                            uint32_t n_in, md_keras_value *out, md_error *err)
{
    md_node *node;

    (void)n_in;
    *out = *in;
    MD_TRY(unary(out, b, "Elu", &node, err));
    return md_node_set_attr_f(
        b->g, node, "alpha",
        (float)md_keras_number(b->layer->config, "alpha", 1), err);
}

md_status md_keras_emit_softmax(md_keras_build *b, const md_keras_value *in,
                                uint32_t n_in, md_keras_value *out,
                                md_error *err)
{
    const json_t *v = json_object_get(b->layer->config, "axis");
    int axis;

    (void)n_in;
    if (json_is_array(v) && json_array_size(v) == 1)
        v = json_array_get(v, 0);
    if (v && !json_is_integer(v))
        return md_keras_refuse(b, err, "axis");
    *out = *in;
    MD_TRY(md_keras_unify(out, b, 1, err));
    MD_TRY(
        md_keras_norm_axis(&axis, b, out, v ? json_integer_value(v) : -1, err));
    return softmax(out, b, "Softmax", axis, err);
}

/* alpha has the input's shape without batch, 1 on shared axes. */
md_status md_keras_emit_prelu(md_keras_build *b, const md_keras_value *in,
                              uint32_t n_in, md_keras_value *out, md_error *err)
{
    int64_t any[MD_RANK_MAX];
    int perm[MD_RANK_MAX];
    const md_tensor *w;
    md_value_id alpha;

    (void)n_in;
    *out = *in;
    MD_TRY(md_keras_unify(out, b, 1, err));
    MD_TRY(md_keras_expect_weights(b, 1, err));
    for (int i = 0; i < out->rank - 1; i++) {
        any[i] = -1;
        /* As md_keras_first, one axis less. */
        perm[i] = !out->cf ? i : i == 0 ? out->rank - 2 : i - 1;
    }
    MD_TRY(md_keras_weight(&w, b, 0, out->rank - 1, any, err));
    for (int i = 0; i < w->shape.rank; i++) {
        if (w->shape.dim[i] != 1 && w->shape.dim[i] != out->dim[i + 1])
            return md_keras_fail(b, err, MD_CORRUPT,
                                 "alpha does not fit the input at axis %d", i);
    }
    MD_TRY(md_keras_weight_const(&alpha, b, 0, "alpha", perm, NULL, err));
    return binary(out, b, "PRelu", out->id, alpha, err);
}
