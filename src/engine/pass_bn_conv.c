/*
 * Inference-time BatchNormalization behind a Conv goes into its weights:
 *   scale/sqrt(var+eps) * (W*x + b - mean) + beta
 * (Ioffe, Szegedy 2015, with fixed statistics).
 */
#include <math.h>
#include <string.h>

#include "engine/pass.h"

typedef struct bn {
    const float *scale, *shift, *mean, *var;
    float eps;
    int64_t n;
} bn;

static const float *channel_const(const md_graph *g, md_value_id id, int64_t n)
{
    const md_value *v = md_graph_value(g, id);

    if (!v || !v->cdata || v->cdata->dtype != MD_DTYPE_F32 ||
        md_tensor_n(v->cdata) != n)
        return NULL;
    return v->cdata->data;
}

/* Or has statistics of its own for each pixel. */
static bool trains(const md_graph *g, const md_node *n)
{
    return md_node_attr_i(n, "training_mode", 0) != 0 ||
           md_node_attr_i(n, "spatial", 1) == 0 ||
           (md_node_opset(g->model, n) < 7 &&
            md_node_attr_i(n, "is_test", 0) == 0);
}

static bool read_bn(bn *b, const md_graph *g, const md_node *n, int64_t oc)
{
    if (n->n_in < 5 || trains(g, n) ||
        (n->n_out > 1 && n->out[1] != MD_VALUE_NONE))
        return false;
    *b = (bn){ .eps = md_node_attr_f(n, "epsilon", 1e-5f), .n = oc };
    b->scale = channel_const(g, n->in[1], oc);
    b->shift = channel_const(g, n->in[2], oc);
    b->mean = channel_const(g, n->in[3], oc);
    b->var = channel_const(g, n->in[4], oc);
    return b->scale && b->shift && b->mean && b->var;
}

/* New weights and bias for conv; the graph keeps the tensors. */
static md_status fold(md_graph *g, md_node *conv, const bn *b, md_error *err)
{
    const md_tensor *w = g->values[conv->in[1]].cdata;
    bool has_bias = conv->n_in > 2 && conv->in[2] != MD_VALUE_NONE;
    const float *bias = has_bias ? g->values[conv->in[2]].cdata->data : NULL;
    md_shape per_channel = { 1, { b->n } };
    md_tensor wn = MD_TENSOR_INIT, bt = MD_TENSOR_INIT;
    int64_t inner = md_tensor_n(w) / b->n;
    md_value_id wid, bid;

    MD_TRY(md_tensor_copy(&wn, w, g->model->alloc, err));
    MD_TRY(md_pass__add_const(&wid, g, wn, err));
    MD_TRY(
        md_tensor_alloc(&bt, MD_DTYPE_F32, &per_channel, g->model->alloc, err));
    MD_TRY(md_pass__add_const(&bid, g, bt, err));
    for (int64_t c = 0; c < b->n; c++) {
        double k = b->scale[c] / sqrt((double)b->var[c] + b->eps);
        double shift = bias ? bias[c] : 0.0;

        for (int64_t i = 0; i < inner; i++)
            ((float *)wn.data)[c * inner + i] *= (float)k;
        ((float *)bt.data)[c] = (float)((shift - b->mean[c]) * k + b->shift[c]);
    }
    conv->in[1] = wid;
    return md_node_set_input(g, conv, 2, bid, err);
}

/* The Conv in front of a BatchNormalization, when it can take it up. */
static md_node *conv_before(const md_graph *g, const md_node *n,
                            const uint32_t *uses)
{
    md_node *conv = md_pass__def(g, n->in[0], "Conv");
    const md_tensor *w;

    if (!conv || uses[n->in[0]] != 1)
        return NULL;
    w = g->values[conv->in[1]].cdata;
    if (!w || w->dtype != MD_DTYPE_F32 || md_tensor_n(w) == 0)
        return NULL;
    if (conv->n_in > 2 && conv->in[2] != MD_VALUE_NONE &&
        !channel_const(g, conv->in[2], w->shape.dim[0]))
        return NULL;
    return conv;
}

static md_status run(md_graph *g, md_precision precision, md_error *err)
{
    uint32_t *uses;
    md_status s = MD_OK;

    (void)precision;
    MD_TRY(md_pass__uses(&uses, g, err));
    for (uint32_t i = 0; i < g->n_nodes && s == MD_OK; i++) {
        md_node *n = g->nodes[i];
        md_node *conv;
        bn b;

        if (n->dead || n->domain[0] || strcmp(n->op, "BatchNormalization") != 0)
            continue;
        conv = conv_before(g, n, uses);
        if (!conv ||
            !read_bn(&b, g, n, g->values[conv->in[1]].cdata->shape.dim[0]))
            continue;
        s = fold(g, conv, &b, err);
        if (s != MD_OK)
            break;
        g->values[conv->out[0]].def = NULL;
        conv->out[0] = n->out[0];
        n->dead = true;
        n->n_out = 0;
        g->values[conv->out[0]].def = conv;
    }
    md_free(g->model->alloc, uses);
    return s;
}

const md_pass md_pass_bn_conv = { "bn_conv",
                                  "BatchNormalization into Conv's weights",
                                  run };
