/*
 * Operators that are a few others (ops/compose.h) become these, so that they
 * meet the kernels and the fusions that those have.
 */
#include "engine/pass.h"
#include "engine/steps.h"

/* What a step made becomes output i of n; other steps read it there. */
static void hand_over(const md_steps *x, md_node *n, uint32_t i,
                      md_value_id old, uint32_t from)
{
    md_graph *g = x->g;
    md_value_id now = n->out[i];

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

/* Put the steps of node `at` in front of it; *at is moved along. */
static md_status expand(md_compose *m, md_steps *x, uint32_t *at, md_error *err)
{
    const uint32_t from = *at;
    md_node *n = x->g->nodes[from];
    const md_op *op = n->impl;
    md_error why = MD_ERROR_INIT;
    md_status s;

    x->at = from;
    MD_TRY(md_steps__begin(x, m, n, MD_COMPOSE_PARTS, err));
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
            hand_over(x, n, i, m->part[m->out[i]].id, from);
    }
    n->dead = true;
    return MD_OK;
}

static md_status run_with(md_graph *g, md_arena *ar, md_error *err)
{
    md_compose m = { .arena = ar };
    md_steps x = { .g = g };

    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const md_op *op = g->nodes[i]->impl;

        if (!g->nodes[i]->dead && op->compose)
            MD_TRY(expand(&m, &x, &i, err));
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
