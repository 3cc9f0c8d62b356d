/* Normalizations and scalings. */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "convert/keras/layer.h"

/* Axis and its size; a list of one is as good as a number. */
static md_status read_axis(int *axis, int64_t *n, const md_keras_build *b,
                           const md_keras_value *x, md_error *err)
{
    const json_t *v = json_object_get(b->layer->config, "axis");

    if (json_is_array(v) && json_array_size(v) == 1)
        v = json_array_get(v, 0);
    if (v && !json_is_integer(v))
        return md_keras_refuse(b, err, "axis");
    MD_TRY(md_keras_norm_axis(axis, b, x, v ? json_integer_value(v) : -1, err));
    *n = x->dim[*axis];
    if (*n < 1)
        return md_keras_fail(b, err, MD_UNSUPPORTED,
                             "axis %d whose size is free", *axis);
    return MD_OK;
}

/* Four vectors of n floats: gamma, beta, mean, variance; those that the layer
 * does not have are 1, 0, 0, 1. */
typedef struct moments {
    md_tensor t;
    float *gamma, *beta, *mean, *variance;
} moments;

static md_status read_moments(moments *m, const md_keras_build *b, int64_t n,
                              md_error *err)
{
    bool has[4] = { md_keras_bool(b->layer->config, "scale", true),
                    md_keras_bool(b->layer->config, "center", true), true,
                    true };
    md_shape shape = { 2, { 4, n } };
    uint32_t at = 0;
    md_status s = MD_OK;

    MD_TRY(md_tensor_alloc(&m->t, MD_DTYPE_F32, &shape, b->model->alloc, err));
    m->gamma = m->t.data;
    m->beta = m->gamma + n;
    m->mean = m->beta + n;
    m->variance = m->mean + n;
    for (int k = 0; s == MD_OK && k < 4; k++) {
        const md_tensor *w;

        if (has[k])
            s = md_keras_weight(&w, b, at++, 1, &n, err);
        for (int64_t i = 0; s == MD_OK && i < n; i++)
            m->gamma[k * n + i] = has[k]   ? (float)md_tensor_get_f64(w, i)
                                  : k == 0 ? 1.0f
                                           : 0.0f;
    }
    if (s == MD_OK)
        s = md_keras_expect_weights(b, at, err);
    if (s != MD_OK)
        md_tensor_release(&m->t);
    return s;
}

static md_status emit_batch_norm(md_keras_value *out, md_keras_build *b,
                                 const moments *m, int64_t n, float epsilon,
                                 md_error *err)
{
    static const char *const stem[] = { "gamma", "beta", "mean", "variance" };
    md_shape shape = { 1, { n } };
    md_value_id in[5] = { out->id };
    md_node *node;

    for (int k = 0; k < 4; k++)
        MD_TRY(md_keras_const_floats(&in[k + 1], b, stem[k], m->gamma + k * n,
                                     &shape, err));
    MD_TRY(md_keras_op(&out->id, b, "BatchNormalization", in, 5, &node, err));
    return md_node_set_attr_f(b->g, node, "epsilon", epsilon, err);
}

md_status md_keras_emit_batch_norm(md_keras_build *b, const md_keras_value *x,
                                   uint32_t n_x, md_keras_value *out,
                                   md_error *err)
{
    double epsilon = md_keras_number(b->layer->config, "epsilon", 1e-3);
    md_status s = MD_OK;
    md_keras_value y;
    int64_t n = 0;
    moments m = { .t = MD_TENSOR_INIT };
    int axis = 0;

    (void)n_x;
    MD_TRY(read_axis(&axis, &n, b, x, err));
    MD_TRY(read_moments(&m, b, n, err));
    b->n_parameters += 4 * (uint64_t)n;
    y = *x;
    if (x->flat_c > 0)
        s = md_keras_last(&y, b, x, err);
    *out = y;
    if (s == MD_OK && md_keras_axis(x, axis) == 1) {
        s = emit_batch_norm(out, b, &m, n, (float)epsilon, err);
    } else if (s == MD_OK) {
        /* gamma * (x - mean) / sqrt(variance + eps) + beta, in two. */
        for (int64_t i = 0; i < n; i++) {
            double a = m.gamma[i] / sqrt((double)m.variance[i] + epsilon);

            m.beta[i] = (float)(m.beta[i] - a * m.mean[i]);
            m.gamma[i] = (float)a;
        }
        s = md_keras_scale(out, b, &y, axis, n, m.gamma, m.beta, err);
    }
    md_tensor_release(&m.t);
    return s;
}

/* Weights gamma and beta as constants, those missing as ones and zeros. */
static md_status gamma_beta(md_value_id out[2], md_keras_build *b, int64_t n,
                            md_error *err)
{
    static const char *const key[] = { "scale", "center" };
    static const char *const stem[] = { "gamma", "beta" };
    md_shape shape = { 1, { n } };
    uint32_t at = 0;

    for (int k = 0; k < 2; k++) {
        const md_tensor *w;
        md_tensor t = MD_TENSOR_INIT;

        if (md_keras_bool(b->layer->config, key[k], true)) {
            MD_TRY(md_keras_weight(&w, b, at, 1, &n, err));
            MD_TRY(md_keras_weight_const(&out[k], b, at++, stem[k], NULL, NULL,
                                         err));
            continue;
        }
        MD_TRY(md_tensor_alloc(&t, MD_DTYPE_F32, &shape, b->model->alloc, err));
        for (int64_t i = 0; k == 0 && i < n; i++)
            ((float *)t.data)[i] = 1.0f;
        MD_TRY(md_keras_const(&out[k], b, stem[k], t, err));
    }
    return md_keras_expect_weights(b, at, err);
}

md_status md_keras_emit_layer_norm(md_keras_build *b, const md_keras_value *x,
                                   uint32_t n_x, md_keras_value *out,
                                   md_error *err)
{
    const json_t *c = b->layer->config;
    md_value_id in[3];
    md_node *node;
    int64_t n = 0;
    int axis = 0;

    (void)n_x;
    MD_TRY(read_axis(&axis, &n, b, x, err));
    if (axis != x->rank - 1)
        return md_keras_refuse(b, err, "axis");
    if (md_keras_bool(c, "rms_scaling", false))
        return md_keras_refuse(b, err, "rms_scaling");
    MD_TRY(md_keras_last(out, b, x, err));
    in[0] = out->id;
    MD_TRY(gamma_beta(&in[1], b, n, err));
    MD_TRY(md_keras_op(&out->id, b, "LayerNormalization", in, 3, &node, err));
    MD_TRY(md_node_set_attr_i(b->g, node, "axis", -1, err));
    return md_node_set_attr_f(b->g, node, "epsilon",
                              (float)md_keras_number(c, "epsilon", 1e-3), err);
}

md_status md_keras_emit_group_norm(md_keras_build *b, const md_keras_value *x,
                                   uint32_t n_x, md_keras_value *out,
                                   md_error *err)
{
    const json_t *c = b->layer->config;
    int64_t groups = md_keras_int(c, "groups", 32);
    md_value_id in[3];
    md_node *node;
    int64_t n = 0;
    int axis = 0;

    (void)n_x;
    MD_TRY(read_axis(&axis, &n, b, x, err));
    if (groups == -1)
        groups = n;
    if (axis != x->rank - 1 || groups < 1 || n % groups != 0)
        return md_keras_fail(b, err, MD_UNSUPPORTED,
                             "%lld groups of %lld channels on axis %d",
                             (long long)groups, (long long)n, axis);
    if (x->rank < 3)
        MD_TRY(md_keras_last(out, b, x, err));
    else
        MD_TRY(md_keras_first(out, b, x, err));
    in[0] = out->id;
    MD_TRY(gamma_beta(&in[1], b, n, err));
    MD_TRY(md_keras_op(&out->id, b, "GroupNormalization", in, 3, &node, err));
    MD_TRY(md_node_set_attr_i(b->g, node, "num_groups", groups, err));
    return md_node_set_attr_f(b->g, node, "epsilon",
                              (float)md_keras_number(c, "epsilon", 1e-3), err);
}

md_status md_keras_unit(md_value_id *out, md_keras_build *b, md_value_id x,
                        int64_t axis, md_error *err)
{
    /* Keras 3 bounds the norm itself, Keras 2 the sum of squares. */
    float epsilon = b->major < 3 ? 1e-12f : 1e-24f;
    md_value_id in[2] = { x, x };

    MD_TRY(md_keras_op(&in[0], b, "Mul", in, 2, NULL, err));
    MD_TRY(md_keras_const_ints(&in[1], b, "axes", &axis, 1, err));
    MD_TRY(md_keras_op(&in[0], b, "ReduceSum", in, 2, NULL, err));
    MD_TRY(md_keras_const_floats(&in[1], b, "epsilon", &epsilon, NULL, err));
    MD_TRY(md_keras_op(&in[0], b, "Max", in, 2, NULL, err));
    MD_TRY(md_keras_op(&in[1], b, "Sqrt", in, 1, NULL, err));
    in[0] = x;
    return md_keras_op(out, b, "Div", in, 2, NULL, err);
}

md_status md_keras_emit_unit_norm(md_keras_build *b, const md_keras_value *x,
                                  uint32_t n_x, md_keras_value *out,
                                  md_error *err)
{
    int64_t n = 0;
    int axis = 0;

    (void)n_x;
    *out = *x;
    MD_TRY(read_axis(&axis, &n, b, x, err));
    /* of a flattened picture all elements count, in whatever order */
    return md_keras_unit(&out->id, b, out->id, md_keras_axis(x, axis), err);
}

/* Numbers of a setting: n of them, or one for all. */
static md_status read_numbers(float *out, int64_t n, const md_keras_build *b,
                              const json_t *v, const char *key, md_error *err)
{
    while (json_is_array(v) && json_array_size(v) == 1)
        v = json_array_get(v, 0);
    for (int64_t i = 0; i < n; i++) {
        const json_t *e = json_is_array(v) ? json_array_get(v, (size_t)i) : v;

        if (!json_is_number(e) ||
            (json_is_array(v) && json_array_size(v) != (size_t)n))
            return md_keras_fail(b, err, MD_CORRUPT, "'%s' is not %lld numbers",
                                 key, (long long)n);
        out[i] = (float)json_number_value(e);
    }
    return MD_OK;
}

md_status md_keras_emit_rescaling(md_keras_build *b, const md_keras_value *x,
                                  uint32_t n_x, md_keras_value *out,
                                  md_error *err)
{
    const json_t *scale = json_object_get(b->layer->config, "scale");
    const json_t *offset = json_object_get(b->layer->config, "offset");
    bool lists = json_is_array(scale) || json_is_array(offset);
    int64_t n = lists ? x->dim[x->rank - 1] : 1;
    md_shape shape = { 2, { 2, n } };
    md_tensor t = MD_TENSOR_INIT;
    bool none = json_is_number(offset) && json_number_value(offset) == 0;
    float *v;
    md_status s;

    (void)n_x;
    if (n < 1)
        return md_keras_fail(b, err, MD_CORRUPT,
                             "number of channels is not fixed");
    MD_TRY(md_tensor_alloc(&t, MD_DTYPE_F32, &shape, b->model->alloc, err));
    v = t.data;
    MD_GOTO(read_numbers(v, n, b, scale, "scale", err));
    if (offset)
        MD_GOTO(read_numbers(v + n, n, b, offset, "offset", err));
    s = md_keras_scale(out, b, x, lists ? x->rank - 1 : -1, n, v,
                       offset && !none ? v + n : NULL, err);
out:
    md_tensor_release(&t);
    return s;
}

/* Mean and variance: weights of a rank, or constants of the config. */
static md_status read_statistics(float *mean, float *variance, int rank,
                                 int64_t n, const md_keras_build *b,
                                 md_error *err)
{
    const json_t *c = b->layer->config;
    const md_tensor *w[2];

    if (b->layer->n_w == 0) {
        MD_TRY(
            read_numbers(mean, n, b, json_object_get(c, "mean"), "mean", err));
        return read_numbers(variance, n, b, json_object_get(c, "variance"),
                            "variance", err);
    }
    MD_TRY(md_keras_weight(&w[0], b, 0, rank, &n, err));
    MD_TRY(md_keras_weight(&w[1], b, 1, rank, &n, err));
    for (int64_t i = 0; i < n; i++) {
        mean[i] = (float)md_tensor_get_f64(w[0], i);
        variance[i] = (float)md_tensor_get_f64(w[1], i);
    }
    return MD_OK;
}

/* (x - mean) / max(sqrt(variance), 1e-7), or its inverse. */
md_status md_keras_emit_normalization(md_keras_build *b,
                                      const md_keras_value *x, uint32_t n_x,
                                      md_keras_value *out, md_error *err)
{
    const json_t *which = json_object_get(b->layer->config, "axis");
    bool invert = md_keras_bool(b->layer->config, "invert", false);
    /* No axis: one mean and one variance of everything. */
    bool one = json_is_null(which) ||
               (json_is_array(which) && json_array_size(which) == 0);
    md_tensor t = MD_TENSOR_INIT;
    md_shape shape = { 2, { 2, 0 } };
    md_status s;
    int64_t n = 1;
    float *v;
    int axis = -1;

    (void)n_x;
    if (!one)
        MD_TRY(read_axis(&axis, &n, b, x, err));
    shape.dim[1] = n;
    MD_TRY(md_tensor_alloc(&t, MD_DTYPE_F32, &shape, b->model->alloc, err));
    v = t.data;
    MD_GOTO(read_statistics(v, v + n, one ? 0 : 1, n, b, err));
    for (int64_t i = 0; i < n; i++) {
        double mean = v[i];
        double sigma = fmax(sqrt((double)v[n + i]), 1e-7);

        v[i] = (float)(invert ? sigma : 1 / sigma);
        v[n + i] = (float)(invert ? mean : -mean / sigma);
    }
    s = md_keras_scale(out, b, x, axis, n, v, v + n, err);
out:
    md_tensor_release(&t);
    return s;
}
