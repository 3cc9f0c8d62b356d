/* What subgraphs read by name from graphs above becomes explicit. */
#include "graph/graph.h"

enum {
    DEPTH_MAX = 64 /* of graphs in graphs */
};

md_graph *md_node_graph(const md_node *n, uint32_t i)
{
    for (uint32_t k = 0; k < n->n_attr; k++) {
        md_graph *const *list;
        uint32_t n_list = md_attr_graphs(&n->attr[k], &list);

        if (i < n_list)
            return list[i];
        i -= n_list;
    }
    return NULL;
}

/* Value id of g is what `body`, of n, reads as its value `inner`. */
static md_status attach(md_graph *g, md_node *n, md_graph *body,
                        md_value_id inner, md_error *err)
{
    const char *name = body->values[inner].name;
    md_value_id id = md_graph_find(g, name);

    if (id == MD_VALUE_NONE) /* g reads it from further up itself */
        MD_TRY(md_graph_add_value(&id, g, name, err));
    MD_TRY(md_node_set_input(g, n, n->n_in, id, err));
    MD_TRY(md_graph_add_input(body, inner, err));
    n->n_captures++;
    body->n_captures++;
    return MD_OK;
}

/* Inference writes over types; what the file says is kept for loops of no
 * trips, whose bodies are never run. */
static md_status keep_declared(md_graph *body, md_error *err)
{
    md_type *t;

    if (body->declared)
        return MD_OK;
    t = md_arena_calloc(&body->model->arena, body->n_outputs + 1u, sizeof(*t));
    if (!t)
        return md_fail_nomem(err, body->n_outputs * sizeof(*t));
    for (uint32_t i = 0; i < body->n_outputs; i++)
        t[i] = body->values[body->outputs[i]].type;
    body->declared = t;
    return MD_OK;
}

static md_status close_graph(md_graph *g, int depth, md_error *err);

static md_status close_node(md_graph *g, md_node *n, int depth, md_error *err)
{
    md_graph *body;

    for (uint32_t i = 0; (body = md_node_graph(n, i)); i++) {
        uint32_t n_values;

        MD_TRY(keep_declared(body, err));
        MD_TRY(close_graph(body, depth + 1, err));
        n_values = body->n_values;
        for (uint32_t k = 0; k < n_values; k++) {
            const md_value *v = &body->values[k];

            if (!v->def && !v->cdata && !v->is_input && v->name[0])
                MD_TRY(attach(g, n, body, k, err));
        }
    }
    return MD_OK;
}

static md_status close_graph(md_graph *g, int depth, md_error *err)
{
    if (depth > DEPTH_MAX)
        return md_fail(err, MD_TOO_LARGE, "graphs nested deeper than %d",
                       DEPTH_MAX);
    for (uint32_t i = 0; i < g->n_nodes; i++)
        MD_TRY(close_node(g, g->nodes[i], depth, err));
    return MD_OK;
}

md_status md_model_close(md_model *model, md_error *err)
{
    return close_graph(model->graph, 0, err);
}
