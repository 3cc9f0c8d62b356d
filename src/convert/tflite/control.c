/* Subgraphs and variables: IF, WHILE, CALL_ONCE, VAR_HANDLE and so on. */
#include <string.h>

#include "convert/tflite/build.h"
#include "convert/tflite/fuse.h"

struct md_tfl_variable {
    const char *name;
    md_value_id start, now; /* MD_VALUE_NONE: not known */
    md_value_id input;      /* of the graph, when it changes */
    bool is_assigned;       /* by the main graph */
};

static bool check_graph(md_tfl_build *b, int32_t graph, uint32_t n_in,
                        uint32_t n_out)
{
    const md_tflite_graph *g;

    if (graph < 1 || (uint32_t)graph >= b->m->n_graphs) {
        md_emit_fail(&b->e, MD_CORRUPT, "subgraph %d of %u", (int)graph,
                     b->m->n_graphs);
        return false;
    }
    g = &b->m->graphs[graph];
    if (g->n_inputs != n_in || g->n_outputs != n_out) {
        md_emit_fail(&b->e, MD_CORRUPT,
                     "subgraph %d has %u inputs and %u outputs, %u and %u "
                     "expected",
                     (int)graph, g->n_inputs, g->n_outputs, n_in, n_out);
        return false;
    }
    return b->e.status == MD_OK;
}

/* Let a tensor of the scope now be what `from` is in the scope `outer`. */
static void bind(md_tfl_build *b, md_tfl_value *v, md_tfl_scope *outer,
                 md_tfl_value *from)
{
    md_emit_scope *inner = b->e.s;
    md_value_id id;

    if (from->c && !from->same) {
        v->c = from->c;
        return;
    }
    b->e.s = &outer->e;
    id = md_tfl_code(b, from, MD_TFL_LAST);
    b->e.s = inner;
    id = md_emit_capture(&b->e, &outer->e, id);
    md_tfl_put(b, v, id, true, MD_TFL_LAST);
}

/* In a graph of its own the operator's tensors mean nothing; messages keep its
 * name. */
static void forget_op(md_tfl_build *b)
{
    const char *name = b->e.op;

    md_tfl_at(b, NULL);
    b->e.op = name;
}

/* A new body; the scope is b's until leave, and no operator is at hand. */
static md_graph *enter(md_tfl_build *b, int32_t graph)
{
    md_graph *g = NULL;
    md_tfl_scope *s;

    if (!md_emit_ok(&b->e, md_graph_new(&g, b->e.model, b->e.s->g,
                                        b->m->graphs[graph].name, b->e.err)))
        return NULL;
    s = md_tfl_scope_new(b, g, (uint32_t)graph);
    if (!s)
        return NULL;
    b->e.s = &s->e;
    forget_op(b);
    return g;
}

static void leave(md_tfl_build *b, md_tfl_scope *outer, const md_tflite_op *op)
{
    if (b->e.status == MD_OK)
        md_emit_finish(&b->e);
    b->e.s = &outer->e;
    md_tfl_at(b, op);
}

/* --- IF --- */

static md_graph *branch(md_tfl_build *b, int32_t graph)
{
    const md_tflite_op *op = b->op;
    md_tfl_scope *outer = md_tfl_now(b);
    md_graph *g = enter(b, graph);

    if (!g)
        return NULL;
    for (uint32_t i = 0;
         i < md_tfl_now(b)->tg->n_inputs && b->e.status == MD_OK; i++) {
        if (op->in[i + 1] < 0)
            md_emit_fail(&b->e, MD_CORRUPT, "an input is missing");
        else
            bind(b, &md_tfl_now(b)->values[md_tfl_now(b)->tg->inputs[i]], outer,
                 &outer->values[op->in[i + 1]]);
    }
    md_tfl_emit_ops(b);
    for (uint32_t i = 0; i < md_tfl_now(b)->tg->n_outputs; i++)
        md_emit_add_output(
            &b->e, md_tfl_pass(b, (uint32_t)md_tfl_now(b)->tg->outputs[i]),
            NULL);
    leave(b, outer, op);
    return b->e.status == MD_OK ? g : NULL;
}

static const md_type *output_type(const md_graph *g, uint32_t i)
{
    return &md_graph_value(g, g->outputs[i])->type;
}

/* then 0, else 1 */
void md_tfl_emit_if(md_tfl_build *b)
{
    int32_t then = md_fb_i32(&b->op->options, 0, 0);
    int32_t otherwise = md_fb_i32(&b->op->options, 1, 0);
    uint32_t n_in = b->op->n_in - 1;
    uint32_t n_out = b->op->n_out;
    md_value_id *out = md_emit_alloc(&b->e, n_out, sizeof(*out));
    md_graph *g[2];
    md_value_id c = md_tfl_x(b, 0);

    if (!out || n_out == 0) {
        md_emit_fail(&b->e, MD_UNSUPPORTED, "branches without a result");
        return;
    }
    if (!check_graph(b, then, n_in, n_out) ||
        !check_graph(b, otherwise, n_in, n_out))
        return;
    c = md_emit_reshape(&b->e, c, NULL, 0);
    g[0] = branch(b, then);
    g[1] = g[0] ? branch(b, otherwise) : NULL;
    if (!g[1])
        return;
    md_emit_op_n(
        &b->e, out, n_out, "If", &c, 1,
        EMIT_ATTRS(EMIT_G("then_branch", g[0]), EMIT_G("else_branch", g[1])));
    for (uint32_t i = 0; i < n_out && b->e.status == MD_OK; i++) {
        md_type *t = &md_graph_value(b->e.s->g, out[i])->type;

        *t = *output_type(g[0], i);
        md_emit_join(&b->e, t, output_type(g[1], i));
        md_tfl_set_code(b, i, out[i], MD_TFL_LAST);
    }
}

/* --- WHILE --- */

/* What goes round in a loop. */
typedef struct round {
    uint32_t n;        /* of the operator */
    bool *fixed;       /* the body leaves it as it is */
    bool *collects;    /* the body adds one element each time, and reads none:
                        * the input is their number */
    md_type *types;    /* of what comes in */
    md_value_id *from; /* before the loop */
    md_value_id *to;   /* after it */
} round;

/* The condition's graph, put into the graph in scope: state[i] is its input i,
 * NULL for one that it cannot see. */
static md_value_id condition(md_tfl_build *b, int32_t graph,
                             md_tfl_value *const *state)
{
    const md_tflite_op *op = b->op;
    const md_tflite_graph *tg = md_tfl_now(b)->tg;
    md_tfl_value *values = md_tfl_now(b)->values;
    md_tfl_scope *made = md_tfl_scope_new(b, b->e.s->g, (uint32_t)graph);
    md_value_id id = MD_VALUE_NONE;

    if (!made)
        return id;
    for (uint32_t i = 0; i < made->tg->n_inputs && b->e.status == MD_OK; i++) {
        md_tfl_value *v = &made->values[made->tg->inputs[i]];

        if (!state[i])
            continue;
        if (state[i]->c && !state[i]->same)
            v->c = state[i]->c;
        else
            md_tfl_put(b, v, md_tfl_code(b, state[i], MD_TFL_LAST), true,
                       MD_TFL_LAST);
    }
    md_tfl_now(b)->tg = made->tg;
    md_tfl_now(b)->values = made->values;
    forget_op(b);
    md_tfl_emit_ops(b);
    if (b->e.status == MD_OK)
        id = md_tfl_pass(b, (uint32_t)made->tg->outputs[0]);
    id = md_emit_reshape(&b->e, id, NULL, 0);
    md_tfl_now(b)->tg = tg;
    md_tfl_now(b)->values = values;
    md_tfl_at(b, op);
    return id;
}

/* Inputs of the body: the trip, the condition, and what changes. */
static void body_inputs(md_tfl_build *b, const round *r, md_tfl_scope *outer,
                        const md_tflite_op *op)
{
    static const md_type trip = { .dtype = MD_DTYPE_I64, .has_rank = true };
    static const md_type cond = { .dtype = MD_DTYPE_BOOL, .has_rank = true };

    (void)md_emit_input(&b->e, &trip, "trip");
    (void)md_emit_input(&b->e, &cond, "go_on");
    for (uint32_t i = 0; i < r->n && b->e.status == MD_OK; i++) {
        md_tfl_value *v = &md_tfl_now(b)->values[md_tfl_now(b)->tg->inputs[i]];

        if (r->collects[i])
            continue;
        if (r->fixed[i])
            bind(b, v, outer, &outer->values[op->in[i]]);
        else
            md_tfl_put(b, v, md_emit_input(&b->e, &r->types[i], v->t->name),
                       true, MD_TFL_LAST);
    }
}

static md_graph *loop_body(md_tfl_build *b, const round *r, int32_t cond,
                           int32_t body)
{
    const md_tflite_op *op = b->op;
    md_tfl_scope *outer = md_tfl_now(b);
    md_graph *g = enter(b, body);
    md_tfl_value **state = md_emit_alloc(&b->e, r->n, sizeof(*state));
    const md_tflite_graph *tg;

    if (!g || !state)
        return NULL;
    tg = md_tfl_now(b)->tg;
    body_inputs(b, r, outer, op);
    md_tfl_emit_ops(b);
    for (uint32_t i = 0; i < r->n; i++)
        state[i] =
            r->collects[i] ? NULL : &md_tfl_now(b)->values[tg->outputs[i]];
    md_emit_add_output(&b->e, condition(b, cond, state), NULL);
    for (int collected = 0; collected < 2; collected++) {
        for (uint32_t i = 0; i < r->n && b->e.status == MD_OK; i++) {
            if (!r->fixed[i] && r->collects[i] == collected)
                md_emit_add_output(
                    &b->e, md_tfl_pass(b, (uint32_t)tg->outputs[i]), NULL);
        }
    }
    leave(b, outer, op);
    return b->e.status == MD_OK ? g : NULL;
}

/* Sizes that the body changes become free; true when there were such. */
static bool loosen(md_tfl_build *b, round *r, const md_graph *g)
{
    bool any = false;
    uint32_t at = 1;

    for (uint32_t i = 0; i < r->n; i++) {
        md_type *t = &r->types[i];
        const md_type *out;

        if (r->fixed[i] || r->collects[i])
            continue;
        out = output_type(g, at++);
        if (!out->has_rank || !t->has_rank || out->rank != t->rank) {
            md_emit_fail(&b->e, MD_UNSUPPORTED, "a state whose rank changes");
            return false;
        }
        for (int k = 0; k < t->rank; k++)
            any = any || !md_dim_equal(t->dim[k], out->dim[k]);
        md_emit_join(&b->e, t, out);
    }
    return any;
}

static bool begin_round(md_tfl_build *b, round *r, const md_tflite_graph *tg)
{
    uint32_t n = b->op->n_in;
    md_fb_vector collects = md_fb_vec(&b->op->options, 2, 4);

    r->n = n;
    r->collects = md_emit_alloc(&b->e, n, sizeof(*r->collects));
    for (uint32_t i = 0; r->collects && i < collects.n; i++) {
        int32_t at = md_fb_vec_i32(&collects, i);

        if (at >= 0 && (uint32_t)at < n)
            r->collects[at] = true;
    }
    r->fixed = md_emit_alloc(&b->e, n, sizeof(*r->fixed));
    r->types = md_emit_alloc(&b->e, n, sizeof(*r->types));
    r->from = md_emit_alloc(&b->e, n + 2, sizeof(*r->from));
    r->to = md_emit_alloc(&b->e, n, sizeof(*r->to));
    for (uint32_t i = 0; r->collects && i < n && b->e.status == MD_OK; i++) {
        if (!md_tfl_in(b, i)) {
            md_emit_fail(&b->e, MD_CORRUPT, "an input is missing");
            return false;
        }
        r->fixed[i] = !r->collects[i] && tg->inputs[i] == tg->outputs[i];
        if (!r->fixed[i] && !r->collects[i])
            r->types[i] = *md_emit_type(
                &b->e, md_tfl_code(b, md_tfl_in(b, i), MD_TFL_LAST));
    }
    return b->e.status == MD_OK;
}

/* The body; made anew when it turns out to change sizes. */
static md_graph *make_body(md_tfl_build *b, round *r, int32_t cond,
                           int32_t body)
{
    uint32_t n_transposes = b->n_transposes;
    md_graph *g = loop_body(b, r, cond, body);

    for (int again = 0; again < MD_RANK_MAX && g && loosen(b, r, g); again++) {
        b->n_transposes = n_transposes;
        g = loop_body(b, r, cond, body);
    }
    return b->e.status == MD_OK ? g : NULL;
}

/* The elements that a state collected, one behind the other. */
static void set_collected(md_tfl_build *b, uint32_t i, md_value_id id,
                          const md_type *element)
{
    md_type *t = &md_graph_value(b->e.s->g, id)->type;
    uint32_t n = 0;
    md_dim count;

    if (!element->has_rank || element->rank == MD_RANK_MAX) {
        md_emit_fail(&b->e, MD_UNSUPPORTED, "elements of rank %d",
                     element->rank);
        return;
    }
    *t = *element;
    t->rank++;
    for (int k = t->rank - 1; k > 0; k--)
        t->dim[k] = t->dim[k - 1];
    t->dim[0] = (md_dim){ .scale = 1 };
    if (md_tfl_read_dims(b, i, &count, 1, &n) && n == 1 && count.k >= 0)
        t->dim[0] = count;
    else
        md_emit_ok(&b->e,
                   md_model_symbol(&t->dim[0].sym, b->e.model, NULL, b->e.err));
    md_tfl_set_code(b, i, id, MD_TFL_LAST);
}

/* Outputs: what goes round, as it is after the last time; then what is
 * collected. */
static void set_results(md_tfl_build *b, const round *r, const md_graph *g,
                        bool fused)
{
    uint32_t at = 0;

    for (uint32_t i = 0; i < r->n && b->e.status == MD_OK; i++) {
        if (r->collects[i])
            continue;
        if (r->fixed[i]) {
            md_tfl_set_code(b, i, md_tfl_code(b, md_tfl_in(b, i), MD_TFL_LAST),
                            MD_TFL_LAST);
            continue;
        }
        if (!fused)
            md_graph_value(b->e.s->g, r->to[at])->type = r->types[i];
        md_tfl_set_code(b, i, r->to[at++], MD_TFL_LAST);
    }
    for (uint32_t i = 0; i < r->n && b->e.status == MD_OK; i++) {
        if (!r->collects[i])
            continue;
        if (fused)
            md_tfl_set_code(b, i, r->to[at], MD_TFL_LAST);
        else
            set_collected(b, i, r->to[at], output_type(g, at + 1));
        at++;
    }
}

/* cond 0, body 1; of TensorFlow's own also 2: the states that collect */
void md_tfl_emit_while(md_tfl_build *b)
{
    int32_t cond = md_fb_i32(&b->op->options, 0, 0);
    int32_t body = md_fb_i32(&b->op->options, 1, 0);
    uint32_t n = b->op->n_in;
    md_tfl_value **state = md_emit_alloc(&b->e, n, sizeof(*state));
    uint32_t m = 2;
    uint32_t n_out = 0;
    uint32_t n_captured;
    bool fused;
    md_tfl_loop l;
    md_graph *g;
    round r;

    if (!state || !check_graph(b, body, n, n) || !check_graph(b, cond, n, 1))
        return;
    if (b->op->n_out != n) {
        md_emit_fail(&b->e, MD_CORRUPT, "%u inputs, %u outputs", n,
                     b->op->n_out);
        return;
    }
    if (!begin_round(b, &r, &b->m->graphs[body]))
        return;
    for (uint32_t i = 0; i < n; i++)
        state[i] = r.collects[i] ? NULL : md_tfl_in(b, i);
    r.from[0] = MD_VALUE_NONE;
    r.from[1] = condition(b, cond, state);
    for (uint32_t i = 0; i < n; i++) {
        if (!r.fixed[i])
            n_out++;
        if (!r.fixed[i] && !r.collects[i])
            r.from[m++] = md_tfl_code(b, state[i], MD_TFL_LAST);
    }
    n_captured = b->e.s->n_captured;
    g = make_body(b, &r, cond, body);
    if (!g)
        return;
    l = (md_tfl_loop){ g, r.from + 2, r.to, m - 2, n_out - (m - 2) };
    fused = md_tfl_fuse_loop(b, &l);
    if (fused) /* nobody reads what the body did */
        b->e.s->n_captured = n_captured;
    else
        md_emit_op_n(&b->e, r.to, n_out, "Loop", r.from, m,
                     EMIT_ATTRS(EMIT_G("body", g)));
    set_results(b, &r, g, fused);
}

/* --- variables --- */

static md_tfl_variable *find_variable(md_tfl_build *b, const char *name)
{
    md_tfl_variable *v;

    for (uint32_t i = 0; i < b->n_variables; i++) {
        if (strcmp(b->variables[i].name, name) == 0)
            return &b->variables[i];
    }
    if (!md_emit_ok(&b->e, md_arena_grow(b->e.arena, &b->variables,
                                         &b->cap_variables, b->n_variables,
                                         sizeof(*b->variables), b->e.err)))
        return NULL;
    v = &b->variables[b->n_variables++];
    *v = (md_tfl_variable){ name, MD_VALUE_NONE, MD_VALUE_NONE, MD_VALUE_NONE,
                            false };
    return v;
}

/* Name of the variable that tensor t of the graph is a handle of; NULL. */
static const char *handle_name(const md_tflite_graph *g, int32_t t)
{
    enum {
        VAR_HANDLE = 142
    };

    for (uint32_t i = 0; i < g->n_ops; i++) {
        const md_tflite_op *op = &g->ops[i];

        if (op->code == VAR_HANDLE && op->n_out == 1 && op->out[0] == t)
            return md_fb_text(&op->options, 1);
    }
    return NULL;
}

/* The variable of input 0. */
static md_tfl_variable *variable(md_tfl_build *b)
{
    const char *name = handle_name(md_tfl_now(b)->tg, b->op->in[0]);

    if (!name || b->e.s->parent) {
        md_emit_fail(&b->e, MD_UNSUPPORTED,
                     "a variable that comes from elsewhere");
        return NULL;
    }
    return find_variable(b, name);
}

/* Does the main graph assign it? */
static bool is_assigned(const md_tflite_graph *g, const char *name)
{
    enum {
        ASSIGN_VARIABLE = 144
    };

    for (uint32_t i = 0; i < g->n_ops; i++) {
        const md_tflite_op *op = &g->ops[i];
        const char *of = op->code == ASSIGN_VARIABLE && op->n_in == 2
                             ? handle_name(g, op->in[0])
                             : NULL;

        if (of && strcmp(of, name) == 0)
            return true;
    }
    return false;
}

void md_tfl_emit_var_handle(md_tfl_build *b)
{
    (void)b; /* who uses the handle looks for its name */
}

/* A variable that changes is an input of the graph, and an output. */
static void make_input(md_tfl_build *b, md_tfl_variable *var,
                       const md_tfl_value *y)
{
    md_type t = { .dtype = y->t->dtype, .has_rank = true, .rank = y->t->rank };

    if (var->start != MD_VALUE_NONE)
        t = *md_emit_type(&b->e, var->start);
    for (int i = 0; var->start == MD_VALUE_NONE && i < t.rank; i++)
        t.dim[i] = MD_DIM(y->t->dim[i] < 0 ? 1 : y->t->dim[i]);
    var->input = md_emit_input(&b->e, &t, var->name[0] ? var->name : "state");
    var->now = var->input;
}

void md_tfl_emit_read_variable(md_tfl_build *b)
{
    md_tfl_variable *var = variable(b);
    const md_tfl_value *y = md_tfl_out(b, 0);

    if (!var || !y || b->e.status != MD_OK)
        return;
    if (var->now == MD_VALUE_NONE && is_assigned(md_tfl_now(b)->tg, var->name))
        make_input(b, var, y);
    if (var->now == MD_VALUE_NONE)
        var->now = var->start;
    if (var->now == MD_VALUE_NONE) {
        md_emit_fail(&b->e, MD_UNSUPPORTED, "variable '%.60s' is never set",
                     var->name);
        return;
    }
    md_tfl_set_code(b, 0, var->now, MD_TFL_LAST);
}

void md_tfl_emit_assign_variable(md_tfl_build *b)
{
    md_tfl_variable *var = variable(b);
    md_value_id id = md_tfl_code(b, md_tfl_in(b, 1), MD_TFL_LAST);

    if (!var || b->e.status != MD_OK)
        return;
    if (b->depth > 1) { /* of CALL_ONCE */
        var->start = id;
        if (!md_emit_cdata(&b->e, id))
            md_emit_fail(&b->e, MD_UNSUPPORTED, "a computed start of '%.60s'",
                         var->name);
        return;
    }
    var->now = id;
    var->is_assigned = true;
}

void md_tfl_emit_call_once(md_tfl_build *b)
{
    int32_t graph = md_fb_i32(&b->op->options, 0, 0);
    const md_tflite_op *op = b->op;
    const md_tflite_graph *tg = md_tfl_now(b)->tg;
    md_tfl_value *values = md_tfl_now(b)->values;
    md_tfl_scope *made;

    if (!check_graph(b, graph, 0, 0))
        return;
    made = md_tfl_scope_new(b, b->e.s->g, (uint32_t)graph);
    if (!made)
        return;
    md_tfl_now(b)->tg = made->tg;
    md_tfl_now(b)->values = made->values;
    md_tfl_emit_ops(b);
    md_tfl_now(b)->tg = tg;
    md_tfl_now(b)->values = values;
    md_tfl_at(b, op);
}

md_value_id md_tfl_state(md_tfl_build *b, uint32_t i)
{
    md_tfl_value *v = md_tfl_in(b, i);
    md_type t;
    md_value_id id;

    if (!v || !v->t->is_variable || b->e.s->parent || b->depth > 1) {
        md_emit_fail(&b->e, MD_UNSUPPORTED, "a state that is no variable");
        return MD_VALUE_NONE;
    }
    if (v->code[0] == MD_VALUE_NONE && v->real[0] == MD_VALUE_NONE) {
        t = (md_type){ .dtype = v->t->dtype,
                       .has_rank = true,
                       .rank = v->t->rank };
        for (int k = 0; k < t.rank; k++)
            t.dim[k] = MD_DIM(v->t->dim[k] < 0 ? 1 : v->t->dim[k]);
        id = md_emit_input(&b->e, &t, v->t->name);
        md_tfl_put(b, v, id, true, MD_TFL_LAST);
    }
    return md_tfl_real(b, v, MD_TFL_LAST);
}

void md_tfl_keep_state(md_tfl_build *b, uint32_t i, md_value_id id)
{
    md_tfl_value *v = md_tfl_in(b, i);
    md_tfl_variable *var = v ? find_variable(b, v->t->name) : NULL;

    if (!var || b->e.status != MD_OK)
        return;
    md_tfl_put(b, v, id, false, MD_TFL_LAST);
    var->now = md_tfl_code(b, v, MD_TFL_LAST);
    var->is_assigned = true;
}

void md_tfl_finish_variables(md_tfl_build *b)
{
    for (uint32_t i = 0; i < b->n_variables && b->e.status == MD_OK; i++) {
        md_tfl_variable *v = &b->variables[i];
        const char *name;

        if (!v->is_assigned)
            continue;
        name = md_arena_printf(b->e.arena, "%.400s/out",
                               v->name[0] ? v->name : "state");
        if (!name)
            b->e.status = md_fail_nomem(b->e.err, 1);
        else
            md_emit_add_output(&b->e, v->now, name);
    }
}
