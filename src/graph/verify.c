/* Order, structure and listing of graphs. */
#include <string.h>

#include "graph/graph.h"

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

static void add_node_captures(sorter *s, const md_node *n, uint32_t to);

static bool is_defined(const md_value *v)
{
    return v->def || v->cdata || v->is_input;
}

/* Where `name`, not defined in sub, is: the nearest parent that defines it,
 * or NULL. */
static const md_graph *defined_above(const md_graph *sub, const char *name)
{
    for (const md_graph *p = sub->parent; p; p = p->parent) {
        md_value_id id = md_graph_find(p, name);

        if (id != MD_VALUE_NONE && is_defined(md_graph_value(p, id)))
            return p;
    }
    return NULL;
}

/* Edges from what a subgraph, and those in it, capture by name. */
static void add_captures(sorter *s, const md_graph *sub, uint32_t to)
{
    for (uint32_t i = 0; i < sub->n_values; i++) {
        const md_value *v = &sub->values[i];
        uint32_t position;

        if (is_defined(v) || defined_above(sub, v->name) != s->g)
            continue;
        position = s->position[md_graph_find(s->g, v->name)];
        if (position)
            add_edge(s, position - 1, to);
    }
    for (uint32_t i = 0; i < sub->n_nodes; i++)
        add_node_captures(s, sub->nodes[i], to);
}

static void add_node_captures(sorter *s, const md_node *n, uint32_t to)
{
    for (uint32_t i = 0; i < n->n_attr; i++) {
        md_graph *const *subs;
        uint32_t n_subs = md_attr_graphs(&n->attr[i], &subs);

        for (uint32_t k = 0; k < n_subs; k++)
            add_captures(s, subs[k], to);
    }
}

/* Values in the subgraphs of n, at any depth: an upper bound of its captures. */
static size_t count_captures(const md_node *n)
{
    size_t captures = 0;

    for (uint32_t i = 0; i < n->n_attr; i++) {
        md_graph *const *subs;
        uint32_t n_subs = md_attr_graphs(&n->attr[i], &subs);

        for (uint32_t k = 0; k < n_subs; k++) {
            captures += subs[k]->n_values;
            for (uint32_t j = 0; j < subs[k]->n_nodes; j++)
                captures += count_captures(subs[k]->nodes[j]);
        }
    }
    return captures;
}

static size_t count_edges(const md_graph *g)
{
    size_t n = 1;

    for (uint32_t i = 0; i < g->n_nodes; i++)
        n += g->nodes[i]->n_in + count_captures(g->nodes[i]);
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
        add_node_captures(s, n, i);
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
                           md_graph_label(g, g->nodes[i]), g->nodes[i]->op);
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

static md_status check_defined(const md_graph *g, md_value_id id,
                               const char *what, const char *who, md_error *err)
{
    const md_value *v = md_graph_value(g, id);

    if (!v)
        return md_fail(err, MD_CORRUPT, "%s '%s' reads value %u of %u", what,
                       who, id, g->n_values);
    if (is_defined(v) || defined_above(g, v->name))
        return MD_OK;
    return md_fail(err, MD_CORRUPT,
                   "%s '%s' reads '%s', which nothing produces", what, who,
                   v->name);
}

/* Every result is a value of g that n alone produces. */
static md_status check_results(const md_graph *g, const md_node *n,
                               md_error *err)
{
    for (uint32_t k = 0; k < n->n_out; k++) {
        const md_value *v = md_graph_value(g, n->out[k]);

        if (n->out[k] == MD_VALUE_NONE)
            continue;
        if (!v)
            return md_fail(err, MD_CORRUPT, "node '%s' writes value %u of %u",
                           md_graph_label(g, n), n->out[k], g->n_values);
        if (v->def != n)
            return md_fail(
                err, MD_CORRUPT,
                "node '%s' writes '%s', which something else produces",
                md_graph_label(g, n), v->name);
    }
    return MD_OK;
}

static md_status check_ids(const md_graph *g, const md_value_id *ids,
                           uint32_t n, const char *what, md_error *err)
{
    for (uint32_t i = 0; i < n; i++) {
        if (ids[i] >= g->n_values)
            return md_fail(err, MD_CORRUPT, "graph %s %u is value %u of %u",
                           what, i, ids[i], g->n_values);
    }
    return MD_OK;
}

static md_status verify_node(md_graph *g, md_node *n, md_error *err)
{
    MD_TRY(check_results(g, n, err));
    for (uint32_t k = 0; k < n->n_in; k++) {
        if (n->in[k] != MD_VALUE_NONE)
            MD_TRY(
                check_defined(g, n->in[k], "node", md_graph_label(g, n), err));
    }
    for (uint32_t k = 0; k < n->n_attr; k++) {
        md_graph *const *subs;
        uint32_t n_subs = md_attr_graphs(&n->attr[k], &subs);

        for (uint32_t i = 0; i < n_subs; i++)
            MD_TRY(md_graph_verify(subs[i], err));
    }
    return MD_OK;
}

md_status md_graph_verify(md_graph *g, md_error *err)
{
    MD_TRY(check_ids(g, g->inputs, g->n_inputs, "input", err));
    MD_TRY(check_ids(g, g->outputs, g->n_outputs, "output", err));
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
        MD_TRY(md_buf_printf(out, err, " = %s%s%s%s%s(", n->domain,
                             n->domain[0] ? "." : "", n->op,
                             n->overload[0] ? ":" : "", n->overload));
        MD_TRY(print_list(g, n->in, n->n_in, out, err));
        MD_TRY(md_buf_puts(out, ")\n", err));
    }
    MD_TRY(md_buf_puts(out, "  return ", err));
    MD_TRY(print_list(g, g->outputs, g->n_outputs, out, err));
    return md_buf_puts(out, "\n", err);
}
