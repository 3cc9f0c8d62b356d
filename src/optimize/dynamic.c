/* Products of codes that are made while running (weight_only.h). */
#include <math.h>
#include <string.h>

#include "optimize/rewrite.h"
#include "optimize/weight_only.h"

enum {
    OPSET_MIN = 11 /* DynamicQuantizeLinear */
};

/* The codes of a value and their parameters; NONE until they are made. */
typedef struct codes {
    md_value_id q, scale, zero;
} codes;

typedef struct dynamic {
    md_graph *g;
    codes *of; /* by value */
    md_quantize_report *report;
    md_arena ar;
} dynamic;

/* id's codes, made just before position *at, which moves with what is put in
 * front of it. */
static md_status quantized(codes **out, dynamic *d, md_value_id id,
                           uint32_t *at, md_error *err)
{
    codes *c = &d->of[id];
    md_value_id outs[3];

    *out = c;
    if (c->q != MD_VALUE_NONE)
        return MD_OK;
    for (int i = 0; i < 3; i++)
        MD_TRY(md_graph_add_unique(&outs[i], d->g, "dynamic", err));
    MD_TRY(md_graph_insert_node(
        NULL, d->g, (*at)++,
        &(md_node_spec){ "", "DynamicQuantizeLinear", "", &id, 1, outs, 3 },
        err));
    *c = (codes){ outs[0], outs[1], outs[2] };
    d->report->n_activations++;
    return MD_OK;
}

/* int8 codes [k, n] in [-127, 127] and a scale for each of n. */
static md_status make_weights(dynamic *d, md_value_id id, bool turned,
                              md_value_id out[2], md_error *err)
{
    const md_tensor *w = d->g->values[id].cdata;
    const char *name = d->g->values[id].name;
    const int64_t k = w->shape.dim[turned ? 1 : 0];
    const int64_t n = w->shape.dim[turned ? 0 : 1];
    const float *from = w->data;
    md_tensor q, scales;

    MD_TRY(md_rewrite__check_finite(d->g, id, err));
    MD_TRY(md_rewrite__new_const(&out[0], &q, d->g, name, "int8", MD_DTYPE_I8,
                                 &(md_shape){ 2, { k, n } }, err));
    MD_TRY(md_rewrite__new_const(&out[1], &scales, d->g, name, "scales",
                                 MD_DTYPE_F32, &(md_shape){ 1, { n } }, err));
    for (int64_t c = 0; c < n; c++) {
        float max = 0.0f, s;

        for (int64_t i = 0; i < k; i++)
            max = fmaxf(max, fabsf(from[turned ? c * k + i : i * n + c]));
        s = max > 0.0f ? max / 127.0f : 1.0f;
        ((float *)scales.data)[c] = s;
        for (int64_t i = 0; i < k; i++)
            ((int8_t *)q.data)[i * n + c] = (int8_t)fminf(
                fmaxf(nearbyintf(from[turned ? c * k + i : i * n + c] / s),
                      -127.0f),
                127.0f);
    }
    d->report->weights_float += md_tensor_size(w);
    d->report->weights_int += md_tensor_size(&q) + md_tensor_size(&scales);
    return MD_OK;
}

/* float(MatMulInteger(q, w, zero)) * (scale * scale of w), + bias. */
static md_status rewrite(dynamic *d, md_node *n, bool turned, md_error *err)
{
    md_graph *g = d->g;
    const bool has_bias = n->n_in > 2 && n->in[2] != MD_VALUE_NONE;
    uint32_t at = md_rewrite__position(g, n);
    md_value_id w[2], sum = MD_VALUE_NONE, real = MD_VALUE_NONE,
                      scale = MD_VALUE_NONE,
                      y = has_bias ? MD_VALUE_NONE : n->out[0];
    md_node *made;
    codes *c;

    MD_TRY(make_weights(d, n->in[1], turned, w, err));
    MD_TRY(quantized(&c, d, n->in[0], &at, err));
    n->dead = true;
    g->values[n->out[0]].def = NULL;
    MD_TRY(md_rewrite__node(
        NULL, &sum, g, at++,
        &(md_node_spec){ .domain = "",
                         .op = "MatMulInteger",
                         .in = (md_value_id[]){ c->q, w[0], c->zero },
                         .n_in = 3 },
        "sum", err));
    MD_TRY(md_rewrite__node(
        &made, &real, g, at++,
        &(md_node_spec){ .domain = "", .op = "Cast", .in = &sum, .n_in = 1 },
        "real", err));
    MD_TRY(md_node_set_attr_i(g, made, "to", MD_DTYPE_F32, err));
    MD_TRY(md_rewrite__node(
        NULL, &scale, g, at++,
        &(md_node_spec){ .domain = "",
                         .op = "Mul",
                         .in = (md_value_id[]){ c->scale, w[1] },
                         .n_in = 2 },
        "scale", err));
    MD_TRY(
        md_rewrite__node(NULL, &y, g, at++,
                         &(md_node_spec){ .domain = "",
                                          .op = "Mul",
                                          .in = (md_value_id[]){ real, scale },
                                          .n_in = 2 },
                         "product", err));
    d->report->n_nodes++;
    if (!has_bias)
        return MD_OK;
    return md_rewrite__node(
        NULL, &n->out[0], g, at,
        &(md_node_spec){ .domain = "",
                         .op = "Add",
                         .in = (md_value_id[]){ y, n->in[2] },
                         .n_in = 2 },
        "", err);
}

static md_status rewrite_all(dynamic *d, md_error *err)
{
    const uint32_t n_old = d->g->n_nodes, n_values = d->g->n_values;
    md_node **old = md_arena_calloc(&d->ar, n_old + 1u, sizeof(md_node *));

    d->of = md_arena_calloc(&d->ar, n_values + 1u, sizeof(*d->of));
    if (!old || !d->of)
        return md_fail_nomem(err, n_values * sizeof(*d->of));
    for (uint32_t i = 0; i < n_values; i++)
        d->of[i].q = MD_VALUE_NONE;
    memcpy(old, d->g->nodes, n_old * sizeof(md_node *));
    for (uint32_t i = 0; i < n_old; i++) {
        bool turned;

        if (md_rewrite__is_product(d->g, old[i], &turned) &&
            old[i]->in[0] < n_values && !d->g->values[old[i]->in[0]].cdata)
            MD_TRY(rewrite(d, old[i], turned, err));
        else
            d->report->n_left += strcmp(old[i]->op, "Conv") == 0 ||
                                 strcmp(old[i]->op, "ConvTranspose") == 0 ||
                                 strcmp(old[i]->op, "Gemm") == 0 ||
                                 strcmp(old[i]->op, "MatMul") == 0;
    }
    md_graph_compact(d->g);
    return md_graph_verify(d->g, err);
}

md_status md_quantize_dynamic(md_model *model, md_quantize_report *report,
                              md_error *err)
{
    dynamic d = { .report = report };
    uint64_t parent;
    md_status s;

    *report = (md_quantize_report){ .n_nodes = 0 };
    if (md_model_opset(model, "") < OPSET_MIN)
        return md_fail(err, MD_UNSUPPORTED,
                       "the model imports opset %lld, %d or later expected",
                       (long long)md_model_opset(model, ""), OPSET_MIN);
    MD_TRY(md_rewrite__parent(&parent, model, err));
    MD_TRY(md_model_inline(model, err));
    MD_TRY(md_graph_lift_constants(model->graph, err));
    d.g = model->graph;
    md_arena_init(&d.ar, model->alloc, 0);
    s = rewrite_all(&d, err);
    md_arena_release(&d.ar);
    MD_TRY(s);
    return report->n_nodes > 0
               ? md_rewrite__origin(model, parent, "quantize dynamic", err)
               : md_fail(err, MD_UNSUPPORTED,
                         "no MatMul or Gemm with constant float32 weights");
}
