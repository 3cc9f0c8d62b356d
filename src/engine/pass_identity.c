/* Identity and inference-time Dropout read and write the same value. */
#include <string.h>

#include "engine/pass.h"

static bool passes_through(const md_node *n)
{
    if (n->domain[0])
        return false;
    if (strcmp(n->op, "Identity") == 0)
        return true;
    return strcmp(n->op, "Dropout") == 0 &&
           (n->n_out < 2 || n->out[1] == MD_VALUE_NONE) &&
           (n->n_in < 3 || n->in[2] == MD_VALUE_NONE);
}

static md_status run(md_graph *g, md_precision precision, md_error *err)
{
    (void)precision;
    (void)err;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        md_node *n = g->nodes[i];

        /* A graph output keeps its name, so it keeps its node. */
        if (n->dead || !passes_through(n) || n->out[0] == MD_VALUE_NONE ||
            g->values[n->out[0]].is_output ||
            g->values[n->in[0]].type.kind != MD_KIND_TENSOR)
            continue;
        md_graph_replace_uses(g, n->out[0], n->in[0]);
        n->dead = true;
    }
    return MD_OK;
}

const md_pass md_pass_identity = { "identity",
                                   "drop Identity and inert Dropout", run };
