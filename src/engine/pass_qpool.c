/*
 * A QuantizeLinear behind MaxPool moves before it: rounding keeps the order of
 * numbers, so the largest code is the code of the largest number.  Where a
 * convolution of codes comes before the pool, it then gives codes too.
 */
#include <string.h>

#include "engine/pass.h"

static bool is_quantize(const md_graph *g, const md_node *q)
{
    return q && !q->dead && !q->domain[0] &&
           strcmp(q->op, "QuantizeLinear") == 0 && q->n_in >= 3 &&
           md_pass__is_scalar(g, q->in[1]) && md_pass__is_scalar(g, q->in[2]) &&
           md_dtype_bits(g->values[q->in[2]].cdata->dtype) == 8;
}

/* Is id what a Conv of dequantized codes gives, through at most one Relu or
 * Clip, and nobody else's business?  Such numbers are never NaN, whose order
 * pools and codes see differently. */
static bool is_product(const md_graph *g, const md_pass_links *at,
                       md_value_id id)
{
    const md_node *n;

    if (!md_pass__only_user(g, at, id))
        return false;
    n = md_pass__def(g, id, "Relu");
    n = n ? n : md_pass__def(g, id, "Clip");
    if (n && !md_pass__only_user(g, at, n->in[0]))
        return false;
    n = md_pass__def(g, n ? n->in[0] : id, "Conv");
    return n && md_pass__def(g, n->in[0], "DequantizeLinear") &&
           md_pass__def(g, n->in[1], "DequantizeLinear");
}

/* `pool` and q change places: in the list, and what lies between them is q's
 * now. */
static void swap(md_graph *g, md_node *pool, md_node *q, const uint32_t *at)
{
    const md_value_id x = pool->in[0], between = pool->out[0], y = q->out[0];

    g->nodes[at[between] - 1] = q;
    g->nodes[at[y] - 1] = pool;
    q->in[0] = x;
    q->out[0] = between;
    pool->in[0] = between;
    pool->out[0] = y;
    g->values[between].def = q;
    g->values[y].def = pool;
    g->values[between].type = g->values[x].type;
    g->values[between].type.dtype = g->values[y].type.dtype;
}

static md_status run(md_graph *g, md_precision precision, md_error *err)
{
    md_pass_links at;
    md_status s = md_pass_links_init(&at, g, err);

    (void)precision;
    for (uint32_t i = 0; i < g->n_nodes && s == MD_OK; i++) {
        md_node *pool = g->nodes[i];
        md_node *q;

        if (pool->dead || pool->domain[0] || strcmp(pool->op, "MaxPool") != 0 ||
            (pool->n_out > 1 && pool->out[1] != MD_VALUE_NONE))
            continue;
        q = md_pass__only_user(g, &at, pool->out[0]);
        if (is_quantize(g, q) && is_product(g, &at, pool->in[0]))
            swap(g, pool, q, at.position);
    }
    md_pass_links_release(&at, g);
    return s;
}

const md_pass md_pass_qpool = { "qpool", "QuantizeLinear before MaxPool", run };
