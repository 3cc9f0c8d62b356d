/*
 * Calls of keras.ops that are part of a model: functions of tensors and of
 * constants, numpy's with numpy's broadcasting.  Keras 3 also writes so how
 * masks come about.
 */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "convert/keras/operation.h"

md_status md_keras_op__cast(md_keras_value *v, md_keras_build *b, md_dtype to,
                            md_error *err)
{
    md_node *node;

    if (v->dtype == to)
        return MD_OK;
    MD_TRY(md_keras_op(&v->id, b, "Cast", &v->id, 1, &node, err));
    v->dtype = to;
    return md_node_set_attr_i(b->g, node, "to", to, err);
}

/* --- constants among the operands --- */

/* A value is a number, a list of lists of them, or such as the config of a
 * tensor. */
static const json_t *plain_value(const json_t *v)
{
    const char *cls = md_keras_text(v, "class_name", "");

    if (strcmp(cls, "__tensor__") == 0 || strcmp(cls, "__numpy__") == 0)
        return json_object_get(json_object_get(v, "config"), "value");
    return v;
}

static md_status count_list(md_shape *shape, const md_keras_build *b,
                            const json_t *v, md_error *err)
{
    *shape = (md_shape){ 0, { 0 } };
    for (; json_is_array(v); v = json_array_get(v, 0)) {
        if (shape->rank == MD_RANK_MAX)
            return md_keras_fail(b, err, MD_CORRUPT,
                                 "a constant of more than %d axes",
                                 MD_RANK_MAX);
        shape->dim[shape->rank++] = (int64_t)json_array_size(v);
    }
    return MD_OK;
}

static bool fill_list(float *out, const json_t *v, const md_shape *shape,
                      int axis, int64_t *at)
{
    if (axis == shape->rank) {
        if (!json_is_number(v) && !json_is_boolean(v))
            return false;
        out[(*at)++] = json_is_number(v) ? (float)json_number_value(v)
                                         : (float)json_is_true(v);
        return true;
    }
    if ((int64_t)json_array_size(v) != shape->dim[axis])
        return false;
    for (size_t i = 0; i < json_array_size(v); i++) {
        if (!fill_list(out, json_array_get(v, i), shape, axis + 1, at))
            return false;
    }
    return true;
}

static const json_t *first_number(const json_t *v)
{
    while (json_is_array(v))
        v = json_array_get(v, 0);
    return v;
}

/* Type of a constant: what it says, or what Python's numbers are. */
static md_dtype constant_type(const json_t *given, const json_t *v)
{
    const char *name =
        md_keras_text(json_object_get(given, "config"), "dtype", NULL);
    md_dtype named = name ? md_dtype_parse(name) : MD_DTYPE_NONE;

    if (named == MD_DTYPE_BOOL || md_dtype_is_integer(named))
        return named;
    if (named != MD_DTYPE_NONE || json_is_real(first_number(v)))
        return MD_DTYPE_F32;
    return json_is_boolean(first_number(v)) ? MD_DTYPE_BOOL : MD_DTYPE_I32;
}

/* Integers beyond 2^24 would be rounded on their way through floats. */
static md_status constant(md_keras_value *out, md_keras_build *b,
                          const json_t *given, md_error *err)
{
    const json_t *v = plain_value(given);
    md_tensor t = MD_TENSOR_INIT;
    char text[MD_KERAS_SHOWN];
    int64_t at = 0;
    md_shape shape = { 0, { 0 } };
    bool fits;

    MD_TRY(count_list(&shape, b, v, err));
    MD_TRY(md_tensor_alloc(&t, MD_DTYPE_F32, &shape, b->model->alloc, err));
    fits = fill_list(t.data, v, &shape, 0, &at);
    for (int64_t i = 0; fits && i < at && json_is_integer(first_number(v)); i++)
        fits = fabsf(((float *)t.data)[i]) <= 16777216.0f;
    if (!fits) {
        md_tensor_release(&t);
        return md_keras_fail(b, err, MD_UNSUPPORTED,
                             "operand %s, a tensor or numbers expected",
                             md_keras_show(text, given));
    }
    *out = (md_keras_value){ .dtype = MD_DTYPE_F32, .rank = shape.rank };
    memcpy(out->dim, shape.dim, sizeof(out->dim));
    MD_TRY(md_keras_const(&out->id, b, "constant", t, err));
    return md_keras_op__cast(out, b, constant_type(given, v), err);
}

/* --- operands --- */

/* Operand `at`: a tensor of the call as Keras has it, or a constant. */
md_status md_keras_op__operand(md_keras_value *out, md_keras_build *b,
                               const md_keras_value *in, uint32_t n_in,
                               uint32_t at, md_error *err)
{
    const json_t *given = json_array_get(b->call->given, at);

    for (uint32_t i = 0; i < n_in; i++) {
        if (b->call->arg[i] == at)
            return md_keras_last(out, b, &in[i], err);
    }
    if (given)
        return constant(out, b, given, err);
    return md_keras_fail(b, err, MD_CORRUPT, "operand %u is missing", at);
}

/* Python's numbers take the kind of the tensor beside them. */
static bool is_weak(const md_keras_build *b, uint32_t at)
{
    const json_t *v = json_array_get(b->call->given, at);

    return json_is_number(v) || json_is_boolean(v);
}

/* The type of a result; of integers the wider. */
md_dtype md_keras_op__common_type(const md_keras_build *b,
                                  const md_keras_value *v, uint32_t n,
                                  uint32_t from)
{
    md_dtype t = MD_DTYPE_NONE;

    for (int weak = 0; weak < 2; weak++) {
        for (uint32_t i = from; i < n; i++) {
            const md_dtype d = v[i].dtype;

            if (is_weak(b, i) != (weak > 0))
                continue;
            if (t == MD_DTYPE_NONE || t == MD_DTYPE_BOOL ||
                (d == MD_DTYPE_F32 && t != d))
                t = d;
            else if (!weak && t != MD_DTYPE_F32 && d != MD_DTYPE_BOOL &&
                     md_dtype_bits(d) > md_dtype_bits(t))
                t = d;
        }
    }
    return t;
}

/* Shape of operands side by side, from behind as numpy counts. */
md_status md_keras_op__broadcast(md_keras_value *out, const md_keras_build *b,
                                 const md_keras_value *v, uint32_t n,
                                 md_error *err)
{
    int rank = 0;

    for (uint32_t i = 0; i < n; i++)
        rank = v[i].rank > rank ? v[i].rank : rank;
    *out = (md_keras_value){ .dtype = v[0].dtype, .rank = rank };
    for (int d = 0; d < rank; d++)
        out->dim[d] = 1;
    for (uint32_t i = 0; i < n; i++) {
        for (int d = 0; d < v[i].rank; d++) {
            int64_t *to = &out->dim[rank - v[i].rank + d];
            const int64_t m = v[i].dim[d];

            if (*to > 1 && m > 1 && *to != m)
                return md_keras_fail(b, err, MD_CORRUPT,
                                     "sizes %lld and %lld on axis %d",
                                     (long long)*to, (long long)m, d);
            if (*to == 1 || (*to < 0 && m > 1))
                *to = m;
        }
    }
    return MD_OK;
}

/* The first n operands in one type, which is the result's; from the `from`th
 * on (where() has a condition in front). */
md_status md_keras_op__operands(md_keras_value *v, md_keras_build *b,
                                const md_keras_value *in, uint32_t n_in,
                                uint32_t n, uint32_t from, md_error *err)
{
    md_dtype t;

    for (uint32_t i = 0; i < n; i++)
        MD_TRY(md_keras_op__operand(&v[i], b, in, n_in, i, err));
    t = md_keras_op__common_type(b, v, n, from);
    for (uint32_t i = from; i < n; i++)
        MD_TRY(md_keras_op__cast(&v[i], b, t, err));
    return MD_OK;
}

md_status md_keras_op__apply(md_keras_value *out, md_keras_build *b,
                             const char *op, const md_keras_value *v,
                             uint32_t n, md_error *err)
{
    md_value_id id[MD_KERAS_OPERANDS_MAX];

    for (uint32_t i = 0; i < n; i++)
        id[i] = v[i].id;
    return md_keras_op(&out->id, b, op, id, n, NULL, err);
}

md_status md_keras_op__refuse_bool(const md_keras_build *b,
                                   const md_keras_value *v, md_error *err)
{
    if (v->dtype != MD_DTYPE_BOOL)
        return MD_OK;
    return md_keras_fail(b, err, MD_UNSUPPORTED, "booleans as numbers");
}

/* --- element by element --- */

md_status md_keras_emit_op_arithmetic(md_keras_build *b,
                                      const md_keras_value *in, uint32_t n_in,
                                      md_keras_value *out, md_error *err)
{
    md_keras_value v[2] = { 0 };

    MD_TRY(md_keras_op__operands(v, b, in, n_in, 2, 0, err));
    MD_TRY(md_keras_op__refuse_bool(b, &v[0], err));
    MD_TRY(md_keras_op__broadcast(out, b, v, 2, err));
    if (strcmp(b->layer->operation->op, "Mod") == 0 &&
        out->dtype == MD_DTYPE_F32)
        return md_keras_fail(b, err, MD_UNSUPPORTED, "remainders of floats");
    return md_keras_op__apply(out, b, b->layer->operation->op, v, 2, err);
}

md_status md_keras_emit_op_quotient(md_keras_build *b, const md_keras_value *in,
                                    uint32_t n_in, md_keras_value *out,
                                    md_error *err)
{
    md_keras_value v[2] = { 0 };

    for (uint32_t i = 0; i < 2; i++) {
        MD_TRY(md_keras_op__operand(&v[i], b, in, n_in, i, err));
        MD_TRY(md_keras_op__cast(&v[i], b, MD_DTYPE_F32, err));
    }
    MD_TRY(md_keras_op__broadcast(out, b, v, 2, err));
    return md_keras_op__apply(out, b, "Div", v, 2, err);
}

md_status md_keras_emit_op_compare(md_keras_build *b, const md_keras_value *in,
                                   uint32_t n_in, md_keras_value *out,
                                   md_error *err)
{
    const char *op = b->layer->operation->op;
    const bool negated = strcmp(op, "NotEqual") == 0;
    md_keras_value v[2] = { 0 };

    MD_TRY(md_keras_op__operands(v, b, in, n_in, 2, 0, err));
    MD_TRY(md_keras_op__broadcast(out, b, v, 2, err));
    out->dtype = MD_DTYPE_BOOL;
    MD_TRY(md_keras_op__apply(out, b, negated ? "Equal" : op, v, 2, err));
    return negated ? md_keras_op(&out->id, b, "Not", &out->id, 1, NULL, err)
                   : MD_OK;
}

md_status md_keras_emit_op_logic(md_keras_build *b, const md_keras_value *in,
                                 uint32_t n_in, md_keras_value *out,
                                 md_error *err)
{
    const uint32_t n = b->layer->operation->n;
    md_keras_value v[2] = { 0 };

    for (uint32_t i = 0; i < n; i++) {
        MD_TRY(md_keras_op__operand(&v[i], b, in, n_in, i, err));
        MD_TRY(md_keras_op__cast(&v[i], b, MD_DTYPE_BOOL, err));
    }
    MD_TRY(md_keras_op__broadcast(out, b, v, n, err));
    return md_keras_op__apply(out, b, b->layer->operation->op, v, n, err);
}

md_status md_keras_emit_op_where(md_keras_build *b, const md_keras_value *in,
                                 uint32_t n_in, md_keras_value *out,
                                 md_error *err)
{
    md_keras_value v[3] = { 0 };

    MD_TRY(md_keras_op__operands(v, b, in, n_in, 3, 1, err));
    MD_TRY(md_keras_op__cast(&v[0], b, MD_DTYPE_BOOL, err));
    MD_TRY(md_keras_op__broadcast(out, b, v, 3, err));
    out->dtype = v[1].dtype;
    return md_keras_op__apply(out, b, "Where", v, 3, err);
}

/* The only operand, in any layout: for functions of one element. */
static md_status single(md_keras_value *out, md_keras_build *b,
                        const md_keras_value *in, uint32_t n_in, md_error *err)
{
    if (n_in != 1)
        return md_keras_fail(b, err, MD_UNSUPPORTED, "%u tensors, 1 expected",
                             n_in);
    *out = *in;
    out->mask = 0;
    return MD_OK;
}

md_status md_keras_emit_op_plain(md_keras_build *b, const md_keras_value *in,
                                 uint32_t n_in, md_keras_value *out,
                                 md_error *err)
{
    MD_TRY(single(out, b, in, n_in, err));
    MD_TRY(md_keras_op__refuse_bool(b, out, err));
    return md_keras_op__apply(out, b, b->layer->operation->op, out, 1, err);
}

md_status md_keras_emit_op_real(md_keras_build *b, const md_keras_value *in,
                                uint32_t n_in, md_keras_value *out,
                                md_error *err)
{
    MD_TRY(single(out, b, in, n_in, err));
    if (md_keras_int(b->layer->config, "decimals", 0) != 0)
        return md_keras_refuse(b, err, "decimals");
    MD_TRY(md_keras_op__cast(out, b, MD_DTYPE_F32, err));
    return md_keras_op__apply(out, b, b->layer->operation->op, out, 1, err);
}

md_status md_keras_emit_op_rsqrt(md_keras_build *b, const md_keras_value *in,
                                 uint32_t n_in, md_keras_value *out,
                                 md_error *err)
{
    MD_TRY(md_keras_emit_op_real(b, in, n_in, out, err));
    return md_keras_op__apply(out, b, "Reciprocal", out, 1, err);
}

md_status md_keras_emit_op_square(md_keras_build *b, const md_keras_value *in,
                                  uint32_t n_in, md_keras_value *out,
                                  md_error *err)
{
    MD_TRY(single(out, b, in, n_in, err));
    MD_TRY(md_keras_op__refuse_bool(b, out, err));
    return md_keras_op(&out->id, b, "Mul", (md_value_id[]){ out->id, out->id },
                       2, NULL, err);
}

md_status md_keras_emit_op_activate(md_keras_build *b, const md_keras_value *in,
                                    uint32_t n_in, md_keras_value *out,
                                    md_error *err)
{
    md_keras_value x = { 0 };

    MD_TRY(single(&x, b, in, n_in, err));
    if (md_keras_number(b->layer->config, "alpha", 1) != 1)
        return md_keras_refuse(b, err, "alpha");
    MD_TRY(md_keras_op__cast(&x, b, MD_DTYPE_F32, err));
    return md_keras_activate(out, b, &x, b->layer->operation->op, err);
}

/* A function of floats with an attribute. */
static md_status with_attribute(md_keras_value *out, md_keras_build *b,
                                const md_keras_value *in, uint32_t n_in,
                                md_node **node, md_error *err)
{
    MD_TRY(single(out, b, in, n_in, err));
    MD_TRY(md_keras_op__cast(out, b, MD_DTYPE_F32, err));
    return md_keras_op(&out->id, b, b->layer->operation->op, &out->id, 1, node,
                       err);
}

md_status md_keras_emit_op_gelu(md_keras_build *b, const md_keras_value *in,
                                uint32_t n_in, md_keras_value *out,
                                md_error *err)
{
    md_node *node;

    MD_TRY(with_attribute(out, b, in, n_in, &node, err));
    return md_keras_bool(b->layer->config, "approximate", true)
               ? md_node_set_attr_s(b->g, node, "approximate", "tanh", err)
               : MD_OK;
}

md_status md_keras_emit_op_leaky_relu(md_keras_build *b,
                                      const md_keras_value *in, uint32_t n_in,
                                      md_keras_value *out, md_error *err)
{
    md_node *node;

    MD_TRY(with_attribute(out, b, in, n_in, &node, err));
    return md_node_set_attr_f(
        b->g, node, "alpha",
        (float)md_keras_number(b->layer->config, "negative_slope", 0.2), err);
}

md_status md_keras_emit_op_clip(md_keras_build *b, const md_keras_value *in,
                                uint32_t n_in, md_keras_value *out,
                                md_error *err)
{
    static const char *const key[] = { "x_min", "x_max" };
    md_keras_value v[3] = { 0 };

    MD_TRY(single(out, b, in, n_in, err));
    MD_TRY(md_keras_op__refuse_bool(b, out, err));
    v[0] = *out;
    for (int i = 0; i < 2; i++) {
        const json_t *c = json_object_get(b->layer->config, key[i]);

        if (!json_is_number(c))
            return md_keras_refuse(b, err, key[i]);
        MD_TRY(constant(&v[i + 1], b, c, err));
        MD_TRY(md_keras_op__cast(&v[i + 1], b, out->dtype, err));
    }
    return md_keras_op__apply(out, b, "Clip", v, 3, err);
}

/* The type a setting names; what is no float, integer or bool is NONE. */
static md_dtype type_setting(const md_keras_build *b, md_dtype otherwise)
{
    const char *name = md_keras_text(b->layer->config, "dtype", NULL);
    md_dtype t = name ? md_dtype_parse(name) : otherwise;

    return md_dtype_is_float(t) ? MD_DTYPE_F32 : t;
}

md_status md_keras_emit_op_cast(md_keras_build *b, const md_keras_value *in,
                                uint32_t n_in, md_keras_value *out,
                                md_error *err)
{
    const md_dtype to = type_setting(b, MD_DTYPE_NONE);

    MD_TRY(single(out, b, in, n_in, err));
    if (to != MD_DTYPE_F32 && to != MD_DTYPE_BOOL && !md_dtype_is_integer(to))
        return md_keras_refuse(b, err, "dtype");
    return md_keras_op__cast(out, b, to, err);
}

/* Ones or zeros in the shape of x. */
md_status md_keras_emit_op_fill(md_keras_build *b, const md_keras_value *in,
                                uint32_t n_in, md_keras_value *out,
                                md_error *err)
{
    const float value = b->layer->operation->op[0] == '1' ? 1.0f : 0.0f;
    md_keras_value x = { 0 }, c = { .dtype = MD_DTYPE_F32 };
    md_value_id pair[2];

    MD_TRY(md_keras_op__operand(&x, b, in, n_in, 0, err));
    *out = x;
    out->dtype = type_setting(b, x.dtype);
    MD_TRY(md_keras_const_floats(&c.id, b, "value", &value, NULL, err));
    MD_TRY(md_keras_op__cast(&c, b, out->dtype, err));
    pair[0] = c.id;
    MD_TRY(md_keras_op(&pair[1], b, "Shape", &x.id, 1, NULL, err));
    return md_keras_op(&out->id, b, "Expand", pair, 2, NULL, err);
}

/* --- products --- */

md_status md_keras_emit_op_matmul(md_keras_build *b, const md_keras_value *in,
                                  uint32_t n_in, md_keras_value *out,
                                  md_error *err)
{
    md_keras_value v[2] = { 0 }, outer[2];

    MD_TRY(md_keras_op__operands(v, b, in, n_in, 2, 0, err));
    if (v[0].rank < 2 || v[1].rank < 2)
        return md_keras_fail(b, err, MD_UNSUPPORTED,
                             "products of ranks %d and %d, 2 or more expected",
                             v[0].rank, v[1].rank);
    memcpy(outer, v, sizeof(outer));
    for (int i = 0; i < 2; i++)
        outer[i].dim[v[i].rank - 1] = outer[i].dim[v[i].rank - 2] = 1;
    MD_TRY(md_keras_op__broadcast(out, b, outer, 2, err));
    out->dtype = v[0].dtype;
    out->dim[out->rank - 2] = v[0].dim[v[0].rank - 2];
    out->dim[out->rank - 1] = v[1].dim[v[1].rank - 1];
    return md_keras_op__apply(out, b, "MatMul", v, 2, err);
}

/* Sizes of the result by the letters of the equation. */
static md_status einsum_dims(md_keras_value *out, const md_keras_build *b,
                             const md_keras_value *v, uint32_t n,
                             const char *text, md_error *err)
{
    const char *arrow = strstr(text, "->");
    uint32_t at = 0;
    int axis = 0;

    *out = (md_keras_value){ .dtype = v[0].dtype };
    if (!arrow || strchr(text, '.'))
        return md_keras_refuse(b, err, "subscripts");
    for (const char *to = arrow + 2; *to; to++) {
        if (*to == ' ')
            continue;
        if (out->rank == MD_RANK_MAX)
            return md_keras_refuse(b, err, "subscripts");
        at = 0;
        axis = 0;
        out->dim[out->rank] = -1;
        for (const char *p = text; p < arrow; p++) {
            if (*p == ',') {
                at++;
                axis = 0;
            } else if (*p != ' ') {
                if (at < n && axis < v[at].rank && *p == *to &&
                    out->dim[out->rank] < 0)
                    out->dim[out->rank] = v[at].dim[axis];
                axis++;
            }
        }
        out->rank++;
    }
    return MD_OK;
}

md_status md_keras_emit_op_einsum(md_keras_build *b, const md_keras_value *in,
                                  uint32_t n_in, md_keras_value *out,
                                  md_error *err)
{
    const char *text = md_keras_text(b->layer->config, "subscripts", "");
    md_keras_value v[MD_KERAS_OPERANDS_MAX];
    md_value_id id[MD_KERAS_OPERANDS_MAX];
    md_node *node;

    if (n_in > MD_KERAS_OPERANDS_MAX || json_array_size(b->call->given) != n_in)
        return md_keras_fail(b, err, MD_UNSUPPORTED,
                             "%u tensors of %zu operands", n_in,
                             json_array_size(b->call->given));
    MD_TRY(md_keras_op__operands(v, b, in, n_in, n_in, 0, err));
    for (uint32_t i = 0; i < n_in; i++)
        id[i] = v[i].id;
    MD_TRY(einsum_dims(out, b, v, n_in, text, err));
    MD_TRY(md_keras_op(&out->id, b, "Einsum", id, n_in, &node, err));
    return md_node_set_attr_s(b->g, node, "equation", text, err);
}

/* --- the list --- */

static const md_keras_operation rows[] = {
#define OPERATION(cls, fn, onnx, count, keys)                                  \
    { .row = { #cls, md_keras_emit_op_##fn, 1, 1000 },                         \
      .op = onnx,                                                              \
      .n = count,                                                              \
      .settings = keys },
#include "convert/keras/operations.def"
#undef OPERATION
};

const md_keras_operation *md_keras_operation_find(const char *cls)
{
    for (size_t i = 0; i < MD_COUNT(rows); i++) {
        if (strcmp(rows[i].row.cls, cls) == 0)
            return &rows[i];
    }
    return NULL;
}
