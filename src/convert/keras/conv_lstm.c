/*
 * ConvLSTM1D, 2D and 3D: an LSTM whose products are convolutions.
 *
 * What the gates get from the input is one convolution over all steps at once,
 * steps being samples to it; what they get from the state is the body of a
 * Scan.  Gates lie as Keras has them: i f c o.  States are [batch, filters,
 * spatial...] of the size that the input's convolution gives.
 */
#include <string.h>

#include "convert/keras/layer.h"

enum {
    AXES_MAX = 3, /* spatial */
    GATES = 4
};

typedef struct conv_lstm {
    int n; /* spatial axes */
    int64_t filters, kernel[AXES_MAX];
    bool sequences, states;
    bool backwards;   /* from the last step to the first */
    bool in_order;    /* its steps come out as they went in nevertheless */
    md_keras_value z; /* all steps' gates, [batch, time, 4 * filters, ...] */
} conv_lstm;

static md_status read(conv_lstm *r, const md_keras_build *b,
                      const md_keras_value *x, uint32_t n_in, md_error *err)
{
    const json_t *c = b->layer->config;

    r->n = x->rank - 3;
    r->filters = md_keras_int(c, "filters", 0);
    r->sequences = md_keras_bool(c, "return_sequences", false);
    r->states = md_keras_bool(c, "return_state", false);
    if (r->n < 1 || r->n > AXES_MAX || r->filters < 1 ||
        r->filters > INT32_MAX / GATES)
        return md_keras_fail(b, err, MD_CORRUPT,
                             "%lld filters on a tensor of rank %d",
                             (long long)r->filters, x->rank);
    if (x->mask)
        return md_keras_fail(b, err, MD_UNSUPPORTED, "called with a mask");
    if (n_in != 1 && n_in != 3)
        return md_keras_fail(b, err, MD_CORRUPT,
                             "called with %u initial states, 2 expected",
                             n_in - 1);
    return md_keras_ints(r->kernel, (uint32_t)r->n, b->layer, "kernel_size", 0,
                         err);
}

/* Axes 1 and 2 of [batch, channels, time, ...] change places, or back. */
static const int64_t perm[] = { 0, 2, 1, 3, 4, 5 };

static md_status swap_time(md_value_id *out, md_keras_build *b, md_value_id x,
                           int rank, md_error *err)
{
    *out = md_keras_turned(b, x, perm, (uint32_t)rank);
    if (*out != MD_VALUE_NONE)
        return MD_OK;
    return md_keras_transpose(out, b, x, perm, (uint32_t)rank, err);
}

/* Where time goes into the batch: [batch * time, ...], and in *steps a value
 * that begins with [batch, time]. */
static md_status fold(md_keras_value *out, md_keras_value *steps,
                      md_keras_build *b, const md_keras_value *x, md_error *err)
{
    const int last = x->rank - 1;

    *steps = *x;
    steps->cf = false;
    if (x->cf) { /* the channels' place is behind time */
        MD_TRY(swap_time(&steps->id, b, x->id, x->rank, err));
        steps->dim[2] = x->dim[last];
        memcpy(&steps->dim[3], &x->dim[2],
               (size_t)(last - 2) * sizeof(*x->dim));
    }
    *out = *steps;
    MD_TRY(md_keras_fold_time(out, b, err));
    if (x->cf) {
        out->cf = true;
        memcpy(&out->dim[1], &x->dim[2], (size_t)(last - 1) * sizeof(*x->dim));
    }
    return MD_OK;
}

/* What all gates get from the input, for all steps. */
static md_status input_gates(conv_lstm *r, md_keras_build *b,
                             const md_keras_value *x, md_error *err)
{
    md_keras_value v, steps;
    md_keras_value *z = &r->z;

    MD_TRY(fold(&v, &steps, b, x, err));
    MD_TRY(md_keras_convolve(z, b, &v, GATES * r->filters, 1, 2, err));
    /* from here on in ONNX's order, unfold_time looks at nothing else */
    z->cf = false;
    memmove(&z->dim[2], &z->dim[1], (size_t)r->n * sizeof(*z->dim));
    z->dim[1] = GATES * r->filters;
    return md_keras_unfold_time(z, b, &steps, err);
}

/* A state as Keras counts it: [batch, spatial..., filters]. */
static md_keras_value state_like(const conv_lstm *r, md_value_id id)
{
    md_keras_value v = { .id = id,
                         .dtype = MD_DTYPE_F32,
                         .rank = r->n + 2,
                         .cf = true,
                         .dim = { r->z.dim[0] } };

    memcpy(&v.dim[1], &r->z.dim[3], (size_t)r->n * sizeof(*v.dim));
    v.dim[r->n + 1] = r->filters;
    return v;
}

static md_status zeros(md_value_id *out, const conv_lstm *r, md_keras_build *b,
                       md_error *err)
{
    int64_t rest[AXES_MAX + 1] = { r->filters };
    md_value_id in[2];
    md_node *node;

    memcpy(rest + 1, &r->z.dim[3], (size_t)r->n * sizeof(*rest));
    MD_TRY(md_keras_op(&in[0], b, "Shape", &r->z.id, 1, &node, err));
    MD_TRY(md_node_set_attr_i(b->g, node, "end", 1, err));
    MD_TRY(
        md_keras_const_ints(&in[1], b, "size", rest, (uint32_t)r->n + 1, err));
    MD_TRY(md_keras_op(out, b, "Concat", in, 2, &node, err));
    MD_TRY(md_node_set_attr_i(b->g, node, "axis", 0, err));
    return md_keras_op(out, b, "ConstantOfShape", out, 1, NULL, err);
}

/* Before the first step: h and c. */
static md_status initial(md_value_id out[2], const conv_lstm *r,
                         md_keras_build *b, const md_keras_value *in,
                         uint32_t n_in, md_error *err)
{
    const md_keras_value want = state_like(r, MD_VALUE_NONE);

    if (n_in == 1) {
        MD_TRY(zeros(&out[0], r, b, err));
        out[1] = out[0];
        return MD_OK;
    }
    for (int i = 0; i < 2; i++) {
        md_keras_value v;

        if (in[i + 1].rank != want.rank ||
            memcmp(&in[i + 1].dim[1], &want.dim[1],
                   (size_t)(want.rank - 1) * sizeof(*want.dim)) != 0)
            return md_keras_fail(b, err, MD_CORRUPT,
                                 "initial state %d has another shape than the "
                                 "state",
                                 i);
        MD_TRY(md_keras_first(&v, b, &in[i + 1], err));
        out[i] = v.id;
    }
    return MD_OK;
}

/* --- the body --- */

/* The product with the state: Keras always pads it to its size. */
static md_status recurrent_gates(md_value_id *out, const conv_lstm *r,
                                 md_keras_build *b, md_value_id h,
                                 md_error *err)
{
    int64_t dim[AXES_MAX + 2], pad[2 * AXES_MAX];
    int order[AXES_MAX + 2] = { r->n + 1, r->n };
    md_value_id in[2] = { h };
    const md_tensor *w;
    md_node *node;

    for (int i = 0; i < r->n; i++) {
        dim[i] = r->kernel[i];
        order[i + 2] = i;
        pad[i] = (r->kernel[i] - 1) / 2;
        pad[r->n + i] = r->kernel[i] - 1 - pad[i];
    }
    dim[r->n] = r->filters;
    dim[r->n + 1] = GATES * r->filters;
    MD_TRY(md_keras_weight(&w, b, 1, r->n + 2, dim, err));
    MD_TRY(
        md_keras_weight_inside(&in[1], b, 1, "recurrent_kernel", order, err));
    MD_TRY(md_keras_op(out, b, "Conv", in, 2, &node, err));
    MD_TRY(md_node_set_attr_is(b->g, node, "kernel_shape", r->kernel,
                               (uint32_t)r->n, err));
    return md_node_set_attr_is(b->g, node, "pads", pad, 2 * (uint32_t)r->n,
                               err);
}

static md_status split_gates(md_value_id gate[GATES], md_keras_build *b,
                             md_value_id x, md_error *err)
{
    md_node *node;

    for (int i = 0; i < GATES; i++) {
        MD_TRY(md_graph_add_value(&gate[i], b->g, NULL, err));
        MD_TRY(md_keras_stem(b, gate[i], "gate", err));
    }
    MD_TRY(md_graph_add_node(
        &node, b->g, &(md_node_spec){ "", "Split", NULL, &x, 1, gate, GATES },
        err));
    MD_TRY(md_node_set_attr_i(b->g, node, "axis", 1, err));
    return md_node_set_attr_i(b->g, node, "num_outputs", GATES, err);
}

/* *id = fn(*id), a function by its name in Keras. */
static md_status activate(md_value_id *id, const conv_lstm *r,
                          md_keras_build *b, const char *key, md_error *err)
{
    const md_keras_value v = state_like(r, *id);
    const json_t *f = json_object_get(b->layer->config, key);
    md_keras_value y;

    MD_TRY(md_keras_activate(&y, b, &v, md_keras_function_name(f), err));
    *id = y.id;
    return MD_OK;
}

/* state is (h, c), which it moves on; z is the step's part of r->z. */
static md_status cell(md_value_id state[2], const conv_lstm *r,
                      md_keras_build *b, md_value_id z, md_error *err)
{
    static const char *const function[GATES] = { "recurrent_activation",
                                                 "recurrent_activation",
                                                 "activation",
                                                 "recurrent_activation" };
    md_value_id gate[GATES], part[2] = { z }, y;

    MD_TRY(recurrent_gates(&part[1], r, b, state[0], err));
    MD_TRY(md_keras_op(&y, b, "Add", part, 2, NULL, err));
    MD_TRY(split_gates(gate, b, y, err));
    for (int i = 0; i < GATES; i++)
        MD_TRY(activate(&gate[i], r, b, function[i], err));
    MD_TRY(md_keras_op(&part[0], b, "Mul", (md_value_id[]){ gate[1], state[1] },
                       2, NULL, err));
    MD_TRY(md_keras_op(&part[1], b, "Mul", (md_value_id[]){ gate[0], gate[2] },
                       2, NULL, err));
    MD_TRY(md_keras_op(&state[1], b, "Add", part, 2, NULL, err));
    y = state[1];
    MD_TRY(activate(&y, r, b, "activation", err));
    return md_keras_op(&state[0], b, "Mul", (md_value_id[]){ gate[3], y }, 2,
                       NULL, err);
}

/* The graph of a step: (h, c, gates) to (h, c) and, for all steps, h. */
static md_status make_body(md_graph **out, const conv_lstm *r,
                           md_keras_build *b, md_error *err)
{
    md_keras_value z = state_like(r, MD_VALUE_NONE), v = z;
    md_value_id state[2], id;
    md_keras_body body;
    md_status s;

    z.dim[r->n + 1] = GATES * r->filters;
    MD_TRY(md_keras_body_begin(&body, b, err));
    for (int i = 0; i < 2; i++)
        MD_GOTO(md_keras_body_input(&state[i], b, &v, "state", err));
    MD_GOTO(md_keras_body_input(&id, b, &z, "gates", err));
    MD_GOTO(cell(state, r, b, id, err));
    for (int i = 0; i < 2; i++)
        MD_GOTO(md_graph_add_output(b->g, state[i], err));
    if (r->sequences) {
        MD_GOTO(md_keras_op(&id, b, "Identity", state, 1, NULL, err));
        MD_GOTO(md_graph_add_output(b->g, id, err));
    }
out:
    return md_keras_body_end(out, &body, b, s, err);
}

/* --- the layer --- */

/* y: h and c after the last step and, for all steps, [batch, time, filters,
 * ...]. */
static md_status scan(md_value_id y[3], const conv_lstm *r, md_keras_build *b,
                      const md_value_id state[2], md_error *err)
{
    static const char *const stem[] = { "state", "cell", "steps" };
    static const int64_t one = 1;
    const uint32_t n_y = r->sequences ? 3 : 2;
    const md_value_id in[] = { state[0], state[1], r->z.id };
    md_attr attr = { .name = "body", .type = MD_ATTR_GRAPH };
    md_node *node;

    MD_TRY(make_body(&attr.v.g, r, b, err));
    for (uint32_t i = 0; i < n_y; i++) {
        MD_TRY(md_graph_add_value(&y[i], b->g, NULL, err));
        MD_TRY(md_keras_stem(b, y[i], stem[i], err));
    }
    MD_TRY(md_graph_add_node(
        &node, b->g, &(md_node_spec){ "", "Scan", NULL, in, 3, y, n_y }, err));
    MD_TRY(md_node_add_attr(b->g, node, &attr, err));
    MD_TRY(md_node_set_attr_i(b->g, node, "num_scan_inputs", 1, err));
    MD_TRY(md_node_set_attr_is(b->g, node, "scan_input_axes", &one, 1, err));
    if (r->backwards)
        MD_TRY(md_node_set_attr_is(b->g, node, "scan_input_directions", &one, 1,
                                   err));
    if (!r->sequences)
        return MD_OK;
    if (r->in_order)
        MD_TRY(md_node_set_attr_is(b->g, node, "scan_output_directions", &one,
                                   1, err));
    return md_node_set_attr_is(b->g, node, "scan_output_axes", &one, 1, err);
}

/* All steps as a value of Keras: [batch, time, spatial..., filters], which lies
 * channels first. */
static md_status all_steps(md_keras_value *out, const conv_lstm *r,
                           md_keras_build *b, md_value_id y, md_error *err)
{
    const md_keras_value one = state_like(r, y);

    *out = one;
    out->rank++;
    out->dim[1] = r->z.dim[1];
    memcpy(&out->dim[2], &one.dim[1],
           (size_t)(one.rank - 1) * sizeof(*one.dim));
    return swap_time(&out->id, b, y, out->rank, err);
}

static md_status run(conv_lstm *r, md_keras_build *b, const md_keras_value *in,
                     uint32_t n_in, md_keras_value *out, md_error *err)
{
    md_value_id state[2], y[3];

    MD_TRY(read(r, b, in, n_in, err));
    MD_TRY(input_gates(r, b, in, err));
    MD_TRY(initial(state, r, b, in, n_in, err));
    MD_TRY(scan(y, r, b, state, err));
    if (r->sequences)
        MD_TRY(all_steps(out, r, b, y[2], err));
    else
        *out = state_like(r, y[0]);
    for (int i = 0; r->states && i < 2; i++)
        out[i + 1] = state_like(r, y[i]);
    return MD_OK;
}

md_status md_keras_emit_conv_lstm(md_keras_build *b, const md_keras_value *in,
                                  uint32_t n_in, md_keras_value *out,
                                  md_error *err)
{
    conv_lstm r = { .backwards = md_keras_bool(b->layer->config, "go_backwards",
                                               false) };

    return run(&r, b, in, n_in, out, err);
}

md_status md_keras_conv_lstm_both(md_keras_value out[2], md_keras_build *b,
                                  const md_keras_value *in, uint32_t n_in,
                                  md_error *err)
{
    md_keras_layer *l = b->layer;

    for (int d = 0; d < 2; d++) {
        conv_lstm r = { .backwards = d == 1, .in_order = d == 1 };
        md_status s;

        b->layer = &l->inner[d];
        if (md_keras_bool(b->layer->config, "return_state", false) || n_in > 1)
            s = md_keras_fail(b, err, MD_UNSUPPORTED,
                              "states of both directions");
        else
            s = run(&r, b, in, n_in, &out[d], err);
        b->layer = l;
        if (s != MD_OK)
            return s;
    }
    return MD_OK;
}
