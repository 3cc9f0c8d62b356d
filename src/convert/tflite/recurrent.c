/*
 * Recurrent operators.  LSTM gates are i, f, c, o in the file and i, o, f, c in
 * ONNX; the file's weights are one tensor each.
 *
 * State that a sequence operator keeps in a variable begins at zero, which is
 * what a fresh interpreter has.
 */
#include <string.h>

#include "base/size.h"
#include "convert/tflite/build.h"

/* Where the inputs of one direction are. */
typedef struct gates {
    uint32_t w, r, p, b; /* first of 4, 4, 3, 4 */
    uint32_t h, c;       /* states */
    uint32_t project;    /* weights, then a bias */
    uint32_t norm;       /* first of 4; 0: none */
} gates;

static const int onnx_order[] = { 0, 3, 1, 2 }; /* i, o, f, c */

static bool has(const md_tfl_build *b, uint32_t i)
{
    return md_tfl_in(b, i) != NULL;
}

static md_value_id concat(md_tfl_build *b, const md_value_id *in, uint32_t n,
                          int64_t axis)
{
    return n == 1 ? in[0]
                  : md_emit_op(&b->e, "Concat", in, n,
                               EMIT_ATTRS(EMIT_I("axis", axis)));
}

static md_value_id zeros(md_tfl_build *b, int64_t n)
{
    md_shape shape = { 1, { n } };
    md_tensor t = MD_TENSOR_INIT;

    if (b->e.status != MD_OK ||
        !md_emit_ok(&b->e, md_tensor_alloc(&t, MD_DTYPE_F32, &shape,
                                           b->e.model->alloc, b->e.err)))
        return MD_VALUE_NONE;
    return md_emit_const(&b->e, t);
}

/* Four gates' tensors from `first` on, in ONNX's order, along axis 0.  Without
 * an input gate (CIFG) it is one minus the forget gate: sigmoid(-x). */
static md_value_id four(md_tfl_build *b, uint32_t first)
{
    md_value_id in[4];

    for (int i = 0; i < 4; i++) {
        uint32_t at = first + (uint32_t)onnx_order[i];

        if (onnx_order[i] == 0 && !has(b, at))
            in[i] = md_emit_op1(&b->e, "Neg", md_tfl_x(b, first + 1));
        else
            in[i] = md_tfl_x(b, at);
    }
    return concat(b, in, 4, 0);
}

/* A state as [1, batch, n]; nothing for one that begins at zero. */
static md_value_id state(md_tfl_build *b, uint32_t i)
{
    md_tfl_value *v = md_tfl_in(b, i);

    if (!v || (v->t->is_variable && !md_tfl_is_const(b, v) &&
               v->real[0] == MD_VALUE_NONE && v->code[0] == MD_VALUE_NONE))
        return MD_VALUE_NONE;
    return md_emit_unsqueeze(&b->e, md_tfl_real(b, v, MD_TFL_LAST), 0);
}

/* Inputs 1 to 7 of ONNX's LSTM for one direction. */
static bool lstm_inputs(md_tfl_build *b, md_value_id in[8], const gates *g)
{
    int64_t n =
        has(b, g->r + 1) ? md_tfl_size(b, md_tfl_in(b, g->r + 1), 0) : -1;

    if (has(b, g->project) || (g->norm && has(b, g->norm + 1)))
        md_emit_fail(&b->e, MD_UNSUPPORTED, "%s",
                     has(b, g->project) ? "a projection"
                                        : "layer normalization");
    if (n < 1)
        md_emit_fail(&b->e, MD_CORRUPT, "no recurrent weights");
    if (b->e.status != MD_OK)
        return false;
    in[1] = md_emit_unsqueeze(&b->e, four(b, g->w), 0);
    in[2] = md_emit_unsqueeze(&b->e, four(b, g->r), 0);
    in[3] = concat(b, (md_value_id[]){ four(b, g->b), zeros(b, 4 * n) }, 2, 0);
    in[3] = md_emit_unsqueeze(&b->e, in[3], 0);
    in[4] = MD_VALUE_NONE;
    in[5] = state(b, g->h);
    in[6] = state(b, g->c);
    in[7] = MD_VALUE_NONE;
    if (has(b, g->p + 1)) { /* i, f, o to i, o, f */
        md_value_id p[3] = { has(b, g->p) ? md_tfl_x(b, g->p)
                                          : md_emit_op1(&b->e, "Neg",
                                                        md_tfl_x(b, g->p + 1)),
                             md_tfl_x(b, g->p + 2), md_tfl_x(b, g->p + 1) };

        in[7] = md_emit_unsqueeze(&b->e, concat(b, p, 3, 0), 0);
    }
    return b->e.status == MD_OK;
}

/* [batch, time, n] and [time, batch, n] into each other. */
static md_value_id swap_time(md_tfl_build *b, md_value_id x)
{
    const md_type *t = md_emit_type(&b->e, x);

    /* One sequence needs no turning. */
    if (t->has_rank && t->rank == 3 && md_dim_is_const(t->dim[0]) &&
        md_dim_is_const(t->dim[1]) && (t->dim[0].k == 1 || t->dim[1].k == 1)) {
        int64_t dim[] = { t->dim[1].k, t->dim[0].k, 0 };

        return md_emit_reshape(&b->e, x, dim, 3);
    }
    return md_emit_transpose(&b->e, x, (const int64_t[]){ 1, 0, 2 }, 3);
}

static uint32_t trim(const md_value_id *in, uint32_t n)
{
    while (n > 0 && in[n - 1] == MD_VALUE_NONE)
        n--;
    return n;
}

static const char *activation(md_tfl_build *b, int act)
{
    static const char *const name[] = { "Affine", "Relu", NULL, NULL, "Tanh" };

    if (act >= 0 && act < (int)MD_COUNT(name) && name[act])
        return name[act];
    md_emit_fail(&b->e, MD_UNSUPPORTED, "activation %d", act);
    return "Tanh";
}

/* ONNX's LSTM clips what goes into the gates, the file the cell: the same only
 * while no cell gets that far, which takes more steps than the limit. */
static void check_clip(md_tfl_build *b, float clip, md_value_id x)
{
    const md_type *t = md_emit_type(&b->e, x);

    if (clip > 0 &&
        (!md_dim_is_const(t->dim[0]) || (double)t->dim[0].k > (double)clip))
        b->note = "cells of an LSTM are not clipped";
}

static void no_projection_clip(md_tfl_build *b, float clip)
{
    if (clip > 0)
        md_emit_fail(&b->e, MD_UNSUPPORTED, "a clipped projection");
}

/* x [time, batch, n] through one LSTM: [time, batch, hidden]. */
static md_value_id lstm(md_tfl_build *b, md_value_id x, const gates *g, int act,
                        bool reverse)
{
    md_value_id in[8] = { x };
    const char *f = activation(b, act);
    md_value_id y;
    int64_t n;

    if (strcmp(f, "Tanh") != 0) {
        md_emit_fail(&b->e, MD_UNSUPPORTED, "activation %d", act);
        return MD_VALUE_NONE;
    }
    if (!lstm_inputs(b, in, g))
        return MD_VALUE_NONE;
    n = md_tfl_size(b, md_tfl_in(b, g->r + 1), 0);
    y = md_emit_op(
        &b->e, "LSTM", in, trim(in, 8),
        EMIT_ATTRS(EMIT_I("hidden_size", n),
                   EMIT_S("direction", reverse ? "reverse" : "forward")));
    return md_emit_squeeze(&b->e, y, 1);
}

/* activation 0, cell_clip 1, proj_clip 2, time_major 3 */
void md_tfl_emit_sequence_lstm(md_tfl_build *b)
{
    static const gates g = { 1, 5, 9, 12, 18, 19, 16, 20 };
    const md_fb_table *o = &b->op->options;
    bool time_major = md_fb_bool(o, 3, false);
    md_value_id x = md_tfl_x(b, 0);

    no_projection_clip(b, md_fb_f32(o, 2, 0));
    if (!time_major)
        x = swap_time(b, x);
    check_clip(b, md_fb_f32(o, 1, 0), x);
    x = lstm(b, x, &g, md_fb_i8(o, 0, 0), false);
    md_tfl_set(b, 0, time_major ? x : swap_time(b, x), MD_TFL_LAST);
}

/* activation 0, cell_clip 1, proj_clip 2, merge_outputs 3, time_major 4 */
void md_tfl_emit_bidirectional_lstm(md_tfl_build *b)
{
    static const gates g[] = { { 1, 5, 9, 12, 35, 36, 16, 0 },
                               { 18, 22, 26, 29, 37, 38, 33, 0 } };
    const md_fb_table *o = &b->op->options;
    bool time_major = md_fb_bool(o, 4, true);
    md_value_id x = md_tfl_x(b, 0);
    md_value_id y[2];

    no_projection_clip(b, md_fb_f32(o, 2, 0));
    if (has(b, 39))
        md_emit_fail(&b->e, MD_UNSUPPORTED, "auxiliary inputs");
    if (!time_major)
        x = swap_time(b, x);
    check_clip(b, md_fb_f32(o, 1, 0), x);
    for (int i = 0; i < 2; i++) {
        y[i] = lstm(b, x, &g[i], md_fb_i8(o, 0, 0), i == 1);
        if (!time_major)
            y[i] = swap_time(b, y[i]);
    }
    if (md_fb_bool(o, 3, false)) {
        md_tfl_set(b, 0, concat(b, y, 2, 2), MD_TFL_LAST);
        return;
    }
    md_tfl_set(b, 0, y[0], MD_TFL_LAST);
    md_tfl_set(b, 1, y[1], MD_TFL_LAST);
}

/* One step of the basic LSTM: x, output, weights [4n, in + n], bias, cell; its
 * gates are i, c, f, o. */
static void basic_lstm(md_tfl_build *b)
{
    md_value_id all =
        concat(b, (md_value_id[]){ md_tfl_x(b, 0), md_tfl_x(b, 1) }, 2, 1);
    md_value_id in[] = { all, md_tfl_x(b, 2), md_tfl_bias(b, md_tfl_in(b, 3)) };
    md_value_id gate[4];
    md_value_id cell;

    all = md_emit_op(&b->e, "Gemm", in, 3, EMIT_ATTRS(EMIT_I("transB", 1)));
    md_emit_op_n(&b->e, gate, 4, "Split", &all, 1,
                 EMIT_ATTRS(EMIT_I("axis", 1), EMIT_I("num_outputs", 4)));
    for (int i = 0; i < 4; i++)
        gate[i] = md_emit_op1(&b->e, i == 1 ? "Tanh" : "Sigmoid", gate[i]);
    cell =
        md_emit_op2(&b->e, "Add", md_emit_op2(&b->e, "Mul", gate[0], gate[1]),
                    md_emit_op2(&b->e, "Mul", gate[2], md_tfl_x(b, 4)));
    md_tfl_set(
        b, 0,
        md_emit_op2(&b->e, "Mul", gate[3], md_emit_op1(&b->e, "Tanh", cell)),
        MD_TFL_LAST);
    md_tfl_set(b, 1, cell, MD_TFL_LAST);
}

/* activation 0, cell_clip 1, proj_clip 2, kernel_type 3 (1: basic) */
void md_tfl_emit_lstm(md_tfl_build *b)
{
    static const gates g = { 1, 5, 9, 12, 18, 19, 16, 20 };
    const md_fb_table *o = &b->op->options;
    md_value_id x;

    if (md_fb_i8(o, 3, 0) == 1) {
        basic_lstm(b);
        return;
    }
    if (b->op->n_in < 20) {
        md_emit_fail(&b->e, MD_CORRUPT, "%u inputs", b->op->n_in);
        return;
    }
    no_projection_clip(b, md_fb_f32(o, 2, 0));
    x = md_emit_unsqueeze(&b->e, md_tfl_x(b, 0), 0);
    x = lstm(b, x, &g, md_fb_i8(o, 0, 0), false);
    md_tfl_set(b, 0, md_emit_squeeze(&b->e, x, 0), MD_TFL_LAST);
}

/* --- plain recurrent networks --- */

/* Weights, recurrent weights, bias and state from input `first` on. */
static md_value_id rnn(md_tfl_build *b, md_value_id x, uint32_t first, int act,
                       bool reverse)
{
    int64_t n =
        has(b, first + 1) ? md_tfl_size(b, md_tfl_in(b, first + 1), 0) : -1;
    md_value_id in[6] = { x };
    md_value_id y = MD_VALUE_NONE;
    md_node *node;

    if (n < 1) {
        md_emit_fail(&b->e, MD_CORRUPT, "no recurrent weights");
        return y;
    }
    in[1] = md_emit_unsqueeze(&b->e, md_tfl_x(b, first), 0);
    in[2] = md_emit_unsqueeze(&b->e, md_tfl_x(b, first + 1), 0);
    in[3] =
        concat(b, (md_value_id[]){ md_tfl_x(b, first + 2), zeros(b, n) }, 2, 0);
    in[3] = md_emit_unsqueeze(&b->e, in[3], 0);
    in[4] = MD_VALUE_NONE;
    in[5] = state(b, first + 3);
    y = md_emit_op(
        &b->e, "RNN", in, trim(in, 6),
        EMIT_ATTRS(EMIT_I("hidden_size", n),
                   EMIT_S("direction", reverse ? "reverse" : "forward")));
    if (b->e.status != MD_OK)
        return y;
    node = md_graph_value(b->e.s->g, y)->def;
    if (node && act != 4) {
        const char *f = activation(b, act);
        md_str names[] = { { f, strlen(f) } };
        md_attr a = { .name = "activations",
                      .type = MD_ATTR_STRINGS,
                      .n = 1,
                      .v.ss = names };
        md_str *kept = md_arena_alloc(&b->e.model->arena, sizeof(*kept));

        if (!kept) {
            b->e.status = md_fail_nomem(b->e.err, sizeof(*kept));
            return y;
        }
        *kept = names[0];
        a.v.ss = kept;
        md_emit_ok(&b->e, md_node_add_attr(b->e.s->g, node, &a, b->e.err));
    }
    return md_emit_squeeze(&b->e, y, 1);
}

/* activation 0; one step */
void md_tfl_emit_rnn(md_tfl_build *b)
{
    md_value_id x = md_emit_unsqueeze(&b->e, md_tfl_x(b, 0), 0);

    x = rnn(b, x, 1, md_fb_i8(&b->op->options, 0, 0), false);
    md_tfl_set(b, 0, md_emit_squeeze(&b->e, x, 0), MD_TFL_LAST);
}

/* time_major 0, activation 1 */
void md_tfl_emit_sequence_rnn(md_tfl_build *b)
{
    const md_fb_table *o = &b->op->options;
    bool time_major = md_fb_bool(o, 0, false);
    md_value_id x = md_tfl_x(b, 0);

    x = rnn(b, time_major ? x : swap_time(b, x), 1, md_fb_i8(o, 1, 0), false);
    md_tfl_set(b, 0, time_major ? x : swap_time(b, x), MD_TFL_LAST);
}

/* time_major 0, activation 1, merge_outputs 2 */
void md_tfl_emit_bidirectional_rnn(md_tfl_build *b)
{
    const md_fb_table *o = &b->op->options;
    bool time_major = md_fb_bool(o, 0, false);
    md_value_id x = md_tfl_x(b, 0);
    md_value_id y[2];

    if (has(b, 9))
        md_emit_fail(&b->e, MD_UNSUPPORTED, "auxiliary inputs");
    if (!time_major)
        x = swap_time(b, x);
    for (uint32_t i = 0; i < 2; i++) {
        y[i] = rnn(b, x, 1 + 4 * i, md_fb_i8(o, 1, 0), i == 1);
        if (!time_major)
            y[i] = swap_time(b, y[i]);
    }
    if (md_fb_bool(o, 2, false)) {
        md_tfl_set(b, 0, concat(b, y, 2, 2), MD_TFL_LAST);
        return;
    }
    md_tfl_set(b, 0, y[0], MD_TFL_LAST);
    md_tfl_set(b, 1, y[1], MD_TFL_LAST);
}

/*
 * SVDF, one step: x [batch, in] by weights [filters, in] joins the filters'
 * memory [batch, filters, memory], whose oldest value leaves; weighted by
 * [filters, memory] and summed, `rank` filters make one unit.  The memory is an
 * input and an output of the model.  rank 0, activation 1.
 */
void md_tfl_emit_svdf(md_tfl_build *b)
{
    int32_t rank = md_fb_i32(&b->op->options, 0, 0);
    int64_t filters = has(b, 1) ? md_tfl_size(b, md_tfl_in(b, 1), 0) : -1;
    int64_t memory = has(b, 2) ? md_tfl_size(b, md_tfl_in(b, 2), 1) : -1;
    md_value_id new_x;
    md_value_id old;
    md_value_id y;
    static const int64_t one = 1, last = -1, end = INT64_MAX, two = 2;

    if (rank < 1 || filters < 1 || memory < 1 || filters % rank != 0) {
        md_emit_fail(&b->e, MD_CORRUPT, "%lld filters of rank %d",
                     (long long)filters, (int)rank);
        return;
    }
    new_x = md_emit_op(&b->e, "Gemm",
                       (md_value_id[]){ md_tfl_x(b, 0), md_tfl_x(b, 1) }, 2,
                       EMIT_ATTRS(EMIT_I("transB", 1)));
    old = md_tfl_state(b, 4);
    old =
        md_emit_reshape(&b->e, old, (const int64_t[]){ 0, filters, memory }, 3);
    old = md_emit_op(&b->e, "Slice",
                     (md_value_id[]){ old, md_emit_ints(&b->e, &one, 1),
                                      md_emit_ints(&b->e, &end, 1),
                                      md_emit_ints(&b->e, &two, 1) },
                     4, NULL);
    old = concat(b, (md_value_id[]){ old, md_emit_unsqueeze(&b->e, new_x, -1) },
                 2, 2);
    md_tfl_keep_state(b, 4,
                      md_emit_reshape(&b->e, old,
                                      (const int64_t[]){ 0, filters * memory },
                                      2));
    y = md_emit_op2(&b->e, "Mul", old, md_tfl_x(b, 2));
    y = md_emit_op(&b->e, "ReduceSum",
                   (md_value_id[]){ y, md_emit_ints(&b->e, &last, 1) }, 2,
                   EMIT_ATTRS(EMIT_I("keepdims", 0)));
    if (rank > 1) {
        y = md_emit_reshape(&b->e, y,
                            (const int64_t[]){ 0, filters / rank, rank }, 3);
        y = md_emit_op(&b->e, "ReduceSum",
                       (md_value_id[]){ y, md_emit_ints(&b->e, &last, 1) }, 2,
                       EMIT_ATTRS(EMIT_I("keepdims", 0)));
    }
    if (has(b, 3))
        y = md_emit_op2(&b->e, "Add", y, md_tfl_bias(b, md_tfl_in(b, 3)));
    md_tfl_set(b, 0, md_tfl_activate(b, y, md_fb_i8(&b->op->options, 1, 0)),
               MD_TFL_LAST);
}
