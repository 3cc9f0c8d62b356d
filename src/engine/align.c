/*
 * Constants that a model loaded to be run may have at addresses which their
 * type does not allow (md_load).  Those that are weights stay there until a
 * kernel packs them from a copy in one buffer for all, so that loading touches
 * fresh memory for the packed form only; bytes that are gathered stay for
 * good; all others get a place of their own before anyone looks at them.
 */
#include <string.h>

#include "engine/pass.h"
#include "engine/program.h"

static bool is_left(const md_op *op, uint32_t input)
{
    if ((op->flags & MD_OP_WEIGHTS) && input == 1)
        return true;
    return (op->flags & MD_OP_GATHERS) && input == 0;
}

static bool is_unaligned(const md_graph *g, md_value_id id)
{
    return id != MD_VALUE_NONE && g->values[id].cdata &&
           !md_tensor_is_aligned(g->values[id].cdata);
}

md_status md_session__align(md_session *s, md_error *err)
{
    md_graph *g = s->graph;

    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const md_node *n = g->nodes[i];

        for (uint32_t k = 0; k < n->n_in; k++) {
            if (is_unaligned(g, n->in[k]) && !is_left(n->impl, k))
                MD_TRY(md_graph_align_const(g, n->in[k], err));
        }
    }
    for (uint32_t i = 0; i < g->n_outputs; i++)
        MD_TRY(md_graph_align_const(g, g->outputs[i], err));
    return MD_OK;
}

md_status md_session__align_inputs(md_session *s, const md_node *n,
                                   md_error *err)
{
    for (uint32_t k = 0; k < n->n_in; k++) {
        if (is_unaligned(s->graph, n->in[k]))
            MD_TRY(md_graph_align_const(s->graph, n->in[k], err));
    }
    return MD_OK;
}

md_status md_session__stage(md_session *s, const md_node *n,
                            const md_tensor **out, md_error *err)
{
    const md_tensor *t;
    size_t size;

    *out = NULL;
    if (n->n_in < 2 || !is_unaligned(s->graph, n->in[1]))
        return MD_OK;
    t = s->graph->values[n->in[1]].cdata;
    size = md_tensor_size(t);
    if (size > s->staging_size) {
        md_free(s->alloc, s->staging);
        s->staging_size = 0;
        s->staging = md_malloc_aligned(s->alloc, size);
        if (!s->staging)
            return md_fail_nomem(err, size);
        s->staging_size = size;
    }
    memcpy(s->staging, t->data, size);
    s->staged = *t;
    s->staged.data = s->staging;
    *out = &s->staged;
    return MD_OK;
}

md_status md_session__unstage(md_session *s, const md_node *n, bool packed,
                              md_error *err)
{
    if (packed)
        return MD_OK;
    MD_TRY(md_graph_own_const(s->graph, n->in[1], s->staging, s->alloc, err));
    s->staging = NULL;
    s->staging_size = 0;
    return MD_OK;
}
