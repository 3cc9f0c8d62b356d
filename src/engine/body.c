#include "engine/body.h"

#include <string.h>

#include "base/limits.h"
#include "base/size.h"
#include "engine/pass.h"

static md_session *session_of(const md_graph *body)
{
    return body->impl;
}

/* Where in the inputs of n the captures of `body` begin. */
static uint32_t captures_at(const md_node *n, const md_graph *body)
{
    uint32_t at = n->n_in - n->n_captures;
    const md_graph *g;

    for (uint32_t i = 0; (g = md_node_graph(n, i)) && g != body; i++)
        at += g->n_captures;
    return at;
}

static uint32_t n_own_inputs(const md_graph *body)
{
    return body->n_inputs - body->n_captures;
}

/* ---- at load ---- */

md_status md_body__make_sessions(md_session *root, const md_graph *g,
                                 md_error *err)
{
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        md_graph *body;

        for (uint32_t k = 0; (body = md_node_graph(g->nodes[i], k)); k++) {
            MD_TRY(md_session__new_body(root, body, err));
            MD_TRY(md_body__make_sessions(root, body, err));
        }
    }
    return MD_OK;
}

/* A subgraph being looked at: what is known of its values. */
typedef struct trial {
    const md_graph *g;
    md_arena arena;
    md_type *types;
    const md_tensor **cdata;
    md_tensor *computed; /* n_nodes * MD_KNOWN_OUT at most */
    uint32_t n_computed;
} trial;

static md_status trial_init(trial *t, const md_graph *g, md_error *err)
{
    size_t n = g->n_values + 1u;

    *t = (trial){ .g = g };
    md_arena_init(&t->arena, g->model->alloc, 0);
    t->types = md_arena_calloc(&t->arena, n, sizeof(*t->types));
    t->cdata = md_arena_calloc(&t->arena, n, sizeof(*t->cdata));
    t->computed = md_arena_calloc(
        &t->arena, (size_t)g->n_nodes * MD_KNOWN_OUT + 1, sizeof(*t->computed));
    if (!t->types || !t->cdata || !t->computed)
        return md_fail_nomem(err, n * sizeof(*t->types));
    for (uint32_t i = 0; i < g->n_values; i++) {
        t->types[i] = g->values[i].type;
        t->cdata[i] = g->values[i].cdata;
    }
    return MD_OK;
}

static void trial_release(trial *t)
{
    for (uint32_t i = 0; i < t->n_computed; i++)
        md_tensor_release(&t->computed[i]);
    md_arena_release(&t->arena);
}

/* Let the subgraph know what its inputs are. */
static md_status commit(const trial *t, md_graph *g, md_error *err)
{
    for (uint32_t i = 0; i < g->n_inputs; i++) {
        md_value_id id = g->inputs[i];

        if (t->cdata[id] && !g->values[id].cdata) {
            md_tensor borrowed = *t->cdata[id];

            borrowed.owner = NULL;
            MD_TRY(md_graph_set_const(g, id, borrowed, err));
        }
        g->values[id].type = t->types[id];
    }
    return MD_OK;
}

/* Sizes that are declared say what an exporter saw: those of what a loop
 * carries may change from trip to trip.  Element types may not. */
static md_status check_declared(const md_graph *g, md_value_id id,
                                const md_type *given, md_error *err)
{
    const md_type *t = &g->values[id].type;

    if (t->kind != given->kind || t->dtype == given->dtype ||
        t->dtype == MD_DTYPE_NONE || given->dtype == MD_DTYPE_NONE)
        return MD_OK;
    return md_fail(err, MD_INVALID,
                   "input '%s' of a subgraph is %s, %s is declared",
                   g->values[id].name, md_dtype_name(given->dtype),
                   md_dtype_name(t->dtype));
}

static md_status set_inputs(trial *t, const md_infer *c, const md_type *in,
                            md_error *err)
{
    const md_graph *g = t->g;
    uint32_t n_own = n_own_inputs(g), at = captures_at(c->node, g);

    for (uint32_t i = 0; i < g->n_inputs; i++) {
        md_value_id id = g->inputs[i];
        uint32_t k = at + i - n_own;

        if (i < n_own)
            MD_TRY(check_declared(g, id, &in[i], err));
        t->types[id] = i < n_own ? in[i] : *c->in[k];
        if (i >= n_own && !t->cdata[id])
            t->cdata[id] = c->cin[k];
    }
    return MD_OK;
}

static md_status compute(trial *t, const md_node *n, md_error *err)
{
    md_tensor *out = t->computed + t->n_computed;

    t->n_computed += n->n_out; /* some of it may be there on failure */
    MD_TRY(md_known__compute(t->g, n, t->types, t->cdata, out,
                             t->g->model->alloc, &t->arena, err));
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (n->out[i] != MD_VALUE_NONE)
            t->cdata[n->out[i]] = &out[i];
    }
    return MD_OK;
}

static md_status look_at(trial *t, const md_node *n, const md_infer *c,
                         md_error *err)
{
    md_look *outer = c->ctx;
    md_look inner = { outer->left, false }; /* what it sees does not last */
    md_facts facts = { t->types, t->cdata, NULL };

    if (inner.left == 0)
        return md_fail(err, MD_TOO_LARGE,
                       "subgraphs in subgraphs that take more than %d steps to "
                       "infer",
                       MD_LOOK_MAX);
    inner.left--;
    MD_TRY(md_session__infer_node(t->g, n, c->model, &facts, &inner, err));
    outer->left = inner.left;
    if (md_known__now(t->g, n, t->types, t->cdata))
        MD_TRY(compute(t, n, err));
    return MD_OK;
}

md_status md_body__infer(const md_infer *c, const md_graph *body,
                         const md_type *in, md_type *out, md_error *err)
{
    md_status s;
    trial t;

    MD_GOTO(trial_init(&t, body, err));
    MD_GOTO(set_inputs(&t, c, in, err));
    if (((const md_look *)c->ctx)->commit)
        MD_GOTO(commit(&t, session_of(body)->graph, err));
    for (uint32_t i = 0; i < body->n_nodes; i++) {
        if (!body->nodes[i]->dead)
            MD_GOTO(look_at(&t, body->nodes[i], c, err));
    }
    for (uint32_t i = 0; i < body->n_outputs; i++)
        out[i] = t.types[body->outputs[i]];
out:
    trial_release(&t);
    return s;
}

static md_status prepare(const md_session *s, md_graph *body, bool last,
                         md_error *err)
{
    md_session *b = session_of(body);

    b->precision = s->precision;
    MD_TRY(md_session__align(b, err));
    if (last && !s->reference) {
        MD_TRY(md_passes_run(body, s->precision, err));
        MD_TRY(md_pass__drop_unused(body, err));
    }
    MD_TRY(md_session__propagate(b, !last, err));
    return md_pass__drop_unused(body, err);
}

/* A branch may stand behind a condition because it does not fit other inputs:
 * one of an If that cannot work is a failure only once it is taken. */
static bool may_be_broken(const md_node *n, md_status s)
{
    return strcmp(n->op, "If") == 0 &&
           (s == MD_INVALID || s == MD_UNSUPPORTED || s == MD_CORRUPT);
}

static md_status compile(const md_session *s, const md_node *n, md_graph *body,
                         bool last, md_error *err)
{
    md_session *b = session_of(body);
    md_error why = MD_ERROR_INIT;
    md_status st;

    if (b->broken != MD_OK)
        return MD_OK;
    st = prepare(s, body, last, &why);
    if (may_be_broken(n, st)) {
        b->broken = st;
        b->why_broken = why;
        return MD_OK;
    }
    if (st != MD_OK && err)
        *err = why;
    return st;
}

md_status md_body__compile(const md_session *s, const md_node *n, bool last,
                           md_error *err)
{
    md_graph *body;

    for (uint32_t i = 0; (body = md_node_graph(n, i)); i++)
        MD_TRY(compile(s, n, body, last, err));
    return MD_OK;
}

md_status md_body__lower(const md_session *s, const md_node *n, md_error *err)
{
    md_graph *body;

    for (uint32_t i = 0; (body = md_node_graph(n, i)); i++) {
        md_session *b = session_of(body);

        if (b->broken != MD_OK)
            continue;
        b->precision = s->precision;
        b->choice = s->choice;
        b->keeps_constants = s->keeps_constants;
        MD_TRY(md_session__describe(b, err));
        MD_TRY(md_session__lower(b, err));
    }
    return MD_OK;
}

void md_body__unlower(const md_node *n)
{
    md_graph *body;

    for (uint32_t i = 0; (body = md_node_graph(n, i)); i++) {
        md_session__drop_runs(session_of(body));
        md_session__unlower(session_of(body));
    }
}

/* ---- in a run ---- */

struct md_body_state {
    const md_graph *graph;
    md_run *run; /* that was used last; NULL: none yet */
    uint32_t captures_at;
    md_shape *shapes;           /* by input */
    const md_tensor **given;    /* by input */
    const md_tensor **contents; /* by input: what holds for all runs below */
};

/* What the plan above knows of captures, so that shapes made of them are
 * known too. */
static void find_contents(const md_run *r, const md_node *n, md_body_state *b)
{
    const md_graph *g = b->graph;
    uint32_t n_own = n_own_inputs(g);

    for (uint32_t i = n_own; i < g->n_inputs; i++) {
        md_value_id id = n->in[b->captures_at + i - n_own];
        const md_tensor *t = r->cdata[id];

        if (!g->values[g->inputs[i]].cdata && md_known__has_contents(t) &&
            t->dtype != MD_DTYPE_STRING && md_tensor_n(t) <= MD_KNOWN_ELEMENTS)
            b->contents[i] = t;
    }
}

static md_status prepare_step(md_run *r, md_run_step *st, md_error *err)
{
    const md_node *n = st->inst->node;
    uint32_t n_bodies = 0;

    while (n && md_node_graph(n, n_bodies))
        n_bodies++;
    if (n_bodies == 0)
        return MD_OK;
    st->bodies = md_arena_calloc(&r->arena, n_bodies + 1u, sizeof(*st->bodies));
    if (!st->bodies)
        return md_fail_nomem(err, n_bodies * sizeof(*st->bodies));
    for (uint32_t i = 0; i < n_bodies; i++) {
        md_body_state *b = &st->bodies[i];
        size_t n_in;

        b->graph = md_node_graph(n, i);
        b->captures_at = captures_at(n, b->graph);
        n_in = b->graph->n_inputs + 1u;
        b->shapes = md_arena_calloc(&r->arena, n_in, sizeof(*b->shapes));
        b->given = md_arena_calloc(&r->arena, n_in, sizeof(*b->given));
        b->contents = md_arena_calloc(&r->arena, n_in, sizeof(*b->contents));
        if (!b->shapes || !b->given || !b->contents)
            return md_fail_nomem(err, n_in * sizeof(*b->shapes));
        find_contents(r, n, b);
    }
    return MD_OK;
}

md_status md_body__prepare(md_run *r, md_error *err)
{
    for (uint32_t i = 0; i < r->n_steps; i++)
        MD_TRY(prepare_step(r, &r->steps[i], err));
    return MD_OK;
}

/* What the run below made goes back to the memory above, which it is from. */
static void let_go(md_body_state *b)
{
    md_run *r = b->run;

    if (!r)
        return;
    b->run = NULL;
    md_run__drop_values(r);
    md_body__release_runs(r);
    r->heap = &r->recycle;
    r->above = NULL;
    md_run_release(r);
}

void md_body__release_runs(md_run *r)
{
    for (uint32_t i = 0; i < r->n_steps; i++) {
        for (md_body_state *b = r->steps[i].bodies; b && b->graph; b++)
            let_go(b);
    }
}

size_t md_body__memory(const md_run *r)
{
    size_t size = 0;

    for (uint32_t i = 0; i < r->n_steps; i++) {
        for (const md_body_state *b = r->steps[i].bodies; b && b->graph; b++)
            size += b->run ? md_run_memory(b->run) : 0;
    }
    return size;
}

/* The run of the last trip for other shapes; it is gone when this fails. */
static md_status plan_again(md_body_state *b, md_error *err)
{
    md_run *r = b->run;

    b->run = NULL;
    md_run__drop_values(r);
    md_body__release_runs(r);
    r->heap = &r->recycle;
    MD_TRY(md_run__again(r, b->shapes, err));
    b->run = r;
    return MD_OK;
}

/* A run for the shapes of what was given.  Where sizes say all, it is that of
 * the last trip, and what the plan above knows does not matter. */
static md_status use_run(md_run *r, md_body_state *b, md_error *err)
{
    md_session *s = session_of(b->graph);
    const md_tensor *const *contents = s->form ? NULL : b->contents;

    if (b->run && md_run__fits(b->run, b->shapes, contents))
        return MD_OK;
    if (b->run && s->form) {
        MD_TRY(plan_again(b, err));
    } else {
        let_go(b);
        MD_TRY(md_run__acquire(&b->run, s, b->shapes, contents, err));
    }
    b->run->heap = r->heap;
    b->run->above = r;
    return MD_OK;
}

static void bind_input(md_run *r, uint32_t i, const md_tensor *t)
{
    md_value_id id = r->s->graph->inputs[i];

    if (t->kind != MD_KIND_TENSOR)
        md_run_bind_container(r, i, t);
    else if (!r->cdata[id] && md_tensor_n(t) > 0)
        md_run_bind_input(r, i, t->data);
}

/* Have outputs written where the operator gets them. */
static md_status bind_outputs(md_run *r, md_tensor *out, const md_alloc *alloc,
                              md_error *err)
{
    for (uint32_t i = 0; i < r->s->graph->n_outputs; i++) {
        const md_tensor *t = md_run_output(r, i);

        if (!md_run_bind_output(r, i, NULL))
            continue;
        MD_TRY(md_tensor_alloc_unset(&out[i], t->dtype, &t->shape, alloc, err));
        (void)md_run_bind_output(r, i, out[i].data);
    }
    return MD_OK;
}

static md_status take_output(md_run *r, uint32_t i, md_tensor *out,
                             const md_alloc *alloc, md_error *err)
{
    const md_tensor *t = md_run_output(r, i);

    if (out->owner || md_run__steal_output(r, i, out))
        return MD_OK;
    if (t->kind != MD_KIND_TENSOR)
        return md_container_clone(out, t, alloc, err);
    return md_tensor_copy(out, t, alloc, err);
}

/* Loops that never end are ended. */
static md_status count_trip(md_run *r, md_error *err)
{
    while (r->above)
        r = r->above;
    if (++r->trips <= MD_LIMIT_BODY_RUNS)
        return MD_OK;
    return md_fail(err, MD_TOO_LARGE,
                   "loops that run for more than %d trips in all",
                   MD_LIMIT_BODY_RUNS);
}

static md_status gather(md_body_state *b, const md_exec *x,
                        const md_tensor *const *in, md_error *err)
{
    uint32_t n_own = n_own_inputs(b->graph);

    for (uint32_t i = 0; i < b->graph->n_inputs; i++) {
        const md_value *v = &b->graph->values[b->graph->inputs[i]];
        const md_tensor *t =
            i < n_own ? in[i] : x->in[b->captures_at + i - n_own];

        if (t->kind != v->type.kind ||
            (t->dtype != v->type.dtype && v->type.dtype != MD_DTYPE_NONE))
            return md_fail(err, MD_INVALID,
                           "value '%s' of a subgraph is %s %s, %s %s expected",
                           v->name, md_kind_name(t->kind),
                           md_dtype_name(t->dtype), md_kind_name(v->type.kind),
                           md_dtype_name(v->type.dtype));
        b->given[i] = t;
        b->shapes[i] = t->kind == MD_KIND_TENSOR ? t->shape : (md_shape){ 0 };
    }
    return MD_OK;
}

/* Run b's subgraph on what it was given. */
static md_status run_given(md_body_call *call, md_body_state *b,
                           const md_alloc *alloc, md_tensor *out, md_error *err)
{
    uint32_t n_out = b->graph->n_outputs;

    MD_TRY(use_run(call->r, b, err));
    for (uint32_t i = 0; i < b->graph->n_inputs; i++)
        bind_input(b->run, i, b->given[i]);
    MD_TRY(bind_outputs(b->run, out, alloc, err));
    MD_TRY(md_run_execute(b->run, call->r->width, err));
    if (!md_add_i64(&call->r->body_macs, call->r->body_macs,
                    md_run_macs(b->run)))
        call->r->body_macs = INT64_MAX;
    for (uint32_t i = 0; i < n_out; i++)
        MD_TRY(take_output(b->run, i, &out[i], alloc, err));
    return MD_OK;
}

static md_status run_body(void *ctx, md_exec *x, const md_graph *body,
                          const md_tensor *const *in, md_tensor *out,
                          md_error *err)
{
    md_body_call *call = ctx;
    md_body_state *b = call->st->bodies;
    md_status s;

    while (b->graph != body)
        b++;
    if (session_of(body)->broken != MD_OK) {
        if (err)
            *err = session_of(body)->why_broken;
        return session_of(body)->broken;
    }
    MD_TRY(count_trip(call->r, err));
    MD_TRY(gather(b, x, in, err));
    for (uint32_t i = 0; i < body->n_outputs; i++)
        out[i] = (md_tensor)MD_TENSOR_INIT;
    s = run_given(call, b, x->alloc, out, err);
    for (uint32_t i = 0; i < body->n_outputs && s != MD_OK; i++)
        md_tensor_release(&out[i]);
    return s;
}

md_exec_env md_body__env(md_body_call *call)
{
    const md_run *r = call->r;

    return (md_exec_env){ .alloc = &r->heap->alloc,
                          .text = &call->r->text,
                          .pool = r->s->pool,
                          .width = r->width,
                          .cpu = r->s->reference ? 0 : r->s->cpu,
                          .body = call->st->bodies ? run_body : NULL,
                          .body_ctx = call };
}
