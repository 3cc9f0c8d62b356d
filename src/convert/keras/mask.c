/*
 * Masks: which steps of a sequence count.
 *
 * Keras makes them where padding is known (Embedding, Masking), carries them
 * along beside the values and looks at them in recurrent layers, attention and
 * means over time.  Here a mask is a value of booleans [batch, time].
 *
 * A recurrent layer leaves its state alone at steps that do not count, wherever
 * they are; ONNX's operators know only a length.  So the steps that count are
 * moved to the front, in their order, and the results back to where their steps
 * were.
 */
#include "convert/keras/layer.h"

static md_status cast(md_value_id *out, md_keras_build *b, md_value_id x,
                      md_dtype to, md_error *err)
{
    md_node *node;

    MD_TRY(md_keras_op(out, b, "Cast", &x, 1, &node, err));
    return md_node_set_attr_i(b->g, node, "to", to, err);
}

md_status md_keras_mask_number(md_value_id *out, md_keras_build *b,
                               const md_keras_value *v, md_dtype dtype,
                               md_error *err)
{
    return cast(out, b, v->mask - 1, dtype, err);
}

md_status md_keras_mask_unlike(md_keras_value *out, md_keras_build *b,
                               md_value_id x, md_value_id padding,
                               md_error *err)
{
    md_value_id id;

    MD_TRY(md_keras_op(&id, b, "Equal", (md_value_id[]){ x, padding }, 2, NULL,
                       err));
    MD_TRY(md_keras_op(&id, b, "Not", &id, 1, NULL, err));
    MD_TRY(md_keras_stem(b, id, "mask", err));
    out->mask = id + 1;
    return MD_OK;
}

/* Layers behind which the same steps count; all others forget the mask, or
 * make their own (own). */
static const struct {
    md_keras_emit_fn *emit;
    bool own;
} passing[] = {
    { md_keras_emit_activation, false },
    { md_keras_emit_add, false },
    { md_keras_emit_attention, true },
    { md_keras_emit_average, false },
    { md_keras_emit_batch_norm, false },
    { md_keras_emit_bidirectional, true },
    { md_keras_emit_concatenate, false },
    { md_keras_emit_dense, false },
    { md_keras_emit_elu, false },
    { md_keras_emit_embedding, true },
    { md_keras_emit_group_norm, false },
    { md_keras_emit_identity, false },
    { md_keras_emit_layer_norm, false },
    { md_keras_emit_leaky_relu, false },
    { md_keras_emit_masking, true },
    { md_keras_emit_maximum, false },
    { md_keras_emit_minimum, false },
    { md_keras_emit_multiply, false },
    { md_keras_emit_prelu, false },
    { md_keras_emit_recurrent, true },
    { md_keras_emit_relu, false },
    { md_keras_emit_softmax, false },
    { md_keras_emit_subtract, false },
    { md_keras_emit_thresholded_relu, false },
    { md_keras_emit_time_distributed, true },
    { md_keras_emit_unit_norm, false },
};

md_status md_keras_mask_settle(md_keras_value *out, md_keras_build *b,
                               const md_keras_value *in, uint32_t n_in,
                               md_error *err)
{
    md_value_id mask = 0;

    for (size_t i = 0; i < MD_COUNT(passing); i++) {
        if (passing[i].emit != b->layer->row->emit)
            continue;
        if (passing[i].own)
            return MD_OK;
        for (uint32_t k = 0; k < n_in; k++) {
            md_value_id both;

            if (in[k].mask == 0 || in[k].mask == mask)
                continue;
            if (mask == 0) {
                mask = in[k].mask;
                continue;
            }
            MD_TRY(md_keras_op(&both, b, "And",
                               (md_value_id[]){ mask - 1, in[k].mask - 1 }, 2,
                               NULL, err));
            mask = both + 1;
        }
    }
    out->mask = mask;
    return MD_OK;
}

/* Rows of x [batch, time, n] by at [batch, time]. */
static md_status gather(md_value_id *out, md_keras_build *b, md_value_id x,
                        md_value_id at, md_error *err)
{
    md_node *node;

    MD_TRY(md_keras_squeeze(&at, b, "Unsqueeze", at, -1, err));
    MD_TRY(md_keras_op(out, b, "GatherND", (md_value_id[]){ x, at }, 2, &node,
                       err));
    return md_node_set_attr_i(b->g, node, "batch_dims", 1, err);
}

static md_status scalar(md_value_id *out, md_keras_build *b, int64_t v,
                        md_error *err)
{
    md_tensor t = MD_TENSOR_INIT;
    md_shape shape = { 0, { 0 } };

    MD_TRY(md_tensor_alloc(&t, MD_DTYPE_I64, &shape, b->model->alloc, err));
    ((int64_t *)t.data)[0] = v;
    return md_keras_const(out, b, "number", t, err);
}

/* Sum over the time of what is in front of each step, or up to it. */
static md_status running(md_value_id *out, md_keras_build *b, md_value_id x,
                         bool exclusive, md_error *err)
{
    md_value_id in[2] = { x };
    md_node *node;

    MD_TRY(scalar(&in[1], b, 1, err));
    MD_TRY(md_keras_op(out, b, "CumSum", in, 2, &node, err));
    return md_node_set_attr_i(b->g, node, "exclusive", exclusive, err);
}

/* t of every step [time], and their number [1]. */
static md_status steps(md_value_id *t, md_value_id *n, md_keras_build *b,
                       md_value_id number, md_error *err)
{
    md_value_id range[3];
    md_node *node;

    MD_TRY(md_keras_op(n, b, "Shape", &number, 1, &node, err));
    MD_TRY(md_node_set_attr_i(b->g, node, "start", 1, err));
    MD_TRY(md_node_set_attr_i(b->g, node, "end", 2, err));
    MD_TRY(scalar(&range[0], b, 0, err));
    MD_TRY(md_keras_squeeze(&range[1], b, "Squeeze", *n, 0, err));
    MD_TRY(scalar(&range[2], b, 1, err));
    return md_keras_op(t, b, "Range", range, 3, NULL, err);
}

/* The steps in the order in which they are packed [batch, time]: those that
 * count first.  TopK of n - t, and of -t where they do not count. */
static md_status order(md_value_id *out, md_keras_build *b, md_value_id number,
                       md_error *err)
{
    md_value_id pair[2], key, t, y[2];
    md_node *node;

    MD_TRY(steps(&t, &pair[1], b, number, err));
    pair[0] = number;
    MD_TRY(md_keras_op(&key, b, "Mul", pair, 2, NULL, err));
    MD_TRY(
        md_keras_op(&key, b, "Sub", (md_value_id[]){ key, t }, 2, NULL, err));
    for (int i = 0; i < 2; i++) {
        MD_TRY(md_graph_add_value(&y[i], b->g, NULL, err));
        MD_TRY(md_keras_stem(b, y[i], "order", err));
    }
    pair[0] = key;
    MD_TRY(md_graph_add_node(
        &node, b->g, &(md_node_spec){ "", "TopK", NULL, pair, 2, y, 2 }, err));
    *out = y[1];
    return md_node_set_attr_i(b->g, node, "axis", 1, err);
}

md_status md_keras_mask_pack(md_keras_packed *p, md_keras_build *b,
                             const md_keras_value *v, md_error *err)
{
    static const int64_t axis = 1;
    md_value_id in[2], at;
    md_node *node;

    p->mask = v->mask - 1;
    MD_TRY(cast(&p->number, b, p->mask, MD_DTYPE_I64, err));
    MD_TRY(md_keras_const_ints(&in[1], b, "axes", &axis, 1, err));
    in[0] = p->number;
    MD_TRY(md_keras_op(&p->count, b, "ReduceSum", in, 2, NULL, err));
    in[0] = p->number;
    MD_TRY(md_keras_op(&p->length, b, "ReduceSum", in, 2, &node, err));
    MD_TRY(md_node_set_attr_i(b->g, node, "keepdims", 0, err));
    MD_TRY(cast(&p->length, b, p->length, MD_DTYPE_I32, err));
    MD_TRY(order(&at, b, p->number, err));
    return gather(&p->x, b, v->id, at, err);
}

md_status md_keras_mask_unpack(md_value_id *y, md_keras_build *b,
                               const md_keras_packed *p, bool backwards,
                               bool zero, md_error *err)
{
    static const float none;
    md_value_id at, given, bound, pair[2];

    /* The last step that counts up to here; seen from behind, the next one.
     * Where there is none the index still is one, GatherND's -1 the last. */
    MD_TRY(running(&at, b, p->number, backwards, err));
    MD_TRY(scalar(&bound, b, 0, err));
    pair[0] = backwards ? at : bound;
    pair[1] = backwards ? p->count : at;
    MD_TRY(md_keras_op(&given, b, "Less", pair, 2, NULL, err));
    if (!backwards) {
        pair[0] = at;
        MD_TRY(scalar(&pair[1], b, 1, err));
        MD_TRY(md_keras_op(&at, b, "Sub", pair, 2, NULL, err));
    }
    if (zero)
        given = p->mask;
    MD_TRY(gather(y, b, *y, at, err));
    MD_TRY(md_keras_squeeze(&given, b, "Unsqueeze", given, -1, err));
    MD_TRY(md_keras_const_floats(&bound, b, "zero", &none, NULL, err));
    return md_keras_op(y, b, "Where", (md_value_id[]){ given, *y, bound }, 3,
                       NULL, err);
}
