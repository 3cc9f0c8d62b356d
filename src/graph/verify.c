/* Order, structure and listing of graphs. */
#include <string.h>

#include "graph/graph.h"

/* A name for messages: the node's own, or that of its first output. */
static const char *label(const md_graph *g, const md_node *n)
{
    const md_value *v = n->n_out ? md_graph_value(g, n->out[0]) : NULL;

    if (n->name[0])
        return n->name;
    return v ? v->name : "";
}

/* Kahn's algorithm over node indices; stable for a list already in order. */
typedef struct sorter {
    md_graph *g;
    uint32_t *position; /* by value id: 1 + index of the defining node */
    uint32_t *waiting;  /* by node: inputs not yet produced */
    uint32_t *first;    /* by node: first entry of its users' list */
    uint32_t *next;     /* by edge */
    uint32_t *user;     /* by edge */
    uint32_t *ready;    /* queue, in the end the order */
    md_node **order;
    uint32_t n_edges;
} sorter;

static void add_edge(sorter *s, uint32_t from, uint32_t to)
{
    s->n_edges++;
    s->user[s->n_edges] = to;
    s->next[s->n_edges] = s->first[from];
    s->first[from] = s->n_edges;
    s->waiting[to]++;
}

/* Edges from what subgraphs of a node capture by name. */
static void add_captures(sorter *s, const md_graph *sub, uint32_t to)
{
    for (uint32_t i = 0; i < sub->n_values; i++) {
        const md_value *v = &sub->values[i];
        md_value_id id;

        if (v->def || v->cdata || v->is_input || !v->name[0])
            continue;
        id = md_graph_find(s->g, v->name);
        if (id != MD_VALUE_NONE && s->position[id])
            add_edge(s, s->position[id] - 1, to);
    }
    for (uint32_t i = 0; i < sub->n_nodes; i++) {
        const md_node *n = sub->nodes[i];

        for (uint32_t k = 0; k < n->n_attr; k++) {
            if (n->attr[k].type == MD_ATTR_GRAPH)
                add_captures(s, n->attr[k].v.g, to);
        }
    }
}

/* Values that subgraphs capture, at any depth: an upper bound of edges. */
static size_t count_captures(const md_graph *sub)
{
    size_t n = sub->n_values;

    for (uint32_t i = 0; i < sub->n_nodes; i++) {
        for (uint32_t k = 0; k < sub->nodes[i]->n_attr; k++) {
            if (sub->nodes[i]->attr[k].type == MD_ATTR_GRAPH)
                n += count_captures(sub->nodes[i]->attr[k].v.g);
        }
    }
    return n;
}

static size_t count_edges(const md_graph *g)
{
    size_t n = 1;

    for (uint32_t i = 0; i < g->n_nodes; i++) {
        n += g->nodes[i]->n_in;
        for (uint32_t k = 0; k < g->nodes[i]->n_attr; k++) {
            if (g->nodes[i]->attr[k].type == MD_ATTR_GRAPH)
                n += count_captures(g->nodes[i]->attr[k].v.g);
        }
    }
    return n;
}

static void link_nodes(sorter *s)
{
    md_graph *g = s->g;

    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const md_node *n = g->nodes[i];

        for (uint32_t k = 0; k < n->n_out; k++) {
            if (n->out[k] != MD_VALUE_NONE)
                s->position[n->out[k]] = i + 1;
        }
    }
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const md_node *n = g->nodes[i];

        for (uint32_t k = 0; k < n->n_in; k++) {
            if (n->in[k] != MD_VALUE_NONE && s->position[n->in[k]])
                add_edge(s, s->position[n->in[k]] - 1, i);
        }
        for (uint32_t k = 0; k < n->n_attr; k++) {
            if (n->attr[k].type == MD_ATTR_GRAPH)
                add_captures(s, n->attr[k].v.g, i);
        }
    }
}

static bool in_order(const md_graph *g, const sorter *s)
{
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        for (uint32_t e = s->first[i]; e; e = s->next[e]) {
            if (s->user[e] <= i)
                return false;
        }
    }
    return true;
}

static md_status run_sort(sorter *s, md_error *err)
{
    md_graph *g = s->g;
    uint32_t head = 0;
    uint32_t tail = 0;

    link_nodes(s);
    if (in_order(g, s))
        return MD_OK;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        if (s->waiting[i] == 0)
            s->ready[tail++] = i;
    }
    while (head < tail) {
        uint32_t i = s->ready[head];

        s->order[head++] = g->nodes[i];
        for (uint32_t e = s->first[i]; e; e = s->next[e]) {
            if (--s->waiting[s->user[e]] == 0)
                s->ready[tail++] = s->user[e];
        }
    }
    if (head == g->n_nodes) {
        memcpy(g->nodes, s->order, g->n_nodes * sizeof(*g->nodes));
        return MD_OK;
    }
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        if (s->waiting[i])
            return md_fail(err, MD_CORRUPT,
                           "node '%s' (%s) is on a cycle or behind one",
                           label(g, g->nodes[i]), g->nodes[i]->op);
    }
    return MD_OK;
}

md_status md_graph_sort(md_graph *g, md_error *err)
{
    md_arena ar;
    sorter s = { .g = g };
    size_t edges = count_edges(g) + 1;
    md_status st = MD_OK;

    if (g->n_nodes == 0)
        return MD_OK;
    if (edges > UINT32_MAX)
        return md_fail(err, MD_TOO_LARGE, "graph with %zu edges", edges);
    md_arena_init(&ar, g->model->alloc, 0);
    s.position = md_arena_calloc(&ar, g->n_values + 1u, sizeof(uint32_t));
    s.waiting = md_arena_calloc(&ar, g->n_nodes, sizeof(uint32_t));
    s.first = md_arena_calloc(&ar, g->n_nodes, sizeof(uint32_t));
    s.ready = md_arena_calloc(&ar, g->n_nodes, sizeof(uint32_t));
    s.order = md_arena_calloc(&ar, g->n_nodes, sizeof(*s.order));
    s.next = md_arena_calloc(&ar, edges + 1, sizeof(uint32_t));
    s.user = md_arena_calloc(&ar, edges + 1, sizeof(uint32_t));
    if (!s.position || !s.waiting || !s.first || !s.ready || !s.order ||
        !s.next || !s.user)
        st = md_fail_nomem(err, edges * sizeof(uint32_t));
    else
        st = run_sort(&s, err);
    md_arena_release(&ar);
    return st;
}

/* Is `name` visible from g: defined, input or constant here or above? */
static bool captured(const md_graph *g, const char *name)
{
    for (const md_graph *p = g->parent; p; p = p->parent) {
        md_value_id id = md_graph_find(p, name);

        if (id != MD_VALUE_NONE)
            return true;
    }
    return false;
}

static md_status check_defined(const md_graph *g, md_value_id id,
                               const char *what, const char *who, md_error *err)
{
    const md_value *v = md_graph_value(g, id);

    if (!v)
        return md_fail(err, MD_CORRUPT, "%s '%s' reads value %u of %u", what,
                       who, id, g->n_values);
    if (v->def || v->cdata || v->is_input || captured(g, v->name))
        return MD_OK;
    return md_fail(err, MD_CORRUPT,
                   "%s '%s' reads '%s', which nothing produces", what, who,
                   v->name);
}

static md_status verify_node(md_graph *g, md_node *n, md_error *err)
{
    for (uint32_t k = 0; k < n->n_in; k++) {
        if (n->in[k] != MD_VALUE_NONE)
            MD_TRY(check_defined(g, n->in[k], "node", label(g, n), err));
    }
    for (uint32_t k = 0; k < n->n_attr; k++) {
        md_attr *a = &n->attr[k];

        if (a->type == MD_ATTR_GRAPH)
            MD_TRY(md_graph_verify(a->v.g, err));
    }
    return MD_OK;
}

md_status md_graph_verify(md_graph *g, md_error *err)
{
    for (uint32_t i = 0; i < g->n_nodes; i++)
        MD_TRY(verify_node(g, g->nodes[i], err));
    for (uint32_t i = 0; i < g->n_outputs; i++)
        MD_TRY(check_defined(g, g->outputs[i], "graph output",
                             g->values[g->outputs[i]].name, err));
    return md_graph_sort(g, err);
}

static md_status print_value(const md_graph *g, md_value_id id, md_buf *out,
                             md_error *err)
{
    const md_value *v = md_graph_value(g, id);
    char type[MD_SHAPE_TEXT * 2];

    if (!v)
        return md_buf_puts(out, "-", err);
    return md_buf_printf(out, err, "%%%u '%s' %s%s", id, v->name,
                         md_type_format(type, sizeof(type), g->model, &v->type),
                         v->cdata ? " const" : "");
}

static md_status print_list(const md_graph *g, const md_value_id *ids,
                            uint32_t n, md_buf *out, md_error *err)
{
    for (uint32_t i = 0; i < n; i++) {
        if (i)
            MD_TRY(md_buf_puts(out, ", ", err));
        MD_TRY(print_value(g, ids[i], out, err));
    }
    return MD_OK;
}

md_status md_graph_print(const md_graph *g, md_buf *out, md_error *err)
{
    MD_TRY(md_buf_printf(out, err, "graph '%s' (", g->name));
    MD_TRY(print_list(g, g->inputs, g->n_inputs, out, err));
    MD_TRY(md_buf_puts(out, ")\n", err));
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const md_node *n = g->nodes[i];

        MD_TRY(md_buf_puts(out, "  ", err));
        MD_TRY(print_list(g, n->out, n->n_out, out, err));
        MD_TRY(md_buf_printf(out, err, " = %s%s%s(", n->domain,
                             n->domain[0] ? "." : "", n->op));
        MD_TRY(print_list(g, n->in, n->n_in, out, err));
        MD_TRY(md_buf_puts(out, ")\n", err));
    }
    MD_TRY(md_buf_puts(out, "  return ", err));
    MD_TRY(print_list(g, g->outputs, g->n_outputs, out, err));
    return md_buf_puts(out, "\n", err);
}
