/* An If whose condition is known: the nodes of the branch that is taken stand
 * in its place, so that they fold and fuse with what is around them. */
#include <string.h>

#include "engine/body.h"
#include "engine/pass.h"

/* A branch on its way into g. */
typedef struct move {
    md_graph *g;
    md_node *n; /* the If */
    md_graph *body;
    md_value_id *map; /* by value of body: the value of g */
} move;

static const md_graph *taken(const md_graph *g, const md_node *n)
{
    const md_tensor *cond;
    const md_attr *a;

    if (n->domain[0] || strcmp(n->op, "If") != 0)
        return NULL;
    cond = g->values[n->in[0]].cdata;
    if (!cond || !cond->data || cond->dtype != MD_DTYPE_BOOL ||
        md_tensor_n(cond) != 1)
        return NULL;
    a = md_node_attr(n, md_tensor_get_i64(cond, 0) ? "then_branch"
                                                   : "else_branch");
    if (!a || a->type != MD_ATTR_GRAPH || a->v.g->n_outputs != n->n_out ||
        a->v.g->n_inputs != a->v.g->n_captures)
        return NULL;
    return a->v.g;
}

/* Captures are what they capture; results are the If's. */
static void map_ends(const move *m)
{
    const md_node *n = m->n;
    uint32_t at = n->n_in - n->n_captures;
    const md_graph *g;

    for (uint32_t i = 0; (g = md_node_graph(n, i)) && g != m->body; i++)
        at += g->n_captures;
    for (uint32_t i = 0; i < m->body->n_inputs; i++)
        m->map[m->body->inputs[i]] = n->in[at + i];
    for (uint32_t i = 0; i < n->n_out; i++) {
        md_value_id id = m->body->outputs[i];

        if (n->out[i] != MD_VALUE_NONE && m->body->values[id].def &&
            m->map[id] == MD_VALUE_NONE)
            m->map[id] = n->out[i];
    }
}

static md_status map_values(const move *m, md_error *err)
{
    for (uint32_t i = 0; i < m->body->n_values; i++) {
        md_value *v = &m->body->values[i];
        md_value_id id;

        if (m->map[i] != MD_VALUE_NONE)
            continue;
        MD_TRY(md_graph_add_value(&id, m->g, NULL, err));
        m->g->values[id].type = v->type;
        m->g->values[id].cdata = v->cdata; /* its header moves along */
        v->cdata = NULL;
        m->map[i] = id;
    }
    return MD_OK;
}

static void map_ids(const move *m, md_value_id *ids, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (ids[i] != MD_VALUE_NONE)
            ids[i] = m->map[ids[i]];
    }
}

static void move_node(const move *m, md_node *n)
{
    map_ids(m, n->in, n->n_in);
    map_ids(m, n->out, n->n_out);
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (n->out[i] != MD_VALUE_NONE)
            m->g->values[n->out[i]].def = n;
    }
}

/* The node list of g with those of the branch in place of node `at`. */
static md_status splice(const move *m, uint32_t at, md_error *err)
{
    md_graph *g = m->g;
    uint32_t n_moved = m->body->n_nodes;
    size_t total = (size_t)g->n_nodes - 1 + n_moved;
    md_node **nodes =
        md_arena_calloc(&g->model->arena, total + 1, sizeof(md_node *));

    if (!nodes || total > UINT32_MAX)
        return md_fail_nomem(err, total * sizeof(md_node *));
    memcpy(nodes, g->nodes, at * sizeof(md_node *));
    for (uint32_t i = 0; i < n_moved; i++) {
        nodes[at + i] = m->body->nodes[i];
        move_node(m, nodes[at + i]);
    }
    memcpy(nodes + at + n_moved, g->nodes + at + 1,
           (g->n_nodes - at - 1) * sizeof(md_node *));
    g->nodes = nodes;
    g->n_nodes = (uint32_t)total;
    g->cap_nodes = (uint32_t)total;
    m->body->n_nodes = 0;
    return MD_OK;
}

/* Results that the branch only hands on are copied behind it. */
static md_status copy_results(const move *m, uint32_t at, md_error *err)
{
    for (uint32_t i = 0; i < m->n->n_out; i++) {
        md_value_id to = m->n->out[i];
        md_value_id from = m->map[m->body->outputs[i]];
        md_node *copy;

        if (to == MD_VALUE_NONE || to == from)
            continue;
        MD_TRY(md_graph_insert_node(
            &copy, m->g, at,
            &(md_node_spec){ "", "Identity", m->n->name, &from, 1, &to, 1 },
            err));
        MD_TRY(md_pass__resolve(m->g, copy, err));
    }
    return MD_OK;
}

md_status md_branch__inline(bool *done, md_graph *g, uint32_t at, md_error *err)
{
    md_node *n = g->nodes[at];
    const md_graph *branch = taken(g, n);
    move m = { .g = g, .n = n };
    uint32_t behind;

    *done = false;
    if (!branch)
        return MD_OK;
    m.body = ((const md_session *)branch->impl)->graph;
    behind = at + m.body->n_nodes;
    m.map = md_arena_alloc(&g->model->arena,
                           (m.body->n_values + 1u) * sizeof(*m.map));
    if (!m.map)
        return md_fail_nomem(err, m.body->n_values * sizeof(*m.map));
    memset(m.map, 0xff, m.body->n_values * sizeof(*m.map));
    map_ends(&m);
    MD_TRY(map_values(&m, err));
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (n->out[i] != MD_VALUE_NONE)
            g->values[n->out[i]].def = NULL;
    }
    n->dead = true;
    MD_TRY(splice(&m, at, err));
    *done = true;
    return copy_results(&m, behind, err);
}
