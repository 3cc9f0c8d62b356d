/* Inputs for runs whose results only have to be comparable. */
#include <string.h>

#include "engine/program.h"

/* How many rows the table has that input i is an index into; 0: none. */
static int64_t table_size(const md_session *s, uint32_t i)
{
    const md_graph *g = s->graph;

    for (uint32_t k = 0; k < g->n_nodes; k++) {
        const md_node *n = g->nodes[k];
        const md_type *table;
        int64_t axis;

        if (strcmp(n->op, "Gather") != 0 || n->n_in < 2 ||
            n->in[1] != g->inputs[i] || n->in[0] == MD_VALUE_NONE)
            continue;
        table = &g->values[n->in[0]].type;
        axis = md_node_attr_i(n, "axis", 0);
        axis += axis < 0 ? table->rank : 0;
        if (table->has_rank && axis >= 0 && axis < table->rank &&
            md_dim_is_const(table->dim[axis]))
            return table->dim[axis].k;
    }
    return 0;
}

static uint32_t next(uint32_t *x)
{
    /* W. H. Press et al., "Numerical Recipes", 3rd ed., 7.1.7 */
    *x = *x * 1664525 + 1013904223;
    return *x >> 8; /* the low bits repeat soon */
}

void md_session_sample(const md_session *s, uint32_t i, uint32_t seed,
                       md_tensor *t)
{
    const int64_t n = md_tensor_n(t), size = table_size(s, i);
    uint32_t x = seed;

    for (int64_t k = 0; k < n; k++) {
        const uint32_t r = next(&x);

        if (md_dtype_is_float(t->dtype))
            md_tensor_set_f64(t, k, r * 0x1p-24);
        else if (size > 0)
            md_tensor_set_i64(t, k, r % size);
        else if (t->dtype == MD_DTYPE_U8 || t->dtype == MD_DTYPE_I8)
            md_tensor_set_i64(t, k, r >> 17);
        else if (t->dtype != MD_DTYPE_STRING)
            md_tensor_set_i64(t, k, 1);
    }
}
