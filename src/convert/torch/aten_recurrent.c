/* Recurrent layers and their cells: one node per layer. */
#include <string.h>

#include "convert/torch/build.h"

enum {
    GATES_MAX = 4
};

/* Gates in ONNX's order, as places in PyTorch's: LSTM i, f, g, o to
 * i, o, f, c; GRU r, z, n to z, r, h. */
typedef struct cell {
    const char *op;
    int n_gates;
    int order[GATES_MAX];
    const char *activation; /* of RNN; or NULL */
} cell;

static const cell lstm = { "LSTM", 4, { 0, 3, 1, 2 }, NULL };

static cell cell_of(const md_torch_call *c)
{
    if (strcmp(c->row->onnx, "GRU") == 0)
        return (cell){ "GRU", 3, { 1, 0, 2 }, NULL };
    return (cell){ "RNN", 1, { 0 }, c->row->onnx };
}

/* One layer's parameters, by direction. */
typedef struct layer {
    md_value_id w[2], r[2], wb[2], rb[2]; /* biases MD_VALUE_NONE: none */
    md_value_id h, c;                     /* [dirs, batch, hidden] or none */
    int dirs;
    int64_t hidden;
} layer;

/* Rows of the gates in the other order. */
static md_value_id reorder(md_torch_call *c, md_value_id w, const cell *k)
{
    md_value_id gate[GATES_MAX], out[GATES_MAX];

    if (k->n_gates == 1)
        return w;
    md_emit_op_n(
        c->e, gate, (uint32_t)k->n_gates, "Split", &w, 1,
        EMIT_ATTRS(EMIT_I("axis", 0), EMIT_I("num_outputs", k->n_gates)));
    for (int i = 0; i < k->n_gates; i++)
        out[i] = gate[k->order[i]];
    return md_torch_concat(c, out, (uint32_t)k->n_gates, 0);
}

/* What both directions have, as one tensor with their axis first. */
static md_value_id both(md_torch_call *c, const md_value_id *v, const layer *l,
                        const cell *k)
{
    md_value_id part[2];

    for (int d = 0; d < l->dirs; d++)
        part[d] = md_emit_unsqueeze(c->e, reorder(c, v[d], k), 0);
    return md_torch_concat(c, part, (uint32_t)l->dirs, 0);
}

/* Is it a constant of zeros, spread or not?  A start that is left out is
 * zero. */
static bool is_zero(md_torch_call *c, md_value_id id)
{
    const md_value *v;
    const md_tensor *t;

    if (c->e->status != MD_OK || id == MD_VALUE_NONE)
        return false;
    v = md_graph_value(c->e->s->g, id);
    if (v->def && (strcmp(v->def->op, "Expand") == 0 ||
                   strcmp(v->def->op, "Slice") == 0 ||
                   strcmp(v->def->op, "Gather") == 0 ||
                   strcmp(v->def->op, "Unsqueeze") == 0))
        return is_zero(c, v->def->in[0]);
    t = v->cdata;
    for (int64_t i = 0; t && i < md_tensor_n(t); i++) {
        if (md_tensor_get_f64(t, i) != 0)
            return false;
    }
    return t != NULL;
}

/* x [seq, batch, in]; out: y [seq, dirs, batch, hidden], h, c. */
static void emit_layer(md_torch_call *c, const cell *k, const layer *l,
                       md_value_id x, md_value_id out[3])
{
    bool has_cell = strcmp(k->op, "LSTM") == 0;
    md_value_id in[7] = { x,
                          both(c, l->w, l, k),
                          both(c, l->r, l, k),
                          MD_VALUE_NONE,
                          MD_VALUE_NONE,
                          MD_VALUE_NONE,
                          MD_VALUE_NONE };
    md_emit_attr attrs[5] = {
        EMIT_I("hidden_size", l->hidden),
        EMIT_S("direction", l->dirs == 2 ? "bidirectional" : "forward"),
        { 0 },
    };

    if (l->wb[0] != MD_VALUE_NONE)
        in[3] = md_emit_op(
            c->e, "Concat",
            (md_value_id[]){ both(c, l->wb, l, k), both(c, l->rb, l, k) }, 2,
            EMIT_ATTRS(EMIT_I("axis", 1)));
    if (!is_zero(c, l->h))
        in[5] = l->h;
    if (has_cell && !is_zero(c, l->c))
        in[6] = l->c;
    if (strcmp(k->op, "GRU") == 0)
        attrs[2] = (md_emit_attr)EMIT_I("linear_before_reset", 1);
    if (k->activation && strcmp(k->activation, "Tanh") != 0) {
        md_emit_fail(c->e, MD_UNSUPPORTED, "with %s", k->activation);
        return;
    }
    md_emit_op_n(c->e, out, has_cell ? 3 : 2, k->op, in, has_cell ? 7 : 6,
                 attrs);
}

/* [seq, dirs, batch, hidden] to [seq, batch, dirs * hidden] */
static md_value_id join_dirs(md_torch_call *c, md_value_id y, const layer *l)
{
    if (l->dirs == 1)
        return md_emit_squeeze(c->e, y, 1);
    y = md_emit_transpose(c->e, y, (int64_t[]){ 0, 2, 1, 3 }, 4);
    return md_emit_reshape(c->e, y, (int64_t[]){ 0, 0, 2 * l->hidden }, 3);
}

/* Layer i's part of a state [layers * dirs, batch, hidden]. */
static md_value_id state_of(md_torch_call *c, md_value_id s, int64_t i,
                            int dirs, int64_t n)
{
    if (n == 1)
        return s;
    return md_emit_op(c->e, "Slice",
                      (md_value_id[]){ s, MD_TORCH_INTS(c, i * dirs),
                                       MD_TORCH_INTS(c, (i + 1) * dirs),
                                       MD_TORCH_INTS(c, 0) },
                      4, NULL);
}

static bool read_layer(md_torch_call *c, layer *l, int64_t i, bool biases)
{
    uint32_t each = biases ? 4 : 2;
    uint32_t at = (uint32_t)i * each * (uint32_t)l->dirs;

    for (int d = 0; d < l->dirs; d++, at += each) {
        if (at + each > md_torch_n(c, 2)) {
            md_emit_fail(c->e, MD_UNSUPPORTED, "%u parameters",
                         md_torch_n(c, 2));
            return false;
        }
        l->w[d] = md_torch_item(c, 2, at);
        l->r[d] = md_torch_item(c, 2, at + 1);
        l->wb[d] = biases ? md_torch_item(c, 2, at + 2) : MD_VALUE_NONE;
        l->rb[d] = biases ? md_torch_item(c, 2, at + 3) : MD_VALUE_NONE;
    }
    l->hidden = md_torch_size(c, l->r[0], 1);
    if (c->e->status == MD_OK && l->hidden < 1)
        md_emit_fail(c->e, MD_UNSUPPORTED, "weights of free size");
    return c->e->status == MD_OK;
}

/* start[0] is h, start[1] c of an LSTM. */
static void emit_layers(md_torch_call *c, const cell *k,
                        const md_value_id start[2])
{
    md_emit *e = c->e;
    int64_t n = md_torch_i(c, 4);
    bool batch_first = md_torch_b(c, 8), biases = md_torch_b(c, 3);
    layer l = { .dirs = md_torch_b(c, 7) ? 2 : 1 };
    bool has_cell = start[1] != MD_VALUE_NONE;
    md_value_id x = md_torch_x(c, 0);
    md_value_id out[3] = { MD_VALUE_NONE, MD_VALUE_NONE, MD_VALUE_NONE };
    md_value_id *last[2];

    if (n < 1 || n > 64 ||
        md_torch_n(c, 2) !=
            (uint32_t)n * (uint32_t)l.dirs * (biases ? 4u : 2u) ||
        md_torch_rank(c, x) != 3 || md_torch_b(c, 6)) {
        md_emit_fail(e, MD_UNSUPPORTED,
                     "%u parameters for %lld layers, input of rank %d%s",
                     md_torch_n(c, 2), (long long)n, md_torch_rank(c, x),
                     md_torch_b(c, 6) ? ", in training" : "");
        return;
    }
    for (int i = 0; i < 2; i++) {
        last[i] = md_emit_alloc(e, (size_t)n, sizeof(**last));
        if (!last[i])
            return;
    }
    if (batch_first)
        x = md_emit_transpose(e, x, (int64_t[]){ 1, 0, 2 }, 3);
    for (int64_t i = 0; i < n; i++) {
        if (!read_layer(c, &l, i, biases))
            return;
        l.h = state_of(c, start[0], i, l.dirs, n);
        l.c = has_cell ? state_of(c, start[1], i, l.dirs, n) : MD_VALUE_NONE;
        if (i == 0)
            md_torch_learn(c, md_torch_x(c, 0), 2, md_torch_size(c, l.w[0], 1));
        emit_layer(c, k, &l, x, out);
        x = join_dirs(c, out[0], &l);
        last[0][i] = out[1];
        last[1][i] = out[2];
    }
    if (batch_first)
        x = md_emit_transpose(e, x, (int64_t[]){ 1, 0, 2 }, 3);
    out[0] = x;
    out[1] = md_torch_concat(c, last[0], (uint32_t)n, 0);
    if (has_cell)
        out[2] = md_torch_concat(c, last[1], (uint32_t)n, 0);
    md_torch_ret_n(c, out, has_cell ? 3 : 2);
}

void md_torch_emit_lstm(md_torch_call *c)
{
    if (md_torch_n(c, 1) != 2) {
        md_emit_fail(c->e, MD_INVALID, "%u states, 2 expected",
                     md_torch_n(c, 1));
        return;
    }
    emit_layers(
        c, &lstm,
        (md_value_id[]){ md_torch_item(c, 1, 0), md_torch_item(c, 1, 1) });
}

void md_torch_emit_gru(md_torch_call *c)
{
    cell k = cell_of(c);

    emit_layers(c, &k, (md_value_id[]){ md_torch_x(c, 1), MD_VALUE_NONE });
}

/* A cell is a layer over one step. */
static void emit_cell(md_torch_call *c, const cell *k, md_value_id h,
                      md_value_id s)
{
    md_emit *e = c->e;
    layer l = { .dirs = 1, .c = MD_VALUE_NONE };
    md_value_id x = md_torch_x(c, 0);
    md_value_id out[3] = { MD_VALUE_NONE, MD_VALUE_NONE, MD_VALUE_NONE };
    int rank = md_torch_rank(c, x);

    if (rank != 2) {
        md_emit_fail(e, MD_UNSUPPORTED, "input of rank %d", rank);
        return;
    }
    l.w[0] = md_torch_x(c, 2);
    l.r[0] = md_torch_x(c, 3);
    l.wb[0] = md_torch_given(c, 4) ? md_torch_x(c, 4) : MD_VALUE_NONE;
    l.rb[0] = md_torch_given(c, 5) ? md_torch_x(c, 5) : MD_VALUE_NONE;
    l.hidden = md_torch_size(c, l.r[0], 1);
    l.h = md_emit_unsqueeze(e, h, 0);
    if (s != MD_VALUE_NONE)
        l.c = md_emit_unsqueeze(e, s, 0);
    md_torch_learn(c, x, 1, md_torch_size(c, l.w[0], 1));
    emit_layer(c, k, &l, md_emit_unsqueeze(e, x, 0), out);
    out[1] = md_emit_squeeze(e, out[1], 0);
    if (s == MD_VALUE_NONE) {
        md_torch_ret(c, out[1]);
        return;
    }
    out[2] = md_emit_squeeze(e, out[2], 0);
    md_torch_ret_n(c, out + 1, 2);
}

void md_torch_emit_lstm_cell(md_torch_call *c)
{
    if (md_torch_n(c, 1) == 2)
        emit_cell(c, &lstm, md_torch_item(c, 1, 0), md_torch_item(c, 1, 1));
    else
        md_emit_fail(c->e, MD_INVALID, "%u states, 2 expected",
                     md_torch_n(c, 1));
}

void md_torch_emit_gru_cell(md_torch_call *c)
{
    cell k = cell_of(c);

    emit_cell(c, &k, md_torch_x(c, 1), MD_VALUE_NONE);
}
