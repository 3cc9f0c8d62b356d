/*
 * Building and changing graphs.  Workload: models of up to some 100,000
 * values built once, then rewritten by passes; so names are indexed and arrays
 * grow by doubling inside the arena.
 */
#include "graph/graph.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "graph/model_impl.h"

/* The names of a graph's values, for its index. */
static md_names_of names_of(const md_graph *g)
{
    return (md_names_of){ g->values ? &g->values->name : NULL,
                          sizeof(*g->values) };
}

md_status md_graph_new(md_graph **out, md_model *model, md_graph *parent,
                       const char *name, md_error *err)
{
    md_graph *g = md_arena_calloc(&model->arena, 1, sizeof(*g));

    if (!g)
        return md_fail_nomem(err, sizeof(*g));
    g->model = model;
    g->parent = parent;
    g->name = md_arena_strdup(&model->arena, name ? name : "");
    if (!g->name)
        return md_fail_nomem(err, 1);
    *out = g;
    return MD_OK;
}

md_status md_graph_add_value(md_value_id *out, md_graph *g, const char *name,
                             md_error *err)
{
    md_arena *ar = &g->model->arena;
    const char *copy = "";

    MD_TRY(md_arena_grow(ar, &g->values, &g->cap_values, g->n_values,
                         sizeof(*g->values), err));
    if (name && name[0]) {
        if (md_graph_find(g, name) != MD_VALUE_NONE)
            return md_fail(err, MD_CORRUPT, "value '%s' is defined twice",
                           name);
        MD_TRY(md_names__reserve(&g->names, names_of(g), ar, err));
        copy = md_arena_strdup(ar, name);
        if (!copy)
            return md_fail_nomem(err, strlen(name));
    }
    g->values[g->n_values] = (md_value){ .name = copy };
    if (copy[0])
        md_names__add(&g->names, names_of(g), g->n_values);
    *out = g->n_values++;
    return MD_OK;
}

md_value_id md_graph_find(const md_graph *g, const char *name)
{
    return md_names__find(&g->names, names_of(g), name);
}

/* Numbers are not tried twice, whatever names a model has chosen: all calls
 * together take as many tries as there are names. */
md_status md_graph_add_unique(md_value_id *out, md_graph *g, const char *stem,
                              md_error *err)
{
    enum {
        STEM_MAX = 120
    };
    int n_stem = (int)md_utf8_cut(stem, strlen(stem), STEM_MAX);
    char name[STEM_MAX + 16];

    if (g->next_unique < g->n_values)
        g->next_unique = g->n_values;
    do {
        if (g->next_unique == UINT32_MAX)
            return md_fail(err, MD_TOO_LARGE, "no name left for a value");
        snprintf(name, sizeof(name), "%.*s_%u", n_stem, stem, g->next_unique++);
    } while (md_graph_find(g, name) != MD_VALUE_NONE);
    return md_graph_add_value(out, g, name, err);
}

md_status md_graph_name_value(md_graph *g, md_value_id id, const char *name,
                              md_error *err)
{
    md_arena *ar = &g->model->arena;
    char *copy;

    if (md_graph_find(g, name) != MD_VALUE_NONE || g->values[id].name[0])
        return md_fail(err, MD_CORRUPT, "name '%s' given to '%s' is in use",
                       name, g->values[id].name);
    if (!name[0])
        return MD_OK;
    MD_TRY(md_names__reserve(&g->names, names_of(g), ar, err));
    copy = md_arena_strdup(ar, name);
    if (!copy)
        return md_fail_nomem(err, strlen(name));
    g->values[id].name = copy;
    md_names__add(&g->names, names_of(g), id);
    return MD_OK;
}

md_value *md_graph_value(const md_graph *g, md_value_id id)
{
    return id < g->n_values ? &g->values[id] : NULL;
}

const char *md_graph_label(const md_graph *g, const md_node *n)
{
    const md_value *v;

    if (n->name[0] || n->n_out == 0)
        return n->name;
    v = md_graph_value(g, n->out[0]);
    return v ? v->name : "";
}

md_status md_graph_add_input(md_graph *g, md_value_id id, md_error *err)
{
    MD_TRY(md_arena_grow(&g->model->arena, &g->inputs, &g->cap_inputs,
                         g->n_inputs, sizeof(id), err));
    g->inputs[g->n_inputs++] = id;
    g->values[id].is_input = true;
    return MD_OK;
}

md_status md_graph_add_output(md_graph *g, md_value_id id, md_error *err)
{
    MD_TRY(md_arena_grow(&g->model->arena, &g->outputs, &g->cap_outputs,
                         g->n_outputs, sizeof(id), err));
    g->outputs[g->n_outputs++] = id;
    g->values[id].is_output = true;
    return MD_OK;
}

/* Constants that own their data are found again when the model is freed: they
 * are in a list whose head, in the arena, is the context of a cleanup. */
typedef struct owned_tensor {
    md_tensor t;
    struct owned_tensor *next;
} owned_tensor;

static void free_owned(void *ctx)
{
    owned_tensor **head = ctx;

    for (owned_tensor *o = *head; o; o = o->next)
        md_tensor_release(&o->t);
    *head = NULL;
}

/* The head of the model's list of owned tensors, made with the first. */
static md_status owned_head(owned_tensor ***out, md_model *m, md_error *err)
{
    for (uint32_t i = 0; i < m->n_cleanups; i++) {
        if (m->cleanups[i].fn == free_owned) {
            *out = m->cleanups[i].ctx;
            return MD_OK;
        }
    }
    *out = md_arena_calloc(&m->arena, 1, sizeof(**out));
    if (!*out)
        return md_fail_nomem(err, sizeof(**out));
    return md_model_on_free(m, free_owned, (void *)*out, err);
}

md_status md_graph_set_const(md_graph *g, md_value_id id, md_tensor t,
                             md_error *err)
{
    owned_tensor *o = md_arena_calloc(&g->model->arena, 1, sizeof(*o));
    md_value *v = &g->values[id];

    if (!o)
        return md_fail_nomem(err, sizeof(*o));
    if (t.owner) {
        owned_tensor **head;

        MD_TRY(owned_head(&head, g->model, err));
        o->next = *head;
        *head = o;
    }
    o->t = t;
    v->cdata = &o->t;
    v->type = md_type_of_tensor(t.dtype, &t.shape);
    return MD_OK;
}

/* What set_const made of the constant, which is this graph's to change. */
static owned_tensor *owned_of(const md_graph *g, md_value_id id)
{
    return (owned_tensor *)(uintptr_t)g->values[id].cdata;
}

void md_graph_forget_const(md_graph *g, md_value_id id)
{
    owned_tensor *o = owned_of(g, id);

    if (!o || !o->t.data)
        return;
    if (!o->t.owner) {
        md_model__forget(g->model, o->t.data, md_tensor_size(&o->t));
        return;
    }
    md_free(o->t.owner, o->t.data);
    o->t.data = NULL;
    o->t.owner = NULL;
}

md_status md_graph_own_const(md_graph *g, md_value_id id, void *data,
                             const md_alloc *owner, md_error *err)
{
    owned_tensor *o = owned_of(g, id);
    owned_tensor **head;

    assert(!o->t.owner);
    MD_TRY(owned_head(&head, g->model, err));
    md_graph_forget_const(g, id);
    o->t.data = data;
    o->t.owner = owner;
    o->next = *head;
    *head = o;
    return MD_OK;
}

md_status md_graph_align_const(md_graph *g, md_value_id id, md_error *err)
{
    const md_tensor *t = g->values[id].cdata;
    const md_alloc *alloc = g->model->alloc;
    size_t size;
    void *data;
    md_status s;

    if (!t || md_tensor_is_aligned(t))
        return MD_OK;
    size = md_tensor_size(t);
    data = md_malloc_aligned(alloc, size);
    if (!data)
        return md_fail_nomem(err, size);
    memcpy(data, t->data, size);
    s = md_graph_own_const(g, id, data, alloc, err);
    if (s != MD_OK)
        md_free(alloc, data);
    return s;
}

md_status md_graph_add_const(md_value_id *out, md_graph *g, const char *name,
                             md_tensor t, md_error *err)
{
    md_value_id id;

    MD_TRY(md_graph_add_value(&id, g, name, err));
    MD_TRY(md_graph_set_const(g, id, t, err));
    *out = id;
    return MD_OK;
}

/* Copies of strings and id lists for a node. */
static md_status fill_node(md_graph *g, md_node *n, const md_node_spec *spec,
                           md_error *err)
{
    md_arena *ar = &g->model->arena;

    n->domain = md_arena_strdup(ar, spec->domain ? spec->domain : "");
    n->overload = "";
    n->op = md_arena_strdup(ar, spec->op);
    n->name = "";
    if (spec->name && spec->name[0])
        n->name = md_arena_strdup(ar, spec->name);
    if (!n->domain || !n->op || !n->name)
        return md_fail_nomem(err, strlen(spec->op));
    return MD_OK;
}

static md_status copy_ids(md_graph *g, md_value_id **to,
                          const md_value_id *from, uint32_t n, md_error *err)
{
    if (n == 0)
        return MD_OK;
    *to = md_arena_calloc(&g->model->arena, n, sizeof(**to));
    if (!*to)
        return md_fail_nomem(err, n * sizeof(**to));
    memcpy(*to, from, n * sizeof(**to));
    return MD_OK;
}

/* Make n the producer of its results, of all or of none. */
static md_status define_results(md_graph *g, md_node *n, md_error *err)
{
    for (uint32_t i = 0; i < n->n_out; i++) {
        md_value *v = md_graph_value(g, n->out[i]);

        if (!v)
            continue;
        if (!v->def && !v->cdata && !v->is_input) {
            v->def = n;
            continue;
        }
        while (i-- > 0) {
            if (md_graph_value(g, n->out[i]))
                md_graph_value(g, n->out[i])->def = NULL;
        }
        return md_fail(err, MD_CORRUPT, "value '%s' is produced more than once",
                       v->name);
    }
    return MD_OK;
}

md_status md_graph_insert_node(md_node **out, md_graph *g, uint32_t at,
                               const md_node_spec *spec, md_error *err)
{
    md_node *n;

    MD_TRY(md_arena_grow(&g->model->arena, &g->nodes, &g->cap_nodes, g->n_nodes,
                         sizeof(*g->nodes), err));
    n = md_arena_calloc(&g->model->arena, 1, sizeof(*n));
    if (!n)
        return md_fail_nomem(err, sizeof(*n));
    MD_TRY(fill_node(g, n, spec, err));
    MD_TRY(copy_ids(g, &n->in, spec->in, spec->n_in, err));
    MD_TRY(copy_ids(g, &n->out, spec->out, spec->n_out, err));
    n->n_in = n->cap_in = spec->n_in;
    n->n_out = spec->n_out;
    MD_TRY(define_results(g, n, err));
    memmove(g->nodes + at + 1, g->nodes + at,
            (g->n_nodes - at) * sizeof(*g->nodes));
    g->nodes[at] = n;
    g->n_nodes++;
    if (out)
        *out = n;
    return MD_OK;
}

md_status md_graph_add_node(md_node **out, md_graph *g,
                            const md_node_spec *spec, md_error *err)
{
    return md_graph_insert_node(out, g, g->n_nodes, spec, err);
}

md_status md_node_set_input(md_graph *g, md_node *n, uint32_t i, md_value_id id,
                            md_error *err)
{
    if (i >= n->cap_in) {
        /* Slots that come one by one find room for as many more. */
        size_t cap = (size_t)i + 1 + (n->n_in == i ? n->n_in : 0);
        md_value_id *in = md_arena_calloc(&g->model->arena, cap, sizeof(*in));

        if (!in || cap > UINT32_MAX)
            return md_fail_nomem(err, cap * sizeof(*in));
        if (n->n_in)
            memcpy(in, n->in, n->n_in * sizeof(*in));
        n->in = in;
        n->cap_in = (uint32_t)cap;
    }
    for (; n->n_in <= i; n->n_in++)
        n->in[n->n_in] = MD_VALUE_NONE;
    n->in[i] = id;
    return MD_OK;
}

md_status md_node_set_output(md_graph *g, md_node *n, uint32_t i,
                             md_value_id id, md_error *err)
{
    if (i >= n->n_out) {
        size_t cap = (size_t)i + 1;
        md_value_id *out = md_arena_calloc(&g->model->arena, cap, sizeof(*out));

        if (!out)
            return md_fail_nomem(err, cap * sizeof(*out));
        for (uint32_t k = 0; k <= i; k++)
            out[k] = k < n->n_out ? n->out[k] : MD_VALUE_NONE;
        n->out = out;
        n->n_out = i + 1;
    }
    n->out[i] = id;
    g->values[id].def = n;
    return MD_OK;
}

void md_graph_replace_uses(md_graph *g, md_value_id from, md_value_id to)
{
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        md_node *n = g->nodes[i];

        for (uint32_t k = 0; k < n->n_in; k++) {
            if (n->in[k] == from)
                n->in[k] = to;
        }
    }
    for (uint32_t i = 0; i < g->n_outputs; i++) {
        if (g->outputs[i] == from) {
            g->outputs[i] = to;
            g->values[from].is_output = false;
            g->values[to].is_output = true;
        }
    }
}

/* Uses by name in the subgraphs of n, at any depth. */
static uint32_t count_captures(const md_node *n, const char *name)
{
    uint32_t uses = 0;

    for (uint32_t i = 0; i < n->n_attr; i++) {
        md_graph *const *subs;
        uint32_t n_subs = md_attr_graphs(&n->attr[i], &subs);

        for (uint32_t k = 0; k < n_subs; k++) {
            uses += md_graph_find(subs[k], name) != MD_VALUE_NONE;
            for (uint32_t j = 0; j < subs[k]->n_nodes; j++)
                uses += count_captures(subs[k]->nodes[j], name);
        }
    }
    return uses;
}

uint32_t md_graph_count_uses(const md_graph *g, md_value_id id)
{
    const char *name = g->values[id].name;
    uint32_t uses = 0;

    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const md_node *n = g->nodes[i];

        if (n->dead)
            continue;
        for (uint32_t k = 0; k < n->n_in; k++)
            uses += n->in[k] == id;
        if (name[0])
            uses += count_captures(n, name);
    }
    for (uint32_t i = 0; i < g->n_outputs; i++)
        uses += g->outputs[i] == id;
    return uses;
}

void md_graph_compact(md_graph *g)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < g->n_nodes; i++) {
        md_node *n = g->nodes[i];

        if (!n->dead) {
            g->nodes[kept++] = n;
            continue;
        }
        for (uint32_t k = 0; k < n->n_out; k++) {
            md_value *v = md_graph_value(g, n->out[k]);

            if (v && v->def == n)
                v->def = NULL;
        }
    }
    g->n_nodes = kept;
}
