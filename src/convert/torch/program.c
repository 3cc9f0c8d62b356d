#include "convert/torch/program.h"

#include <stdio.h>
#include <string.h>

enum {
    OPSET = 21,
    IR_VERSION = 10, /* the first with opset 21 */
    OUTPUTS_MAX = 4096
};

md_status md_torch_begin(md_torch *b, const md_torch_task *t, md_model *model,
                         md_error *err)
{
    *b = (md_torch){ .stays = t->src->stays, .plain = t->src->plain };
    b->e.model = model;
    b->e.arena = t->arena;
    b->e.source = "torch";
    b->e.plain = b->plain;
    b->e.err = err;
    MD_TRY(md_model_set_opset(model, "", OPSET, err));
    b->e.s = md_emit_scope_new(&b->e, model->graph);
    return b->e.status;
}

md_dim md_torch_free_size(md_torch *b, const char *input, int axis)
{
    md_dim d = { .scale = 1 };
    const char *name =
        axis == 0 ? "batch"
                  : md_arena_printf(b->e.arena, "%.100s_%d", input, axis);

    if (name)
        md_emit_ok(&b->e, md_model_symbol(&d.sym, b->e.model, name, b->e.err));
    else if (b->e.status == MD_OK)
        b->e.status = md_fail_nomem(b->e.err, 1);
    return d;
}

md_tv md_torch_constant(md_torch *b, const md_torch_view *v, const char *name)
{
    md_tensor t = MD_TENSOR_INIT;
    md_value_id id;

    if (!md_emit_ok(&b->e, md_torch_view_tensor(&t, v, b->stays,
                                                b->e.model->alloc, b->e.err)))
        return md_tv_none();
    b->n_parameters += (uint64_t)md_tensor_n(&t);
    id = md_emit_const(&b->e, t);
    md_emit_stem(&b->e, id, name);
    return md_tv_tensor(b, id);
}

void md_torch_output(md_torch *b, const md_tv *v, const char *name)
{
    if (b->e.status != MD_OK || b->n_refusals > 0)
        return;
    if (b->e.s->g->n_outputs >= OUTPUTS_MAX)
        md_emit_fail(&b->e, MD_TOO_LARGE, "more than %d outputs", OUTPUTS_MAX);
    b->e.op = NULL;
    md_emit_add_output(&b->e, md_tv_id(b, v), name);
}

/* Leaves in order; None is none. */
static uint32_t count_leaves(const md_tv *v)
{
    uint32_t n = 0;

    if (v->kind == MD_TV_NONE || v->kind == MD_TV_TEXT)
        return 0;
    if (!md_tv_is_list(v) && v->kind != MD_TV_DICT)
        return 1;
    for (uint32_t i = v->kind == MD_TV_DICT; i < v->v.list->n;
         i += v->kind == MD_TV_DICT ? 2 : 1)
        n += count_leaves(&v->v.list->item[i]);
    return n;
}

static void add_leaves(md_torch *b, const md_tv *v, const char *name,
                       bool alone, uint32_t *at)
{
    const char *own = name;

    if (v->kind == MD_TV_NONE || v->kind == MD_TV_TEXT)
        return;
    if (md_tv_is_list(v) && v->v.list->stacked) {
        md_tv all = { .kind = MD_TV_TENSOR, .v.t = v->v.list->stacked };

        add_leaves(b, &all, name, alone, at);
        return;
    }
    if (md_tv_is_list(v) || v->kind == MD_TV_DICT) {
        for (uint32_t i = v->kind == MD_TV_DICT;
             i < v->v.list->n && b->e.status == MD_OK;
             i += v->kind == MD_TV_DICT ? 2 : 1) {
            const md_tv *key =
                v->kind == MD_TV_DICT ? &v->v.list->item[i - 1] : NULL;

            if (key && key->kind == MD_TV_TEXT &&
                !md_tv_is_list(&v->v.list->item[i])) {
                md_torch_output(b, &v->v.list->item[i], key->v.s);
                ++*at;
            } else {
                add_leaves(b, &v->v.list->item[i], name, false, at);
            }
        }
        return;
    }
    if (!alone)
        own = md_arena_printf(b->e.arena, "%s_%u", name, *at);
    ++*at;
    if (own)
        md_torch_output(b, v, own);
    else
        b->e.status = md_fail_nomem(b->e.err, 1);
}

void md_torch_outputs(md_torch *b, const md_tv *v, const char *name)
{
    uint32_t at = 0;

    if (b->e.status == MD_OK)
        add_leaves(b, v, name, count_leaves(v) == 1, &at);
    if (b->e.status == MD_OK && at == 0 && b->n_refusals == 0)
        md_emit_fail(&b->e, MD_UNSUPPORTED, "the program gives no tensor");
}

static void set_meta(md_torch *b, const char *key, const char *value)
{
    if (b->e.status == MD_OK && value[0])
        md_emit_ok(&b->e, md_model_set_meta(b->e.model, key, value, b->e.err));
}

md_status md_torch_end(md_torch *b, const md_torch_task *t, const char *kind,
                       const char *version)
{
    md_torch_tell(b);
    md_emit_finish(&b->e);
    b->e.model->ir_version =
        md_model_opset(b->e.model, "") > OPSET ? IR_VERSION + 1 : IR_VERSION;
    b->e.model->producer_name = "modeld";
    b->e.model->producer_version = MODELD_VERSION;
    set_meta(b, "modeld.source", kind);
    set_meta(b, "modeld.source_version", version);
    if (b->e.status == MD_OK)
        md_emit_ok(&b->e, md_graph_verify(b->e.model->graph, b->e.err));
    if (t->report) {
        t->report->n_layers = b->n_calls;
        t->report->n_parameters = b->n_parameters;
        snprintf(t->report->version, sizeof(t->report->version), "%s", version);
    }
    return b->e.status;
}
