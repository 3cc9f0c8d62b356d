#include "engine/pass.h"

#include <string.h>

static const md_pass *const passes[] = {
#define PASS(id) &md_pass_##id,
#include "engine/passes.def"
#undef PASS
};

md_status md_passes_run(md_graph *g, md_precision precision, md_error *err)
{
    for (size_t i = 0; i < MD_COUNT(passes); i++) {
        md_status s = passes[i]->run(g, precision, err);

        if (s != MD_OK)
            return md_wrap(err, s, "pass %s: ", passes[i]->name);
        MD_TRY(md_pass__drop_unused(g, err));
    }
    return MD_OK;
}

md_status md_pass__uses(uint32_t **uses, const md_graph *g, md_error *err)
{
    size_t n = g->n_values + 1u;
    uint32_t *u = md_calloc(g->model->alloc, n, sizeof(*u));

    if (!u)
        return md_fail_nomem(err, n * sizeof(*u));
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const md_node *nd = g->nodes[i];

        for (uint32_t k = 0; k < nd->n_in && !nd->dead; k++) {
            if (nd->in[k] != MD_VALUE_NONE)
                u[nd->in[k]]++;
        }
    }
    for (uint32_t i = 0; i < g->n_outputs; i++)
        u[g->outputs[i]]++;
    *uses = u;
    return MD_OK;
}

md_status md_pass_links_init(md_pass_links *l, const md_graph *g, md_error *err)
{
    const size_t n = g->n_values + 1u;

    *l = (md_pass_links){ NULL, NULL, NULL };
    MD_TRY(md_pass__uses(&l->uses, g, err));
    l->position = md_calloc(g->model->alloc, n, sizeof(*l->position));
    l->user = md_calloc(g->model->alloc, n, sizeof(md_node *));
    if (!l->position || !l->user)
        return md_fail_nomem(err, n * sizeof(md_node *));
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        md_node *nd = g->nodes[i];

        for (uint32_t k = 0; k < nd->n_out; k++) {
            if (nd->out[k] != MD_VALUE_NONE)
                l->position[nd->out[k]] = i + 1;
        }
        for (uint32_t k = 0; k < nd->n_in; k++) {
            if (nd->in[k] != MD_VALUE_NONE)
                l->user[nd->in[k]] = nd;
        }
    }
    return MD_OK;
}

void md_pass_links_release(md_pass_links *l, const md_graph *g)
{
    md_free(g->model->alloc, l->uses);
    md_free(g->model->alloc, l->position);
    md_free(g->model->alloc, l->user);
}

md_node *md_pass__only_user(const md_graph *g, const md_pass_links *l,
                            md_value_id id)
{
    return l->uses[id] == 1 && !g->values[id].is_output ? l->user[id] : NULL;
}

void md_pass__take_over(md_graph *g, md_pass_links *l, md_node *host,
                        md_node *n)
{
    const md_value_id y = host->out[0];

    l->position[n->out[0]] = l->position[y];
    g->values[y].def = NULL;
    host->out[0] = n->out[0];
    g->values[n->out[0]].def = host;
    n->dead = true;
    n->n_out = 0;
}

bool md_pass__same_type(const md_type *a, const md_type *b)
{
    if (a->dtype != b->dtype || !a->has_rank || !b->has_rank ||
        a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++) {
        if (!md_dim_equal(a->dim[i], b->dim[i]))
            return false;
    }
    return true;
}

bool md_pass__is_scalar(const md_graph *g, md_value_id id)
{
    const md_value *v = md_graph_value(g, id);

    return v && v->cdata && md_tensor_n(v->cdata) == 1;
}

bool md_pass__same_const(const md_graph *g, md_value_id a, md_value_id b)
{
    const md_tensor *ta, *tb;

    if (a == b)
        return true;
    if (!md_pass__is_scalar(g, a) || !md_pass__is_scalar(g, b))
        return false;
    ta = g->values[a].cdata;
    tb = g->values[b].cdata;
    return ta->dtype == tb->dtype &&
           memcmp(ta->data, tb->data, md_tensor_size(ta)) == 0;
}

md_node *md_pass__def(const md_graph *g, md_value_id id, const char *op)
{
    const md_value *v = md_graph_value(g, id);

    if (!v || !v->def || v->def->dead || v->def->domain[0] ||
        strcmp(v->def->op, op) != 0)
        return NULL;
    return v->def;
}

bool md_pass__scalar(const md_graph *g, md_value_id id, float *out)
{
    const md_value *v = md_graph_value(g, id);

    if (!v || !v->cdata || !md_dtype_is_float(v->cdata->dtype) ||
        md_tensor_n(v->cdata) != 1)
        return false;
    *out = (float)md_tensor_get_f64(v->cdata, 0);
    return true;
}

md_status md_pass__resolve(const md_graph *g, md_node *n, md_error *err)
{
    /* A pass may write a newer operator than the model imports. */
    int64_t opset = md_node_opset(g->model, n);

    n->impl = md_op_find(n->domain, n->op, opset);
    if (!n->impl)
        n->impl = md_op_find(n->domain, n->op, INT64_MAX);
    if (!n->impl)
        return md_fail(err, MD_INTERNAL, "operator '%s' is unknown", n->op);
    return MD_OK;
}

md_status md_pass__add_const(md_value_id *out, md_graph *g, md_tensor t,
                             md_error *err)
{
    md_status s = md_graph_add_const(out, g, "", t, err);

    if (s != MD_OK)
        md_tensor_release(&t);
    return s;
}

bool md_pass__has_subgraph(const md_node *n)
{
    for (uint32_t i = 0; i < n->n_attr; i++) {
        md_graph *const *subs;

        if (md_attr_graphs(&n->attr[i], &subs) > 0)
            return true;
    }
    return false;
}

md_status md_pass__drop_unused(md_graph *g, md_error *err)
{
    uint32_t *uses =
        md_calloc(g->model->alloc, g->n_values + 1u, sizeof(*uses));

    if (!uses)
        return md_fail_nomem(err, g->n_values * sizeof(*uses));
    for (uint32_t i = 0; i < g->n_outputs; i++)
        uses[g->outputs[i]]++;
    for (uint32_t i = g->n_nodes; i-- > 0;) {
        md_node *n = g->nodes[i];
        bool used = false;

        for (uint32_t k = 0; k < n->n_out; k++)
            used |= n->out[k] != MD_VALUE_NONE && uses[n->out[k]] > 0;
        used = used && !n->dead;
        n->dead = !used;
        for (uint32_t k = 0; used && k < n->n_in; k++) {
            if (n->in[k] != MD_VALUE_NONE)
                uses[n->in[k]]++;
        }
    }
    md_free(g->model->alloc, uses);
    md_graph_compact(g);
    return MD_OK;
}
