/* Graphs of the file: their operators one after another. */
#include <stdio.h>
#include <string.h>

#include "convert/tflite/build.h"

enum {
    DEPTH_MAX = 32,    /* subgraphs in each other: no file has more than 4 */
    OPS_MAX = 1 << 20, /* operators, those of a body each time it is used */
    SHOWN_MAX = 8      /* refusals in one message */
};

/* Constants without elements have no contents either. */
static bool is_empty(const md_tflite_tensor *t)
{
    for (int i = 0; i < t->rank; i++) {
        if (t->dim[i] == 0)
            return t->dtype != MD_DTYPE_NONE && t->dtype != MD_DTYPE_STRING;
    }
    return false;
}

md_tfl_scope *md_tfl_scope_new(md_tfl_build *b, md_graph *g, uint32_t graph)
{
    md_tfl_scope *s = md_emit_alloc(&b->e, 1, sizeof(*s));
    const md_tflite_graph *tg = &b->m->graphs[graph];

    if (!s || !md_emit_scope_init(&b->e, &s->e, g))
        return NULL;
    s->tg = tg;
    s->values = md_emit_alloc(&b->e, tg->n_tensors, sizeof(*s->values));
    if (!s->values)
        return NULL;
    for (uint32_t i = 0; i < tg->n_tensors; i++) {
        md_tfl_value *v = &s->values[i];

        v->t = &tg->tensors[i];
        v->c = v->t->data || is_empty(v->t) ? v->t : NULL;
        v->made = MD_VALUE_NONE;
        v->real[0] = v->real[1] = v->code[0] = v->code[1] = MD_VALUE_NONE;
    }
    return s;
}

md_tfl_scope *md_tfl_now(const md_tfl_build *b)
{
    return (md_tfl_scope *)b->e.s;
}

void md_tfl_at(md_tfl_build *b, const md_tflite_op *op)
{
    const md_tfl_row *row;

    b->op = op;
    b->e.op = b->e.stem = NULL;
    if (!op)
        return;
    row = md_tfl_row_now(b);
    if (row)
        b->e.op = op->custom[0] ? op->custom : row->name;
    if (op->n_out > 0 && op->out[0] >= 0)
        b->e.stem = md_tfl_now(b)->tg->tensors[op->out[0]].name;
}

/* --- operators that cannot be converted --- */

static const char *copy_text(md_tfl_build *b, const char *text)
{
    const char *p = md_arena_strdup(b->e.arena, text);

    return p ? p : "";
}

static void refuse(md_tfl_build *b, const char *op, const char *why)
{
    const char *where = "";

    for (uint32_t i = 0; i < b->n_refusals; i++) {
        if (strcmp(b->refusals[i].op, op) == 0 &&
            strcmp(b->refusals[i].why, why) == 0) {
            b->refusals[i].n++;
            return;
        }
    }
    if (b->op->n_out > 0 && b->op->out[0] >= 0)
        where = md_tfl_now(b)->tg->tensors[b->op->out[0]].name;
    if (md_emit_ok(&b->e, md_arena_grow(b->e.arena, &b->refusals,
                                        &b->cap_refusals, b->n_refusals,
                                        sizeof(*b->refusals), b->e.err)))
        b->refusals[b->n_refusals++] =
            (md_tfl_refusal){ copy_text(b, op), copy_text(b, why), where, 1 };
}

/* Something of the promised type, so that the rest can be looked at; where none
 * is promised, what needs it is left out. */
static void make_up(md_tfl_build *b, uint32_t o)
{
    md_tfl_value *v = md_tfl_out(b, o);
    md_value_id id;
    md_type *t;

    if (!v || b->e.status != MD_OK)
        return;
    if (!v->t->has_rank) {
        v->is_refused = true;
        return;
    }
    if (!md_emit_ok(&b->e, md_graph_add_value(&id, b->e.s->g, NULL, b->e.err)))
        return;
    t = &md_graph_value(b->e.s->g, id)->type;
    *t =
        (md_type){ .dtype = v->t->dtype, .has_rank = true, .rank = v->t->rank };
    for (int i = 0; i < v->t->rank; i++) {
        t->dim[i] = MD_DIM(v->t->dim[i]);
        if (v->t->dim[i] >= 0)
            continue;
        t->dim[i] = (md_dim){ .scale = 1 };
        md_emit_ok(&b->e,
                   md_model_symbol(&t->dim[i].sym, b->e.model, NULL, b->e.err));
    }
    md_tfl_put(b, v, id, true, MD_TFL_LAST);
}

static void note_refusal(md_tfl_build *b, const char *op)
{
    char why[MD_ERROR_MSG_SIZE];
    const char *text = b->e.err ? b->e.err->msg : "";
    const char *named = strstr(text, op);

    /* Without "tflite: " and the operator's name in front. */
    if (strncmp(text, b->e.source, strlen(b->e.source)) == 0 &&
        strncmp(text + strlen(b->e.source), ": ", 2) == 0)
        text += strlen(b->e.source) + 2;
    if (named == text && text[strlen(op)] == ':')
        text += strlen(op) + 2;
    snprintf(why, sizeof(why), "%s", text);
    b->e.status = MD_OK;
    refuse(b, op, why);
    for (uint32_t i = 0; i < b->op->n_out; i++)
        make_up(b, i);
}

static void tell_refusals(md_tfl_build *b)
{
    char text[MD_ERROR_MSG_SIZE] = "";
    uint32_t shown = 0;

    for (; shown < b->n_refusals && shown < SHOWN_MAX; shown++) {
        const md_tfl_refusal *r = &b->refusals[shown];
        size_t n = strlen(text);

        if (n > sizeof(text) - 160)
            break;
        snprintf(text + n, sizeof(text) - n, "%s%.40s (%u%s%.60s, at '%.40s')",
                 n ? ", " : "", r->op, r->n, r->why[0] ? ": " : "", r->why,
                 r->where);
    }
    if (shown < b->n_refusals) {
        size_t n = strlen(text);

        snprintf(text + n, sizeof(text) - n, ", and %u more",
                 b->n_refusals - shown);
    }
    b->e.status = md_fail(b->e.err, MD_UNSUPPORTED,
                          "%s: operators not supported: %s", b->e.source, text);
}

/* --- operators --- */

static const char *name_of(md_tfl_build *b, const md_tflite_op *op,
                           const md_tfl_row *row)
{
    const char *name;

    if (row)
        return b->e.op;
    if (op->code == MD_TFLITE_CUSTOM)
        name = md_arena_printf(b->e.arena, "custom '%.40s'", op->custom);
    else
        name = md_arena_printf(b->e.arena, "operator %d", op->code);
    return name ? name : "";
}

/* Does the operator need what is not there? */
static bool is_in_vain(const md_tfl_build *b)
{
    bool vain = false;

    for (uint32_t i = 0; b->n_refusals > 0 && i < b->op->n_in; i++)
        vain = vain || (md_tfl_in(b, i) && md_tfl_in(b, i)->is_refused);
    for (uint32_t i = 0; vain && i < b->op->n_out; i++) {
        if (md_tfl_out(b, i))
            md_tfl_out(b, i)->is_refused = true;
    }
    return vain;
}

static void emit_op(md_tfl_build *b)
{
    const md_tflite_op *op = b->op;
    const md_tfl_row *row = md_tfl_row_now(b);

    if (++b->n_ops > OPS_MAX) {
        md_emit_fail(&b->e, MD_TOO_LARGE, "more than %d operators", OPS_MAX);
        return;
    }
    if (is_in_vain(b))
        return;
    if (!row) {
        md_emit_fail(&b->e, MD_UNSUPPORTED, "%s", "");
    } else if (op->n_in < row->in_min || op->n_in > row->in_max ||
               op->n_out < row->out_min || op->n_out > row->out_max) {
        md_emit_fail(&b->e, MD_CORRUPT, "%u inputs and %u outputs", op->n_in,
                     op->n_out);
    } else {
        row->emit(b);
        md_emit_ok(&b->e, md_fb_check(&((md_tflite *)b->m)->fb, b->e.err));
    }
    if (b->e.status == MD_UNSUPPORTED)
        note_refusal(b, name_of(b, op, row));
}

void md_tfl_emit_ops(md_tfl_build *b)
{
    const md_emit before = b->e;
    const md_tflite_op *outer = b->op;

    if (++b->depth > DEPTH_MAX)
        md_emit_fail(&b->e, MD_TOO_LARGE,
                     "subgraphs in each other, deeper than %d or in a circle",
                     DEPTH_MAX);
    for (uint32_t i = 0; b->e.status == MD_OK && i < md_tfl_now(b)->tg->n_ops;
         i++) {
        md_tfl_at(b, &md_tfl_now(b)->tg->ops[i]);
        emit_op(b);
    }
    b->depth--;
    b->op = outer;
    b->e.op = before.op;
    b->e.stem = before.stem;
    /* What is missing is the reason for whatever failed behind it. */
    if (b->depth == 0 && b->n_refusals > 0 && b->e.status != MD_NOMEM)
        tell_refusals(b);
}

md_value_id md_tfl_pass(md_tfl_build *b, uint32_t tensor)
{
    return md_tfl_code(b, &md_tfl_now(b)->values[tensor], MD_TFL_LAST);
}
