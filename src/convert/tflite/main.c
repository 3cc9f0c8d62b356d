/* A whole model: its ends, its metadata. */
#include <stdio.h>
#include <string.h>

#include "convert/tflite/build.h"

enum {
    OPSET = 21,
    IR_VERSION = 10, /* the first with opset 21 */
    TEXT_MAX = 1 << 12
};

/* The type of an input; axis 0 free is the batch, others get own symbols. */
static bool set_type(md_tfl_build *b, md_value_id id, const md_tflite_tensor *t)
{
    md_type *type = &md_graph_value(b->e.s->g, id)->type;

    *type = (md_type){ .dtype = t->dtype, .has_rank = true, .rank = t->rank };
    for (int i = 0; i < t->rank; i++) {
        const char *symbol = "batch";

        type->dim[i] = MD_DIM(t->dim[i]);
        if (t->dim[i] >= 0)
            continue;
        if (i > 0)
            symbol = md_arena_printf(b->e.arena, "%.100s_%d", t->name, i);
        if (!symbol)
            b->e.status = md_fail_nomem(b->e.err, 1);
        type->dim[i] = (md_dim){ .scale = 1 };
        if (b->e.status != MD_OK ||
            !md_emit_ok(&b->e, md_model_symbol(&type->dim[i].sym, b->e.model,
                                               symbol, b->e.err)))
            return false;
    }
    return true;
}

static void add_inputs(md_tfl_build *b)
{
    for (uint32_t i = 0;
         i < md_tfl_now(b)->tg->n_inputs && b->e.status == MD_OK; i++) {
        md_tfl_value *v = &md_tfl_now(b)->values[md_tfl_now(b)->tg->inputs[i]];
        md_value_id id;

        if (v->t->dtype == MD_DTYPE_NONE || v->t->dtype == MD_DTYPE_C64) {
            md_emit_fail(&b->e, MD_UNSUPPORTED, "input '%.80s' is of type %d",
                         v->t->name, v->t->type);
            return;
        }
        if (!md_emit_ok(&b->e,
                        md_graph_add_value(&id, b->e.s->g, NULL, b->e.err)) ||
            !set_type(b, id, v->t))
            return;
        md_emit_name(&b->e, id, v->t->name);
        md_tfl_put(b, v, id, true, MD_TFL_LAST);
        md_emit_ok(&b->e, md_graph_add_input(b->e.s->g, id, b->e.err));
    }
}

/* Outputs get their names before anybody else. */
static void add_outputs(md_tfl_build *b)
{
    const md_tflite_graph *tg = md_tfl_now(b)->tg;

    for (uint32_t i = 0; i < tg->n_outputs && b->e.status == MD_OK; i++) {
        const md_tflite_tensor *t = &tg->tensors[tg->outputs[i]];

        /* TensorFlow's may have no type until it is computed. */
        if ((t->dtype == MD_DTYPE_NONE && t->type != 0) ||
            t->dtype == MD_DTYPE_C64) {
            md_emit_fail(&b->e, MD_UNSUPPORTED, "output '%.80s' is of type %d",
                         t->name, t->type);
            return;
        }
        md_emit_add_output(&b->e, md_tfl_pass(b, (uint32_t)tg->outputs[i]),
                           t->name);
    }
}

/* "name=tensor, ..." */
static const char *ports_text(md_tfl_build *b, const md_tflite_graph *g,
                              const md_tflite_port *p, uint32_t n)
{
    char *text = md_emit_alloc(&b->e, TEXT_MAX, 1);
    size_t at = 0;

    for (uint32_t i = 0; text && i < n && at + 1 < TEXT_MAX; i++) {
        int got =
            snprintf(text + at, TEXT_MAX - at, "%s%.200s=%.200s", i ? ", " : "",
                     p[i].name, g->tensors[p[i].tensor].name);

        at += got > 0 ? (size_t)got : 0;
    }
    return text ? text : "";
}

static void set_meta(md_tfl_build *b, const char *key, const char *value)
{
    if (b->e.status == MD_OK && value && value[0])
        md_emit_ok(&b->e, md_model_set_meta(b->e.model, key, value, b->e.err));
}

static void add_metadata(md_tfl_build *b, uint32_t graph,
                         const md_tfl_about *about)
{
    const md_tflite_graph *g = &b->m->graphs[graph];

    b->e.model->ir_version = IR_VERSION;
    b->e.model->producer_name = "modeld";
    b->e.model->producer_version = MODELD_VERSION;
    set_meta(b, "modeld.source", about->source);
    set_meta(b, "modeld.source_version", about->version);
    set_meta(b, "modeld.description", about->description);
    set_meta(b, "modeld.note", b->note);
    set_meta(b, "modeld.signature", about->signature);
    if (!about->inputs)
        return;
    set_meta(b, "modeld.signature.inputs",
             ports_text(b, g, about->inputs, about->n_inputs));
    set_meta(b, "modeld.signature.outputs",
             ports_text(b, g, about->outputs, about->n_outputs));
}

static void count_parameters(md_tfl_build *b)
{
    for (uint32_t i = 0; i < b->m->n_graphs; i++) {
        const md_tflite_graph *g = &b->m->graphs[i];

        for (uint32_t k = 0; k < g->n_tensors; k++) {
            const md_tflite_tensor *t = &g->tensors[k];
            md_shape shape = { t->rank, { 0 } };
            int64_t n = 0;

            /* Shapes and axes are integers without scales. */
            if (!t->data || t->is_view ||
                (!md_dtype_is_float(t->dtype) && t->scale.n == 0))
                continue;
            for (int d = 0; d < t->rank; d++)
                shape.dim[d] = t->dim[d] < 0 ? 1 : t->dim[d];
            if (md_shape_count(&n, &shape, NULL) == MD_OK)
                b->n_parameters += (uint64_t)n;
        }
    }
}

md_status md_tfl_make_model(md_tfl_build *b, uint32_t graph,
                            const md_tfl_about *about)
{
    md_tfl_scope *main = md_tfl_scope_new(b, b->e.model->graph, graph);

    if (!main ||
        !md_emit_ok(&b->e, md_model_set_opset(b->e.model, "", OPSET, b->e.err)))
        return b->e.status;
    b->e.s = &main->e;
    add_inputs(b);
    md_tfl_emit_ops(b);
    add_outputs(b);
    md_tfl_finish_variables(b);
    md_tfl_fold_affine(b);
    md_emit_finish(&b->e);
    count_parameters(b);
    add_metadata(b, graph, about);
    if (b->e.status == MD_OK)
        md_emit_ok(&b->e, md_graph_verify(b->e.model->graph, b->e.err));
    return b->e.status;
}
