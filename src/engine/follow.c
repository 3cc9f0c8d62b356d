/*
 * What follows from the sizes of the inputs alone.
 *
 * Inference over symbols is done once, when the model is loaded; a run for new
 * sizes then only puts numbers for symbols.  Instructions for which that gives
 * all there is to know are marked here, and so are those whose results are
 * only asked for their shapes.
 */
#include <string.h>

#include "engine/form.h"
#include "engine/pass.h"

static bool is_closed(md_dim d, const md_sym *sym)
{
    return d.sym == 0 || sym[d.sym].state != MD_SYM_OPEN;
}

static bool type_is_closed(const md_type *t, const md_sym *sym)
{
    if (t->kind != MD_KIND_TENSOR || t->dtype == MD_DTYPE_NONE || !t->has_rank)
        return false;
    for (int i = 0; i < t->rank; i++) {
        if (!is_closed(t->dim[i], sym))
            return false;
    }
    return true;
}

static bool data_is_closed(const md_value *v, const md_sym *sym)
{
    int64_t n = 1;

    if (!v->data)
        return false;
    for (int i = 0; i < v->type.rank; i++)
        n *= v->type.dim[i].k; /* small constants */
    for (int64_t i = 0; i < n; i++) {
        if (!is_closed(v->data[i], sym))
            return false;
    }
    return true;
}

/* Is the type of every value of a list closed? */
static bool all_closed(const md_session *s, const md_value_id *id, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (id[i] != MD_VALUE_NONE && s->open[id[i]])
            return false;
    }
    return true;
}

/* All types that n reads and writes are closed, and it adds nothing to what
 * inference over symbols said. */
static bool follows(const md_session *s, const md_node *n)
{
    const md_op *op = n->impl;

    return (op->flags & MD_OP_SYMBOLIC) && all_closed(s, n->in, n->n_in) &&
           all_closed(s, n->out, n->n_out);
}

/* Could what n gives be computed before running, once sizes are numbers? */
static bool is_knowable(const md_session *s, const md_node *n,
                        const bool *knowable)
{
    const md_op *op = n->impl;

    if ((md_op_flags(op, s->graph, n) & MD_OP_IMPURE) ||
        md_pass__has_subgraph(n))
        return false;
    if (strcmp(n->op, "Shape") == 0 || strcmp(n->op, "Size") == 0)
        return !s->open[n->in[0]];
    for (uint32_t i = 0; i < n->n_in; i++) {
        if (n->in[i] != MD_VALUE_NONE && !knowable[n->in[i]])
            return false;
    }
    return true;
}

/* Does it depend on what is in the inputs alone what n gives, so that numbers
 * tell a plan no more of it than symbols do? */
static bool waits(const md_session *s, const md_node *n, const bool *knowable)
{
    const md_op *op = n->impl;
    bool none_closed = !all_closed(s, n->in, n->n_in);

    if (md_pass__has_subgraph(n))
        return false;
    for (uint32_t i = 0; i < n->n_out; i++)
        none_closed &= n->out[i] == MD_VALUE_NONE || s->open[n->out[i]];
    if (!(op->flags & MD_OP_SYMBOLIC) && !none_closed)
        return false;
    for (uint32_t i = 0; i < n->n_in; i++) {
        if (n->in[i] != MD_VALUE_NONE && knowable[n->in[i]] &&
            !s->graph->values[n->in[i]].cdata)
            return false;
    }
    return true;
}

static bool is_given(const md_graph *g, const md_node *n, const md_sym *sym)
{
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (n->out[i] != MD_VALUE_NONE &&
            !data_is_closed(&g->values[n->out[i]], sym))
            return false;
    }
    return true;
}

/* Does the instruction need the elements of its input k, and not only what is
 * known of them? */
static bool reads(const md_graph *g, const md_inst *inst, uint32_t k)
{
    return !(inst->follows && inst->kind == MD_INST_VIEW && k > 0 &&
             g->values[inst->node->in[k]].data);
}

/* From the last instruction to the first: who is needed? */
static void find_idle(md_session *s)
{
    const md_graph *g = s->graph;

    for (uint32_t i = 0; i < g->n_outputs; i++)
        s->wanted[g->outputs[i]] = true;
    for (uint32_t i = s->n_insts; i-- > 0;) {
        md_inst *inst = &s->insts[i];
        bool needed = false;

        for (uint32_t k = 0; k < inst->n_out; k++)
            needed |= inst->out[k] != MD_SLOT_NONE &&
                      s->wanted[s->slots[inst->out[k]].value];
        inst->idle = !needed;
        for (uint32_t k = 0; k < inst->n_in; k++) {
            if (needed && !inst->given && inst->in[k] != MD_SLOT_NONE &&
                (!inst->node || reads(g, inst, k)))
                s->wanted[s->slots[inst->in[k]].value] = true;
        }
    }
}

/* Everything a graph inside a node reads is needed: it reads by name. */
static bool has_captures(const md_graph *g)
{
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        if (md_pass__has_subgraph(g->nodes[i]))
            return true;
    }
    return false;
}

/* What each instruction is, in their order. */
static void mark_all(md_session *s, const md_sym *sym, bool *knowable)
{
    const md_graph *g = s->graph;

    for (uint32_t i = 0; i < g->n_values; i++) {
        s->open[i] = !type_is_closed(&g->values[i].type, sym);
        knowable[i] = g->values[i].cdata != NULL;
    }
    for (uint32_t i = 0; i < s->n_insts; i++) {
        md_inst *inst = &s->insts[i];
        const md_node *n = inst->node;
        bool known;

        if (!n)
            continue;
        inst->follows = follows(s, n);
        inst->given = inst->follows && is_given(g, n, sym);
        inst->waits = !inst->follows && waits(s, n, knowable);
        known = is_knowable(s, n, knowable);
        for (uint32_t k = 0; k < n->n_out; k++) {
            if (n->out[k] != MD_VALUE_NONE)
                knowable[n->out[k]] = known;
        }
    }
}

/* From the last instruction to the first: whose results could tell more, in
 * numbers, to one that neither follows nor waits?  `early` is by value. */
static void find_early(md_session *s, const bool *knowable, bool *early)
{
    for (uint32_t i = s->n_insts; i-- > 0;) {
        md_inst *inst = &s->insts[i];
        const md_node *n = inst->node;

        if (!n)
            continue;
        for (uint32_t k = 0; k < n->n_out; k++)
            inst->early |= n->out[k] != MD_VALUE_NONE && early[n->out[k]];
        for (uint32_t k = 0; k < n->n_in; k++) {
            if (n->in[k] != MD_VALUE_NONE && knowable[n->in[k]] &&
                (inst->early || (!inst->follows && !inst->waits)))
                early[n->in[k]] = true;
        }
    }
}

/* The symbols that sizes of inputs tell, with any value. */
static void mark_symbols(const md_session *s, md_sym *sym)
{
    const md_graph *g = s->graph;

    for (uint32_t i = 0; i < g->n_inputs; i++) {
        const md_type *t = &g->values[g->inputs[i]].type;

        for (int d = 0; t->kind == MD_KIND_TENSOR && d < t->rank; d++) {
            if (t->dim[d].scale == 1 && t->dim[d].k == 0)
                sym[t->dim[d].sym] = (md_sym){ 1, MD_SYM_KNOWN };
        }
    }
    (void)md_model_solve(s->model, sym);
}

md_status md_session__follow(md_session *s, md_error *err)
{
    const md_graph *g = s->graph;
    size_t n = g->n_values + 1u;
    md_sym *sym = md_calloc(s->alloc, s->model->n_symbols, sizeof(*sym));
    bool *knowable = md_calloc(s->alloc, 2 * n, sizeof(*knowable));

    s->open = md_arena_calloc(&s->arena, n, sizeof(*s->open));
    s->wanted = md_arena_calloc(&s->arena, n, sizeof(*s->wanted));
    s->constants = md_arena_calloc(&s->arena, n, sizeof(*s->constants));
    if (!sym || !knowable || !s->open || !s->wanted || !s->constants) {
        md_free(s->alloc, sym);
        md_free(s->alloc, knowable);
        return md_fail_nomem(err, n * sizeof(*sym));
    }
    for (uint32_t i = 0; i < g->n_values; i++)
        s->constants[i] = g->values[i].cdata;
    mark_symbols(s, sym);
    mark_all(s, sym, knowable);
    find_early(s, knowable, knowable + n);
    md_free(s->alloc, sym);
    md_free(s->alloc, knowable);
    if (!has_captures(g))
        find_idle(s);
    else
        memset(s->wanted, true, g->n_values);
    return md_session__form(s, err);
}

bool md_session__solve(const md_session *s, const md_shape *shapes, md_sym *sym)
{
    const md_graph *g = s->graph;

    for (uint32_t i = 0; i < g->n_inputs; i++) {
        const md_type *t = &g->values[g->inputs[i]].type;

        if (t->kind == MD_KIND_TENSOR &&
            (!t->has_rank || t->rank != shapes[i].rank))
            return false; /* a subgraph is given what there is */
        for (int d = 0; t->kind == MD_KIND_TENSOR && d < t->rank; d++) {
            md_sym *v = &sym[t->dim[d].sym];

            if (t->dim[d].sym == 0)
                continue;
            if (t->dim[d].scale != 1 || t->dim[d].k != 0 ||
                (v->state == MD_SYM_KNOWN && v->v != shapes[i].dim[d]))
                return false; /* one name, two sizes */
            *v = (md_sym){ shapes[i].dim[d], MD_SYM_KNOWN };
        }
    }
    if (!md_model_solve(s->model, sym))
        return false;
    for (uint32_t i = 0; i < g->n_inputs; i++) {
        const md_type *t = &g->values[g->inputs[i]].type;

        for (int d = 0; t->kind == MD_KIND_TENSOR && d < t->rank; d++) {
            int64_t v;

            if (!md_dim_value(&v, t->dim[d], sym) || v != shapes[i].dim[d])
                return false;
        }
    }
    return true;
}
