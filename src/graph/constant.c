/* Constants that are nodes become constants of the graph. */
#include "graph/graph.h"

#include <string.h>

/* The tensor that a Constant gives; NULL for other nodes and forms. */
static const md_tensor *given(const md_graph *g, const md_node *n)
{
    const md_attr *a = md_node_attr(n, "value");

    if (n->domain[0] || strcmp(n->op, "Constant") != 0 || n->n_out != 1 || !a ||
        a->type != MD_ATTR_TENSOR || g->values[n->out[0]].is_output)
        return NULL;
    return a->v.t;
}

md_status md_graph_lift_constants(md_graph *g, md_error *err)
{
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        md_node *n = g->nodes[i];
        const md_tensor *from = given(g, n);
        md_tensor t;
        md_status s;

        if (!from)
            continue;
        MD_TRY(md_tensor_copy(&t, from, g->model->alloc, err));
        s = md_graph_set_const(g, n->out[0], t, err);
        if (s != MD_OK) {
            md_tensor_release(&t);
            return s;
        }
        g->values[n->out[0]].def = NULL;
        n->dead = true;
    }
    md_graph_compact(g);
    return MD_OK;
}
