/*
 * Adjoints from y back to xs, in three walks: which nodes lie between, the
 * tape (these nodes in order, those without a rule of their own replaced by
 * steps that have one), and the tape backwards.
 */
#include "engine/gradient.h"

#include <string.h>

#include "engine/pass.h"
#include "engine/program.h"
#include "engine/steps.h"
#include "ops/grad.h"

enum {
    UNFOLD_MAX = 8 /* operators in the steps of operators */
};

/* A node to walk back through, or (n NULL) one value that is another one's
 * copy for the gradient: what flows into `from` flows into `to`. */
typedef struct entry {
    md_node *n;
    md_value_id from, to;
} entry;

/* What is known of a value. */
typedef struct state {
    bool needed; /* y depends on it */
    bool cut;    /* one of xs and zs */
    bool active; /* it depends on one of xs */
    bool adjoined;
    md_value_id adjoint;
} state;

typedef struct tape {
    md_graph *g;
    md_arena *ar;
    md_arena *rule; /* of the rule at work */
    state *of;      /* by value */
    uint32_t n_of;
    entry *entries;
    uint32_t n_entries, cap_entries;
} tape;

static md_status grow(tape *t, md_error *err)
{
    uint32_t n = t->g->n_values;
    state *of;

    if (t->of && n <= t->n_of)
        return MD_OK;
    n += n / 2 + 64;
    of = md_arena_calloc(t->ar, n, sizeof(*of));
    if (!of)
        return md_fail_nomem(err, n * sizeof(*of));
    if (t->n_of)
        memcpy(of, t->of, t->n_of * sizeof(*of));
    t->of = of;
    t->n_of = n;
    return MD_OK;
}

static md_status add_entry(tape *t, entry e, md_error *err)
{
    if (t->n_entries == t->cap_entries) {
        uint32_t cap = t->cap_entries * 2 + 64;
        entry *list = md_arena_calloc(t->ar, cap, sizeof(*list));

        if (!list)
            return md_fail_nomem(err, cap * sizeof(*list));
        if (t->n_entries)
            memcpy(list, t->entries, t->n_entries * sizeof(*list));
        t->entries = list;
        t->cap_entries = cap;
    }
    t->entries[t->n_entries++] = e;
    return MD_OK;
}

static bool flows(const md_graph *g, md_value_id id)
{
    const md_type *t = &g->values[id].type;

    return t->kind != MD_KIND_TENSOR || t->dtype == MD_DTYPE_NONE ||
           md_dtype_is_float(t->dtype);
}

/* --- types ---------------------------------------------------------------- */

/* The types of all values, as far as they follow from those of the inputs. */
static md_status infer_graph(md_graph *g, md_arena *ar, md_error *err)
{
    md_look look = { MD_LOOK_MAX, false };
    md_facts k;

    k.types = md_arena_calloc(ar, g->n_values + 1u, sizeof(*k.types));
    k.cdata = md_arena_calloc(ar, g->n_values + 1u, sizeof(*k.cdata));
    k.data = md_arena_calloc(ar, g->n_values + 1u, sizeof(*k.data));
    if (!k.types || !k.cdata || !k.data)
        return md_fail_nomem(err, g->n_values * sizeof(*k.types));
    for (uint32_t i = 0; i < g->n_values; i++) {
        k.types[i] = g->values[i].type;
        k.cdata[i] = g->values[i].cdata;
    }
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const md_node *n = g->nodes[i];

        if (!n->dead)
            MD_TRY(md_session__infer_node(g, n, g->model, &k, &look, err));
    }
    for (uint32_t i = 0; i < g->n_values; i++) {
        g->values[i].type = k.types[i];
        g->values[i].data = k.data[i];
    }
    return MD_OK;
}

static md_status check_float(const md_graph *g, md_value_id id, md_error *err)
{
    const md_value *v = &g->values[id];

    if (v->type.kind == MD_KIND_TENSOR && md_dtype_is_float(v->type.dtype))
        return MD_OK;
    return md_fail(err, MD_INVALID,
                   "'%s' is of type %s, a tensor of floats expected", v->name,
                   v->type.kind == MD_KIND_TENSOR ? md_dtype_name(v->type.dtype)
                                                  : md_kind_name(v->type.kind));
}

/* --- the tape ------------------------------------------------------------- */

static bool any_output(const tape *t, const md_node *n, bool needed)
{
    for (uint32_t k = 0; k < n->n_out; k++) {
        const state *s;

        if (n->out[k] == MD_VALUE_NONE)
            continue;
        s = &t->of[n->out[k]];
        if (!s->cut && (needed ? s->needed : s->active))
            return true;
    }
    return false;
}

static void mark_needed(tape *t, md_value_id y)
{
    t->of[y].needed = true;
    for (uint32_t i = t->g->n_nodes; i-- > 0;) {
        const md_node *n = t->g->nodes[i];

        if (n->dead || !any_output(t, n, true))
            continue;
        for (uint32_t k = 0; k < n->n_in; k++) {
            if (n->in[k] != MD_VALUE_NONE)
                t->of[n->in[k]].needed = true;
        }
    }
}

/* Does one of xs reach n through floats?  Then it reaches n's outputs. */
static bool activate(tape *t, const md_node *n)
{
    bool active = false;

    for (uint32_t k = 0; k < n->n_in; k++) {
        md_value_id id = n->in[k];

        active |= id != MD_VALUE_NONE && t->of[id].active && flows(t->g, id);
    }
    for (uint32_t k = 0; k < n->n_out && active; k++) {
        md_value_id id = n->out[k];

        if (id != MD_VALUE_NONE && !t->of[id].cut)
            t->of[id].active = flows(t->g, id);
    }
    return active && any_output(t, n, false);
}

/* An md_grad for n, whose steps go behind all that is there; good until the
 * next one. */
static md_status begin(tape *t, md_steps *s, md_grad *gr, md_node *n,
                       md_error *err)
{
    size_t parts = MD_GRAD_PARTS + 16 * ((size_t)n->n_in + n->n_out);

    md_arena_reset(t->rule);
    *s = (md_steps){ t->g, t->g->n_nodes };
    gr->m = (md_compose){ .arena = t->rule };
    MD_TRY(md_steps__begin(s, &gr->m, n, parts, err));
    return md_grad_begin(gr, err);
}

static md_status lay(tape *t, md_node *n, int depth, md_error *err);

/* Steps in n's place: the copies of its outputs are theirs. */
static md_status unfold(tape *t, md_node *n, int depth, md_error *err)
{
    md_value_id made[MD_COMPOSE_OUTPUTS] = { MD_VALUE_NONE, MD_VALUE_NONE,
                                             MD_VALUE_NONE, MD_VALUE_NONE };
    uint32_t from = t->g->n_nodes, to;
    md_steps s;
    md_grad gr;

    if (depth == UNFOLD_MAX)
        return md_fail(err, MD_INTERNAL, "steps nested deeper than %d", depth);
    MD_TRY(begin(t, &s, &gr, n, err));
    MD_TRY(md_grad_unfold(&gr, n->impl, err));
    MD_TRY(grow(t, err));
    for (uint32_t k = 0; k < MD_COMPOSE_OUTPUTS; k++) {
        if (gr.m.out[k] != MD_PART_NONE)
            made[k] = gr.m.part[gr.m.out[k]].id;
    }
    to = t->g->n_nodes;
    for (uint32_t i = from; i < to; i++)
        MD_TRY(lay(t, t->g->nodes[i], depth + 1, err));
    for (uint32_t k = 0; k < n->n_out && k < MD_COMPOSE_OUTPUTS; k++) {
        if (n->out[k] != MD_VALUE_NONE && made[k] != MD_VALUE_NONE)
            MD_TRY(add_entry(t, (entry){ NULL, n->out[k], made[k] }, err));
    }
    return MD_OK;
}

/* Give n the outputs that its rule reads. */
static md_status complete(tape *t, md_node *n, md_error *err)
{
    const md_op *op = n->impl;

    for (uint32_t k = 0; op->grad_needs >> k; k++) {
        md_value_id id;

        if (!(op->grad_needs >> k & 1) ||
            (k < n->n_out && n->out[k] != MD_VALUE_NONE))
            continue;
        MD_TRY(md_graph_add_value(&id, t->g, "", err));
        MD_TRY(md_node_set_output(t->g, n, k, id, err));
    }
    return grow(t, err);
}

static md_status lay(tape *t, md_node *n, int depth, md_error *err)
{
    const md_op *op = n->impl;
    md_status s = MD_OK;

    if (!activate(t, n))
        return MD_OK;
    if (!md_grad_known(op))
        s = md_fail(err, MD_UNSUPPORTED, "the operator has no gradient");
    else if (op->grad)
        s = add_entry(t, (entry){ .n = n }, err);
    else
        s = unfold(t, n, depth, err);
    if (s == MD_OK && op->grad)
        s = complete(t, n, err);
    if (s != MD_OK && depth == 0)
        md_wrap(err, s, "node '%s' (%s): ", md_graph_label(t->g, n), n->op);
    return s;
}

/* --- backwards ------------------------------------------------------------- */

static md_status add_nodes(md_value_id *out, md_graph *g, const char *op,
                           md_value_id a, md_value_id b, md_error *err)
{
    md_value_id in[2] = { a, b };
    md_node *n;

    MD_TRY(md_graph_add_value(out, g, "", err));
    g->values[*out].type = g->values[a].type;
    MD_TRY(
        md_graph_add_node(&n, g,
                          &(md_node_spec){ .domain = "",
                                           .op = op,
                                           .in = in,
                                           .n_in = b == MD_VALUE_NONE ? 1 : 2,
                                           .out = out,
                                           .n_out = 1 },
                          err));
    n->opset = MD_COMPOSE_OPSET;
    return md_pass__resolve(g, n, err);
}

/* What flows into `to` grows by `add`. */
static md_status flow(tape *t, md_value_id to, md_value_id add, md_error *err)
{
    md_value_id sum = add;

    if (t->of[to].adjoined)
        MD_TRY(add_nodes(&sum, t->g, "Add", t->of[to].adjoint, add, err));
    MD_TRY(grow(t, err));
    t->of[to].adjoined = true;
    t->of[to].adjoint = sum;
    return MD_OK;
}

/* Emit n's adjoint. */
static md_status back_through(tape *t, md_node *n, md_error *err)
{
    bool any = false;
    md_steps s;
    md_grad gr;

    for (uint32_t k = 0; k < n->n_out; k++)
        any |= n->out[k] != MD_VALUE_NONE && t->of[n->out[k]].adjoined;
    if (!any)
        return MD_OK;
    MD_TRY(begin(t, &s, &gr, n, err));
    for (uint32_t k = 0; k < n->n_out; k++) {
        md_value_id id = n->out[k];

        gr.y[k] = md_steps__part(&s, &gr.m, id);
        if (id != MD_VALUE_NONE && t->of[id].adjoined)
            gr.dy[k] = md_steps__part(&s, &gr.m, t->of[id].adjoint);
    }
    for (uint32_t k = 0; k < n->n_in; k++)
        gr.wants[k] = n->in[k] != MD_VALUE_NONE && t->of[n->in[k]].active &&
                      flows(t->g, n->in[k]);
    MD_TRY(md_grad_apply(&gr, n->impl, err));
    MD_TRY(grow(t, err));
    for (uint32_t k = 0; k < n->n_in; k++) {
        if (gr.dx[k] == MD_PART_NONE)
            continue;
        t->g->values[gr.m.part[gr.dx[k]].id].type = t->g->values[n->in[k]].type;
        MD_TRY(flow(t, n->in[k], gr.m.part[gr.dx[k]].id, err));
    }
    return MD_OK;
}

static md_status back(tape *t, md_error *err)
{
    for (uint32_t i = t->n_entries; i-- > 0;) {
        const entry *e = &t->entries[i];
        md_status s = MD_OK;

        if (e->n)
            s = back_through(t, e->n, err);
        else if (t->of[e->from].adjoined)
            s = flow(t, e->to, t->of[e->from].adjoint, err);
        if (s != MD_OK && e->n)
            return md_wrap(err, s,
                           "node '%s' (%s): ", md_graph_label(t->g, e->n),
                           e->n->op);
        MD_TRY(s);
    }
    return MD_OK;
}

/* A tensor of this number, of the type of id, which need not have a shape that
 * is known. */
static md_status fill_like(tape *t, md_value_id id, double v, md_value_id *out,
                           md_error *err)
{
    md_value_id none = MD_VALUE_NONE;
    md_node like = { .name = "",
                     .op = "Gradient",
                     .domain = "",
                     .overload = "",
                     .in = &id,
                     .out = &none,
                     .n_in = 1,
                     .opset = 1 };
    md_steps s;
    md_grad gr;
    md_part p;

    MD_TRY(begin(t, &s, &gr, &like, err));
    p = md_grad_fill(&gr, md_grad_in(&gr, 0), v);
    if (gr.status != MD_OK && err)
        *err = gr.why;
    if (gr.status == MD_OK)
        *out = gr.m.part[p].id;
    return gr.status;
}

static md_status finish(tape *t, md_value_id x, md_value_id *dx, md_error *err)
{
    md_value_id from = t->of[x].adjoint;

    if (!t->of[x].adjoined)
        MD_TRY(fill_like(t, x, 0, &from, err));
    return add_nodes(dx, t->g, "Identity", from, MD_VALUE_NONE, err);
}

static md_status walk(tape *t, const md_gradient_spec *spec, md_value_id *dx,
                      md_error *err)
{
    uint32_t n_nodes = t->g->n_nodes;
    md_value_id dy = spec->dy;

    MD_TRY(grow(t, err));
    for (uint32_t i = 0; i < spec->n_xs; i++) {
        MD_TRY(check_float(t->g, spec->xs[i], err));
        t->of[spec->xs[i]].cut = t->of[spec->xs[i]].active = true;
    }
    for (uint32_t i = 0; i < spec->n_zs; i++)
        t->of[spec->zs[i]].cut = true;
    MD_TRY(check_float(t->g, spec->y, err));
    mark_needed(t, spec->y);
    for (uint32_t i = 0; i < n_nodes; i++) {
        if (!t->g->nodes[i]->dead && any_output(t, t->g->nodes[i], true))
            MD_TRY(lay(t, t->g->nodes[i], 0, err));
    }
    if (dy == MD_VALUE_NONE)
        MD_TRY(fill_like(t, spec->y, 1, &dy, err));
    MD_TRY(flow(t, spec->y, dy, err));
    MD_TRY(back(t, err));
    for (uint32_t i = 0; i < spec->n_xs; i++)
        MD_TRY(finish(t, spec->xs[i], &dx[i], err));
    return MD_OK;
}

md_status md_gradient_append(md_value_id *dx, md_graph *g,
                             const md_gradient_spec *spec, md_error *err)
{
    md_arena ar, rule;
    md_status s;
    tape t = { .g = g, .ar = &ar, .rule = &rule };

    md_arena_init(&ar, g->model->alloc, 0);
    md_arena_init(&rule, g->model->alloc, 0);
    s = infer_graph(g, &ar, err);
    if (s == MD_OK)
        s = walk(&t, spec, dx, err);
    if (s == MD_OK)
        s = md_graph_sort(g, err);
    md_arena_release(&rule);
    md_arena_release(&ar);
    return s;
}
