/* Graphs within nodes: the step of a loop, built like the graph around it. */
#include "convert/keras/layer.h"

md_status md_keras_body_begin(md_keras_body *body, md_keras_build *b,
                              md_error *err)
{
    md_graph *g = NULL;
    const char *name = md_arena_printf(b->arena, "%s/step", b->layer->path);

    if (!name)
        return md_fail_nomem(err, 1);
    MD_TRY(md_graph_new(&g, b->model, b->g, name, err));
    *body = (md_keras_body){ .g = b->g,
                             .stems = b->stems,
                             .cap_stems = b->cap_stems,
                             .turns = b->turns,
                             .n_turns = b->n_turns,
                             .cap_turns = b->cap_turns };
    b->g = g;
    b->stems = NULL;
    b->turns = NULL;
    b->cap_stems = b->n_turns = b->cap_turns = 0;
    b->inside = true;
    return MD_OK;
}

md_status md_keras_body_input(md_value_id *out, md_keras_build *b,
                              const md_keras_value *v, const char *stem,
                              md_error *err)
{
    md_type *t;

    MD_TRY(md_graph_add_value(out, b->g, NULL, err));
    MD_TRY(md_keras_stem(b, *out, stem, err));
    t = &md_graph_value(b->g, *out)->type;
    *t = (md_type){ .dtype = v->dtype, .has_rank = true, .rank = v->rank };
    for (int i = 0; i < v->rank; i++) {
        md_dim *d = &t->dim[md_keras_axis(v, i)];

        *d = MD_DIM(v->dim[i]);
        if (v->dim[i] >= 0)
            continue;
        *d = (md_dim){ .scale = 1 };
        MD_TRY(md_model_symbol(&d->sym, b->model, NULL, err));
    }
    return md_graph_add_input(b->g, *out, err);
}

md_status md_keras_body_end(md_graph **out, const md_keras_body *body,
                            md_keras_build *b, md_status s, md_error *err)
{
    if (s == MD_OK)
        s = md_keras_finish_graph(b, err);
    *out = b->g;
    md_free(b->model->alloc, b->stems);
    md_free(b->model->alloc, b->turns);
    b->g = body->g;
    b->stems = body->stems;
    b->cap_stems = body->cap_stems;
    b->turns = body->turns;
    b->n_turns = body->n_turns;
    b->cap_turns = body->cap_turns;
    b->inside = false;
    return s;
}

md_status md_keras_weight_inside(md_value_id *out, md_keras_build *b,
                                 uint32_t i, const char *stem, const int *perm,
                                 md_error *err)
{
    const uint32_t bit = 1u << i;
    md_tensor t = MD_TENSOR_INIT;

    MD_TRY(md_keras_weight_copy(&t, b, b->layer->w[i], perm, err));
    if (!(b->layer->inside & bit))
        b->n_parameters += (uint64_t)md_tensor_n(&t);
    b->layer->inside |= bit;
    return md_keras_const(out, b, stem, t, err);
}
