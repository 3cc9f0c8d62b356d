/*
 * DequantizeLinear behind a QLinearMatMul that nothing else reads: modeld's
 * QLinearMatMulToFloat, which gives what the codes stand for without storing
 * them, so that what follows in floats becomes its epilogue.
 */
#include <string.h>

#include "engine/pass.h"

enum { /* inputs of QLinearMatMul */
    IN_B = 3,
    IN_Y_SCALE = 6,
    IN_Y_ZERO
};

/* The product whose codes only `dq` reads, by the scale and zero point that
 * they were made with; NULL: none. */
static md_node *host_of(const md_graph *g, const md_pass_links *at,
                        const md_node *dq)
{
    md_node *n;

    if (dq->dead || dq->domain[0] || strcmp(dq->op, "DequantizeLinear") != 0 ||
        dq->n_in < 3 || g->values[dq->out[0]].type.dtype != MD_DTYPE_F32)
        return NULL;
    n = md_pass__def(g, dq->in[0], "QLinearMatMul");
    /* a clamp of codes comes before all that is fused into floats */
    if (!n || n->fused || !md_pass__only_user(g, at, n->out[0]))
        return NULL;
    if (!md_pass__is_scalar(g, dq->in[1]) ||
        !md_pass__same_const(g, dq->in[1], n->in[IN_Y_SCALE]) ||
        !md_pass__same_const(g, dq->in[2], n->in[IN_Y_ZERO]) ||
        g->values[dq->in[1]].cdata->dtype != MD_DTYPE_F32)
        return NULL;
    return g->values[n->in[IN_B]].cdata ? n : NULL;
}

static md_status take_up(md_graph *g, md_pass_links *at, md_node *n,
                         md_node *dq, md_error *err)
{
    md_pass__take_over(g, at, n, dq);
    n->op = "QLinearMatMulToFloat";
    n->domain = "modeld";
    n->opset = 0;
    if (md_model_opset(g->model, n->domain) == 0)
        MD_TRY(md_model_set_opset(g->model, n->domain, 1, err));
    return md_pass__resolve(g, n, err);
}

static md_status run(md_graph *g, md_precision precision, md_error *err)
{
    md_pass_links at;
    md_status s = md_pass_links_init(&at, g, err);

    (void)precision;
    for (uint32_t i = 0; i < g->n_nodes && s == MD_OK; i++) {
        md_node *n = host_of(g, &at, g->nodes[i]);

        if (n)
            s = take_up(g, &at, n, g->nodes[i], err);
    }
    md_pass_links_release(&at, g);
    return s;
}

const md_pass md_pass_qfloat = { "qfloat",
                                 "DequantizeLinear into QLinearMatMul", run };
