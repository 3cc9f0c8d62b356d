/*
 * Running a TorchScript program once, to see what it computes.
 *
 * What is known is computed here: sizes, types, lists, branches that the
 * model's settings decide.  What only the data tells becomes If and Loop.  A
 * branch that ends in an error is taken for one that is never taken.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convert/torch/flow.h"
#include "convert/torch/script.h"

enum {
    CALLS_DEEP = 120,    /* functions in each other */
    STEPS_MAX = 1 << 24, /* expressions and statements */
    UNROLL_MAX = 256,    /* turns of a loop that is known */
    TURNS_MAX = 4096     /* of a while that is known */
};

/* One call of a function. */
typedef struct frame {
    md_script *s;
    const md_script_function *f;
    md_tv *slot;
    bool *is_set;
    bool has_returned;
    md_tv result;
} frame;

static md_tv eval(frame *f, const md_script_expr *e);
static void run_block(frame *f, const md_script_block *b);

static md_emit *emit_of(frame *f)
{
    return &f->s->b.e;
}

static bool goes_on(const frame *f)
{
    return f->s->b.e.status == MD_OK && !f->s->has_raised && !f->has_returned;
}

static const md_tv nothing = { .kind = MD_TV_NONE };

static md_tv fail(frame *f, const md_script_expr *e, md_status s,
                  const char *what, const char *name)
{
    md_emit_fail(emit_of(f), s, "line %u: %s '%.80s'", e->line, what, name);
    return nothing;
}

static md_tv op(frame *f, const char *name, const md_tv *args, uint32_t n)
{
    return md_torch_call_op(&f->s->b, name, args, n, NULL, NULL, 0);
}

/* --- calls --- */

typedef struct arguments {
    md_tv *v; /* positional ones first */
    const char **names;
    uint32_t n, n_named;
} arguments;

static arguments eval_arguments(frame *f, const md_script_expr *e,
                                const md_tv *self)
{
    arguments a = { 0 };

    a.v = md_emit_alloc(emit_of(f), e->n + 1, sizeof(*a.v));
    a.names = md_emit_alloc(emit_of(f), e->n, sizeof(*a.names));
    if (!a.v || !a.names)
        return a;
    if (self)
        a.v[a.n++] = *self;
    for (uint32_t i = 0; i < e->n && goes_on(f); i++) {
        a.v[a.n + a.n_named] = eval(f, e->args[i]);
        if (e->names[i])
            a.names[a.n_named++] = e->names[i];
        else
            a.n++;
    }
    return a;
}

/* torch.format(text, ...) and the like take what there is. */
static bool takes_all(const char *name)
{
    return strcmp(name, "format") == 0 || strcmp(name, "warn") == 0 ||
           strcmp(name, "prim.Print") == 0 ||
           strcmp(name, "percentFormat") == 0;
}

static md_tv raise(frame *f, const arguments *a)
{
    f->s->has_raised = true;
    f->s->raised = a->n > 0 && a->v[0].kind == MD_TV_TEXT ? a->v[0].v.s : "";
    return nothing;
}

static md_tv call_op(frame *f, const char *name, const md_script_expr *e)
{
    arguments a = eval_arguments(f, e, NULL);

    if (!goes_on(f))
        return nothing;
    if (strcmp(name, "prim.RaiseException") == 0)
        return raise(f, &a);
    if (takes_all(name))
        return a.n > 0 && name[0] == 'f' ? a.v[0] : nothing;
    return md_torch_call_op(&f->s->b, name, a.v, a.n, a.names, a.v + a.n,
                            a.n_named);
}

/* A NamedTuple is a tuple; other classes are objects whose __init__ is called
 * by the program. */
static md_tv construct(frame *f, const md_script_class *c,
                       const md_script_expr *e)
{
    arguments a = eval_arguments(f, e, NULL);
    md_tv out;

    if (c->is_tuple) {
        out = md_tv_list(&f->s->b, MD_TV_TUPLE, a.n + a.n_named);
        for (uint32_t i = 0; out.kind == MD_TV_TUPLE && i < a.n + a.n_named;
             i++)
            md_tv_append(&f->s->b, out.v.list, a.v[i]);
        return out;
    }
    out = (md_tv){ .kind = MD_TV_OBJECT,
                   .v.object = md_script_new_object(f->s, c, "") };
    return out.v.object ? out : nothing;
}

static md_tv call_path(frame *f, const char *path, const md_script_expr *e)
{
    const md_script_function *g;
    const md_script_class *c;
    char name[400];
    size_t n = strlen(path);

    if (n > 8 && strcmp(path + n - 8, ".__new__") == 0 && n < sizeof(name)) {
        snprintf(name, sizeof(name), "%.*s", (int)(n - 8), path);
        c = md_script_find_class(f->s, name);
        if (c) {
            md_torch_object *o = md_script_new_object(f->s, c, "");

            return o ? (md_tv){ .kind = MD_TV_OBJECT, .v.object = o } : nothing;
        }
    }
    g = md_script_find_function(f->s, path);
    if (g) {
        arguments a = eval_arguments(f, e, NULL);

        return goes_on(f)
                   ? md_script_call(f->s, g, a.v, a.n, a.names, a.n_named)
                   : nothing;
    }
    c = md_script_find_class(f->s, path);
    if (c)
        return construct(f, c, e);
    return fail(f, e, MD_CORRUPT, "no code for", path);
}

/* isinstance(x, type) of what types can be told. */
static md_tv is_instance(frame *f, const md_script_expr *e)
{
    static const char *const names[][2] = {
        { "Tensor", "tensor" }, { "int", "int" },     { "float", "float" },
        { "bool", "bool" },     { "str", "text" },    { "NoneType", "None" },
        { "list", "list" },     { "tuple", "tuple" },
    };
    md_tv v = e->n > 0 ? eval(f, e->args[0]) : nothing;
    const md_script_expr *type = e->n > 1 ? e->args[1] : NULL;

    while (type && type->kind == MD_SCRIPT_INDEX)
        type = type->a;
    for (size_t i = 0;
         type && type->kind == MD_SCRIPT_PATH && i < MD_COUNT(names); i++) {
        if (strcmp(type->text, names[i][0]) == 0)
            return md_tv_bool(strcmp(md_tv_kind_text(&v), names[i][1]) == 0);
    }
    return fail(f, e, MD_UNSUPPORTED, "a type that cannot be asked for",
                type && type->text ? type->text : "");
}

/* Of float('inf'). */
static md_tv text_to_float(frame *f, const md_script_expr *e)
{
    md_tv v = eval(f, e->args[0]);

    if (v.kind == MD_TV_TEXT)
        return md_tv_float(strtod(v.v.s, NULL));
    return op(f, "float", &v, 1);
}

/* Words that are called without "torch." in front. */
static bool call_word(frame *f, const char *name, const md_script_expr *e,
                      md_tv *out)
{
    if ((strcmp(name, "annotate") == 0 ||
         strcmp(name, "unchecked_cast") == 0) &&
        e->n == 2) {
        *out = eval(f, e->args[1]);
        return true;
    }
    if (strcmp(name, "uninitialized") == 0) {
        *out = (md_tv){ .kind = MD_TV_LOST, .v.s = "that is not set" };
        return true;
    }
    if (strcmp(name, "isinstance") == 0) {
        *out = is_instance(f, e);
        return true;
    }
    if (strcmp(name, "float") == 0 && e->n == 1) {
        *out = text_to_float(f, e);
        return true;
    }
    if (strcmp(name, "getattr") == 0 && e->n == 2 &&
        e->args[1]->kind == MD_SCRIPT_TEXT) {
        md_script_expr attr = { .kind = MD_SCRIPT_ATTR,
                                .line = e->line,
                                .a = e->args[0],
                                .text = e->args[1]->text };

        *out = eval(f, &attr);
        return true;
    }
    return false;
}

static md_tv call_method(frame *f, const md_script_expr *e)
{
    md_tv self = eval(f, e->a->a);
    const md_script_function *g;
    arguments a;

    if (!goes_on(f))
        return nothing;
    if (self.kind != MD_TV_OBJECT)
        return fail(f, e, MD_UNSUPPORTED,
                    "method of a value that has none:", e->a->text);
    g = md_script_method(self.v.object->cls, e->a->text);
    if (!g)
        return fail(f, e, MD_UNSUPPORTED, "no code for the method", e->a->text);
    a = eval_arguments(f, e, &self);
    return goes_on(f) ? md_script_call(f->s, g, a.v, a.n, a.names, a.n_named)
                      : nothing;
}

static md_tv eval_call(frame *f, const md_script_expr *e)
{
    const char *path = e->a->kind == MD_SCRIPT_PATH ? e->a->text : NULL;
    md_tv out, g;
    arguments a;

    if (path && strncmp(path, "torch.", 6) == 0)
        return call_op(f, path + 6, e);
    if (path && strncmp(path, "ops.aten.", 9) == 0)
        return call_op(f, path + 9, e);
    if (path && strncmp(path, "ops.", 4) == 0)
        return call_op(f, path + 4, e);
    if (path && strncmp(path, "__torch__.", 10) == 0)
        return call_path(f, path, e);
    if (path && call_word(f, path, e, &out))
        return out;
    if (path)
        return call_op(f, path, e); /* bool(x), int(x) */
    if (e->a->kind == MD_SCRIPT_ATTR)
        return call_method(f, e);
    g = eval(f, e->a);
    if (g.kind != MD_TV_FUNCTION)
        return fail(f, e, MD_CORRUPT,
                    "called, but no function:", md_tv_kind_text(&g));
    a = eval_arguments(f, e, NULL);
    return goes_on(f) ? md_script_call(f->s, g.v.function, a.v, a.n, a.names,
                                       a.n_named)
                      : nothing;
}

/* --- expressions --- */

static md_tv eval_path(frame *f, const md_script_expr *e)
{
    static const char constants[] = "CONSTANTS.c";
    const md_script_function *g;

    if (strncmp(e->text, constants, strlen(constants)) == 0) {
        char *rest;
        unsigned long i = strtoul(e->text + strlen(constants), &rest, 10);

        if (*rest == '\0' && i < UINT32_MAX)
            return md_script_constant_at(f->s, (uint32_t)i);
    }
    if (strcmp(e->text, "inf") == 0 || strcmp(e->text, "nan") == 0)
        return md_tv_float(e->text[0] == 'i' ? (double)INFINITY : (double)NAN);
    g = strncmp(e->text, "__torch__.", 10) == 0
            ? md_script_find_function(f->s, e->text)
            : NULL;
    if (g)
        return (md_tv){ .kind = MD_TV_FUNCTION, .v.function = g };
    /* A class that is passed on: __new__(cls). */
    if (strncmp(e->text, "__torch__.", 10) == 0)
        return md_tv_text(e->text);
    return fail(f, e, MD_CORRUPT, "a name that nobody sets:", e->text);
}

static md_tv eval_attr(frame *f, const md_script_expr *e)
{
    md_tv a = eval(f, e->a);
    char name[80];
    bool found;
    md_tv v;

    if (!goes_on(f))
        return nothing;
    if (a.kind == MD_TV_OBJECT) {
        v = md_script_attr(f->s, a.v.object, e->text, &found);
        if (found)
            return v;
        return fail(f, e, MD_CORRUPT, "no attribute", e->text);
    }
    /* x.shape and so on */
    snprintf(name, sizeof(name), "prim.%.60s", e->text);
    if (a.kind == MD_TV_TENSOR && md_torch_has_op(name))
        return op(f, name, &a, 1);
    return fail(f, e, MD_UNSUPPORTED, "attribute of such a value:", e->text);
}

static md_tv in_dict(frame *f, const md_script_expr *e, const md_torch_list *d,
                     const md_tv *key)
{
    for (uint32_t i = d->n; i >= 2; i -= 2) {
        const md_tv *k = &d->item[i - 2];

        if (k->kind == key->kind && !k->computed && !key->computed &&
            (k->kind == MD_TV_TEXT ? strcmp(k->v.s, key->v.s) == 0
                                   : k->v.i == key->v.i))
            return d->item[i - 1];
    }
    return fail(f, e, MD_INVALID, "no item of the dict under the key",
                key->kind == MD_TV_TEXT ? key->v.s : "");
}

static md_tv eval_index(frame *f, const md_script_expr *e)
{
    md_tv a = eval(f, e->a);
    md_tv i = e->n == 1 ? eval(f, e->args[0]) : nothing;
    int64_t at;

    if (!goes_on(f))
        return nothing;
    if (a.kind == MD_TV_DICT)
        return in_dict(f, e, a.v.list, &i);
    if (a.kind == MD_TV_TENSOR)
        return op(f, "select", (md_tv[]){ a, md_tv_int(0), i }, 3);
    if (md_tv_is_list(&a) && a.v.list->stacked)
        return op(f, "select",
                  (md_tv[]){ { .kind = MD_TV_TENSOR, .v.t = a.v.list->stacked },
                             md_tv_int(0),
                             i },
                  3);
    if (!md_tv_is_list(&a) || i.kind != MD_TV_INT || i.computed) {
        if (a.kind == MD_TV_LOST)
            return a;
        return fail(f, e, MD_UNSUPPORTED, "an item that only the data tells of",
                    md_tv_kind_text(&a));
    }
    at = i.v.i + (i.v.i < 0 ? a.v.list->n : 0);
    if (at < 0 || at >= a.v.list->n)
        return fail(f, e, MD_INVALID, "an item that is not there of",
                    md_tv_kind_text(&a));
    return a.v.list->item[at];
}

static md_tv eval_list(frame *f, const md_script_expr *e, md_tv_kind kind)
{
    md_tv out = md_tv_list(&f->s->b, kind, e->n);

    for (uint32_t i = 0; i < e->n && goes_on(f); i++)
        md_tv_append(&f->s->b, out.v.list, eval(f, e->args[i]));
    return out;
}

static md_tv eval_neg(frame *f, const md_script_expr *e)
{
    md_tv v = eval(f, e->a);

    return goes_on(f) ? op(f, "neg", &v, 1) : nothing;
}

static md_tv eval(frame *f, const md_script_expr *e)
{
    if (!goes_on(f))
        return nothing;
    if (++f->s->n_steps > STEPS_MAX) {
        md_emit_fail(emit_of(f), MD_TOO_LARGE, "more than %d steps", STEPS_MAX);
        return nothing;
    }
    switch (e->kind) {
    case MD_SCRIPT_NONE:
        return nothing;
    case MD_SCRIPT_BOOL:
        return md_tv_bool(e->i != 0);
    case MD_SCRIPT_INT:
        return md_tv_int(e->i);
    case MD_SCRIPT_FLOAT:
        return md_tv_float(e->f);
    case MD_SCRIPT_TEXT:
        return md_tv_text(e->text);
    case MD_SCRIPT_LOCAL:
        if (f->slot && f->is_set[e->i])
            return f->slot[e->i];
        return fail(f, e, MD_CORRUPT, "a variable that is not set:", e->text);
    case MD_SCRIPT_PATH:
        return eval_path(f, e);
    case MD_SCRIPT_ATTR:
        return eval_attr(f, e);
    case MD_SCRIPT_CALL:
        return eval_call(f, e);
    case MD_SCRIPT_INDEX:
        return eval_index(f, e);
    case MD_SCRIPT_LIST:
        return eval_list(f, e, MD_TV_LIST);
    case MD_SCRIPT_TUPLE:
        return eval_list(f, e, MD_TV_TUPLE);
    case MD_SCRIPT_DICT:
        return eval_list(f, e, MD_TV_DICT);
    default:
        return eval_neg(f, e);
    }
}

/* --- assignments --- */

static void set_slot(frame *f, int64_t slot, md_tv v)
{
    f->slot[slot] = v;
    f->is_set[slot] = true;
}

static void assign(frame *f, const md_script_expr *t, md_tv v)
{
    md_tv a, i;

    if (!goes_on(f))
        return;
    switch (t->kind) {
    case MD_SCRIPT_LOCAL:
        set_slot(f, t->i, v);
        if (v.kind == MD_TV_TENSOR && t->text && t->text[0] != '_')
            md_emit_stem(emit_of(f),
                         v.v.t->home == f->s->b.e.s ? v.v.t->id : MD_VALUE_NONE,
                         t->text);
        break;
    case MD_SCRIPT_TUPLE:
        if (v.kind == MD_TV_LOST) {
            for (uint32_t k = 0; k < t->n; k++)
                assign(f, t->args[k], v);
        } else if (!md_tv_is_list(&v) || v.v.list->n != t->n) {
            (void)fail(f, t, MD_INVALID, "values that do not fit from a",
                       md_tv_kind_text(&v));
        } else {
            for (uint32_t k = 0; k < t->n; k++)
                assign(f, t->args[k], v.v.list->item[k]);
        }
        break;
    case MD_SCRIPT_ATTR:
        a = eval(f, t->a);
        if (a.kind == MD_TV_OBJECT)
            md_script_set_attr(f->s, a.v.object, t->text, v);
        else
            (void)fail(f, t, MD_UNSUPPORTED,
                       "attribute of such a value:", t->text);
        break;
    default:
        a = eval(f, t->a);
        i = t->n == 1 ? eval(f, t->args[0]) : nothing;
        if (goes_on(f))
            (void)op(f, "_set_item", (md_tv[]){ a, i, v }, 3);
        break;
    }
}

static void run_assign(frame *f, const md_script_stmt *s)
{
    md_tv v;

    if (s->n_targets == 1 && s->targets[0]->kind == MD_SCRIPT_LOCAL)
        f->s->b.e.stem = s->targets[0]->text;
    v = eval(f, s->value);
    if (s->n_targets == 1) {
        assign(f, s->targets[0], v);
        return;
    }
    for (uint32_t i = 0; i < s->n_targets && goes_on(f); i++) {
        if (v.kind == MD_TV_LOST)
            assign(f, s->targets[i], v);
        else if (md_tv_is_list(&v) && v.v.list->n == s->n_targets)
            assign(f, s->targets[i], v.v.list->item[i]);
        else
            (void)fail(f, s->value, MD_INVALID, "values that do not fit from a",
                       md_tv_kind_text(&v));
    }
}

/* --- branches --- */

/* Variables that a block sets, at any depth. */
static void mark_target(const md_script_expr *t, bool *mark)
{
    if (t->kind == MD_SCRIPT_LOCAL)
        mark[t->i] = true;
    for (uint32_t i = 0; t->kind == MD_SCRIPT_TUPLE && i < t->n; i++)
        mark_target(t->args[i], mark);
}

static void mark_set(const md_script_block *b, bool *mark)
{
    for (uint32_t i = 0; b && i < b->n; i++) {
        const md_script_stmt *s = &b->s[i];

        for (uint32_t k = 0; k < s->n_targets; k++)
            mark_target(s->targets[k], mark);
        mark_set(s->body, mark);
        mark_set(s->otherwise, mark);
    }
}

/* Does the block end in an error whatever happens? */
static bool raises(const md_script_block *b)
{
    for (uint32_t i = 0; b && i < b->n; i++) {
        const md_script_stmt *s = &b->s[i];

        if (s->kind == MD_SCRIPT_EXPR && s->value->kind == MD_SCRIPT_CALL &&
            s->value->a->kind == MD_SCRIPT_PATH &&
            strcmp(s->value->a->text, "ops.prim.RaiseException") == 0)
            return true;
        if (s->kind == MD_SCRIPT_IF && s->otherwise && raises(s->body) &&
            raises(s->otherwise))
            return true;
    }
    return false;
}

/* Slots that go into or come out of a part of the program. */
typedef struct part {
    frame *f;
    const md_script_stmt *s;
    int64_t *slot;
    uint32_t n;
    md_tv *saved;
    bool *saved_set;
} part;

static bool save(part *p)
{
    frame *f = p->f;
    uint32_t n = f->f->n_locals;

    p->saved = md_emit_alloc(emit_of(f), n, sizeof(*p->saved));
    p->saved_set = md_emit_alloc(emit_of(f), n, sizeof(*p->saved_set));
    if (!p->saved || !p->saved_set)
        return false;
    memcpy(p->saved, f->slot, n * sizeof(*p->saved));
    memcpy(p->saved_set, f->is_set, n * sizeof(*p->saved_set));
    return true;
}

static void restore(const part *p)
{
    frame *f = p->f;

    memcpy(f->slot, p->saved, f->f->n_locals * sizeof(*f->slot));
    memcpy(f->is_set, p->saved_set, f->f->n_locals * sizeof(*f->is_set));
}

/* An error or a return inside what only the data decides. */
static void check_inside(frame *f, const md_script_expr *e)
{
    if (f->s->b.e.status == MD_OK && f->s->has_raised)
        (void)fail(f, e, MD_INVALID, "the program ends with", f->s->raised);
    if (f->s->b.e.status == MD_OK && f->has_returned)
        (void)fail(f, e, MD_UNSUPPORTED, "a return inside", "if");
}

static void run_branch(md_torch *b, void *ctx, int which, md_tv *out,
                       uint32_t n)
{
    part *p = ctx;

    (void)b;
    run_block(p->f, which == 0 ? p->s->body : p->s->otherwise);
    check_inside(p->f, p->s->value);
    for (uint32_t i = 0; i < n; i++)
        out[i] = p->f->is_set[p->slot[i]]
                     ? p->f->slot[p->slot[i]]
                     : (md_tv){ .kind = MD_TV_LOST, .v.s = "that is not set" };
    restore(p);
}

/* Variables that both branches set, or one that was set before. */
static bool find_results(part *p)
{
    uint32_t n = p->f->f->n_locals;
    bool *a = md_emit_alloc(emit_of(p->f), n, 1);
    bool *b = md_emit_alloc(emit_of(p->f), n, 1);

    p->slot = md_emit_alloc(emit_of(p->f), n, sizeof(*p->slot));
    if (!a || !b || !p->slot)
        return false;
    mark_set(p->s->body, a);
    mark_set(p->s->otherwise, b);
    for (uint32_t i = 0; i < n; i++) {
        if ((a[i] && b[i]) || ((a[i] || b[i]) && p->f->is_set[i]))
            p->slot[p->n++] = i;
    }
    return true;
}

static void run_if(frame *f, const md_script_stmt *s)
{
    md_tv c = eval(f, s->value);
    part p = { .f = f, .s = s };
    md_tv *out;

    if (!goes_on(f))
        return;
    c = op(f, "bool", &c, 1);
    if (c.kind == MD_TV_LOST && f->s->b.n_refusals > 0) {
        run_block(f, s->body); /* to see what else is not supported */
        run_block(f, s->otherwise);
        return;
    }
    if (c.kind == MD_TV_BOOL && !c.computed) {
        run_block(f, c.v.i ? s->body : s->otherwise);
        return;
    }
    if (raises(s->body) || raises(s->otherwise)) {
        if (!raises(s->body) || !raises(s->otherwise))
            run_block(f, raises(s->body) ? s->otherwise : s->body);
        else
            f->s->has_raised = true;
        return;
    }
    if (!find_results(&p) || !save(&p))
        return;
    out = md_emit_alloc(emit_of(f), p.n, sizeof(*out));
    if (!out)
        return;
    md_torch_if(&f->s->b, &c, run_branch, &p, out, p.n);
    for (uint32_t i = 0; i < p.n && f->s->b.e.status == MD_OK; i++)
        set_slot(f, p.slot[i], out[i]);
}

/* --- loops --- */

static md_tv run_turn(md_torch *b, void *ctx, md_tv i, md_tv *vars, uint32_t n)
{
    part *p = ctx;
    frame *f = p->f;
    md_tv go_on = nothing;

    (void)b;
    for (uint32_t k = 0; k < n; k++)
        set_slot(f, p->slot[k], vars[k]);
    if (p->s->kind == MD_SCRIPT_FOR)
        assign(f, p->s->targets[0], i);
    run_block(f, p->s->body);
    if (p->s->kind == MD_SCRIPT_WHILE)
        go_on = eval(f, p->s->value);
    check_inside(f, p->s->value);
    for (uint32_t k = 0; k < n; k++)
        vars[k] = f->slot[p->slot[k]];
    restore(p);
    return go_on;
}

/* Variables that the body sets and that were set before go round. */
static void run_computed_loop(frame *f, const md_script_stmt *s, md_tv trips,
                              md_tv cond)
{
    part p = { .f = f, .s = s };
    uint32_t n = f->f->n_locals;
    bool *mark = md_emit_alloc(emit_of(f), n, 1);
    md_tv *vars = md_emit_alloc(emit_of(f), n, sizeof(*vars));

    p.slot = md_emit_alloc(emit_of(f), n, sizeof(*p.slot));
    if (!mark || !vars || !p.slot || !save(&p))
        return;
    mark_set(s->body, mark);
    for (uint32_t i = 0; i < n; i++) {
        if (!mark[i] || !f->is_set[i])
            continue;
        vars[p.n] = f->slot[i];
        p.slot[p.n++] = i;
    }
    md_torch_loop(&f->s->b, &trips, &cond, run_turn, &p, vars, p.n);
    for (uint32_t i = 0; i < p.n && f->s->b.e.status == MD_OK; i++)
        set_slot(f, p.slot[i], vars[i]);
}

static void run_for(frame *f, const md_script_stmt *s)
{
    md_tv n = eval(f, s->value);

    if (!goes_on(f))
        return;
    if (n.kind != MD_TV_INT) {
        (void)fail(f, s->value, MD_UNSUPPORTED, "a range of a",
                   md_tv_kind_text(&n));
        return;
    }
    if (n.computed || n.v.i > UNROLL_MAX) {
        run_computed_loop(f, s, n, nothing);
        return;
    }
    for (int64_t i = 0; i < n.v.i && goes_on(f); i++) {
        assign(f, s->targets[0], md_tv_int(i));
        run_block(f, s->body);
    }
}

static void run_while(frame *f, const md_script_stmt *s)
{
    for (int turns = 0; goes_on(f); turns++) {
        md_tv c = eval(f, s->value);

        if (!goes_on(f))
            return;
        if (c.kind == MD_TV_BOOL && !c.computed && turns < TURNS_MAX) {
            if (!c.v.i)
                return;
            run_block(f, s->body);
            continue;
        }
        if (c.kind != MD_TV_BOOL || turns == TURNS_MAX) {
            (void)fail(f, s->value, MD_UNSUPPORTED,
                       "a loop without a known end while", md_tv_kind_text(&c));
            return;
        }
        run_computed_loop(f, s, nothing, c);
        return;
    }
}

/* --- statements --- */

static void run_statement(frame *f, const md_script_stmt *s)
{
    md_tv v;

    switch (s->kind) {
    case MD_SCRIPT_ASSIGN:
        run_assign(f, s);
        break;
    case MD_SCRIPT_EXPR:
        (void)eval(f, s->value);
        break;
    case MD_SCRIPT_IF:
        run_if(f, s);
        break;
    case MD_SCRIPT_FOR:
        run_for(f, s);
        break;
    case MD_SCRIPT_WHILE:
        run_while(f, s);
        break;
    case MD_SCRIPT_WITH: /* no_grad() and the like: modes without effect */
        v = eval(f, s->value);
        if (s->n_targets == 1)
            assign(f, s->targets[0], v);
        run_block(f, s->body);
        break;
    case MD_SCRIPT_RETURN:
        f->result = eval(f, s->value);
        f->has_returned = true;
        break;
    }
}

static void run_block(frame *f, const md_script_block *b)
{
    for (uint32_t i = 0; b && i < b->n && goes_on(f); i++)
        run_statement(f, &b->s[i]);
}

static bool bind(frame *f, const md_tv *args, uint32_t n,
                 const char *const *names, uint32_t n_named)
{
    for (uint32_t i = 0; i < f->f->n_params; i++) {
        const md_script_param *p = &f->f->params[i];
        const md_tv *v = i < n ? &args[i] : NULL;

        for (uint32_t k = 0; k < n_named && !v; k++) {
            if (strcmp(names[k], p->name) == 0)
                v = &args[n + k];
        }
        if (v)
            set_slot(f, i, *v);
        else if (p->otherwise)
            set_slot(f, i, md_script_eval(f->s, p->otherwise));
        else
            md_emit_fail(emit_of(f), MD_CORRUPT,
                         "'%.80s' called without '%.80s'", f->f->name, p->name);
    }
    return f->s->b.e.status == MD_OK;
}

md_tv md_script_call(md_script *s, const md_script_function *g,
                     const md_tv *args, uint32_t n, const char *const *names,
                     uint32_t n_named)
{
    frame f = { .s = s, .f = g };
    const char *where = s->b.where;

    if (s->b.e.status != MD_OK || s->has_raised)
        return nothing;
    if (s->depth >= CALLS_DEEP || n > g->n_params) {
        md_emit_fail(&s->b.e, n > g->n_params ? MD_CORRUPT : MD_TOO_LARGE,
                     "'%.80s' called with %u arguments, %u deep", g->name, n,
                     s->depth);
        return nothing;
    }
    f.slot = md_emit_alloc(&s->b.e, g->n_locals, sizeof(*f.slot));
    f.is_set = md_emit_alloc(&s->b.e, g->n_locals, sizeof(*f.is_set));
    if (!f.slot || !f.is_set)
        return nothing;
    s->depth++;
    if (n > 0 && args[0].kind == MD_TV_OBJECT && args[0].v.object->path[0])
        s->b.where = args[0].v.object->path;
    if (bind(&f, args, n, names, n_named))
        run_block(&f, g->body);
    s->b.where = where;
    s->depth--;
    return f.result;
}

md_tv md_script_eval(md_script *s, const md_script_expr *e)
{
    frame f = { .s = s };

    return eval(&f, e);
}
