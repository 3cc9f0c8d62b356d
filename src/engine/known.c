/* What follows from shapes and constants alone. */
#include <string.h>

#include "engine/exec.h"
#include "engine/pass.h"
#include "engine/program.h"

/* Constants that live on in packed form only have a header but no data. */
bool md_known__has_contents(const md_tensor *t)
{
    return t && (t->data || md_tensor_n(t) == 0);
}

static bool is_static(const md_type *t)
{
    md_shape shape;

    return md_type_static(t, &shape);
}

static bool is_small(const md_type *t)
{
    md_shape shape;
    int64_t count;

    return md_type_static(t, &shape) &&
           md_shape_count(&count, &shape, NULL) == MD_OK &&
           count <= MD_KNOWN_ELEMENTS;
}

bool md_known__now(const md_graph *g, const md_node *n, const md_type *types,
                   const md_tensor *const *cdata)
{
    const md_op *op = n->impl;

    if (n->n_in > MD_KNOWN_IN || n->n_out > MD_KNOWN_OUT ||
        (md_op_flags(op, g, n) & MD_OP_IMPURE) || md_pass__has_subgraph(n))
        return false;
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (n->out[i] != MD_VALUE_NONE && !is_small(&types[n->out[i]]))
            return false;
    }
    if (strcmp(n->op, "Shape") == 0 || strcmp(n->op, "Size") == 0)
        return is_static(&types[n->in[0]]);
    for (uint32_t i = 0; i < n->n_in; i++) {
        if (n->in[i] != MD_VALUE_NONE &&
            !md_known__has_contents(cdata[n->in[i]]))
            return false;
    }
    return true;
}

md_status md_known__compute(const md_graph *g, const md_node *n,
                            const md_type *types, const md_tensor *const *cdata,
                            md_tensor *out, const md_alloc *alloc,
                            md_arena *text, md_error *err)
{
    const md_tensor *in[MD_KNOWN_IN] = { NULL };
    const md_exec_env env = { .alloc = alloc, .text = text };
    md_tensor hollow = MD_TENSOR_INIT;

    for (uint32_t i = 0; i < n->n_in; i++) {
        if (n->in[i] == MD_VALUE_NONE)
            continue;
        in[i] = cdata[n->in[i]];
        if (!in[i]) { /* Shape, Size: only the header is read */
            hollow.dtype = types[n->in[i]].dtype;
            (void)md_type_static(&types[n->in[i]], &hollow.shape);
            in[i] = &hollow;
        }
    }
    return md_exec_node(g, n, in, out, &env, err);
}
