/* Biases become part of the products that they are added to. */
#include <string.h>

#include "convert/tf/lower.h"

enum {
    CONV_2D = 3,
    DEPTHWISE_CONV_2D = 4,
    CONV_3D = 132
};

/* By tensor: how often it is read, and the operator that makes it and 1. */
typedef struct uses {
    uint32_t *n, *made_by;
} uses;

static md_status count(uses *u, md_tf_lower *w, const md_tflite_graph *g)
{
    size_t n = (size_t)g->n_tensors + 1;

    u->n = md_arena_calloc(w->arena, n, sizeof(*u->n));
    u->made_by = md_arena_calloc(w->arena, n, sizeof(*u->made_by));
    if (!u->n || !u->made_by)
        return md_fail_nomem(w->err, n);
    for (uint32_t i = 0; i < g->n_outputs; i++)
        u->n[g->outputs[i]]++;
    for (uint32_t i = 0; i < g->n_ops; i++) {
        const md_tflite_op *op = &g->ops[i];

        for (uint32_t k = 0; k < op->n_in; k++)
            u->n[op->in[k]]++;
        for (uint32_t k = 0; k < op->n_out; k++)
            u->made_by[op->out[k]] = i + 1;
    }
    return MD_OK;
}

static bool takes_bias(const md_tflite_op *op, int matmul)
{
    return op->n_in == 2 && op->n_out == 1 &&
           (op->code == CONV_2D || op->code == DEPTHWISE_CONV_2D ||
            op->code == CONV_3D || op->code == matmul);
}

/* The product comes where the bias was added: what it needs is there. */
static md_status join(md_tflite_op *bias, md_tflite_op *product, md_tf_lower *w)
{
    int32_t *in = md_arena_calloc(w->arena, 3, sizeof(*in));
    md_tflite_op joined = *product;

    if (!in)
        return md_fail_nomem(w->err, sizeof(*in));
    in[0] = product->in[0];
    in[1] = product->in[1];
    in[2] = bias->in[1];
    joined.in = in;
    joined.n_in = 3;
    joined.out = bias->out;
    *bias = joined;
    product->code = -1; /* gone */
    return MD_OK;
}

static md_status join_graph(md_tf_lower *w, md_tflite_graph *g)
{
    int add = md_tf_own_code("BiasAdd");
    int matmul = md_tf_own_code("MatMul");
    uint32_t n = 0;
    uses u;

    MD_TRY(count(&u, w, g));
    for (uint32_t i = 0; i < g->n_ops; i++) {
        md_tflite_op *op = &g->ops[i];
        uint32_t from =
            op->code == add && op->n_in == 2 ? u.made_by[op->in[0]] : 0;

        /* data_format 0: channels first are in front of a product's. */
        if (from > 0 && u.n[op->in[0]] == 1 &&
            md_fb_i32(&op->options, 0, 0) == 0 &&
            takes_bias(&g->ops[from - 1], matmul))
            MD_TRY(join(op, &g->ops[from - 1], w));
    }
    for (uint32_t i = 0; i < g->n_ops; i++) {
        if (g->ops[i].code != -1)
            g->ops[n++] = g->ops[i];
    }
    g->n_ops = n;
    return MD_OK;
}

md_status md_tf_join_biases(md_tf_lower *w)
{
    for (uint32_t i = 0; i < w->m->n_graphs; i++)
        MD_TRY(join_graph(w, &w->m->graphs[i]));
    return MD_OK;
}
