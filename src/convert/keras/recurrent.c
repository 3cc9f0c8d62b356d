/*
 * Recurrent layers: LSTM, GRU, SimpleRNN, alone or Bidirectional.
 *
 * ONNX's operators count time first and have the matrices transposed, the
 * gates of an LSTM in another order (i o f c for i f c o).  One node does both
 * directions.
 */
#include <string.h>

#include "base/size.h"
#include "convert/keras/layer.h"

/* A class of cells: its gates, and where Keras has each of ONNX's. */
typedef struct cell {
    const char *cls;
    const char *op; /* in ONNX */
    int n_gates;
    int gate[4];
    int n_states;
    int n_activations; /* of a direction */
    const char *usual[3];
} cell;

static const cell cells[] = {
    { "GRU", "GRU", 3, { 0, 1, 2 }, 1, 2, { "Sigmoid", "Tanh" } },
    { "LSTM", "LSTM", 4, { 0, 3, 1, 2 }, 2, 3, { "Sigmoid", "Tanh", "Tanh" } },
    { "SimpleRNN", "RNN", 1, { 0 }, 1, 1, { "Tanh" } },
};

/* ONNX's name of an activation, and its parameters. */
static const struct {
    const char *keras, *onnx;
    int n; /* parameters */
    float alpha, beta;
} functions[] = {
    { "elu", "Elu", 1, 1.0f, 0 },
    { "hard_sigmoid", "HardSigmoid", 2, 1.0f / 6.0f, 0.5f },
    { "leaky_relu", "LeakyRelu", 1, 0.2f, 0 },
    { "linear", "Affine", 2, 1.0f, 0 },
    { "relu", "Relu", 0, 0, 0 },
    { "sigmoid", "Sigmoid", 0, 0, 0 },
    { "softplus", "Softplus", 0, 0, 0 },
    { "softsign", "Softsign", 0, 0, 0 },
    { "tanh", "Tanh", 0, 0, 0 },
};

/* What one node computes: n directions of a cell. */
typedef struct rnn {
    const cell *cell;
    md_keras_layer *dir[2]; /* settings and weights of each */
    int n;
    int64_t n_in, units;
    bool sequences; /* all steps are wanted, not the last only */
    bool states;    /* and the states behind it */
    bool backwards; /* the only direction is that */
    bool reset_after;
    bool zero; /* steps that do not count give zeros */
    bool masked;
    md_keras_packed packed; /* where there is a mask */
} rnn;

/* [batch, time, n] and [time, batch, n]; [time, directions, batch, units] to
 * [batch, time, directions, units]. */
static const int64_t swap_time[] = { 1, 0, 2 };
static const int64_t both_steps[] = { 2, 0, 1, 3 };

static const cell *find_cell(const char *cls)
{
    for (size_t i = 0; i < MD_COUNT(cells); i++) {
        if (strcmp(cells[i].cls, cls) == 0)
            return &cells[i];
    }
    return NULL;
}

/* The settings that both directions have to agree in. */
static bool agree(const rnn *r)
{
    static const char *const key[] = { "units", "use_bias", "reset_after",
                                       "return_sequences", "return_state" };

    if (strcmp(r->dir[0]->cls, r->dir[1]->cls) != 0)
        return false;
    for (size_t i = 0; i < MD_COUNT(key); i++) {
        const json_t *a = json_object_get(r->dir[0]->config, key[i]);
        const json_t *b = json_object_get(r->dir[1]->config, key[i]);

        if (a != b && !json_equal(a, b))
            return false;
    }
    return true;
}

/* Read the settings; `major` because Keras 2's GRU of long ago had no
 * reset_after. */
static md_status read_rnn(rnn *r, const md_keras_build *b,
                          const md_keras_value *x, md_error *err)
{
    const json_t *c = r->dir[0]->config;

    r->cell = find_cell(r->dir[0]->cls);
    r->units = md_keras_int(c, "units", 0);
    r->sequences = md_keras_bool(c, "return_sequences", false);
    r->states = md_keras_bool(c, "return_state", false);
    r->backwards = md_keras_bool(c, "go_backwards", false);
    r->reset_after = md_keras_bool(c, "reset_after", false);
    r->zero = md_keras_bool(c, "zero_output_for_mask", false);
    r->masked = x->mask > 0;
    r->n_in = x->rank == 3 ? x->dim[2] : -1;
    if (!r->cell)
        return md_keras_fail(b, err, MD_UNSUPPORTED, "cells of class %s",
                             r->dir[0]->cls);
    if (x->rank != 3 || r->n_in < 1 || r->units < 1)
        return md_keras_fail(b, err, MD_CORRUPT,
                             "%lld units on %lld features of a tensor of rank "
                             "%d, rank 3 expected",
                             (long long)r->units, (long long)r->n_in, x->rank);
    if (r->n == 2 && (!agree(r) || r->backwards))
        return md_keras_fail(b, err, MD_UNSUPPORTED,
                             "directions that differ in more than weights");
    return MD_OK;
}

/*
 * One of ONNX's matrices [n, gates * units, m] out of the kernels [m, gates *
 * units] that are weight `index` of each direction.
 */
static md_status matrix(md_value_id *out, md_keras_build *b, const rnn *r,
                        uint32_t index, const char *stem, md_error *err)
{
    const int64_t u = r->units, rows = r->cell->n_gates * u;
    const int64_t m = index == 0 ? r->n_in : u;
    const md_shape shape = { 3, { r->n, rows, m } };
    md_keras_layer *given = b->layer;
    md_tensor t = MD_TENSOR_INIT;
    md_status s = MD_OK;
    float *to;

    if (md_keras_made(out, b, index))
        return MD_OK;
    MD_TRY(md_tensor_alloc(&t, MD_DTYPE_F32, &shape, b->model->alloc, err));
    to = t.data;
    for (int d = 0; s == MD_OK && d < r->n; d++) {
        const md_tensor *w;

        b->layer = r->dir[d];
        s = md_keras_weight(&w, b, index, 2, (int64_t[]){ m, rows }, err);
        b->layer = given;
        for (int64_t i = 0; s == MD_OK && i < rows; i++) {
            const int64_t column = r->cell->gate[i / u] * u + i % u;

            for (int64_t k = 0; k < m; k++)
                *to++ = (float)md_tensor_get_f64(w, k * rows + column);
        }
    }
    if (s == MD_OK)
        return md_keras_make(out, b, index, stem, t, err);
    md_tensor_release(&t);
    return s;
}

/* [n, 2 * gates * units]: Keras has one bias per gate, and the GRU whose reset
 * comes after the product two. */
static md_status bias(md_value_id *out, md_keras_build *b, const rnn *r,
                      md_error *err)
{
    const int64_t u = r->units, rows = r->cell->n_gates * u;
    const bool two = r->reset_after && strcmp(r->cell->cls, "GRU") == 0;
    const md_shape shape = { 2, { r->n, 2 * rows } };
    md_keras_layer *given = b->layer;
    md_tensor t = MD_TENSOR_INIT;
    md_status s = MD_OK;
    float *to;

    if (md_keras_made(out, b, 2))
        return MD_OK;
    MD_TRY(md_tensor_alloc(&t, MD_DTYPE_F32, &shape, b->model->alloc, err));
    to = t.data;
    for (int d = 0; s == MD_OK && d < r->n; d++) {
        const md_tensor *w;

        b->layer = r->dir[d];
        s = md_keras_weight(&w, b, 2, two ? 2 : 1,
                            two ? (int64_t[]){ 2, rows } : &rows, err);
        b->layer = given;
        for (int64_t i = 0; s == MD_OK && i < 2 * rows; i++) {
            const int64_t at = r->cell->gate[i % rows / u] * u + i % u;
            const int64_t row = i / rows * rows;

            *to++ = row > 0 && !two ? 0 : (float)md_tensor_get_f64(w, row + at);
        }
    }
    if (s == MD_OK)
        return md_keras_make(out, b, 2, "bias", t, err);
    md_tensor_release(&t);
    return s;
}

/* Activations of the directions as ONNX's names and parameters, in its order:
 * recurrent ones before the others. */
typedef struct acts {
    md_str name[6];
    float alpha[6], beta[6];
    uint32_t n, n_alpha, n_beta;
    bool usual; /* ONNX's defaults */
} acts;

static md_status add_act(acts *a, const md_keras_build *b, const char *name,
                         const char *usual, md_error *err)
{
    for (size_t i = 0; name && i < MD_COUNT(functions); i++) {
        float alpha = functions[i].alpha;

        if (strcmp(functions[i].keras, name) != 0)
            continue;
        if (strcmp(name, "hard_sigmoid") == 0 && b->major < 3)
            alpha = 0.2f;
        if (functions[i].n > 0)
            a->alpha[a->n_alpha++] = alpha;
        if (functions[i].n > 1)
            a->beta[a->n_beta++] = functions[i].beta;
        a->usual = a->usual && strcmp(functions[i].onnx, usual) == 0;
        a->name[a->n++] =
            (md_str){ functions[i].onnx, strlen(functions[i].onnx) };
        return MD_OK;
    }
    return md_keras_fail(b, err, MD_UNSUPPORTED,
                         "activation '%s' within a recurrent layer",
                         name ? name : "of a class");
}

static md_status read_acts(acts *a, const md_keras_build *b, const rnn *r,
                           md_error *err)
{
    *a = (acts){ .usual = true };
    for (int d = 0; d < r->n; d++) {
        const json_t *c = r->dir[d]->config;
        const json_t *gates = json_object_get(c, "recurrent_activation");

        for (int i = 0; i < r->cell->n_activations; i++) {
            bool gate = i == 0 && r->cell->n_activations > 1;

            MD_TRY(add_act(a, b,
                           gate ? md_keras_function_name(gates)
                                : md_keras_activation(c),
                           r->cell->usual[i], err));
        }
    }
    return MD_OK;
}

static md_status set_floats(md_keras_build *b, md_node *node, const char *name,
                            const float *v, uint32_t n, md_error *err)
{
    md_attr a = { .name = name, .type = MD_ATTR_FLOATS, .n = n };
    float *copy = md_arena_calloc(&b->model->arena, n + 1u, sizeof(*copy));

    if (n == 0)
        return MD_OK;
    if (!copy)
        return md_fail_nomem(err, n * sizeof(*copy));
    memcpy(copy, v, n * sizeof(*copy));
    a.v.fs = copy;
    return md_node_add_attr(b->g, node, &a, err);
}

static md_status set_acts(md_keras_build *b, md_node *node, const acts *a,
                          md_error *err)
{
    md_attr attr = { .name = "activations",
                     .type = MD_ATTR_STRINGS,
                     .n = a->n };
    md_str *copy;

    if (a->usual)
        return MD_OK;
    copy = md_arena_calloc(&b->model->arena, a->n, sizeof(*copy));
    if (!copy)
        return md_fail_nomem(err, a->n * sizeof(*copy));
    memcpy(copy, a->name, a->n * sizeof(*copy)); /* the texts are static */
    attr.v.ss = copy;
    MD_TRY(md_node_add_attr(b->g, node, &attr, err));
    MD_TRY(set_floats(b, node, "activation_alpha", a->alpha, a->n_alpha, err));
    return set_floats(b, node, "activation_beta", a->beta, a->n_beta, err);
}

/* State k of all directions as [n, batch, units]; they come as Keras has them,
 * all of the first direction before those of the second. */
static md_status initial(md_value_id *out, md_keras_build *b, const rnn *r,
                         const md_keras_value *in, int k, md_error *err)
{
    md_value_id id[2] = { MD_VALUE_NONE, MD_VALUE_NONE };
    md_node *node;

    for (int d = 0; d < r->n; d++) {
        const md_keras_value *v = &in[d * r->cell->n_states + k];

        if (v->rank != 2 || v->dim[1] != r->units)
            return md_keras_fail(b, err, MD_CORRUPT,
                                 "initial state of rank %d and size %lld, 2 "
                                 "and %lld expected",
                                 v->rank, (long long)v->dim[v->rank - 1],
                                 (long long)r->units);
        MD_TRY(md_keras_squeeze(&id[d], b, "Unsqueeze", v->id, 0, err));
    }
    *out = id[0];
    if (r->n == 1)
        return MD_OK;
    MD_TRY(md_keras_op(out, b, "Concat", id, 2, &node, err));
    return md_node_set_attr_i(b->g, node, "axis", 0, err);
}

/* The steps of both directions, where x is these side by side; else
 * MD_VALUE_NONE. */
static md_value_id both_of(const md_keras_build *b, md_value_id x)
{
    const md_node *n = md_graph_value(b->g, x)->def;
    md_value_id steps;

    if (!n || strcmp(n->op, "Reshape") != 0)
        return MD_VALUE_NONE;
    steps = md_keras_turned(b, n->in[0], both_steps, 4);
    if (steps == MD_VALUE_NONE)
        return steps;
    n = md_graph_value(b->g, steps)->def;
    for (size_t i = 0; n && i < MD_COUNT(cells); i++) {
        if (strcmp(cells[i].op, n->op) == 0)
            return steps;
    }
    return MD_VALUE_NONE;
}

/* [time, batch, n] of x [batch, time, n]: as it was where a recurrent layer
 * made x of it, whose Transpose then has no use. */
static md_status time_first(md_value_id *out, md_keras_build *b, md_value_id x,
                            md_error *err)
{
    static const int64_t beside[] = { 0, 2, 1, 3 };
    static const int64_t dim[] = { 0, 0, -1 };
    const md_value_id both = both_of(b, x);

    *out = md_keras_turned(b, x, swap_time, 3);
    if (*out != MD_VALUE_NONE)
        return MD_OK;
    if (both == MD_VALUE_NONE)
        return md_keras_transpose(out, b, x, swap_time, 3, err);
    MD_TRY(md_keras_transpose(out, b, both, beside, 4, err));
    return md_keras_reshape(out, b, *out, dim, 3, err);
}

/* The node's inputs; those that are left out at the end are not counted. */
static md_status inputs(md_value_id x[7], uint32_t *n_x, md_keras_build *b,
                        rnn *r, const md_keras_value *in, uint32_t n_in,
                        md_error *err)
{
    md_keras_value v;

    for (int i = 3; i < 7; i++)
        x[i] = MD_VALUE_NONE;
    MD_TRY(md_keras_last(&v, b, in, err));
    if (r->masked)
        MD_TRY(md_keras_mask_pack(&r->packed, b, &v, err));
    MD_TRY(time_first(&x[0], b, r->masked ? r->packed.x : v.id, err));
    MD_TRY(matrix(&x[1], b, r, 0, "kernel", err));
    MD_TRY(matrix(&x[2], b, r, 1, "recurrent_kernel", err));
    *n_x = 3;
    if (md_keras_bool(r->dir[0]->config, "use_bias", true)) {
        MD_TRY(bias(&x[3], b, r, err));
        *n_x = 4;
    }
    if (r->masked) {
        x[4] = r->packed.length;
        *n_x = 5;
    }
    for (int k = 0; n_in > 1 && k < r->cell->n_states; k++) {
        MD_TRY(initial(&x[5 + k], b, r, in + 1, k, err));
        *n_x = 6 + (uint32_t)k;
    }
    return MD_OK;
}

static md_status set_attributes(md_keras_build *b, md_node *node, const rnn *r,
                                md_error *err)
{
    acts a;

    MD_TRY(read_acts(&a, b, r, err));
    MD_TRY(md_node_set_attr_i(b->g, node, "hidden_size", r->units, err));
    if (r->n == 2 || r->backwards)
        MD_TRY(md_node_set_attr_s(b->g, node, "direction",
                                  r->n == 2 ? "bidirectional" : "reverse",
                                  err));
    if (r->reset_after && strcmp(r->cell->cls, "GRU") == 0)
        MD_TRY(md_node_set_attr_i(b->g, node, "linear_before_reset", 1, err));
    return set_acts(b, node, &a, err);
}

/* The node; y[0] is all steps [time, n, batch, units], then the states
 * [n, batch, units]. */
static md_status emit_node(md_value_id y[3], md_keras_build *b, rnn *r,
                           const md_keras_value *in, uint32_t n_in,
                           md_error *err)
{
    const uint32_t n_y = 1 + (uint32_t)r->cell->n_states;
    md_value_id x[7];
    uint32_t n_x = 0;
    md_node *node;

    MD_TRY(inputs(x, &n_x, b, r, in, n_in, err));
    for (uint32_t i = 0; i < n_y; i++) {
        MD_TRY(md_graph_add_value(&y[i], b->g, NULL, err));
        MD_TRY(md_keras_stem(b, y[i], i == 0 ? "steps" : "state", err));
    }
    MD_TRY(md_graph_add_node(
        &node, b->g, &(md_node_spec){ "", r->cell->op, NULL, x, n_x, y, n_y },
        err));
    return set_attributes(b, node, r, err);
}

/* Direction d of [n, batch, units], or of the steps, as a value of its own. */
static md_status direction(md_value_id *out, md_keras_build *b, md_value_id y,
                           int64_t axis, int d, const rnn *r, md_error *err)
{
    const int64_t at = d;
    md_value_id in[2] = { y };
    md_node *node;

    if (r->n == 1)
        return md_keras_squeeze(out, b, "Squeeze", y, axis, err);
    MD_TRY(md_keras_const_ints(&in[1], b, "direction", &at, 1, err));
    MD_TRY(md_keras_op(out, b, "Gather", in, 2, &node, err));
    MD_TRY(md_node_set_attr_i(b->g, node, "axis", axis, err));
    return md_keras_squeeze(out, b, "Squeeze", *out, axis, err);
}

/* Steps in the order in which they were made. */
static md_status reverse(md_value_id *x, md_keras_build *b, int64_t axis,
                         md_error *err)
{
    static const int64_t from = -1, to = INT64_MIN, step = -1;
    const int64_t *const v[] = { &from, &to, &axis, &step };
    md_value_id in[5] = { *x };

    for (int i = 0; i < 4; i++)
        MD_TRY(md_keras_const_ints(&in[i + 1], b, "slice", v[i], 1, err));
    return md_keras_op(x, b, "Slice", in, 5, NULL, err);
}

/* The last result at step `at` is zero where that does not count. */
static md_status zero_last(md_value_id *out, md_keras_build *b, const rnn *r,
                           int64_t at, md_error *err)
{
    static const float none;
    md_value_id in[3] = { r->packed.mask };
    md_node *node;

    MD_TRY(md_keras_const_ints(&in[1], b, "step", &at, 1, err));
    MD_TRY(md_keras_op(&in[0], b, "Gather", in, 2, &node, err));
    MD_TRY(md_node_set_attr_i(b->g, node, "axis", 1, err));
    in[1] = *out;
    MD_TRY(md_keras_const_floats(&in[2], b, "zero", &none, NULL, err));
    return md_keras_op(out, b, "Where", in, 3, NULL, err);
}

/* The result of one direction: [batch, time, units] or [batch, units]. */
static md_status result(md_value_id *out, md_keras_build *b, const rnn *r,
                        const md_value_id y[3], int d, md_error *err)
{
    const bool backwards = r->backwards || d == 1;
    const bool turn = r->n == 1 && r->backwards;

    if (!r->sequences) {
        MD_TRY(direction(out, b, y[1], 0, d, r, err));
        return r->masked && r->zero
                   ? zero_last(out, b, r, backwards ? 0 : -1, err)
                   : MD_OK;
    }
    MD_TRY(direction(out, b, y[0], 1, d, r, err));
    if (turn && !r->masked)
        MD_TRY(reverse(out, b, 0, err));
    MD_TRY(md_keras_transpose(out, b, *out, swap_time, 3, err));
    if (!r->masked)
        return MD_OK;
    MD_TRY(md_keras_mask_unpack(out, b, &r->packed, backwards, r->zero, err));
    return turn ? reverse(out, b, 1, err) : MD_OK;
}

static void describe(md_keras_value *out, const rnn *r, const md_keras_value *x,
                     md_value_id id, int64_t n)
{
    *out = (md_keras_value){ .id = id,
                             .dtype = MD_DTYPE_F32,
                             .rank = r->sequences ? 3 : 2,
                             .dim = { x->dim[0], x->dim[1] } };
    out->dim[out->rank - 1] = n;
    out->mask = r->sequences ? x->mask : 0;
}

/* The states of all directions, after the result. */
static md_status states(md_keras_value *out, md_keras_build *b, const rnn *r,
                        const md_keras_value *x, const md_value_id y[3],
                        md_error *err)
{
    rnn last = *r;

    last.sequences = false;
    for (int d = 0; r->states && d < r->n; d++) {
        for (int k = 0; k < r->cell->n_states; k++, out++) {
            md_value_id id;

            MD_TRY(direction(&id, b, y[1 + k], 0, d, r, err));
            describe(out, &last, x, id, r->units);
        }
    }
    return MD_OK;
}

static md_status check_states(const md_keras_build *b, const rnn *r,
                              uint32_t n_in, md_error *err)
{
    const uint32_t n = (uint32_t)(r->n * r->cell->n_states);

    if (n_in == 1 || n_in == 1 + n)
        return MD_OK;
    return md_keras_fail(b, err, MD_CORRUPT,
                         "called with %u initial states, %u expected", n_in - 1,
                         n);
}

md_status md_keras_emit_recurrent(md_keras_build *b, const md_keras_value *in,
                                  uint32_t n_in, md_keras_value *out,
                                  md_error *err)
{
    rnn r = { .dir = { b->layer }, .n = 1 };
    md_keras_value plain[3];
    md_value_id y[3], id;

    MD_TRY(read_rnn(&r, b, in, err));
    MD_TRY(check_states(b, &r, n_in, err));
    if (b->plain) {
        MD_TRY(md_keras_plain_rnn(
            plain, b, in, n_in,
            &(md_keras_direction){ .backwards = r.backwards }, err));
        memcpy(out, plain, b->layer->n_out * sizeof(*out));
        return MD_OK;
    }
    MD_TRY(emit_node(y, b, &r, in, n_in, err));
    MD_TRY(result(&id, b, &r, y, 0, err));
    describe(out, &r, in, id, r.units);
    return states(out + 1, b, &r, in, y, err);
}

/* Both directions side by side in one value: nothing has to be moved but the
 * axes. */
static md_status side_by_side(md_value_id *out, md_keras_build *b, const rnn *r,
                              const md_value_id y[3], md_error *err)
{
    static const int64_t last[] = { 1, 0, 2 };
    const int64_t dim[] = { 0, 0, 2 * r->units };

    if (r->sequences) {
        MD_TRY(md_keras_transpose(out, b, y[0], both_steps, 4, err));
        return md_keras_reshape(out, b, *out, dim, 3, err);
    }
    MD_TRY(md_keras_transpose(out, b, y[1], last, 3, err));
    return md_keras_reshape(out, b, *out, dim + 1, 2, err);
}

/* Results of the directions as one. */
static md_status merge(md_value_id *out, md_keras_build *b, const char *mode,
                       const md_value_id pair[2], int axis, md_error *err)
{
    static const struct {
        const char *mode, *op;
    } ops[] = { { "ave", "Mean" }, { "mul", "Mul" }, { "sum", "Add" } };
    md_node *node;

    if (strcmp(mode, "concat") == 0) {
        MD_TRY(md_keras_op(out, b, "Concat", pair, 2, &node, err));
        return md_node_set_attr_i(b->g, node, "axis", axis, err);
    }
    for (size_t i = 0; i < MD_COUNT(ops); i++) {
        if (strcmp(ops[i].mode, mode) == 0)
            return md_keras_op(out, b, ops[i].op, pair, 2, NULL, err);
    }
    return md_keras_refuse(b, err, "merge_mode");
}

/* The same of images. */
static md_status both_conv_lstm(md_keras_build *b, const md_keras_value *in,
                                uint32_t n_in, const char *mode,
                                md_keras_value *out, md_error *err)
{
    md_keras_value y[2];
    int last;

    MD_TRY(md_keras_conv_lstm_both(y, b, in, n_in, err));
    out[0] = y[0];
    if (!mode) {
        out[1] = y[1];
        return MD_OK;
    }
    last = out->rank - 1;
    if (strcmp(mode, "concat") == 0)
        out->dim[last] = y[0].dim[last] + y[1].dim[last];
    return merge(&out->id, b, mode, (md_value_id[]){ y[0].id, y[1].id },
                 md_keras_axis(out, last), err);
}

/* The same of two layers, each by itself (plain). */
static md_status plain_both(md_keras_build *b, const rnn *r,
                            const md_keras_value *in, uint32_t n_in,
                            const char *mode, md_keras_value *out,
                            md_error *err)
{
    const uint32_t n = (uint32_t)r->cell->n_states;
    md_keras_layer *l = b->layer;
    md_keras_value y[2][3], x[3] = { *in };

    for (uint32_t d = 0; d < 2; d++) {
        md_status s;

        for (uint32_t k = 0; n_in > 1 && k < n; k++)
            x[1 + k] = in[1 + d * n + k];
        b->layer = r->dir[d];
        s = md_keras_plain_rnn(y[d], b, x, n_in > 1 ? 1 + n : 1,
                               &(md_keras_direction){ d == 1, d == 1 }, err);
        b->layer = l;
        if (s != MD_OK)
            return s;
    }
    *out = y[0][0];
    if (!mode)
        *++out = y[1][0];
    else
        MD_TRY(merge(&out->id, b, mode,
                     (md_value_id[]){ y[0][0].id, y[1][0].id }, -1, err));
    if (mode && strcmp(mode, "concat") == 0)
        out->dim[out->rank - 1] *= 2;
    for (uint32_t d = 0; r->states && d < 2; d++) {
        for (uint32_t k = 0; k < n; k++)
            *++out = y[d][1 + k];
    }
    return MD_OK;
}

md_status md_keras_emit_bidirectional(md_keras_build *b,
                                      const md_keras_value *in, uint32_t n_in,
                                      md_keras_value *out, md_error *err)
{
    const md_keras_layer *l = b->layer;
    const json_t *v = json_object_get(l->config, "merge_mode");
    const char *mode = v ? json_string_value(v) : "concat";
    rnn r = { .dir = { &l->inner[0], &l->inner[1] }, .n = 2 };
    md_value_id y[3], id[2];

    if (l->inner[0].row->emit == md_keras_emit_conv_lstm)
        return both_conv_lstm(b, in, n_in, mode, out, err);
    MD_TRY(read_rnn(&r, b, in, err));
    MD_TRY(check_states(b, &r, n_in, err));
    if (b->plain)
        return plain_both(b, &r, in, n_in, mode, out, err);
    MD_TRY(emit_node(y, b, &r, in, n_in, err));
    if (mode && strcmp(mode, "concat") == 0 && !r.masked) {
        MD_TRY(side_by_side(&id[0], b, &r, y, err));
        describe(out++, &r, in, id[0], 2 * r.units);
        return states(out, b, &r, in, y, err);
    }
    for (int d = 0; d < 2; d++)
        MD_TRY(result(&id[d], b, &r, y, d, err));
    if (mode)
        MD_TRY(merge(&id[0], b, mode, id, -1, err));
    for (int d = 0; d < (mode ? 1 : 2); d++)
        describe(out++, &r, in, id[d],
                 mode && strcmp(mode, "concat") == 0 ? 2 * r.units : r.units);
    return states(out, b, &r, in, y, err);
}

/*
 * A layer on each step: steps are samples to it, [batch * time, ...].  Which
 * of the two sizes is free is told by the input where both are.
 */
md_status md_keras_fold_time(md_keras_value *x, md_keras_build *b,
                             md_error *err)
{
    int64_t dim[MD_RANK_MAX] = { -1 };

    for (int i = 2; i < x->rank; i++) {
        dim[i - 1] = x->dim[i];
        x->dim[i - 1] = x->dim[i];
        if (x->dim[i] < 0)
            return md_keras_fail(b, err, MD_UNSUPPORTED,
                                 "steps whose axis %d is free", i);
    }
    x->dim[0] = -1;
    x->rank--;
    return md_keras_reshape(&x->id, b, x->id, dim, (uint32_t)x->rank, err);
}

/* The shape behind `steps` of a result [batch * time, rest...]. */
static md_status unfold_shape(md_value_id *out, md_keras_build *b,
                              md_value_id steps, const md_keras_value *y,
                              md_error *err)
{
    md_value_id in[2];
    md_node *node;

    MD_TRY(md_keras_op(&in[0], b, "Shape", &steps, 1, &node, err));
    MD_TRY(md_node_set_attr_i(b->g, node, "end", 2, err));
    if (y->rank == 1) {
        *out = in[0];
        return MD_OK;
    }
    MD_TRY(md_keras_const_ints(&in[1], b, "rest", y->dim + 1,
                               (uint32_t)y->rank - 1, err));
    MD_TRY(md_keras_op(out, b, "Concat", in, 2, &node, err));
    return md_node_set_attr_i(b->g, node, "axis", 0, err);
}

md_status md_keras_unfold_time(md_keras_value *y, md_keras_build *b,
                               const md_keras_value *x, md_error *err)
{
    int64_t dim[MD_RANK_MAX] = { -1, x->dim[1] };
    md_value_id in[2] = { y->id };

    if (y->rank + 1 > MD_RANK_MAX)
        return md_keras_fail(b, err, MD_UNSUPPORTED, "results of rank %d",
                             y->rank);
    for (int i = 1; i < y->rank; i++) {
        dim[i + 1] = y->dim[i];
        if (y->dim[i] < 0)
            return md_keras_fail(b, err, MD_UNSUPPORTED,
                                 "results whose axis %d is free", i);
    }
    if (x->dim[1] >= 0) {
        MD_TRY(md_keras_reshape(&y->id, b, y->id, dim, (uint32_t)y->rank + 1,
                                err));
    } else {
        MD_TRY(unfold_shape(&in[1], b, x->id, y, err));
        MD_TRY(md_keras_op(&y->id, b, "Reshape", in, 2, NULL, err));
    }
    memcpy(y->dim, dim, sizeof(dim));
    y->dim[0] = x->dim[0];
    y->rank++;
    return MD_OK;
}

/* Of these, all steps at once are the same. */
static bool is_by_step(const md_keras_layer *l)
{
    return l->row && (l->row->emit == md_keras_emit_dense ||
                      l->row->emit == md_keras_emit_activation ||
                      l->row->emit == md_keras_emit_identity);
}

md_status md_keras_emit_time_distributed(md_keras_build *b,
                                         const md_keras_value *in,
                                         uint32_t n_in, md_keras_value *out,
                                         md_error *err)
{
    md_keras_layer *given = b->layer, *inner = &given->inner[0];
    md_keras_value x, folded, y;
    md_status s;

    (void)n_in;
    if (in->rank < 3)
        return md_keras_fail(b, err, MD_CORRUPT,
                             "input of rank %d, 3 or more expected", in->rank);
    MD_TRY(md_keras_last(&x, b, in, err));
    folded = x;
    folded.mask = 0;
    if (!is_by_step(inner))
        MD_TRY(md_keras_fold_time(&folded, b, err));
    if ((inner->net && inner->net->n_outputs != 1) ||
        (!inner->net && inner->n_out != 1))
        return md_keras_fail(b, err, MD_UNSUPPORTED,
                             "a layer of several results");
    s = md_keras_call_layer(b, inner, &folded, 1, &y, err);
    b->layer = given;
    if (s != MD_OK)
        return s;
    MD_TRY(md_keras_last(out, b, &y, err));
    if (!is_by_step(inner))
        MD_TRY(md_keras_unfold_time(out, b, &x, err));
    out->mask = in->mask;
    return MD_OK;
}
