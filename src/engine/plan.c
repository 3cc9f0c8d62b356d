/*
 * Runs: a session's program for concrete input shapes, with its memory.
 *
 * Where the session has a form, sizes are put into it.  Otherwise a run infers
 * the shapes that do not follow from sizes, computes what depends on shapes
 * alone (so Shape, Gather, Concat in front of a Reshape cost nothing at run
 * time) and makes a form of its own.
 */
#include <assert.h>
#include <string.h>

#include "engine/body.h"
#include "engine/run_impl.h"

md_run **md_run__next(md_run *r)
{
    return &r->next;
}

md_session *md_run__session(const md_run *r)
{
    return r->s;
}

static bool is_container(const md_session *s, uint32_t i)
{
    return s->inputs[i].type.kind != MD_KIND_TENSOR;
}

/* Are a plan's contents of an input, NULL where it counts on none, these? */
static bool same_contents(const md_tensor *a, const md_tensor *b)
{
    if (!a || !b)
        return a == b;
    return md_tensor_size(a) == 0 ||
           memcmp(a->data, b->data, md_tensor_size(a)) == 0;
}

bool md_run__fits(const md_run *r, const md_shape *shapes,
                  const md_tensor *const *contents)
{
    const md_graph *g = r->s->graph;

    for (uint32_t i = 0; i < g->n_inputs; i++) {
        if (is_container(r->s, i))
            continue;
        if (!md_shape_equal(&r->key[i], &shapes[i]) ||
            !same_contents(r->contents ? r->contents[i] : NULL,
                           contents ? contents[i] : NULL))
            return false;
    }
    return true;
}

/* The type of a value, as far as sizes tell it. */
static md_type solved_type(const md_run *r, md_value_id id)
{
    md_type t = r->s->graph->values[id].type;

    for (int i = 0; i < t.rank && r->solved; i++) {
        int64_t n;

        if (t.dim[i].sym && md_dim_value(&n, t.dim[i], r->sym))
            t.dim[i] = MD_DIM(n);
    }
    return t;
}

/* What sizes say of the shape of a value. */
static bool solved_shape(const md_run *r, md_value_id id, md_shape *out)
{
    const md_type *t = &r->s->graph->values[id].type;

    if (t->kind != MD_KIND_TENSOR || !t->has_rank)
        return false;
    out->rank = t->rank;
    for (int i = 0; i < t->rank; i++) {
        out->dim[i] = t->dim[i].k;
        if (t->dim[i].sym &&
            (!r->solved || !md_dim_value(&out->dim[i], t->dim[i], r->sym)))
            return false;
    }
    return true;
}

/* False when the shape is not known. */
static bool find_shape(const md_run *r, md_value_id id, md_shape *out)
{
    if (r->inferred[id])
        return md_type_static(&r->types[id], out);
    if (r->form->like)
        id = r->form->like[id];
    if (id == MD_VALUE_NONE)
        return false;
    if (r->shapes[id].rank < 0) {
        md_shape shape;

        if (!solved_shape(r, id, &shape))
            return false;
        r->shapes[id] = shape;
    }
    *out = r->shapes[id];
    return true;
}

md_shape md_run__shape(const md_run *r, md_value_id id)
{
    md_shape shape;

    if (!find_shape(r, id, &shape))
        shape.rank = 0;
    return shape;
}

md_dtype md_run__dtype(const md_run *r, md_value_id id)
{
    return r->inferred[id] ? r->types[id].dtype
                           : r->s->graph->values[id].type.dtype;
}

md_tensor md_run__header(const md_run *r, uint32_t slot_id)
{
    md_value_id id = r->s->slots[slot_id].value;

    return (md_tensor){ .dtype = md_run__dtype(r, id),
                        .shape = md_run__shape(r, id),
                        .data = r->address[slot_id] };
}

/* ---- shapes and shape arithmetic ---- */

/* Put numbers for the symbols. */
static void solve(md_run *r, const md_shape *shapes)
{
    memset(r->sym, 0, r->s->model->n_symbols * sizeof(*r->sym));
    r->solved = md_session__solve(r->s, shapes, r->sym);
}

/* Only where something has to be inferred are there types. */
static md_status need_types(md_run *r, md_error *err)
{
    size_t n = r->s->graph->n_values;

    if (r->types)
        return MD_OK;
    r->types = md_arena_alloc(&r->arena, n * sizeof(*r->types));
    return r->types ? MD_OK : md_fail_nomem(err, n * sizeof(*r->types));
}

static md_status make_arrays(md_run *r, md_error *err)
{
    const md_graph *g = r->s->graph;
    size_t n = g->n_values + 1u, n_sym = r->s->model->n_symbols;

    r->key = md_arena_calloc(&r->arena, g->n_inputs + 1u, sizeof(*r->key));
    r->sym = md_arena_calloc(&r->arena, n_sym, sizeof(*r->sym));
    r->inferred = md_arena_calloc(&r->arena, n, sizeof(*r->inferred));
    r->shapes = md_arena_alloc(&r->arena, n * sizeof(*r->shapes));
    r->cdata = md_arena_alloc(&r->arena, n * sizeof(*r->cdata));
    if (!r->key || !r->sym || !r->inferred || !r->shapes || !r->cdata)
        return md_fail_nomem(err, n * sizeof(*r->shapes));
    for (uint32_t i = 0; i < g->n_values; i++)
        r->shapes[i].rank = -1;
    memcpy(r->cdata, r->s->constants, g->n_values * sizeof(*r->cdata));
    return MD_OK;
}

/* What is said of inputs: their sizes; containers are looked at when they are
 * there. */
static md_status start_types(md_run *r, md_error *err)
{
    const md_graph *g = r->s->graph;

    if (!r->solved)
        MD_TRY(need_types(r, err));
    for (uint32_t i = 0; i < g->n_inputs; i++) {
        md_value_id id = g->inputs[i];

        if (is_container(r->s, i)) {
            r->made.any_dynamic = r->made.dynamic[id] = true;
        } else if (!r->solved) {
            r->types[id] =
                md_type_of_tensor(g->values[id].type.dtype, &r->key[i]);
            r->inferred[id] = true;
        }
    }
    return MD_OK;
}

/* What an instruction that follows from sizes needs: nothing, or its results
 * that somebody reads, as constants of this plan. */
static md_status take_given(md_run *r, const md_inst *inst, md_error *err)
{
    for (uint32_t i = 0; i < inst->node->n_out && inst->given && !inst->idle;
         i++) {
        md_value_id id = inst->node->out[i];
        md_tensor *t;

        if (id == MD_VALUE_NONE || !r->s->wanted[id])
            continue;
        t = md_arena_calloc(&r->arena, 1, sizeof(*t));
        if (!t)
            return md_fail_nomem(err, sizeof(*t));
        MD_TRY(md_run__fill_given(r, t, id, err));
        r->cdata[id] = t;
    }
    return MD_OK;
}

/* Types of n's inputs for inference. */
static void load_types(md_run *r, const md_node *n)
{
    for (uint32_t i = 0; i < n->n_in; i++) {
        md_value_id id = n->in[i];

        if (id == MD_VALUE_NONE || r->inferred[id])
            continue;
        r->types[id] = solved_type(r, id);
        r->inferred[id] = true;
    }
}

md_status md_run__own(md_run *r, const md_tensor *t, md_error *err)
{
    MD_TRY(md_grow(r->s->alloc, (void *)&r->owned, &r->cap_owned, r->n_owned,
                   sizeof(*r->owned), err));
    r->owned[r->n_owned++] = *t;
    return MD_OK;
}

/* Keep a tensor made while planning; its address stays valid. */
static md_status keep(md_run *r, md_value_id id, const md_tensor *t,
                      md_error *err)
{
    md_tensor *header = md_arena_alloc(&r->arena, sizeof(*header));

    if (!header)
        return md_fail_nomem(err, sizeof(*header));
    MD_TRY(md_run__own(r, t, err));
    *header = *t;
    r->cdata[id] = header;
    return MD_OK;
}

static md_status compute_now(md_run *r, const md_node *n, md_error *err)
{
    md_tensor out[MD_KNOWN_OUT] = { 0 };
    md_status s;

    s = md_known__compute(r->s->graph, n, r->types, r->cdata, out, r->s->alloc,
                          &r->arena, err);
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (s == MD_OK && n->out[i] != MD_VALUE_NONE)
            s = keep(r, n->out[i], &out[i], err);
        if (s != MD_OK)
            md_tensor_release(&out[i]);
    }
    return s;
}

/* What is known of the inputs beforehand. */
static md_status take_contents(md_run *r, const md_tensor *const *contents,
                               md_error *err)
{
    const md_graph *g = r->s->graph;

    if (!contents)
        return MD_OK;
    r->contents =
        md_arena_calloc(&r->arena, g->n_inputs + 1u, sizeof(*r->contents));
    if (!r->contents)
        return md_fail_nomem(err, g->n_inputs * sizeof(*r->contents));
    for (uint32_t i = 0; i < g->n_inputs; i++) {
        md_tensor copy;
        md_status s;

        if (!contents[i])
            continue;
        MD_TRY(md_tensor_copy(&copy, contents[i], r->s->alloc, err));
        s = keep(r, g->inputs[i], &copy, err);
        if (s != MD_OK) {
            md_tensor_release(&copy);
            return s;
        }
        r->contents[i] = r->cdata[g->inputs[i]];
        MD_TRY(need_types(r, err));
        r->types[g->inputs[i]] = md_type_of_tensor(copy.dtype, &copy.shape);
        r->inferred[g->inputs[i]] = true; /* and so what is made of it */
    }
    return MD_OK;
}

/* Which outputs of n are known only while running; the others have to fit
 * into memory. */
static md_status find_dynamic(md_run *r, const md_node *n, md_error *err)
{
    for (uint32_t i = 0; i < n->n_out; i++) {
        md_shape shape;
        size_t size;

        if (n->out[i] == MD_VALUE_NONE)
            continue;
        if (find_shape(r, n->out[i], &shape))
            MD_TRY(md_tensor_bytes(&size, md_run__dtype(r, n->out[i]), &shape,
                                   err));
        else
            r->made.any_dynamic = r->made.dynamic[n->out[i]] = true;
    }
    return MD_OK;
}

/* What was fused into n relies on equal symbols, which callers need not give
 * equal sizes. */
static md_status check_fused(const md_run *r, const md_node *n, md_error *err)
{
    const md_fused *f = n->fused;
    char a[MD_SHAPE_TEXT], b[MD_SHAPE_TEXT];
    md_shape y, x;

    if (!f || f->residual == MD_VALUE_NONE || !find_shape(r, f->residual, &x) ||
        !find_shape(r, n->out[0], &y) || md_shape_equal(&x, &y))
        return MD_OK;
    return md_fail(err, MD_INVALID,
                   "node '%s' (%s): sizes of one name differ: %s is added to "
                   "%s",
                   n->name, n->op, md_shape_format(a, sizeof(a), &x),
                   md_shape_format(b, sizeof(b), &y));
}

/* Infer n for the sizes at hand, and compute it when that can be done now. */
static md_status infer_now(md_run *r, uint32_t i, md_error *err)
{
    md_session *s = r->s;
    const md_node *n = s->insts[i].node;
    md_facts k = { NULL, r->cdata, NULL };
    md_look look = { MD_LOOK_MAX, false };

    MD_TRY(need_types(r, err));
    k.types = r->types;
    load_types(r, n);
    MD_TRY(md_session__infer_node(s->graph, n, NULL, &k, &look, err));
    for (uint32_t o = 0; o < n->n_out; o++) {
        if (n->out[o] != MD_VALUE_NONE)
            r->inferred[n->out[o]] = true;
    }
    r->n_inferred++;
    MD_TRY(check_fused(r, n, err));
    if (!md_known__now(s->graph, n, r->types, r->cdata))
        return find_dynamic(r, n, err);
    r->made.skip[i] = true;
    return compute_now(r, n, err);
}

/* A view of what was computed for this plan is known too. */
static md_status view_known(md_run *r, uint32_t i, md_error *err)
{
    const md_node *n = r->s->insts[i].node;
    md_tensor *t = md_arena_alloc(&r->arena, sizeof(*t));

    if (!t)
        return md_fail_nomem(err, sizeof(*t));
    *t = *r->cdata[n->in[0]];
    t->owner = NULL;
    t->shape = md_run__shape(r, n->out[0]);
    r->cdata[n->out[0]] = t;
    r->made.skip[i] = true;
    return MD_OK;
}

/* Is everything that inst reads known, and it was computed for this plan, or is
 * to be?  Then what stands behind may take its shape from the results. */
static bool goes_on(const md_run *r, const md_inst *inst)
{
    const md_node *n = inst->node;
    bool computed = inst->early;

    for (uint32_t i = 0; i < n->n_in; i++) {
        if (n->in[i] != MD_VALUE_NONE &&
            !md_known__has_contents(r->cdata[n->in[i]]))
            return false;
        computed |= n->in[i] != MD_VALUE_NONE && r->inferred[n->in[i]];
    }
    return computed;
}

static md_status infer_all(md_run *r, md_error *err)
{
    md_session *s = r->s;

    for (uint32_t i = 0; i < s->n_insts; i++) {
        const md_inst *inst = &s->insts[i];

        if (r->solved && (inst->idle || (inst->follows && inst->given))) {
            r->made.skip[i] = true;
            if (inst->given)
                MD_TRY(take_given(r, inst, err));
        } else if (!inst->node) { /* what is known is packed once */
            r->made.skip[i] = r->cdata[s->slots[inst->in[0]].value] != NULL;
        } else if (!r->solved || !inst->follows || goes_on(r, inst)) {
            MD_TRY(infer_now(r, i, err));
        } else if (inst->kind == MD_INST_VIEW && r->cdata[inst->node->in[0]]) {
            MD_TRY(view_known(r, i, err));
        }
    }
    return MD_OK;
}

/* Is it a node of an instruction, and so was it inferred for this plan? */
static bool is_inferred(const md_session *s, const md_node *n)
{
    for (uint32_t i = 0; i < s->n_insts; i++) {
        if (s->insts[i].node == n)
            return true;
    }
    return false;
}

/* Sizes that were to be equal, and are not: nodes that are there have looked
 * at them, some of which take them; nodes of which only the shape was read,
 * and that known, are gone. */
static md_status check_gone(md_run *r, md_error *err)
{
    const md_model *m = r->s->model;

    for (uint32_t i = 1; i < m->n_symbols; i++) {
        const md_expr *e = &m->exprs[i];

        if (e->kind == MD_EXPR_EQUAL && r->sym[i].state == MD_SYM_NONE &&
            e->by && is_inferred(r->s, e->by))
            r->sym[i].state = MD_SYM_OPEN;
    }
    return md_model_check(m, r->sym, err);
}

/* A form for these sizes. */
static md_status make_form(md_run *r, const md_tensor *const *contents,
                           md_error *err)
{
    md_form *f = &r->made;

    MD_TRY(md_form__init(f, r->s, &r->arena, err));
    MD_TRY(start_types(r, err));
    MD_TRY(take_contents(r, contents, err));
    MD_TRY(infer_all(r, err));
    if (!r->solved)
        MD_TRY(check_gone(r, err));
    for (uint32_t i = 0; i < r->s->graph->n_values; i++)
        f->known[i] = r->cdata[i] != NULL;
    return md_form__complete(f, r->s, r, &r->arena, err);
}

static void set_key(md_run *r, const md_shape *shapes)
{
    for (uint32_t i = 0; i < r->s->graph->n_inputs; i++) {
        if (!is_container(r->s, i))
            r->key[i] = shapes[i];
    }
    solve(r, shapes);
}

static md_status plan(md_run *r, const md_shape *shapes,
                      const md_tensor *const *contents, md_error *err)
{
    MD_TRY(make_arrays(r, err));
    set_key(r, shapes);
    r->form = &r->made;
    if (r->s->form && r->solved)
        r->form = r->s->form;
    else
        MD_TRY(make_form(r, contents, err));
    MD_TRY(md_run__bind(r, err));
    MD_TRY(md_run__fit(r, err));
    MD_TRY(md_run__plan_values(r, err));
    return md_body__prepare(r, err);
}

md_status md_run__new(md_run **out, md_session *session, const md_shape *shapes,
                      const md_tensor *const *contents, md_error *err)
{
    md_run *r = md_calloc(session->alloc, 1, sizeof(*r));
    md_status s;

    if (!r)
        return md_fail_nomem(err, sizeof(*r));
    r->s = session;
    md_arena_init(&r->arena, session->alloc, 0);
    md_arena_init(&r->fit, session->alloc, 0);
    md_arena_init(&r->step_scratch, session->alloc, 0);
    md_arena_init(&r->text, session->run_alloc, 0);
    md_recycle_init(&r->recycle, session->run_alloc);
    r->heap = &r->recycle;
    s = plan(r, shapes, contents, err);
    if (s == MD_OK)
        *out = r;
    else
        md_run__free(r);
    return s;
}

/* Give back what belongs to the plan alone. */
static void drop_plan(md_run *r)
{
    md_run__drop_values(r);
    md_body__release_runs(r);
    for (uint32_t i = 0; i < r->n_steps; i++)
        md_arena_release(&r->steps[i].arena);
    for (uint32_t i = 0; i < r->n_owned; i++)
        md_tensor_release(&r->owned[i]);
    for (uint32_t i = 0; i < r->s->graph->n_outputs && r->ends; i++)
        md_free(r->s->run_alloc, md_run__output_end(r, i)->own);
}

/* Nothing but memory is left of the plan. */
static void forget_plan(md_run *r)
{
    md_run old;

    drop_plan(r);
    md_arena_reset(&r->arena);
    md_arena_reset(&r->fit);
    md_arena_reset(&r->text);
    old = *r;
    *r = (md_run){ .s = old.s,
                   .arena = old.arena,
                   .fit = old.fit,
                   .step_scratch = old.step_scratch,
                   .text = old.text,
                   .recycle = old.recycle,
                   .owned = old.owned,
                   .cap_owned = old.cap_owned,
                   .memory = old.memory,
                   .memory_room = old.memory_room,
                   .scratch = old.scratch,
                   .scratch_size = old.scratch_size,
                   .shared = old.shared,
                   .shared_size = old.shared_size };
    r->heap = &r->recycle;
}

/* Put numbers for these shapes into the session's form; not done where it has
 * none, or sizes do not go together. */
static md_status fit_again(bool *done, md_run *r, const md_shape *shapes,
                           md_error *err)
{
    *done = false;
    if (!r->s->form || r->form != r->s->form)
        return MD_OK;
    set_key(r, shapes);
    *done = r->solved;
    return r->solved ? md_run__fit(r, err) : MD_OK;
}

md_status md_run__again(md_run *r, const md_shape *shapes, md_error *err)
{
    bool done;
    md_status s = fit_again(&done, r, shapes, err);

    if (s == MD_OK && !done) {
        forget_plan(r);
        s = plan(r, shapes, NULL, err);
    }
    if (s != MD_OK)
        md_run__free(r);
    return s;
}

void md_run__free(md_run *r)
{
    drop_plan(r);
    md_recycle_release(&r->recycle);
    md_free(r->s->alloc, r->owned);
    md_free(r->s->run_alloc, r->memory);
    md_free(r->s->run_alloc, r->scratch);
    md_free(r->s->run_alloc, r->shared);
    md_arena_release(&r->step_scratch);
    md_arena_release(&r->text);
    md_arena_release(&r->fit);
    md_arena_release(&r->arena);
    md_free(r->s->alloc, r);
}
