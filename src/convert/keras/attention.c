/* Attention: ONNX's operator (opset 23) behind the products of the layer. */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "convert/keras/layer.h"

enum {
    OPSET = 23 /* the first that has Attention */
};

/* x * w + bias, the heads of both side by side: w is weight `index` [in,
 * heads, size], the bias the next [heads, size]; *n becomes heads * size. */
static md_status project(md_value_id *out, md_keras_build *b,
                         const md_keras_value *x, uint32_t index,
                         const char *stem, int64_t n[2], md_error *err)
{
    const bool has_bias = md_keras_bool(b->layer->config, "use_bias", true);
    const uint32_t at = has_bias ? 2 * index : index;
    const int64_t dim[] = { x->dim[2], n[0], n[1] };
    md_value_id pair[2] = { x->id };
    const md_tensor *w;
    md_shape shape;

    MD_TRY(md_keras_weight(&w, b, at, 3, dim, err));
    n[1] = w->shape.dim[2];
    shape = (md_shape){ 2, { w->shape.dim[0], n[0] * n[1] } };
    MD_TRY(md_keras_weight_const(&pair[1], b, at, stem, NULL, &shape, err));
    MD_TRY(md_keras_op(out, b, "MatMul", pair, 2, NULL, err));
    if (!has_bias)
        return MD_OK;
    MD_TRY(md_keras_weight(&w, b, at + 1, 2, n, err));
    shape = (md_shape){ 1, { n[0] * n[1] } };
    pair[0] = *out;
    MD_TRY(
        md_keras_weight_const(&pair[1], b, at + 1, "bias", NULL, &shape, err));
    return md_keras_op(out, b, "Add", pair, 2, NULL, err);
}

/* The heads together again: weight 3 [heads, size, out]. */
static md_status join(md_keras_value *out, md_keras_build *b, md_value_id x,
                      const int64_t n[2], md_error *err)
{
    const bool has_bias = md_keras_bool(b->layer->config, "use_bias", true);
    const uint32_t at = has_bias ? 6 : 3;
    const int64_t dim[] = { n[0], n[1], -1 };
    md_value_id pair[2] = { x };
    const md_tensor *w;
    md_shape shape;

    MD_TRY(md_keras_weight(&w, b, at, 3, dim, err));
    shape = (md_shape){ 2, { n[0] * n[1], w->shape.dim[2] } };
    MD_TRY(md_keras_weight_const(&pair[1], b, at, "output", NULL, &shape, err));
    MD_TRY(md_keras_op(&out->id, b, "MatMul", pair, 2, NULL, err));
    out->dim[2] = w->shape.dim[2];
    if (!has_bias)
        return MD_OK;
    MD_TRY(md_keras_weight(&w, b, at + 1, 1, &out->dim[2], err));
    pair[0] = out->id;
    MD_TRY(md_keras_weight_const(&pair[1], b, at + 1, "bias", NULL, NULL, err));
    return md_keras_op(&out->id, b, "Add", pair, 2, NULL, err);
}

/* Attention of q, k, v [batch, time, heads * size]. */
static md_status attend(md_value_id *out, md_keras_build *b,
                        const md_value_id in[4], const int64_t heads[2],
                        float scale, bool causal, md_error *err)
{
    const uint32_t n_in = in[3] == MD_VALUE_NONE ? 3 : 4;
    md_node *node;

    b->opset = OPSET;
    MD_TRY(md_keras_op(out, b, "Attention", in, n_in, &node, err));
    MD_TRY(md_node_set_attr_i(b->g, node, "q_num_heads", heads[0], err));
    MD_TRY(md_node_set_attr_i(b->g, node, "kv_num_heads", heads[1], err));
    if (!isnan(scale)) /* else by the size of a head */
        MD_TRY(md_node_set_attr_f(b->g, node, "scale", scale, err));
    return causal ? md_node_set_attr_i(b->g, node, "is_causal", 1, err) : MD_OK;
}

/* One more condition of a mask; *all is MD_VALUE_NONE when there is none. */
static md_status both(md_value_id *all, md_keras_build *b, md_value_id one,
                      md_error *err)
{
    if (*all == MD_VALUE_NONE) {
        *all = one;
        return MD_OK;
    }
    return md_keras_op(all, b, "And", (md_value_id[]){ *all, one }, 2, NULL,
                       err);
}

/* A mask that was given, [batch, queries, keys] or with heads, as booleans. */
static md_status given_mask(md_value_id *all, md_keras_build *b,
                            const md_keras_value *m, md_error *err)
{
    md_value_id id = m->id;
    md_node *node;

    if (m->rank != 3 && m->rank != 4)
        return md_keras_fail(b, err, MD_UNSUPPORTED,
                             "a mask of rank %d, 3 or 4 expected", m->rank);
    if (m->dtype != MD_DTYPE_BOOL) {
        MD_TRY(md_keras_op(&id, b, "Cast", &id, 1, &node, err));
        MD_TRY(md_node_set_attr_i(b->g, node, "to", MD_DTYPE_BOOL, err));
    }
    if (m->rank == 3)
        MD_TRY(md_keras_squeeze(&id, b, "Unsqueeze", id, 1, err));
    return both(all, b, id, err);
}

/* Masks of steps that came along with a tensor: [batch, 1, 1, time], time at
 * `axis` from behind. */
static md_status carried_mask(md_value_id *all, md_keras_build *b,
                              const md_keras_value *v, int64_t axis,
                              md_error *err)
{
    const int64_t axes[] = { 1, axis == 2 ? 3 : 2 };
    md_value_id in[2] = { v->mask - 1 };

    if (v->mask == 0)
        return MD_OK;
    MD_TRY(md_keras_const_ints(&in[1], b, "axes", axes, 2, err));
    MD_TRY(md_keras_op(&in[0], b, "Unsqueeze", in, 2, NULL, err));
    return both(all, b, in[0], err);
}

/* Queries see keys up to their own place. */
static md_status causal_mask(md_value_id *all, md_keras_build *b,
                             const md_keras_value v[3], md_error *err)
{
    static const int64_t zero, one = 1;
    md_value_id at[2], range[3], id;
    md_node *node;

    for (int i = 0; i < 2; i++) {
        MD_TRY(md_keras_op(&id, b, "Shape", &v[i].id, 1, &node, err));
        MD_TRY(md_node_set_attr_i(b->g, node, "start", 1, err));
        MD_TRY(md_node_set_attr_i(b->g, node, "end", 2, err));
        MD_TRY(md_keras_squeeze(&range[1], b, "Squeeze", id, 0, err));
        MD_TRY(md_keras_const_ints(&id, b, "zero", &zero, 1, err));
        MD_TRY(md_keras_squeeze(&range[0], b, "Squeeze", id, 0, err));
        MD_TRY(md_keras_const_ints(&id, b, "one", &one, 1, err));
        MD_TRY(md_keras_squeeze(&range[2], b, "Squeeze", id, 0, err));
        MD_TRY(md_keras_op(&at[i], b, "Range", range, 3, NULL, err));
    }
    MD_TRY(md_keras_squeeze(&at[0], b, "Unsqueeze", at[0], 1, err));
    MD_TRY(md_keras_op(&id, b, "GreaterOrEqual", at, 2, NULL, err));
    return both(all, b, id, err);
}

/* A mask of booleans as what Keras adds to the scores: a row without any step
 * then looks at all of them alike. */
static md_status additive(md_value_id *mask, md_keras_build *b, md_error *err)
{
    static const float less = -1e9f, none;
    md_value_id in[3] = { *mask };

    MD_TRY(md_keras_const_floats(&in[1], b, "seen", &none, NULL, err));
    MD_TRY(md_keras_const_floats(&in[2], b, "masked", &less, NULL, err));
    return md_keras_op(mask, b, "Where", in, 3, NULL, err);
}

/*
 * The mask of all that is known about query, value and key, MD_VALUE_NONE
 * where they all see each other.  Causality alone is the operator's business:
 * *causal.
 */
static md_status make_mask(md_value_id *mask, bool *causal, md_keras_build *b,
                           const md_keras_value v[3],
                           const md_keras_value *given, md_error *err)
{
    *mask = MD_VALUE_NONE;
    *causal = md_keras_bool(b->call ? b->call->others : NULL, "use_causal_mask",
                            false);
    MD_TRY(carried_mask(mask, b, &v[0], 2, err));
    MD_TRY(carried_mask(mask, b, &v[1], 1, err));
    if (v[2].id != v[1].id)
        MD_TRY(carried_mask(mask, b, &v[2], 1, err));
    if (given)
        MD_TRY(given_mask(mask, b, given, err));
    if (*mask == MD_VALUE_NONE)
        return MD_OK;
    if (*causal)
        MD_TRY(causal_mask(mask, b, v, err));
    *causal = false;
    return additive(mask, b, err);
}

/* Query, value, key and mask out of a call's tensors; key is value where it is
 * not given. */
static md_status sort_inputs(md_keras_value v[3], const md_keras_value **mask,
                             md_keras_build *b, const md_keras_value *in,
                             uint32_t n_in, md_error *err)
{
    const md_keras_value *given[7] = { NULL };

    for (uint32_t i = 0; i < n_in; i++) {
        uint32_t at = b->call ? b->call->arg[i] : i;

        if (at >= MD_COUNT(given) || given[at])
            return md_keras_fail(b, err, MD_CORRUPT,
                                 "called with argument %u twice", at);
        given[at] = &in[i];
    }
    if (!given[0] || !given[1])
        return md_keras_fail(b, err, MD_CORRUPT,
                             "called without query or value");
    if (!given[2])
        given[2] = given[1];
    for (int i = 0; i < 3; i++) {
        MD_TRY(md_keras_last(&v[i], b, given[i], err));
        if (v[i].rank != 3 || v[i].dim[2] < 1)
            return md_keras_fail(b, err, MD_UNSUPPORTED,
                                 "inputs of rank %d, 3 with a fixed last axis "
                                 "expected",
                                 v[i].rank);
    }
    for (int i = 0; i < 3; i++) { /* of query, value, key */
        if (given[i + 3])
            v[i].mask = given[i + 3]->id + 1;
    }
    *mask = given[6];
    return MD_OK;
}

md_status md_keras_emit_attention(md_keras_build *b, const md_keras_value *in,
                                  uint32_t n_in, md_keras_value *out,
                                  md_error *err)
{
    const json_t *c = b->layer->config;
    const bool grouped = strncmp(b->layer->cls, "Group", 5) == 0;
    const json_t *axes = json_object_get(c, "attention_axes");
    int64_t heads[2], q[2], k[2], v[2];
    const md_keras_value *mask = NULL;
    md_keras_value x[3] = { 0 };
    md_value_id qkv[4];
    bool causal;

    heads[0] = md_keras_int(c, grouped ? "num_query_heads" : "num_heads", 0);
    heads[1] = grouped ? md_keras_int(c, "num_key_value_heads", 0) : heads[0];
    if (heads[0] < 1 || heads[1] < 1 || heads[0] % heads[1] != 0)
        return md_keras_fail(b, err, MD_CORRUPT, "%lld heads for %lld",
                             (long long)heads[0], (long long)heads[1]);
    if (json_is_array(axes) &&
        (json_array_size(axes) != 1 ||
         json_integer_value(json_array_get(axes, 0)) != 1))
        return md_keras_refuse(b, err, "attention_axes");
    MD_TRY(sort_inputs(x, &mask, b, in, n_in, err));
    MD_TRY(make_mask(&qkv[3], &causal, b, x, mask, err));
    q[0] = heads[0];
    k[0] = v[0] = heads[1];
    q[1] = md_keras_int(c, grouped ? "head_dim" : "key_dim", -1);
    k[1] = q[1];
    v[1] = -1;
    MD_TRY(project(&qkv[0], b, &x[0], 0, "query", q, err));
    MD_TRY(project(&qkv[1], b, &x[2], 1, "key", k, err));
    MD_TRY(project(&qkv[2], b, &x[1], 2, "value", v, err));
    MD_TRY(attend(&out->id, b, qkv, heads, NAN, causal, err));
    v[0] = heads[0];
    *out = (md_keras_value){ .id = out->id,
                             .dtype = MD_DTYPE_F32,
                             .rank = 3,
                             .dim = { x[0].dim[0], x[0].dim[1] },
                             .mask = x[0].mask };
    return join(out, b, out->id, v, err);
}

/* Keras' Attention has no weights but a scale: one head of the inputs. */
md_status md_keras_emit_dot_attention(md_keras_build *b,
                                      const md_keras_value *in, uint32_t n_in,
                                      md_keras_value *out, md_error *err)
{
    static const int64_t heads[] = { 1, 1 };
    const char *mode = md_keras_text(b->layer->config, "score_mode", "dot");
    const bool scaled = md_keras_bool(b->layer->config, "use_scale", false);
    md_value_id qkv[4];
    const md_tensor *w;
    md_keras_value x[3] = { 0 };
    float scale = 1;
    bool causal;

    if (strcmp(mode, "dot") != 0)
        return md_keras_refuse(b, err, "score_mode");
    MD_TRY(md_keras_expect_weights(b, scaled ? 1 : 0, err));
    if (scaled) {
        MD_TRY(md_keras_weight(&w, b, 0, 0, NULL, err));
        scale = (float)md_tensor_get_f64(w, 0);
        b->n_parameters++;
    }
    for (uint32_t i = 0; i < 3; i++) {
        const md_keras_value *from = &in[i < n_in ? i : 1];

        MD_TRY(md_keras_last(&x[i], b, from, err));
        if (x[i].rank != 3)
            return md_keras_fail(b, err, MD_UNSUPPORTED,
                                 "inputs of rank %d, 3 expected", x[i].rank);
    }
    qkv[0] = x[0].id;
    qkv[1] = x[2].id;
    qkv[2] = x[1].id;
    qkv[3] = MD_VALUE_NONE;
    /* Here a query's mask does not touch the scores but the result. */
    if (x[0].mask > 0)
        return md_keras_fail(b, err, MD_UNSUPPORTED, "queries with a mask");
    MD_TRY(make_mask(&qkv[3], &causal, b, x, NULL, err));
    *out = x[0];
    out->dim[2] = x[1].dim[2];
    return attend(&out->id, b, qkv, heads, scale, causal, err);
}
