/* Graphs of the file: their operators one after another, ends and names. */
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
    md_tfl_scope *s = md_tfl_alloc(b, 1, sizeof(*s));
    const md_tflite_graph *tg = &b->m->graphs[graph];

    if (!s)
        return NULL;
    s->g = g;
    s->tg = tg;
    s->parent = b->s;
    s->values = md_tfl_alloc(b, tg->n_tensors, sizeof(*s->values));
    s->shared = md_tfl_alloc(b, MD_TFL_SHARED, sizeof(*s->shared));
    if (!s->values || !s->shared)
        return NULL;
    for (uint32_t i = 0; i < MD_TFL_SHARED; i++)
        s->shared[i] = MD_VALUE_NONE;
    for (uint32_t i = 0; i < tg->n_tensors; i++) {
        md_tfl_value *v = &s->values[i];

        v->t = &tg->tensors[i];
        v->c = v->t->data || is_empty(v->t) ? v->t : NULL;
        v->made = MD_VALUE_NONE;
        v->real[0] = v->real[1] = v->code[0] = v->code[1] = MD_VALUE_NONE;
    }
    return s;
}

/* --- operators that cannot be converted --- */

static const char *copy_text(md_tfl_build *b, const char *text)
{
    const char *p = md_arena_strdup(b->arena, text);

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
        where = b->s->tg->tensors[b->op->out[0]].name;
    if (md_tfl_ok(b,
                  md_arena_grow(b->arena, &b->refusals, &b->cap_refusals,
                                b->n_refusals, sizeof(*b->refusals), b->err)))
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

    if (!v || b->status != MD_OK)
        return;
    if (!v->t->has_rank) {
        v->is_refused = true;
        return;
    }
    if (!md_tfl_ok(b, md_graph_add_value(&id, b->s->g, NULL, b->err)))
        return;
    t = &md_graph_value(b->s->g, id)->type;
    *t =
        (md_type){ .dtype = v->t->dtype, .has_rank = true, .rank = v->t->rank };
    for (int i = 0; i < v->t->rank; i++) {
        t->dim[i] = MD_DIM(v->t->dim[i]);
        if (v->t->dim[i] >= 0)
            continue;
        t->dim[i] = (md_dim){ .scale = 1 };
        md_tfl_ok(b, md_model_symbol(&t->dim[i].sym, b->model, NULL, b->err));
    }
    md_tfl_put(b, v, id, true, MD_TFL_LAST);
}

static void note_refusal(md_tfl_build *b, const char *op)
{
    char why[MD_ERROR_MSG_SIZE];
    const char *text = b->err ? b->err->msg : "";
    const char *named = strstr(text, op);

    /* Without "tflite: " and the operator's name in front. */
    if (strncmp(text, b->format, strlen(b->format)) == 0 &&
        strncmp(text + strlen(b->format), ": ", 2) == 0)
        text += strlen(b->format) + 2;
    if (named == text && text[strlen(op)] == ':')
        text += strlen(op) + 2;
    snprintf(why, sizeof(why), "%s", text);
    b->status = MD_OK;
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
    b->status = md_fail(b->err, MD_UNSUPPORTED,
                        "%s: operators not supported: %s", b->format, text);
}

/* --- operators --- */

static const char *name_of(md_tfl_build *b, const md_tflite_op *op,
                           const md_tfl_row *row)
{
    const char *name;

    if (row)
        return md_tfl_op_name(b);
    if (op->code == MD_TFLITE_CUSTOM)
        name = md_arena_printf(b->arena, "custom '%.40s'", op->custom);
    else
        name = md_arena_printf(b->arena, "operator %d", op->code);
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
        md_tfl_fail(b, MD_TOO_LARGE, "more than %d operators", OPS_MAX);
        return;
    }
    if (is_in_vain(b))
        return;
    if (!row) {
        md_tfl_fail(b, MD_UNSUPPORTED, "%s", "");
    } else if (op->n_in < row->in_min || op->n_in > row->in_max ||
               op->n_out < row->out_min || op->n_out > row->out_max) {
        md_tfl_fail(b, MD_CORRUPT, "%u inputs and %u outputs", op->n_in,
                    op->n_out);
    } else {
        row->emit(b);
        md_tfl_ok(b, md_fb_check(&((md_tflite *)b->m)->fb, b->err));
    }
    if (b->status == MD_UNSUPPORTED)
        note_refusal(b, name_of(b, op, row));
}

void md_tfl_emit_ops(md_tfl_build *b)
{
    const md_tflite_op *outer = b->op;

    if (++b->depth > DEPTH_MAX)
        md_tfl_fail(b, MD_TOO_LARGE,
                    "subgraphs in each other, deeper than %d or in a circle",
                    DEPTH_MAX);
    for (uint32_t i = 0; b->status == MD_OK && i < b->s->tg->n_ops; i++) {
        b->op = &b->s->tg->ops[i];
        emit_op(b);
    }
    b->depth--;
    b->op = outer;
    /* What is missing is the reason for whatever failed behind it. */
    if (b->depth == 0 && b->n_refusals > 0 && b->status != MD_NOMEM)
        tell_refusals(b);
}

/* --- ends --- */

md_value_id md_tfl_pass(md_tfl_build *b, uint32_t tensor)
{
    return md_tfl_code(b, &b->s->values[tensor], MD_TFL_LAST);
}

void md_tfl_add_output(md_tfl_build *b, md_value_id id, const char *name)
{
    const md_value *v;

    if (b->status != MD_OK)
        return;
    v = md_graph_value(b->s->g, id);
    /* An output is the result of a node, once, and under its own name. */
    if (!v->def || v->is_output || (name && v->name[0]))
        id = md_tfl_op1(b, "Identity", id);
    if (b->status != MD_OK)
        return;
    /* A tensor's output keeps its name: whoever else has it gets another. */
    md_tfl_name(b, id, name ? name : "out");
    if (b->status == MD_OK)
        md_tfl_ok(b, md_graph_add_output(b->s->g, id, b->err));
}

/* Mark what the outputs and bodies do not need; nodes lie in order. */
static void drop_unused(md_tfl_scope *s, bool *used)
{
    md_graph *g = s->g;

    for (uint32_t i = 0; i < g->n_outputs; i++)
        used[g->outputs[i]] = true;
    for (uint32_t i = 0; i < s->n_captured; i++)
        used[s->captured[i]] = true;
    for (uint32_t i = g->n_nodes; i-- > 0;) {
        md_node *n = g->nodes[i];
        bool wanted = false;

        for (uint32_t k = 0; k < n->n_out; k++)
            wanted = wanted || (n->out[k] != MD_VALUE_NONE && used[n->out[k]]);
        n->dead = n->dead || !wanted;
        for (uint32_t k = 0; !n->dead && k < n->n_in; k++) {
            if (n->in[k] != MD_VALUE_NONE)
                used[n->in[k]] = true;
        }
    }
    for (uint32_t i = 0; i < g->n_values; i++) {
        if (used[i] || !g->values[i].cdata)
            continue;
        md_graph_forget_const(g, i);
        g->values[i].cdata = NULL;
    }
    md_graph_compact(g);
}

void md_tfl_finish(md_tfl_build *b)
{
    md_tfl_scope *s = b->s;
    md_graph *g = s->g;
    bool *used = md_tfl_alloc(b, g->n_values, sizeof(*used));

    if (!used || b->status != MD_OK)
        return;
    drop_unused(s, used);
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        md_node *n = g->nodes[i];

        for (uint32_t k = 0; k < n->n_out; k++)
            used[n->out[k]] = true; /* all have names */
    }
    for (int own = 1; own >= 0; own--) {
        for (uint32_t i = 0; i < g->n_values && i < s->cap_stems; i++) {
            if (used[i] && !g->values[i].name[0] && s->stems[i].name &&
                s->stems[i].is_own == own)
                md_tfl_name(b, i, s->stems[i].name);
        }
    }
    for (uint32_t i = 0; b->status == MD_OK && i < g->n_nodes; i++)
        g->nodes[i]->name = g->values[g->nodes[i]->out[0]].name;
}
