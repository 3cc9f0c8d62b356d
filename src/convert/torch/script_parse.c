/*
 * The text of TorchScript programs: tokens (script_token.h), then trees.
 *
 * Workload: traced programs, thousands of lines of one call each.
 */
#include <string.h>

#include "base/hash.h"
#include "convert/torch/script_token.h"

enum {
    EXPR_MAX = 256, /* expressions in each other */
    LIST_MAX = 1 << 18,
    LOCALS_MAX = 1 << 20
};

typedef struct parser {
    md_script_lexer l;
    md_script_function *f; /* whose body is read; or NULL */
    int depth;
} parser;

/* --- variables --- */

static uint32_t *find_slot(const md_script_function *f, const char *name)
{
    uint32_t at = (uint32_t)md_hash(name, strlen(name)) & (f->cap_index - 1);

    while (f->index[at] && strcmp(f->locals[f->index[at] - 1], name) != 0)
        at = (at + 1) & (f->cap_index - 1);
    return &f->index[at];
}

static bool grow_index(parser *p, md_script_function *f)
{
    uint32_t n = f->cap_index ? 2 * f->cap_index : 32;

    if (f->cap_index && 2 * (f->n_locals + 1) < f->cap_index)
        return true;
    f->index = md_script_token__alloc(&p->l, n, sizeof(*f->index));
    if (!f->index)
        return false;
    f->cap_index = n;
    for (uint32_t i = 0; i < f->n_locals; i++)
        *find_slot(f, f->locals[i]) = i + 1;
    return true;
}

/* The variable's slot; made when there is none yet. */
static int64_t slot_of(parser *p, const char *name)
{
    md_script_function *f = p->f;
    uint32_t *at;

    if (!grow_index(p, f))
        return 0;
    at = find_slot(f, name);
    if (*at)
        return *at - 1;
    if (f->n_locals >= LOCALS_MAX) {
        md_script_token__fail(&p->l, MD_TOO_LARGE, "too many variables");
        return 0;
    }
    if (!md_script_token__grow(&p->l, &f->locals, &f->cap_locals, f->n_locals,
                               sizeof(*f->locals)))
        return 0;
    f->locals[f->n_locals++] = name;
    *at = f->n_locals;
    return f->n_locals - 1;
}

static bool is_local(const parser *p, const char *name)
{
    return p->f && p->f->cap_index && *find_slot(p->f, name);
}

/* --- expressions --- */

static md_script_expr *expression(parser *p);

static md_script_expr *new_expr(parser *p, md_script_kind kind)
{
    static md_script_expr nobody;
    md_script_expr *e = md_script_token__alloc(&p->l, 1, sizeof(*e));

    if (!e)
        return &nobody; /* the parser has failed: nobody looks at it */
    e->kind = kind;
    e->line = p->l.line;
    return e;
}

/* Expressions up to a closing sign, with commas between. */
typedef struct items {
    md_script_expr **e;
    const char **names;
    uint32_t n, cap, cap_names;
} items;

static void add_item(parser *p, items *x, md_script_expr *e, const char *name)
{
    if (x->n >= LIST_MAX) {
        md_script_token__fail(&p->l, MD_TOO_LARGE, "too many items");
        return;
    }
    if (!md_script_token__grow(&p->l, &x->e, &x->cap, x->n, sizeof(*x->e)) ||
        !md_script_token__grow(&p->l, &x->names, &x->cap_names, x->n,
                               sizeof(*x->names)))
        return;
    x->names[x->n] = name;
    x->e[x->n++] = e;
}

/* An argument "name=value" starts like an expression that is a name. */
static void add_argument(parser *p, items *x)
{
    const char *at = p->l.at;

    while (at < p->l.end && *at == ' ')
        at++;
    if (p->l.t.kind == MD_TOKEN_NAME && at < p->l.end && *at == '=') {
        const char *name = md_script_token__take_name(&p->l);

        md_script_token__expect(&p->l, '=');
        add_item(p, x, expression(p), name);
        return;
    }
    add_item(p, x, expression(p), NULL);
}

static items read_items(parser *p, char close, bool named)
{
    items x = { 0 };

    while (!md_script_token__is_sign(&p->l, close) && p->l.status == MD_OK) {
        if (named)
            add_argument(p, &x);
        else
            add_item(p, &x, expression(p), NULL);
        if (!md_script_token__accept(&p->l, ','))
            break;
    }
    md_script_token__expect(&p->l, close);
    return x;
}

static md_script_expr *with_items(parser *p, md_script_kind kind, items x)
{
    md_script_expr *e = new_expr(p, kind);

    e->args = x.e;
    e->names = x.names;
    e->n = x.n;
    return e;
}

static md_script_expr *dictionary(parser *p)
{
    items x = { 0 };

    while (!md_script_token__is_sign(&p->l, '}') && p->l.status == MD_OK) {
        add_item(p, &x, expression(p), NULL);
        md_script_token__expect(&p->l, ':');
        add_item(p, &x, expression(p), NULL);
        if (!md_script_token__accept(&p->l, ','))
            break;
    }
    md_script_token__expect(&p->l, '}');
    return with_items(p, MD_SCRIPT_DICT, x);
}

/* (a) is a, (a,) and () are tuples. */
static md_script_expr *parenthesis(parser *p)
{
    items x = { 0 };
    bool comma = false;

    while (!md_script_token__is_sign(&p->l, ')') && p->l.status == MD_OK) {
        add_item(p, &x, expression(p), NULL);
        comma = md_script_token__accept(&p->l, ',');
        if (!comma)
            break;
    }
    md_script_token__expect(&p->l, ')');
    if (x.n == 1 && !comma)
        return x.e[0];
    return with_items(p, MD_SCRIPT_TUPLE, x);
}

static md_script_expr *name_expr(parser *p)
{
    static const char *const words[] = { "None", "True", "False" };
    const char *name = md_script_token__take_name(&p->l);
    md_script_expr *e;

    for (int i = 0; i < 3; i++) {
        if (strcmp(name, words[i]) == 0) {
            e = new_expr(p, i == 0 ? MD_SCRIPT_NONE : MD_SCRIPT_BOOL);
            e->i = i == 1;
            return e;
        }
    }
    if (is_local(p, name)) {
        e = new_expr(p, MD_SCRIPT_LOCAL);
        e->i = slot_of(p, name);
        e->text = name;
        return e;
    }
    e = new_expr(p, MD_SCRIPT_PATH);
    e->text = name;
    return e;
}

static md_script_expr *atom(parser *p)
{
    md_script_expr *e;
    md_script_token t = p->l.t;

    switch (t.kind) {
    case MD_TOKEN_NAME:
        return name_expr(p);
    case MD_TOKEN_INT:
    case MD_TOKEN_FLOAT:
    case MD_TOKEN_TEXT:
        md_script_token__next(&p->l);
        e = new_expr(p, t.kind == MD_TOKEN_INT     ? MD_SCRIPT_INT
                        : t.kind == MD_TOKEN_FLOAT ? MD_SCRIPT_FLOAT
                                                   : MD_SCRIPT_TEXT);
        e->i = t.i;
        e->f = t.f;
        e->text = t.p;
        return e;
    default:
        break;
    }
    if (md_script_token__accept(&p->l, '('))
        return parenthesis(p);
    if (md_script_token__accept(&p->l, '['))
        return with_items(p, MD_SCRIPT_LIST, read_items(p, ']', false));
    if (md_script_token__accept(&p->l, '{'))
        return dictionary(p);
    if (md_script_token__accept(&p->l, '-')) {
        e = new_expr(p, MD_SCRIPT_NEG);
        e->a = expression(p); /* -a.b is -(a.b) */
        return e;
    }
    md_script_token__fail(&p->l, MD_CORRUPT, "an expression expected");
    return new_expr(p, MD_SCRIPT_NONE);
}

/* a.b of a path is a longer path. */
static md_script_expr *attribute(parser *p, md_script_expr *a)
{
    const char *name = md_script_token__take_name(&p->l);
    md_script_expr *e;

    if (a->kind == MD_SCRIPT_PATH) {
        a->text = md_arena_printf(p->l.arena, "%s.%s", a->text, name);
        if (!a->text) {
            a->text = "";
            if (p->l.status == MD_OK)
                p->l.status = md_fail_nomem(p->l.err, 1);
        }
        return a;
    }
    e = new_expr(p, MD_SCRIPT_ATTR);
    e->a = a;
    e->text = name;
    return e;
}

static md_script_expr *expression(parser *p)
{
    md_script_expr *e;

    if (++p->depth > EXPR_MAX) {
        md_script_token__fail(&p->l, MD_TOO_LARGE,
                              "expressions too deep in each other");
        p->depth--;
        return new_expr(p, MD_SCRIPT_NONE);
    }
    e = atom(p);
    for (int links = 0; p->l.status == MD_OK; links++) {
        md_script_expr *a = e;

        if (links > EXPR_MAX) {
            md_script_token__fail(&p->l, MD_TOO_LARGE,
                                  "an expression of too many parts");
        } else if (md_script_token__accept(&p->l, '.')) {
            e = attribute(p, a);
        } else if (md_script_token__accept(&p->l, '(')) {
            e = with_items(p, MD_SCRIPT_CALL, read_items(p, ')', true));
            e->a = a;
        } else if (md_script_token__accept(&p->l, '[')) {
            e = with_items(p, MD_SCRIPT_INDEX, read_items(p, ']', false));
            e->a = a;
        } else {
            break;
        }
    }
    p->depth--;
    return e;
}

/* --- statements --- */

static md_script_block *block(parser *p);

static void skip_newlines(parser *p)
{
    while (p->l.t.kind == MD_TOKEN_NEWLINE)
        md_script_token__next(&p->l);
}

static void end_line(parser *p)
{
    if (p->l.t.kind != MD_TOKEN_NEWLINE && p->l.t.kind != MD_TOKEN_END)
        md_script_token__fail(&p->l, MD_CORRUPT, "the end of a line expected");
    skip_newlines(p);
}

/* What was read as a value is what is assigned to. */
static md_script_expr *as_target(parser *p, md_script_expr *e)
{
    if (e->kind == MD_SCRIPT_PATH && !strchr(e->text, '.')) {
        e->kind = MD_SCRIPT_LOCAL;
        e->i = slot_of(p, e->text);
    } else if (e->kind == MD_SCRIPT_TUPLE) {
        for (uint32_t i = 0; i < e->n; i++)
            e->args[i] = as_target(p, e->args[i]);
    } else if (e->kind != MD_SCRIPT_LOCAL && e->kind != MD_SCRIPT_ATTR &&
               e->kind != MD_SCRIPT_INDEX) {
        md_script_token__fail(&p->l, MD_CORRUPT,
                              "something that cannot be assigned to");
    }
    return e;
}

/* a, b, c: more than one is a tuple; *several when there was a comma. */
static items expression_list(parser *p, bool *several)
{
    items x = { 0 };

    *several = false;
    do {
        add_item(p, &x, expression(p), NULL);
        if (!md_script_token__accept(&p->l, ','))
            break;
        *several = true;
    } while (p->l.status == MD_OK && p->l.t.kind != MD_TOKEN_NEWLINE &&
             p->l.t.kind != MD_TOKEN_END &&
             !md_script_token__is_sign(&p->l, '='));
    return x;
}

static md_script_expr *value_list(parser *p)
{
    bool several;
    items x = expression_list(p, &several);

    if (!several && x.n == 1)
        return x.e[0];
    return with_items(p, MD_SCRIPT_TUPLE, x);
}

static void simple_statement(parser *p, md_script_stmt *s)
{
    bool several;
    items x = expression_list(p, &several);

    if (md_script_token__accept(&p->l, ':')) /* an annotation */
        (void)expression(p);
    if (!md_script_token__accept(&p->l, '=')) {
        s->kind = MD_SCRIPT_EXPR;
        s->value = x.n > 0 ? x.e[0] : new_expr(p, MD_SCRIPT_NONE);
        return;
    }
    s->kind = MD_SCRIPT_ASSIGN;
    s->value = value_list(p);
    s->targets = x.e;
    s->n_targets = x.n;
    for (uint32_t i = 0; i < x.n; i++)
        x.e[i] = as_target(p, x.e[i]);
    if (several && x.n == 1) { /* "a, = f()" */
        md_script_expr *t = with_items(p, MD_SCRIPT_TUPLE, x);

        s->targets = md_script_token__alloc(&p->l, 1, sizeof(*s->targets));
        if (s->targets)
            s->targets[0] = t;
    }
}

/* for x in range(n): */
static void for_statement(parser *p, md_script_stmt *s)
{
    md_script_expr *range;

    s->kind = MD_SCRIPT_FOR;
    s->targets = md_script_token__alloc(&p->l, 1, sizeof(*s->targets));
    if (!s->targets)
        return;
    s->targets[0] = as_target(p, expression(p));
    s->n_targets = 1;
    if (!md_script_token__accept_word(&p->l, "in"))
        md_script_token__fail(&p->l, MD_CORRUPT, "'in' expected");
    range = expression(p);
    if (range->kind != MD_SCRIPT_CALL || range->n != 1 ||
        range->a->kind != MD_SCRIPT_PATH ||
        strcmp(range->a->text, "range") != 0) {
        md_script_token__fail(&p->l, MD_UNSUPPORTED,
                              "a loop over something else than range(n)");
        return;
    }
    s->value = range->args[0];
    s->body = block(p);
}

static void statement(parser *p, md_script_stmt *s)
{
    s->line = p->l.line;
    if (md_script_token__accept_word(&p->l, "if")) {
        s->kind = MD_SCRIPT_IF;
        s->value = expression(p);
        s->body = block(p);
        skip_newlines(p);
        if (md_script_token__accept_word(&p->l, "else"))
            s->otherwise = block(p);
    } else if (md_script_token__accept_word(&p->l, "while")) {
        s->kind = MD_SCRIPT_WHILE;
        s->value = expression(p);
        s->body = block(p);
    } else if (md_script_token__accept_word(&p->l, "for")) {
        for_statement(p, s);
    } else if (md_script_token__accept_word(&p->l, "with")) {
        s->kind = MD_SCRIPT_WITH;
        s->value = expression(p);
        if (md_script_token__accept_word(&p->l, "as")) {
            s->targets = md_script_token__alloc(&p->l, 1, sizeof(*s->targets));
            if (s->targets)
                s->targets[s->n_targets++] = as_target(p, expression(p));
        }
        s->body = block(p);
    } else if (md_script_token__accept_word(&p->l, "return")) {
        s->kind = MD_SCRIPT_RETURN;
        s->value =
            p->l.t.kind == MD_TOKEN_NEWLINE || p->l.t.kind == MD_TOKEN_END
                ? new_expr(p, MD_SCRIPT_NONE)
                : value_list(p);
        end_line(p);
    } else if (md_script_token__accept_word(&p->l, "pass")) {
        s->kind = MD_SCRIPT_EXPR;
        s->value = new_expr(p, MD_SCRIPT_NONE);
        end_line(p);
    } else {
        simple_statement(p, s);
        end_line(p);
    }
}

/* ":", a newline and an indented block. */
static md_script_block *block(parser *p)
{
    md_script_block *b = md_script_token__alloc(&p->l, 1, sizeof(*b));

    if (++p->depth > EXPR_MAX)
        md_script_token__fail(&p->l, MD_TOO_LARGE,
                              "blocks too deep in each other");
    md_script_token__expect(&p->l, ':');
    end_line(p);
    if (p->l.t.kind != MD_TOKEN_INDENT)
        md_script_token__fail(&p->l, MD_CORRUPT, "an indented block expected");
    md_script_token__next(&p->l);
    while (b && p->l.status == MD_OK && p->l.t.kind != MD_TOKEN_DEDENT &&
           p->l.t.kind != MD_TOKEN_END) {
        md_script_stmt s = { .kind = MD_SCRIPT_EXPR };

        statement(p, &s);
        if (md_script_token__grow(&p->l, &b->s, &b->cap, b->n, sizeof(*b->s)))
            b->s[b->n++] = s;
        skip_newlines(p);
    }
    if (p->l.t.kind == MD_TOKEN_DEDENT)
        md_script_token__next(&p->l);
    p->depth--;
    return b;
}

/* --- definitions --- */

static void parameter(parser *p, md_script_function *f)
{
    md_script_param x = { .name = md_script_token__take_name(&p->l) };

    (void)slot_of(p, x.name);
    p->f = NULL; /* types and defaults know no variables */
    if (md_script_token__accept(&p->l, ':'))
        x.type = expression(p);
    if (md_script_token__accept(&p->l, '='))
        x.otherwise = expression(p);
    p->f = f;
    if (md_script_token__grow(&p->l, &f->params, &f->cap_params, f->n_params,
                              sizeof(*f->params)))
        f->params[f->n_params++] = x;
}

static md_script_function *function(parser *p)
{
    md_script_function *f = md_script_token__alloc(&p->l, 1, sizeof(*f));

    if (!f)
        return NULL;
    f->name = md_script_token__take_name(&p->l);
    p->f = f;
    md_script_token__expect(&p->l, '(');
    while (!md_script_token__is_sign(&p->l, ')') && p->l.status == MD_OK) {
        if (!md_script_token__accept(&p->l, '*'))
            parameter(p, f);
        if (!md_script_token__accept(&p->l, ','))
            break;
    }
    md_script_token__expect(&p->l, ')');
    if (f->n_params != f->n_locals)
        md_script_token__fail(&p->l, MD_CORRUPT, "two parameters of one name");
    if (p->l.t.kind == MD_TOKEN_ARROW) {
        md_script_token__next(&p->l);
        p->f = NULL;
        (void)expression(p);
        p->f = f;
    }
    f->body = block(p);
    p->f = NULL;
    return f;
}

/* "name : type", "name : Final[type] = value", "__annotations__["0"] = type" */
static void field(parser *p, md_script_class *c)
{
    md_script_expr *e = expression(p);
    md_script_expr *value = NULL;

    if (md_script_token__accept(&p->l, ':'))
        (void)expression(p);
    if (md_script_token__accept(&p->l, '='))
        value = value_list(p);
    end_line(p);
    if (e->kind != MD_SCRIPT_PATH)
        return;
    if (md_script_token__grow(&p->l, &c->fields, &c->cap_fields, c->n_fields,
                              sizeof(*c->fields)))
        c->fields[c->n_fields++] = e->text;
    if (value && md_script_token__grow(&p->l, &c->constants, &c->cap_constants,
                                       c->n_constants, sizeof(*c->constants)))
        c->constants[c->n_constants++] = (md_script_constant){ e->text, value };
}

static void class_body(parser *p, md_script_class *c)
{
    md_script_token__expect(&p->l, ':');
    end_line(p);
    if (p->l.t.kind != MD_TOKEN_INDENT) {
        md_script_token__fail(&p->l, MD_CORRUPT, "an indented block expected");
        return;
    }
    md_script_token__next(&p->l);
    while (p->l.status == MD_OK && p->l.t.kind != MD_TOKEN_DEDENT &&
           p->l.t.kind != MD_TOKEN_END) {
        if (md_script_token__accept_word(&p->l, "def")) {
            md_script_function *f = function(p);

            if (f && md_script_token__grow(&p->l, &c->methods, &c->cap_methods,
                                           c->n_methods, sizeof(*c->methods)))
                c->methods[c->n_methods++] = f;
        } else if (md_script_token__accept_word(&p->l, "pass")) {
            end_line(p);
        } else {
            field(p, c);
        }
        skip_newlines(p);
    }
    if (p->l.t.kind == MD_TOKEN_DEDENT)
        md_script_token__next(&p->l);
}

static md_script_class *class(parser *p, const char *module)
{
    md_script_class *c = md_script_token__alloc(&p->l, 1, sizeof(*c));
    md_script_expr *base;

    if (!c)
        return NULL;
    c->name = md_arena_printf(p->l.arena, "%s.%s", module,
                              md_script_token__take_name(&p->l));
    if (md_script_token__accept(&p->l, '(')) {
        base = expression(p);
        c->is_tuple = base->kind == MD_SCRIPT_PATH &&
                      strcmp(base->text, "NamedTuple") == 0;
        md_script_token__expect(&p->l, ')');
    }
    class_body(p, c);
    return c;
}

md_status md_script_parse(md_script_module *out, const char *name,
                          const void *text, size_t size, md_arena *arena,
                          md_error *err)
{
    parser p = { .l = { .at = text,
                        .line = 1,
                        .n_indent = 1,
                        .fresh = true,
                        .arena = arena,
                        .err = err,
                        .module = name } };

    p.l.end = p.l.at + size;
    *out = (md_script_module){ .name = name };
    md_script_token__next(&p.l);
    skip_newlines(&p);
    while (p.l.status == MD_OK && p.l.t.kind != MD_TOKEN_END) {
        if (md_script_token__accept_word(&p.l, "class")) {
            md_script_class *c = class(&p, name);

            if (c &&
                md_script_token__grow(&p.l, &out->classes, &out->cap_classes,
                                      out->n_classes, sizeof(*out->classes)))
                out->classes[out->n_classes++] = c;
        } else if (md_script_token__accept_word(&p.l, "def")) {
            md_script_function *f = function(&p);

            if (f && md_script_token__grow(
                         &p.l, &out->functions, &out->cap_functions,
                         out->n_functions, sizeof(*out->functions)))
                out->functions[out->n_functions++] = f;
        } else { /* "op_version_set = 1" */
            md_script_class unused = { .name = "" };

            field(&p, &unused);
        }
        skip_newlines(&p);
    }
    return p.l.status;
}
