/* x * Sigmoid(x) becomes Swish, x * HardSigmoid(x; 1/6, 1/2) HardSwish. */
#include <math.h>
#include <string.h>

#include "engine/pass.h"

/* The gate's operator when n is x * gate(x), else NULL; *x is set. */
static const char *gated(const md_graph *g, const md_node *n, md_value_id *x)
{
    for (int i = 0; i < 2; i++) {
        const md_node *s = md_pass__def(g, n->in[i], "Sigmoid");
        const md_node *h = md_pass__def(g, n->in[i], "HardSigmoid");

        *x = n->in[1 - i];
        if (s && s->in[0] == *x)
            return "Swish";
        if (h && h->in[0] == *x &&
            fabsf(md_node_attr_f(h, "alpha", 0.2f) - 1.0f / 6.0f) < 1e-6f &&
            md_node_attr_f(h, "beta", 0.5f) == 0.5f)
            return "HardSwish";
    }
    return NULL;
}

static md_status run(md_graph *g, md_precision precision, md_error *err)
{
    (void)precision;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        md_node *n = g->nodes[i];
        const char *op;
        md_value_id x;

        if (n->dead || n->domain[0] || strcmp(n->op, "Mul") != 0)
            continue;
        op = gated(g, n, &x);
        if (!op || g->values[x].type.dtype != MD_DTYPE_F32)
            continue;
        n->op = op;
        n->in[0] = x;
        n->n_in = 1;
        n->n_attr = 0;
        MD_TRY(md_pass__resolve(g, n, err));
    }
    return MD_OK;
}

const md_pass md_pass_silu = { "silu", "x*sigmoid(x) to Swish", run };
