/*
 * Recurrent networks that a file has as loops over time: back to LSTM, GRU and
 * RNN.
 *
 * Keras's cells, as a loop's body, are sums of products, split into gates.
 * What is looked for is not the way in which they are spelt (weights split or
 * sliced, biases here or there) but what the new state is made of; all states
 * must be a cell's or counters, all that is collected the cell's output, and
 * the loop must run as often as the sequence is long.
 */
#include "convert/tflite/fuse.h"

#include <string.h>

enum {
    TERMS_MAX = 8,
    GATES_MAX = 4,
    HOPS_MAX = 32
};

/* A value of the body. */
typedef md_value_id vid;

/* One product with weights of the sum that gates are parts of. */
typedef struct product {
    vid x;       /* what is multiplied */
    vid weights; /* a constant of the body, or captured */
    bool turned; /* [out, in] */
} product;

/* Products and biases, added. */
typedef struct sum {
    product products[2];
    vid biases[TERMS_MAX];
    uint32_t n_products, n_biases;
} sum;

/* Gate `at` of n, each of `size`, of the sum that is value `of`. */
typedef struct gate {
    vid of;
    int64_t at, size;
} gate;

typedef struct match {
    md_tfl_build *b;
    const md_tfl_loop *loop;
    const md_graph *g;
    md_value_id x; /* the sequence, outside */
    uint32_t h, c; /* states; c of an LSTM */
    vid h_new, c_new;
} match;

static const md_value *value(const match *m, vid id)
{
    return md_graph_value(m->g, id);
}

/* Without operators that only pass something on. */
static vid plain(const match *m, vid id)
{
    const md_node *n = value(m, id)->def;

    for (int hop = 0; n && hop < HOPS_MAX && strcmp(n->op, "Identity") == 0;
         hop++) {
        id = n->in[0];
        n = value(m, id)->def;
    }
    return id;
}

/* The node that makes it, when it is this operator. */
static const md_node *made_by(const match *m, vid id, const char *op)
{
    const md_node *n = id == MD_VALUE_NONE ? NULL : value(m, plain(m, id))->def;

    return n && strcmp(n->op, op) == 0 ? n : NULL;
}

/* A value outside that the body reads by name; MD_VALUE_NONE for others. */
static md_value_id outside(const match *m, vid id)
{
    const md_value *v = value(m, id);

    if (v->def || v->is_input || v->cdata || !v->name[0])
        return MD_VALUE_NONE;
    return md_graph_find(m->b->e.s->g, v->name);
}

static const md_tensor *constant(const match *m, vid id)
{
    md_value_id out;

    id = plain(m, id);
    if (value(m, id)->cdata)
        return value(m, id)->cdata;
    out = outside(m, id);
    return out == MD_VALUE_NONE ? NULL : md_emit_cdata(&m->b->e, out);
}

/* The number of the state that the body's input is; UINT32_MAX: none. */
static uint32_t state_of(const match *m, vid id)
{
    id = plain(m, id);
    for (uint32_t i = 2; i < m->g->n_inputs; i++) {
        if (m->g->inputs[i] == id)
            return i - 2;
    }
    return UINT32_MAX;
}

static vid next_of(const match *m, uint32_t state)
{
    return plain(m, m->g->outputs[state + 1]);
}

static bool is_number(const match *m, vid id, double v)
{
    const md_tensor *t = constant(m, id);

    return t && md_tensor_n(t) == 1 && md_tensor_get_f64(t, 0) == v;
}

/* The state and 1. */
static bool adds_one(const match *m, vid id, uint32_t state)
{
    const md_node *n = made_by(m, id, "Add");

    for (uint32_t i = 0; n && i < 2; i++) {
        if (state_of(m, n->in[i]) == state && is_number(m, n->in[1 - i], 1))
            return true;
    }
    return false;
}

/* A state that begins at 0 and grows by 1. */
static bool is_counter(const match *m, uint32_t state)
{
    const md_tensor *t = md_emit_cdata(&m->b->e, m->loop->from[state]);

    return t && md_tensor_n(t) == 1 && md_dtype_is_integer(t->dtype) &&
           md_tensor_get_i64(t, 0) == 0 &&
           adds_one(m, next_of(m, state), state);
}

/* A counter, whatever its shape and type. */
static bool counts(const match *m, vid id)
{
    static const char *const same[] = { "Cast", "Reshape", "Squeeze",
                                        "Unsqueeze" };

    for (int hop = 0; hop < HOPS_MAX; hop++) {
        uint32_t state = state_of(m, id);
        const md_node *n = value(m, plain(m, id))->def;
        bool found = false;

        if (state != UINT32_MAX)
            return is_counter(m, state);
        for (size_t i = 0; n && i < sizeof(same) / sizeof(same[0]); i++)
            found = found || strcmp(n->op, same[i]) == 0;
        if (!found)
            return false;
        id = n->in[0];
    }
    return false;
}

/* Is this small integer, known or not, the size n? */
static bool is_size(const match *m, vid id, md_dim n)
{
    const md_tensor *t = constant(m, id);
    const md_value *v = value(m, plain(m, id));
    md_shape shape;

    if (t)
        return md_tensor_n(t) == 1 && md_dim_is_const(n) &&
               md_tensor_get_i64(t, 0) == n.k;
    return v->data && md_type_static(&v->type, &shape) &&
           md_shape_n(&shape) == 1 && md_dim_equal(v->data[0], n);
}

/* A counter of the next round: a counter and 1. */
static bool counts_on(const match *m, vid id)
{
    for (uint32_t i = 0; i < m->loop->n_states; i++) {
        if (is_counter(m, i) && next_of(m, i) == plain(m, id))
            return true;
    }
    return false;
}

bool md_tfl_loop_runs(md_tfl_build *b, const md_tfl_loop *l, md_value_id x)
{
    match m = { .b = b, .loop = l, .g = l->body, .x = x };
    const md_type *t = md_emit_type(&b->e, x);
    vid left[TERMS_MAX] = { l->body->outputs[0] };
    uint32_t n_left = 1;

    if (!t->has_rank || t->rank < 1)
        return false;
    while (n_left > 0) {
        vid now = plain(&m, left[--n_left]);
        const md_node *n = value(&m, now)->def;

        if (n && strcmp(n->op, "Reshape") == 0) {
            left[n_left++] = n->in[0];
        } else if (n && strcmp(n->op, "And") == 0 && n_left + 2 <= TERMS_MAX) {
            left[n_left++] = n->in[0];
            left[n_left++] = n->in[1];
        } else if (!n || strcmp(n->op, "Less") != 0 ||
                   !counts_on(&m, n->in[0]) ||
                   !is_size(&m, n->in[1], t->dim[0])) {
            return false;
        }
    }
    return true;
}

/* The sequence's element of this round. */
static bool is_element(match *m, vid id)
{
    const md_node *n = made_by(m, id, "Gather");
    md_value_id x;

    if (!n || md_node_attr_i(n, "axis", 0) != 0 || !counts(m, n->in[1]))
        return false;
    x = outside(m, plain(m, n->in[0]));
    if (x == MD_VALUE_NONE || (m->x != MD_VALUE_NONE && m->x != x))
        return false;
    m->x = x;
    return true;
}

/* --- sums of products --- */

static bool add_product(sum *s, const md_node *n)
{
    bool gemm = strcmp(n->op, "Gemm") == 0;

    if (s->n_products == 2 || (gemm && (md_node_attr_i(n, "transA", 0) != 0 ||
                                        md_node_attr_f(n, "alpha", 1) != 1 ||
                                        md_node_attr_f(n, "beta", 1) != 1)))
        return false;
    s->products[s->n_products++] =
        (product){ n->in[0], n->in[1],
                   gemm && md_node_attr_i(n, "transB", 0) != 0 };
    if (gemm && n->n_in > 2 && n->in[2] != MD_VALUE_NONE) {
        if (s->n_biases == TERMS_MAX)
            return false;
        s->biases[s->n_biases++] = n->in[2];
    }
    return true;
}

static bool read_sum(sum *s, const match *m, vid id)
{
    vid left[TERMS_MAX] = { id };
    uint32_t n_left = 1;

    *s = (sum){ .n_products = 0 };
    while (n_left > 0) {
        vid now = plain(m, left[--n_left]);
        const md_node *n = value(m, now)->def;

        if (constant(m, now) && s->n_biases < TERMS_MAX) {
            s->biases[s->n_biases++] = now;
        } else if (n && strcmp(n->op, "Add") == 0 && n_left + 2 <= TERMS_MAX) {
            left[n_left++] = n->in[0];
            left[n_left++] = n->in[1];
        } else if (n && (strcmp(n->op, "MatMul") == 0 ||
                         strcmp(n->op, "Gemm") == 0)) {
            if (!add_product(s, n))
                return false;
        } else {
            return false;
        }
    }
    return true;
}

/* The product with x, or with the state: of a sum of one or both. */
static const product *with_x(match *m, const sum *s)
{
    for (uint32_t i = 0; i < s->n_products; i++) {
        if (is_element(m, s->products[i].x))
            return &s->products[i];
    }
    return NULL;
}

static const product *with_state(const match *m, const sum *s, uint32_t state)
{
    for (uint32_t i = 0; i < s->n_products; i++) {
        if (state_of(m, s->products[i].x) == state)
            return &s->products[i];
    }
    return NULL;
}

/* --- gates --- */

static int64_t last_size(const match *m, vid id)
{
    const md_type *t = &value(m, id)->type;
    md_dim d;

    if (!t->has_rank || t->rank < 1)
        return -1;
    d = t->dim[t->rank - 1];
    return md_dim_is_const(d) ? d.k : -1;
}

static bool read_split(gate *out, const match *m, const md_node *n, vid id)
{
    int rank = value(m, n->in[0])->type.rank;
    int64_t axis = md_node_attr_i(n, "axis", 0);

    if (axis != rank - 1 && axis != -1)
        return false;
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (last_size(m, n->out[i]) != last_size(m, n->out[0]))
            return false;
        if (n->out[i] == id)
            *out = (gate){ plain(m, n->in[0]), i, last_size(m, id) };
    }
    return out->size > 0;
}

static bool read_slice(gate *out, const match *m, const md_node *n, vid id)
{
    const md_tensor *from = constant(m, n->in[1]);
    const md_tensor *axis = n->n_in > 3 ? constant(m, n->in[3]) : NULL;
    int rank = value(m, n->in[0])->type.rank;
    int64_t size = last_size(m, id);

    if (n->n_in > 4 || !from || !axis || md_tensor_n(axis) != 1 || size < 1 ||
        (md_tensor_get_i64(axis, 0) != rank - 1 &&
         md_tensor_get_i64(axis, 0) != -1) ||
        md_tensor_get_i64(from, 0) < 0 || md_tensor_get_i64(from, 0) % size)
        return false;
    *out =
        (gate){ plain(m, n->in[0]), md_tensor_get_i64(from, 0) / size, size };
    return true;
}

static bool read_gate(gate *out, const match *m, vid id)
{
    const md_node *n;

    id = plain(m, id);
    n = value(m, id)->def;
    *out = (gate){ .size = -1 };
    if (n && strcmp(n->op, "Split") == 0)
        return read_split(out, m, n, id);
    if (n && strcmp(n->op, "Slice") == 0)
        return read_slice(out, m, n, id);
    return false;
}

/* The input of a function of one. */
static vid inside(const match *m, vid id, const char *op)
{
    const md_node *n = made_by(m, id, op);

    return n ? n->in[0] : MD_VALUE_NONE;
}

/* Both inputs, the one that `first` is true of in front. */
typedef bool test_fn(const match *m, vid id);

static bool is_sigmoid(const match *m, vid id)
{
    return made_by(m, id, "Sigmoid") != NULL;
}

static bool is_tanh(const match *m, vid id)
{
    return made_by(m, id, "Tanh") != NULL;
}

static bool read_pair(vid out[2], const match *m, vid id, const char *op,
                      test_fn *first, test_fn *second)
{
    const md_node *n = made_by(m, id, op);

    for (uint32_t i = 0; n && i < 2; i++) {
        if (first(m, n->in[i]) && second(m, n->in[1 - i])) {
            out[0] = n->in[i];
            out[1] = n->in[1 - i];
            return true;
        }
    }
    return false;
}

static bool is_state(const match *m, vid id)
{
    return state_of(m, id) != UINT32_MAX;
}

/* --- making the operator --- */

/* A constant of the body as a value outside. */
static md_value_id bring_out(match *m, vid id)
{
    md_value_id out;
    md_tensor copy = MD_TENSOR_INIT;

    id = plain(m, id);
    out = outside(m, id);
    if (out != MD_VALUE_NONE)
        return out;
    if (m->b->e.status != MD_OK || !value(m, id)->cdata ||
        !md_emit_ok(&m->b->e,
                    md_tensor_copy(&copy, value(m, id)->cdata,
                                   m->b->e.model->alloc, m->b->e.err)))
        return MD_VALUE_NONE;
    return md_emit_const(&m->b->e, copy);
}

static md_value_id gather(md_tfl_build *b, md_value_id x, const int64_t *at,
                          int64_t n, int64_t axis)
{
    return md_emit_op(&b->e, "Gather",
                      (md_value_id[]){ x, md_emit_ints(&b->e, at, n) }, 2,
                      EMIT_ATTRS(EMIT_I("axis", axis)));
}

/* Weights [in, n * size] with gates in the order `order`: [1, n * size, in]. */
static md_value_id weights(match *m, const product *p, const int64_t *order,
                           int64_t n, int64_t size)
{
    static const int64_t to_gates[] = { 1, 2, 0 };
    md_tfl_build *b = m->b;
    md_value_id w = bring_out(m, p->weights);
    int64_t split[] = { 0, n, size };
    int64_t turned[] = { n, size, -1 };
    int64_t joined[] = { 1, n * size, -1 };

    if (p->turned) {
        w = md_emit_reshape(&b->e, w, turned, 3);
    } else {
        w = md_emit_reshape(&b->e, w, split, 3);
        w = md_emit_transpose(&b->e, w, to_gates, 3);
    }
    return md_emit_reshape(&b->e, gather(b, w, order, n, 0), joined, 3);
}

/* Biases, added, in that order: [n * size]; zeros without. */
static md_value_id bias(match *m, const sum *s, const int64_t *order, int64_t n,
                        int64_t size)
{
    md_tfl_build *b = m->b;
    int64_t split[] = { n, size };
    int64_t all = n * size;
    md_value_id v = MD_VALUE_NONE;

    for (uint32_t i = 0; i < s->n_biases; i++) {
        md_value_id one = bring_out(m, s->biases[i]);

        v = v == MD_VALUE_NONE ? one : md_emit_op2(&b->e, "Add", v, one);
    }
    if (v == MD_VALUE_NONE)
        return md_emit_op2(&b->e, "Expand", md_emit_float(&b->e, 0),
                           md_emit_ints(&b->e, &all, 1));
    v = gather(b, md_emit_reshape(&b->e, v, split, 2), order, n, 0);
    return md_emit_reshape(&b->e, v, &all, 1);
}

static md_value_id both_biases(md_tfl_build *b, md_value_id x, md_value_id h)
{
    md_value_id v = md_emit_op(&b->e, "Concat", (md_value_id[]){ x, h }, 2,
                               EMIT_ATTRS(EMIT_I("axis", 0)));

    return md_emit_unsqueeze(&b->e, v, 0);
}

/* A state's beginning as [1, batch, size]; nothing where it is zero. */
static md_value_id beginning(const match *m, uint32_t state)
{
    md_tfl_build *b = m->b;
    md_value_id v = m->loop->from[state];
    const md_node *n = md_graph_value(b->e.s->g, v)->def;
    const md_tensor *t = NULL;

    if (n && strcmp(n->op, "Expand") == 0)
        t = md_emit_cdata(&b->e, n->in[0]);
    if (t && md_tensor_n(t) == 1 && md_tensor_get_f64(t, 0) == 0)
        return MD_VALUE_NONE;
    return md_emit_unsqueeze(&b->e, v, 0);
}

static uint32_t trim(const md_value_id *in, uint32_t n)
{
    while (n > 0 && in[n - 1] == MD_VALUE_NONE)
        n--;
    return n;
}

/* Length of the sequence as a scalar of a type. */
static md_value_id length(const match *m, md_dtype dtype)
{
    md_tfl_build *b = m->b;
    md_value_id n =
        md_emit_op(&b->e, "Shape", &m->x, 1,
                   EMIT_ATTRS(EMIT_I("start", 0), EMIT_I("end", 1)));

    return md_emit_cast(&b->e, md_emit_reshape(&b->e, n, NULL, 0), dtype);
}

/* What the loop gives: states, then what it collects.  y: [time, 1, batch, n],
 * and the last ones [1, batch, n]. */
static void set_results(match *m, const md_value_id y[3])
{
    const md_tfl_loop *l = m->loop;
    md_tfl_build *b = m->b;

    for (uint32_t i = 0; i < l->n_states; i++) {
        if (i == m->h)
            l->to[i] = md_emit_squeeze(&b->e, y[1], 0);
        else if (i == m->c)
            l->to[i] = md_emit_squeeze(&b->e, y[2], 0);
        else
            l->to[i] = length(m, md_emit_type(&b->e, l->from[i])->dtype);
    }
    for (uint32_t i = 0; i < l->n_collected; i++)
        l->to[l->n_states + i] = md_emit_squeeze(&b->e, y[0], 1);
}

/* --- cells --- */

/* h' = sigmoid(o) tanh(c'), c' = sigmoid(f) c + sigmoid(i) tanh(g): gates in
 * the order i, o, f, g. */
static bool read_lstm(match *m, gate gates[4])
{
    vid out[2], add[2], keep[2], fresh[2];
    vid at[4];
    const md_node *n;

    if (!read_pair(out, m, m->h_new, "Mul", is_sigmoid, is_tanh))
        return false;
    m->c_new = plain(m, inside(m, out[1], "Tanh"));
    n = made_by(m, m->c_new, "Add");
    if (!n)
        return false;
    for (uint32_t i = 0; i < 2; i++) {
        add[0] = n->in[i];
        add[1] = n->in[1 - i];
        if (read_pair(keep, m, add[0], "Mul", is_sigmoid, is_state) &&
            read_pair(fresh, m, add[1], "Mul", is_sigmoid, is_tanh))
            break;
        if (i == 1)
            return false;
    }
    m->c = state_of(m, keep[1]);
    at[0] = inside(m, fresh[0], "Sigmoid");
    at[1] = inside(m, out[0], "Sigmoid");
    at[2] = inside(m, keep[0], "Sigmoid");
    at[3] = inside(m, fresh[1], "Tanh");
    for (int i = 0; i < 4; i++) {
        if (!read_gate(&gates[i], m, at[i]) || gates[i].of != gates[0].of ||
            gates[i].size != gates[0].size)
            return false;
    }
    return next_of(m, m->c) == m->c_new;
}

static bool fuse_lstm(match *m)
{
    md_tfl_build *b = m->b;
    gate gates[4];
    int64_t order[4];
    int64_t size;
    const product *x;
    const product *h;
    md_value_id in[7] = { MD_VALUE_NONE };
    md_value_id y[3];
    sum s;

    if (!read_lstm(m, gates) || !read_sum(&s, m, gates[0].of))
        return false;
    x = with_x(m, &s);
    h = with_state(m, &s, m->h);
    if (!x || !h || x == h || !constant(m, x->weights) ||
        !constant(m, h->weights) || !md_tfl_loop_runs(m->b, m->loop, m->x))
        return false;
    for (int i = 0; i < 4; i++)
        order[i] = gates[i].at;
    size = gates[0].size;
    in[0] = m->x;
    in[1] = weights(m, x, order, 4, size);
    in[2] = weights(m, h, order, 4, size);
    if (s.n_biases > 0)
        in[3] = both_biases(b, bias(m, &s, order, 4, size),
                            bias(m, &(sum){ .n_biases = 0 }, order, 4, size));
    else
        in[3] = MD_VALUE_NONE;
    in[4] = MD_VALUE_NONE;
    in[5] = beginning(m, m->h);
    in[6] = beginning(m, m->c);
    md_emit_op_n(&b->e, y, 3, "LSTM", in, trim(in, 7),
                 EMIT_ATTRS(EMIT_I("hidden_size", size)));
    set_results(m, y);
    return true;
}

/* The gate of a sum with x, and what is added to it. */
static bool read_x_gate(gate *out, vid *rest, match *m, vid id)
{
    const md_node *n = made_by(m, id, "Add");

    for (uint32_t i = 0; n && i < 2; i++) {
        sum s;

        if (read_gate(out, m, n->in[i]) && read_sum(&s, m, out->of) &&
            s.n_products == 1 && with_x(m, &s)) {
            *rest = n->in[1 - i];
            return true;
        }
    }
    return false;
}

/* 1 - sigmoid(z), of the same z */
static bool is_rest_of(const match *m, vid id, vid z)
{
    const md_node *n = made_by(m, id, "Sub");

    return n && is_number(m, n->in[0], 1) && plain(m, n->in[1]) == plain(m, z);
}

/* A GRU: what is added to the gates of x. */
typedef struct gru {
    gate x[3]; /* z, r, h */
    vid h[3];  /* for z, r: a gate; for h: r * gate, or a product */
    vid r;
} gru;

/* h' = z h + (1 - z) tanh(h~) */
static bool read_gru(gru *u, match *m)
{
    const md_node *n = made_by(m, m->h_new, "Add");
    vid keep[2], fresh[2];
    vid z = MD_VALUE_NONE;

    for (uint32_t i = 0; n && i < 2 && z == MD_VALUE_NONE; i++) {
        const md_node *other = made_by(m, n->in[1 - i], "Mul");

        if (!read_pair(keep, m, n->in[i], "Mul", is_sigmoid, is_state) ||
            state_of(m, keep[1]) != m->h || !other)
            continue;
        for (uint32_t k = 0; k < 2; k++) {
            if (!is_rest_of(m, other->in[k], keep[0]) ||
                !is_tanh(m, other->in[1 - k]))
                continue;
            z = inside(m, keep[0], "Sigmoid");
            fresh[0] = inside(m, other->in[1 - k], "Tanh");
        }
    }
    return z != MD_VALUE_NONE && read_x_gate(&u->x[0], &u->h[0], m, z) &&
           read_x_gate(&u->x[2], &u->h[2], m, fresh[0]);
}

/* The reset gate behind the product: r * (h R + b); true also gives it. */
static bool resets_after(gru *u, match *m, gate *last)
{
    const md_node *n = made_by(m, u->h[2], "Mul");

    for (uint32_t i = 0; n && i < 2; i++) {
        if (is_sigmoid(m, n->in[i]) && read_gate(last, m, n->in[1 - i])) {
            u->r = inside(m, n->in[i], "Sigmoid");
            return read_x_gate(&u->x[1], &u->h[1], m, u->r);
        }
    }
    return false;
}

static bool is_whole(const gru *u)
{
    for (int i = 1; i < 3; i++) {
        if (u->x[i].of != u->x[0].of || u->x[i].size != u->x[0].size)
            return false;
    }
    return true;
}

static void make_gru(match *m, const gru *u, const sum *x, md_value_id r,
                     md_value_id h_bias, bool after)
{
    md_tfl_build *b = m->b;
    int64_t order[] = { u->x[0].at, u->x[1].at, u->x[2].at };
    int64_t size = u->x[0].size;
    md_value_id in[6] = { m->x,
                          weights(m, &x->products[0], order, 3, size),
                          r,
                          both_biases(b, bias(m, x, order, 3, size), h_bias),
                          MD_VALUE_NONE,
                          beginning(m, m->h) };
    md_value_id y[3] = { MD_VALUE_NONE };

    md_emit_op_n(&b->e, y, 2, "GRU", in, trim(in, 6),
                 EMIT_ATTRS(EMIT_I("hidden_size", size),
                            EMIT_I("linear_before_reset", after)));
    set_results(m, y);
}

static bool fuse_gru_after(match *m, gru *u, const gate *last)
{
    gate h[3];
    int64_t order[3];
    sum x;
    sum s;

    if (!read_gate(&h[0], m, u->h[0]) || !read_gate(&h[1], m, u->h[1]))
        return false;
    h[2] = *last;
    for (int i = 0; i < 3; i++) {
        order[i] = h[i].at;
        if (h[i].of != h[0].of || h[i].size != u->x[0].size)
            return false;
    }
    if (!is_whole(u) || !read_sum(&x, m, u->x[0].of) ||
        !read_sum(&s, m, h[0].of) || s.n_products != 1 ||
        !with_state(m, &s, m->h) || !constant(m, x.products[0].weights) ||
        !constant(m, s.products[0].weights) ||
        !md_tfl_loop_runs(m->b, m->loop, m->x))
        return false;
    make_gru(m, u, &x, weights(m, &s.products[0], order, 3, u->x[0].size),
             bias(m, &s, order, 3, u->x[0].size), true);
    return true;
}

/* h~ = x + (r h) R_h; z and r are gates of h R_zr, or products of their own. */
static bool fuse_gru_before(match *m, gru *u)
{
    static const int64_t one = 0;
    md_tfl_build *b = m->b;
    const md_node *n = made_by(m, u->h[2], "MatMul");
    vid rh[2];
    gate h[2];
    int64_t order[2];
    int64_t size = u->x[0].size;
    product last;
    md_value_id r[2];
    sum x;
    sum s;

    if (!n || !read_pair(rh, m, n->in[0], "Mul", is_sigmoid, is_state) ||
        state_of(m, rh[1]) != m->h)
        return false;
    u->r = inside(m, rh[0], "Sigmoid");
    last = (product){ n->in[0], n->in[1], false };
    if (!read_x_gate(&u->x[1], &u->h[1], m, u->r) || !is_whole(u) ||
        !read_gate(&h[0], m, u->h[0]) || !read_gate(&h[1], m, u->h[1]) ||
        h[0].of != h[1].of || h[0].size != size || h[1].size != size ||
        !read_sum(&x, m, u->x[0].of) || !read_sum(&s, m, h[0].of) ||
        s.n_products != 1 || s.n_biases != 0 || !with_state(m, &s, m->h) ||
        !constant(m, s.products[0].weights) || !constant(m, last.weights) ||
        !constant(m, x.products[0].weights) ||
        !md_tfl_loop_runs(b, m->loop, m->x))
        return false;
    for (int i = 0; i < 2; i++)
        order[i] = h[i].at;
    r[0] = weights(m, &s.products[0], order, 2, size);
    r[1] = weights(m, &last, &one, 1, size);
    r[0] = md_emit_op(&b->e, "Concat", r, 2, EMIT_ATTRS(EMIT_I("axis", 1)));
    make_gru(m, u, &x, r[0], bias(m, &(sum){ .n_biases = 0 }, order, 3, size),
             false);
    return true;
}

static bool fuse_gru(match *m)
{
    gate last;
    gru u;

    if (!read_gru(&u, m))
        return false;
    return resets_after(&u, m, &last) ? fuse_gru_after(m, &u, &last)
                                      : fuse_gru_before(m, &u);
}

/* h' = f(x W + h R + b) */
static bool fuse_rnn(match *m)
{
    static const char *const functions[] = { "Tanh", "Relu", "Sigmoid" };
    static const int64_t first = 0;
    md_tfl_build *b = m->b;
    const char *f = NULL;
    const product *x;
    const product *h;
    md_value_id in[6] = { MD_VALUE_NONE };
    md_value_id y[3] = { MD_VALUE_NONE };
    int64_t size = last_size(m, m->h_new);
    sum s;

    for (int i = 0; i < 3; i++) {
        if (made_by(m, m->h_new, functions[i]))
            f = functions[i];
    }
    if (!f || size < 1 || !read_sum(&s, m, inside(m, m->h_new, f)))
        return false;
    x = with_x(m, &s);
    h = with_state(m, &s, m->h);
    if (!x || !h || x == h || !constant(m, x->weights) ||
        !constant(m, h->weights) || !md_tfl_loop_runs(b, m->loop, m->x))
        return false;
    in[0] = m->x;
    in[1] = weights(m, x, &first, 1, size);
    in[2] = weights(m, h, &first, 1, size);
    in[3] = both_biases(b, bias(m, &s, &first, 1, size),
                        bias(m, &(sum){ .n_biases = 0 }, &first, 1, size));
    in[4] = MD_VALUE_NONE;
    in[5] = beginning(m, m->h);
    md_emit_op_n(
        &b->e, y, 2, "RNN", in, trim(in, 6),
        EMIT_ATTRS(EMIT_I("hidden_size", size), EMIT_S1("activations", f)));
    set_results(m, y);
    return true;
}

/* All states but h and c are counters. */
static bool are_counters(const match *m)
{
    for (uint32_t i = 0; i < m->loop->n_states; i++) {
        if (i != m->h && i != m->c && !is_counter(m, i))
            return false;
    }
    return true;
}

static bool collects_only(const match *m, vid id)
{
    for (uint32_t i = 0; i < m->loop->n_collected; i++) {
        if (plain(m, m->g->outputs[m->loop->n_states + 1 + i]) != id)
            return false;
    }
    return true;
}

bool md_tfl_fuse_loop(md_tfl_build *b, const md_tfl_loop *l)
{
    typedef bool cell_fn(match * m);
    static cell_fn *const cells[] = { fuse_lstm, fuse_gru, fuse_rnn };

    for (uint32_t h = 0; h < l->n_states && b->e.status == MD_OK; h++) {
        for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++) {
            match m = { .b = b,
                        .loop = l,
                        .g = l->body,
                        .x = MD_VALUE_NONE,
                        .h = h,
                        .c = UINT32_MAX };
            vid of[2];

            m.h_new = next_of(&m, h);
            if (!collects_only(&m, m.h_new) || is_counter(&m, h))
                continue;
            /* The cell's state is known before the counters are looked at. */
            if (i == 0 &&
                read_pair(of, &m, m.h_new, "Mul", is_sigmoid, is_tanh)) {
                gate gates[4];

                if (!read_lstm(&m, gates))
                    continue;
            }
            if (are_counters(&m) && cells[i](&m))
                return true;
        }
    }
    return false;
}
