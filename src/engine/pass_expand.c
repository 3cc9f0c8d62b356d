/*
 * Operators that are a few others (ops/compose.h) become these, so that they
 * meet the kernels and the fusions that those have.
 */
#include <string.h>

#include "engine/pass.h"
#include "ops/compose.h"

typedef struct expander {
    md_graph *g;
    uint32_t at; /* where the next step goes in the order */
    md_value_id value[MD_COMPOSE_PARTS];
} expander;

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
    expander *x = m->ctx;
    md_node *n;

    for (uint32_t i = 0; i < step->n_in; i++)
        in[i] = step->in[i] == MD_VALUE_NONE ? MD_VALUE_NONE
                                             : x->value[step->in[i]];
    for (uint32_t k = 0; k < step->n_out; k++) {
        MD_TRY(md_graph_add_value(&out[k], x->g, "", err));
        x->g->values[out[k]].type = m->part[first + (int)k].type;
        x->value[first + (int)k] = out[k];
    }
    MD_TRY(md_graph_insert_node(&n, x->g, x->at,
                                &(md_node_spec){ .domain = step->domain,
                                                 .op = step->op,
                                                 .name = m->node->name,
                                                 .in = in,
                                                 .n_in = step->n_in,
                                                 .out = out,
                                                 .n_out = step->n_out },
                                err));
    x->at++;
    for (uint32_t i = 0; i < step->n_attr; i++)
        MD_TRY(set_attr(x->g, n, &step->attr[i], err));
    n->opset = step->opset;
    n->impl = op;
    return MD_OK;
}

static md_status add_constant(md_compose *m, md_part p, md_error *err)
{
    expander *x = m->ctx;
    md_tensor copy = MD_TENSOR_INIT;

    MD_TRY(md_tensor_copy(&copy, m->part[p].data, x->g->model->alloc, err));
    return md_pass__add_const(&x->value[p], x->g, copy, err);
}

/* What a step made becomes output i of n; other steps read it there. */
static void hand_over(const expander *x, md_node *n, uint32_t i, md_part p,
                      uint32_t from)
{
    md_graph *g = x->g;
    md_value_id old = x->value[p], now = n->out[i];

    for (uint32_t k = from; k < x->at; k++) {
        md_node *step = g->nodes[k];

        for (uint32_t j = 0; j < step->n_in; j++)
            step->in[j] = step->in[j] == old ? now : step->in[j];
        for (uint32_t j = 0; j < step->n_out; j++) {
            if (step->out[j] != old)
                continue;
            step->out[j] = now;
            g->values[now].def = step;
            g->values[old].def = NULL;
        }
    }
    n->out[i] = MD_VALUE_NONE;
}

static md_status prepare(md_compose *m, expander *x, md_node *n, md_error *err)
{
    md_graph *g = x->g;

    md_compose_begin(m, n, md_node_opset(g->model, n));
    m->model = g->model;
    m->final = true;
    m->apply = insert_step;
    m->constant = add_constant;
    m->ctx = x;
    for (uint32_t i = 0; i < n->n_in; i++) {
        const md_value *v = md_graph_value(g, n->in[i]);

        if (!v)
            continue;
        MD_TRY(md_compose_add(m, &v->type, v->cdata, &m->in[i], err));
        x->value[m->in[i]] = n->in[i];
    }
    return MD_OK;
}

/* Put the steps of node `at` in front of it; *at is moved along. */
static md_status expand(md_compose *m, expander *x, uint32_t *at, md_error *err)
{
    const uint32_t from = *at;
    md_node *n = x->g->nodes[from];
    const md_op *op = n->impl;
    md_error why = MD_ERROR_INIT;
    md_status s;

    x->at = from;
    MD_TRY(prepare(m, x, n, err));
    s = op->compose(m, &why);
    *at = x->at;
    if (s == MD_UNSUPPORTED)
        return MD_OK; /* steps that nobody reads are dropped */
    if (s != MD_OK) {
        if (err)
            *err = why;
        return md_wrap(err, s, "node '%s' (%s): ", n->name, n->op);
    }
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (n->out[i] != MD_VALUE_NONE && i < MD_COMPOSE_OUTPUTS &&
            m->out[i] != MD_PART_NONE)
            hand_over(x, n, i, m->out[i], from);
    }
    n->dead = true;
    return MD_OK;
}

static md_status run_with(md_graph *g, md_arena *ar, md_error *err)
{
    md_compose *m = md_arena_calloc(ar, 1, sizeof(*m));
    expander *x = md_arena_calloc(ar, 1, sizeof(*x));

    if (!m || !x)
        return md_fail_nomem(err, sizeof(*m));
    m->arena = ar;
    x->g = g;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const md_op *op = g->nodes[i]->impl;

        if (!g->nodes[i]->dead && op->compose)
            MD_TRY(expand(m, x, &i, err));
    }
    return MD_OK;
}

static md_status run(md_graph *g, md_precision precision, md_error *err)
{
    md_arena ar;
    md_status s;

    (void)precision;
    md_arena_init(&ar, g->model->alloc, 0);
    s = run_with(g, &ar, err);
    md_arena_release(&ar);
    return s;
}

const md_pass md_pass_expand = { "expand", "operators that are a few others",
                                 run };
