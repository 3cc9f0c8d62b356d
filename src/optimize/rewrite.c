#include "optimize/rewrite.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "train/runner.h"

/* Bytes of constants. */
#define HASHED_MAX ((uint64_t)1 << 31)

md_status md_rewrite__const(md_value_id *out, md_graph *g, const char *of,
                            const char *what, md_tensor t, md_error *err)
{
    char stem[120];
    md_status s;

    snprintf(stem, sizeof(stem), "%.90s_%s", of, what);
    s = md_graph_add_unique(out, g, stem, err);
    if (s == MD_OK)
        s = md_graph_set_const(g, *out, t, err);
    if (s != MD_OK)
        md_tensor_release(&t);
    return s;
}

md_status md_rewrite__new_const(md_value_id *id, md_tensor *t, md_graph *g,
                                const char *of, const char *what,
                                md_dtype dtype, const md_shape *shape,
                                md_error *err)
{
    MD_TRY(md_tensor_alloc(t, dtype, shape, g->model->alloc, err));
    return md_rewrite__const(id, g, of, what, *t, err);
}

md_status md_rewrite__node(md_node **n, md_value_id *out, md_graph *g,
                           uint32_t at, const md_node_spec *spec,
                           const char *stem, md_error *err)
{
    md_node_spec own = *spec;

    if (*out == MD_VALUE_NONE)
        MD_TRY(md_graph_add_unique(out, g, stem, err));
    own.out = out;
    own.n_out = 1;
    return md_graph_insert_node(n, g, at, &own, err);
}

md_status md_rewrite__check_finite(const md_graph *g, md_value_id id,
                                   md_error *err)
{
    const md_tensor *t = g->values[id].cdata;
    const float *p = t->data;

    for (int64_t i = 0; i < md_tensor_n(t); i++) {
        if (!isfinite(p[i]))
            return md_fail(err, MD_INVALID, "weights '%s' hold %g",
                           g->values[id].name, (double)p[i]);
    }
    return MD_OK;
}

bool md_rewrite__is_product(const md_graph *g, const md_node *n, bool *turned)
{
    const bool is_gemm = !n->domain[0] && strcmp(n->op, "Gemm") == 0;
    const md_tensor *w;

    if (!is_gemm && (n->domain[0] || strcmp(n->op, "MatMul") != 0))
        return false;
    w = g->values[n->in[1]].cdata;
    *turned = is_gemm && md_node_attr_i(n, "transB", 0) != 0;
    return w && w->dtype == MD_DTYPE_F32 && w->shape.rank == 2 &&
           md_tensor_n(w) > 0 && !md_node_attr_i(n, "transA", 0) &&
           md_node_attr_f(n, "alpha", 1.0f) == 1.0f &&
           md_node_attr_f(n, "beta", 1.0f) == 1.0f;
}

uint32_t md_rewrite__position(const md_graph *g, const md_node *n)
{
    uint32_t i = 0;

    while (i < g->n_nodes && g->nodes[i] != n)
        i++;
    return i;
}

md_status md_rewrite__parent(uint64_t *out, const md_model *m, md_error *err)
{
    uint64_t size = 0;

    *out = 0;
    for (uint32_t i = 0; i < m->graph->n_values; i++) {
        const md_tensor *t = m->graph->values[i].cdata;

        size += t ? md_tensor_size(t) : 0;
    }
    return size < HASHED_MAX ? md_model_hash(out, m, err) : MD_OK;
}

md_status md_rewrite__origin(md_model *m, uint64_t parent, const char *recipe,
                             md_error *err)
{
    return parent ? md_model_set_origin(m, parent, recipe, err)
                  : md_model_set_lineage(m, NULL, recipe, err);
}
