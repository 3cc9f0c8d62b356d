#include "engine/steps.h"

#include "engine/pass.h"

static md_status set_attr(md_graph *g, md_node *n, const md_attr *a,
                          md_error *err)
{
    switch (a->type) {
    case MD_ATTR_INT:
        return md_node_set_attr_i(g, n, a->name, a->v.i, err);
    case MD_ATTR_FLOAT:
        return md_node_set_attr_f(g, n, a->name, a->v.f, err);
    case MD_ATTR_STRING:
        return md_node_set_attr_s(g, n, a->name, a->v.s.p, err);
    case MD_ATTR_INTS:
        return md_node_set_attr_is(g, n, a->name, a->v.is, a->n, err);
    default:
        return md_node_add_attr(g, n, a, err); /* of the node itself */
    }
}

static md_status insert_step(md_compose *m, md_node *step, const md_op *op,
                             md_part first, md_error *err)
{
    md_value_id in[MD_COMPOSE_INPUTS], out[MD_COMPOSE_OUTPUTS];
    md_steps *s = m->ctx;
    md_node *n;

    for (uint32_t i = 0; i < step->n_in; i++)
        in[i] = step->in[i] == MD_VALUE_NONE ? MD_VALUE_NONE
                                             : m->part[step->in[i]].id;
    for (uint32_t k = 0; k < step->n_out; k++) {
        md_compose_value *v = &m->part[first + (int)k];

        MD_TRY(md_graph_add_value(&out[k], s->g, "", err));
        s->g->values[out[k]].type = v->type;
        v->id = out[k];
    }
    MD_TRY(md_graph_insert_node(&n, s->g, s->at,
                                &(md_node_spec){ .domain = step->domain,
                                                 .op = step->op,
                                                 .name = m->node->name,
                                                 .in = in,
                                                 .n_in = step->n_in,
                                                 .out = out,
                                                 .n_out = step->n_out },
                                err));
    s->at++;
    for (uint32_t i = 0; i < step->n_attr; i++)
        MD_TRY(set_attr(s->g, n, &step->attr[i], err));
    n->opset = step->opset;
    n->impl = op;
    return MD_OK;
}

static md_status add_constant(md_compose *m, md_part p, md_error *err)
{
    const md_steps *s = m->ctx;
    md_tensor copy = MD_TENSOR_INIT;

    MD_TRY(md_tensor_copy(&copy, m->part[p].data, s->g->model->alloc, err));
    return md_pass__add_const(&m->part[p].id, s->g, copy, err);
}

md_part md_steps__part(const md_steps *s, md_compose *m, md_value_id id)
{
    const md_value *v = md_graph_value(s->g, id);
    md_part p;

    if (!v)
        return MD_PART_NONE;
    p = md_compose_add(m, &v->type, v->cdata);
    m->part[p].id = id;
    return p;
}

md_status md_steps__begin(md_steps *s, md_compose *m, md_node *n,
                          size_t n_parts, md_error *err)
{
    MD_TRY(md_compose_begin(m, n, md_node_opset(s->g->model, n), n_parts, err));
    m->model = s->g->model;
    m->final = true;
    m->apply = insert_step;
    m->constant = add_constant;
    m->ctx = s;
    for (uint32_t i = 0; i < n->n_in; i++)
        m->in[i] = md_steps__part(s, m, n->in[i]);
    return MD_OK;
}
