/*
 * LSTM, GRU and SimpleRNN as Keras' cells: a Scan whose step has the cell's
 * products, gates and kernels as Keras has them.
 *
 * It is what the self-check compares the nodes of recurrent.c with; nothing is
 * turned, reordered, packed or joined.
 */
#include <string.h>

#include "convert/keras/layer.h"

enum {
    STATES_MAX = 3
};

typedef struct rnn {
    int64_t units;
    bool lstm, gru, after; /* after: the reset comes after the product */
    bool sequences, zero, masked;
    uint32_t n_states; /* h, c, and where there is a mask the last result */
    uint32_t n_given;  /* of these, the cell's */
} rnn;

typedef md_value_id vid;

static md_status op2(vid *out, md_keras_build *b, const char *op, vid x, vid y,
                     md_error *err)
{
    return md_keras_op(out, b, op, (vid[]){ x, y }, 2, NULL, err);
}

static md_status activate(vid *id, const rnn *r, md_keras_build *b,
                          const char *key, md_error *err)
{
    const json_t *f = json_object_get(b->layer->config, key);
    const md_keras_value v = {
        .id = *id, .dtype = MD_DTYPE_F32, .rank = 2, .dim = { -1, r->units }
    };
    md_keras_value y;

    MD_TRY(md_keras_activate(&y, b, &v, md_keras_function_name(f), err));
    *id = y.id;
    return MD_OK;
}

/* Columns [from, to) of gates: part i of n. */
static md_status part(vid *out, md_keras_build *b, vid x, int64_t i,
                      int64_t units, md_error *err)
{
    const int64_t from = i * units, to = from + units, axis = -1;
    const int64_t *const v[] = { &from, &to, &axis };
    vid in[4] = { x };

    for (int k = 0; k < 3; k++)
        MD_TRY(md_keras_const_ints(&in[k + 1], b, "slice", v[k], 1, err));
    return md_keras_op(out, b, "Slice", in, 4, NULL, err);
}

/* x times weight i. */
static md_status product(vid *out, md_keras_build *b, vid x, uint32_t i,
                         md_error *err)
{
    const md_tensor *t;
    vid w;

    MD_TRY(md_keras_weight(&t, b, i, 2, (int64_t[]){ -1, -1 }, err));
    MD_TRY(md_keras_weight_inside(&w, b, i, "kernel", NULL, err));
    return op2(out, b, "MatMul", x, w, err);
}

/* *x plus the bias; row of the two that a GRU has. */
static md_status add_bias(vid *x, md_keras_build *b, int64_t row, md_error *err)
{
    vid w, at;
    md_node *node;

    if (!md_keras_bool(b->layer->config, "use_bias", true))
        return MD_OK;
    if (b->layer->n_w < 3)
        return md_keras_expect_weights(b, 3, err);
    MD_TRY(md_keras_weight_inside(&w, b, 2, "bias", NULL, err));
    if (b->layer->w[2]->shape.rank == 2) {
        MD_TRY(md_keras_const_ints(&at, b, "row", &row, 1, err));
        MD_TRY(md_keras_op(&w, b, "Gather", (vid[]){ w, at }, 2, &node, err));
        MD_TRY(md_node_set_attr_i(b->g, node, "axis", 0, err));
    } else if (row > 0) {
        return MD_OK;
    }
    return op2(x, b, "Add", *x, w, err);
}

/* z * h + (1 - z) * candidate */
static md_status blend(vid *h, md_keras_build *b, vid z, vid candidate,
                       md_error *err)
{
    static const float one = 1;
    vid left, right;

    MD_TRY(md_keras_const_floats(&right, b, "one", &one, NULL, err));
    MD_TRY(op2(&left, b, "Mul", z, *h, err));
    MD_TRY(op2(&right, b, "Sub", right, z, err));
    MD_TRY(op2(&right, b, "Mul", right, candidate, err));
    return op2(h, b, "Add", left, right, err);
}

/* What the candidate gets from the state: after the reset, or of what was
 * reset. */
static md_status reset(vid *of_h, const rnn *r, md_keras_build *b, vid gate,
                       vid h, md_error *err)
{
    if (r->after)
        return op2(of_h, b, "Mul", gate, *of_h, err);
    MD_TRY(op2(of_h, b, "Mul", gate, h, err));
    MD_TRY(product(of_h, b, *of_h, 1, err));
    return part(of_h, b, *of_h, 2, r->units, err);
}

/* Gates z r and the candidate. */
static md_status gru(vid *h, const rnn *r, md_keras_build *b, vid x,
                     md_error *err)
{
    vid of_h, a[3], c[3];

    MD_TRY(product(&x, b, x, 0, err));
    MD_TRY(add_bias(&x, b, 0, err));
    MD_TRY(product(&of_h, b, *h, 1, err));
    if (r->after)
        MD_TRY(add_bias(&of_h, b, 1, err));
    for (int i = 0; i < 3; i++) {
        MD_TRY(part(&a[i], b, x, i, r->units, err));
        MD_TRY(part(&c[i], b, of_h, i, r->units, err));
        if (i == 2)
            break;
        MD_TRY(op2(&a[i], b, "Add", a[i], c[i], err));
        MD_TRY(activate(&a[i], r, b, "recurrent_activation", err));
    }
    MD_TRY(reset(&c[2], r, b, a[1], *h, err));
    MD_TRY(op2(&a[2], b, "Add", a[2], c[2], err));
    MD_TRY(activate(&a[2], r, b, "activation", err));
    return blend(h, b, a[0], a[2], err);
}

/* Gates i f c o. */
static md_status lstm(vid state[2], const rnn *r, md_keras_build *b, vid z,
                      md_error *err)
{
    vid gate[4], c;

    for (int i = 0; i < 4; i++) {
        MD_TRY(part(&gate[i], b, z, i, r->units, err));
        MD_TRY(activate(&gate[i], r, b,
                        i == 2 ? "activation" : "recurrent_activation", err));
    }
    MD_TRY(op2(&c, b, "Mul", gate[1], state[1], err));
    MD_TRY(op2(&gate[0], b, "Mul", gate[0], gate[2], err));
    MD_TRY(op2(&state[1], b, "Add", c, gate[0], err));
    c = state[1];
    MD_TRY(activate(&c, r, b, "activation", err));
    return op2(&state[0], b, "Mul", gate[3], c, err);
}

static md_status cell(vid *state, const rnn *r, md_keras_build *b, vid x,
                      md_error *err)
{
    vid of_h;

    if (r->gru)
        return gru(state, r, b, x, err);
    MD_TRY(product(&x, b, x, 0, err));
    MD_TRY(product(&of_h, b, state[0], 1, err));
    MD_TRY(op2(&x, b, "Add", x, of_h, err));
    MD_TRY(add_bias(&x, b, 0, err));
    if (r->lstm)
        return lstm(state, r, b, x, err);
    state[0] = x;
    return activate(&state[0], r, b, "activation", err);
}

/* Steps that do not count leave the states; their result is the last one, or
 * zero. */
static md_status choose(vid *now, const vid *before, const rnn *r,
                        md_keras_build *b, vid counts, md_error *err)
{
    static const float zero;
    vid old;

    MD_TRY(md_keras_squeeze(&counts, b, "Unsqueeze", counts, 1, err));
    now[r->n_given] = now[0];
    for (uint32_t i = 0; i < r->n_states; i++) {
        old = before[i];
        if (i == r->n_given && r->zero)
            MD_TRY(md_keras_const_floats(&old, b, "zero", &zero, NULL, err));
        MD_TRY(md_keras_op(&now[i], b, "Where", (vid[]){ counts, now[i], old },
                           3, NULL, err));
    }
    return MD_OK;
}

/* Inputs: states, the step, whether it counts.  Outputs: states and, for all
 * steps, the result. */
static md_status fill_body(const rnn *r, md_keras_build *b, int64_t n_in,
                           md_error *err)
{
    const md_keras_value of_state = { .dtype = MD_DTYPE_F32,
                                      .rank = 2,
                                      .dim = { -1, r->units } };
    md_keras_value of_x = of_state;
    const md_keras_value of_mask = { .dtype = MD_DTYPE_BOOL,
                                     .rank = 1,
                                     .dim = { -1 } };
    vid before[STATES_MAX], now[STATES_MAX], x, counts = MD_VALUE_NONE, y;

    of_x.dim[1] = n_in;
    for (uint32_t i = 0; i < r->n_states; i++)
        MD_TRY(md_keras_body_input(&before[i], b, &of_state, "state", err));
    MD_TRY(md_keras_body_input(&x, b, &of_x, "x", err));
    if (r->masked)
        MD_TRY(md_keras_body_input(&counts, b, &of_mask, "counts", err));
    memcpy(now, before, sizeof(now));
    MD_TRY(cell(now, r, b, x, err));
    if (r->masked)
        MD_TRY(choose(now, before, r, b, counts, err));
    for (uint32_t i = 0; i < r->n_states; i++)
        MD_TRY(md_graph_add_output(b->g, now[i], err));
    if (!r->sequences)
        return MD_OK;
    MD_TRY(md_keras_op(&y, b, "Identity", &now[r->masked ? r->n_given : 0], 1,
                       NULL, err));
    return md_graph_add_output(b->g, y, err);
}

static md_status make_body(md_graph **out, const rnn *r, md_keras_build *b,
                           int64_t n_in, md_error *err)
{
    md_keras_body body;

    MD_TRY(md_keras_body_begin(&body, b, err));
    return md_keras_body_end(out, &body, b, fill_body(r, b, n_in, err), err);
}

/* [batch, units] of zeros for x [batch, ...]. */
static md_status zeros(vid *out, const rnn *r, md_keras_build *b, vid x,
                       md_error *err)
{
    vid in[2];
    md_node *node;

    MD_TRY(md_keras_op(&in[0], b, "Shape", &x, 1, &node, err));
    MD_TRY(md_node_set_attr_i(b->g, node, "end", 1, err));
    MD_TRY(md_keras_const_ints(&in[1], b, "units", &r->units, 1, err));
    MD_TRY(md_keras_op(out, b, "Concat", in, 2, &node, err));
    MD_TRY(md_node_set_attr_i(b->g, node, "axis", 0, err));
    return md_keras_op(out, b, "ConstantOfShape", out, 1, NULL, err);
}

static md_status scan(vid *y, const rnn *r, md_keras_build *b, const vid *in,
                      const md_keras_direction *d, md_graph *body,
                      md_error *err)
{
    static const int64_t ones[] = { 1, 1 };
    const uint32_t n_scanned = r->masked ? 2 : 1;
    const uint32_t n_y = r->n_states + r->sequences;
    const md_attr attr = { .name = "body", .type = MD_ATTR_GRAPH, .v.g = body };
    md_node *node;

    for (uint32_t i = 0; i < n_y; i++) {
        MD_TRY(md_graph_add_value(&y[i], b->g, NULL, err));
        MD_TRY(md_keras_stem(b, y[i], "steps", err));
    }
    MD_TRY(md_graph_add_node(&node, b->g,
                             &(md_node_spec){ "", "Scan", NULL, in,
                                              r->n_states + n_scanned, y, n_y },
                             err));
    MD_TRY(md_node_add_attr(b->g, node, &attr, err));
    MD_TRY(md_node_set_attr_i(b->g, node, "num_scan_inputs", n_scanned, err));
    MD_TRY(md_node_set_attr_is(b->g, node, "scan_input_axes", ones, n_scanned,
                               err));
    if (d->backwards)
        MD_TRY(md_node_set_attr_is(b->g, node, "scan_input_directions", ones,
                                   n_scanned, err));
    if (!r->sequences)
        return MD_OK;
    if (d->in_order)
        MD_TRY(md_node_set_attr_is(b->g, node, "scan_output_directions", ones,
                                   1, err));
    return md_node_set_attr_is(b->g, node, "scan_output_axes", ones, 1, err);
}

static void read(rnn *r, const md_keras_build *b, const md_keras_value *x)
{
    const md_keras_layer *l = b->layer;

    *r =
        (rnn){ .units = md_keras_int(l->config, "units", 0),
               .lstm = strcmp(l->cls, "LSTM") == 0,
               .gru = strcmp(l->cls, "GRU") == 0,
               .after = md_keras_bool(l->config, "reset_after", false),
               .sequences = md_keras_bool(l->config, "return_sequences", false),
               .zero = md_keras_bool(l->config, "zero_output_for_mask", false),
               .masked = x->mask > 0 };
    r->n_given = r->lstm ? 2 : 1;
    r->n_states = r->n_given + r->masked;
}

md_status md_keras_plain_rnn(md_keras_value *out, md_keras_build *b,
                             const md_keras_value *in, uint32_t n_in,
                             const md_keras_direction *d, md_error *err)
{
    vid x[STATES_MAX + 2], y[STATES_MAX + 1];
    md_keras_value v;
    md_graph *body;
    rnn r;

    read(&r, b, in);
    MD_TRY(md_keras_last(&v, b, in, err));
    for (uint32_t i = 0; i < r.n_states; i++) {
        if (n_in > 1 && i < r.n_given)
            x[i] = in[1 + i].id;
        else
            MD_TRY(zeros(&x[i], &r, b, v.id, err));
    }
    x[r.n_states] = v.id;
    x[r.n_states + 1] = r.masked ? v.mask - 1 : MD_VALUE_NONE;
    MD_TRY(make_body(&body, &r, b, v.dim[v.rank - 1], err));
    MD_TRY(scan(y, &r, b, x, d, body, err));
    for (uint32_t i = 0; i <= r.n_given; i++) {
        out[i] = (md_keras_value){ .id = i == 0 ? y[0] : y[i - 1],
                                   .dtype = MD_DTYPE_F32,
                                   .rank = 2,
                                   .dim = { v.dim[0], r.units } };
        if (i > 0 || (!r.sequences && !r.masked))
            continue;
        out[0].id = y[r.sequences ? r.n_states : r.n_given];
        if (!r.sequences)
            continue;
        out[0].rank = 3;
        out[0].dim[1] = v.dim[1];
        out[0].dim[2] = r.units;
        out[0].mask = v.mask;
    }
    return MD_OK;
}
