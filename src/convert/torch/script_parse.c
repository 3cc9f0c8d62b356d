/*
 * The text of TorchScript programs: tokens, then trees.
 *
 * Workload: traced programs, thousands of lines of one call each.
 */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "convert/torch/script.h"

enum {
    INDENT_MAX = 128, /* blocks in each other */
    EXPR_MAX = 256,   /* expressions in each other */
    LIST_MAX = 1 << 18,
    LOCALS_MAX = 1 << 20
};

typedef enum token_kind {
    T_END,
    T_NEWLINE,
    T_INDENT,
    T_DEDENT,
    T_NAME,
    T_INT,
    T_FLOAT,
    T_TEXT,
    T_SIGN, /* one character: op */
    T_ARROW,
} token_kind;

typedef struct token {
    token_kind kind;
    char op;
    const char *p; /* name; text unescaped, in the arena */
    size_t n;
    int64_t i;
    double f;
} token;

typedef struct parser {
    const char *at, *end;
    uint32_t line;
    int indent[INDENT_MAX];
    int n_indent;
    int pending; /* DEDENTs to give */
    int open;    /* brackets */
    bool fresh;  /* at the beginning of a line */
    token t;     /* at hand */
    md_arena *arena;
    md_error *err;
    md_status status;
    md_script_function *f; /* whose body is read; or NULL */
    const char *module;
    int depth;
} parser;

static void fail(parser *p, md_status s, const char *what)
{
    if (p->status == MD_OK)
        p->status = md_fail(p->err, s, "torch: code of '%.80s', line %u: %s",
                            p->module, p->line, what);
}

static void *alloc(parser *p, size_t n, size_t size)
{
    void *m = md_arena_calloc(p->arena, n + 1, size);

    if (!m && p->status == MD_OK)
        p->status = md_fail_nomem(p->err, n * size);
    return m;
}

static bool grow(parser *p, void *array, uint32_t *cap, uint32_t n, size_t size)
{
    if (p->status == MD_OK)
        p->status = md_arena_grow(p->arena, array, cap, n, size, p->err);
    return p->status == MD_OK;
}

/* --- tokens --- */

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '_' || (c & 0x80);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Spaces at the beginning of a line, of those that hold something. */
static void read_indent(parser *p)
{
    int width = 0;

    p->fresh = false;
    for (;;) {
        const char *line = p->at;

        while (p->at < p->end && *p->at == ' ')
            p->at++;
        width = p->at - line > 1 << 20 ? 1 << 20 : (int)(p->at - line);
        if (p->at < p->end && *p->at == '#') {
            while (p->at < p->end && *p->at != '\n')
                p->at++;
        }
        if (p->at < p->end && *p->at == '\r')
            p->at++;
        if (p->at == p->end || *p->at != '\n')
            break;
        p->at++;
        p->line++;
    }
    if (p->at == p->end)
        width = 0;
    if (width > p->indent[p->n_indent - 1]) {
        if (p->n_indent == INDENT_MAX) {
            fail(p, MD_TOO_LARGE, "blocks too deep in each other");
            return;
        }
        p->indent[p->n_indent++] = width;
        p->pending = 1;
        return;
    }
    while (width < p->indent[p->n_indent - 1]) {
        p->n_indent--;
        p->pending--;
    }
    if (width != p->indent[p->n_indent - 1])
        fail(p, MD_CORRUPT, "indentation of no block");
}

static int hex(char c)
{
    if (is_digit(c))
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One escaped character behind a backslash. */
static char unescape(parser *p)
{
    static const char from[] = "ntrabfv\\'\"";
    static const char to[] = "\n\t\r\a\b\f\v\\'\"";
    char c = *p->at++;
    const char *k = strchr(from, c);
    int v = 0;

    if (k && c)
        return to[k - from];
    if (c == 'x' && p->end - p->at >= 2 && hex(p->at[0]) >= 0 &&
        hex(p->at[1]) >= 0) {
        v = hex(p->at[0]) * 16 + hex(p->at[1]);
        p->at += 2;
        return (char)v;
    }
    if (c >= '0' && c <= '7') {
        v = c - '0';
        for (int i = 0;
             i < 2 && p->at < p->end && *p->at >= '0' && *p->at <= '7'; i++)
            v = v * 8 + (*p->at++ - '0');
        return (char)v;
    }
    fail(p, MD_CORRUPT, "an escape that is none");
    return 0;
}

static void read_text(parser *p, token *t)
{
    char quote = *p->at++;
    const char *begin = p->at;
    char *out;
    size_t n = 0;

    while (p->at < p->end && *p->at != quote && *p->at != '\n')
        p->at += *p->at == '\\' ? 2 : 1;
    if (p->at >= p->end || *p->at != quote) {
        p->at = p->end;
        fail(p, MD_CORRUPT, "a text without its end");
        return;
    }
    out = alloc(p, (size_t)(p->at - begin), 1);
    if (!out)
        return;
    for (p->at = begin; *p->at != quote;) {
        char c = *p->at++;

        if (c == '\\')
            c = unescape(p);
        out[n++] = c;
        if (p->status != MD_OK)
            return;
    }
    p->at++;
    *t = (token){ .kind = T_TEXT, .p = out, .n = n };
}

static void read_number(parser *p, token *t)
{
    char text[64];
    size_t n = 0;
    bool is_float = false;
    char *rest;

    while (p->at < p->end && n < sizeof(text) - 1) {
        char c = *p->at;
        bool sign = (c == '+' || c == '-') && n > 0 &&
                    (text[n - 1] == 'e' || text[n - 1] == 'E');

        if (!is_digit(c) && c != '.' && c != 'e' && c != 'E' && !sign)
            break;
        is_float = is_float || !is_digit(c);
        text[n++] = c;
        p->at++;
    }
    text[n] = '\0';
    *t = (token){ .kind = is_float ? T_FLOAT : T_INT };
    if (is_float)
        t->f = strtod(text, &rest);
    else
        t->i = strtoll(text, &rest, 10);
    if (*rest || n == 0 || n == sizeof(text) - 1)
        fail(p, MD_CORRUPT, "a number that is none");
    if (p->at < p->end && *p->at == 'j')
        fail(p, MD_UNSUPPORTED, "a complex number");
}

/* Spaces and a comment inside a line, newlines inside brackets. */
static void skip_spaces(parser *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\r' ||
                              (p->open > 0 && *p->at == '\n'))) {
        p->line += *p->at == '\n';
        p->at++;
    }
    if (p->at < p->end && *p->at == '#') {
        while (p->at < p->end && *p->at != '\n')
            p->at++;
    }
}

static void read_sign(parser *p, char c)
{
    static const char signs[] = "()[]{},.:=-*@";

    if (c == '\0' || !strchr(signs, c)) {
        fail(p, MD_CORRUPT, "a character that no program has");
        return;
    }
    p->at++;
    p->open += c == '(' || c == '[' || c == '{';
    p->open -= p->open > 0 && (c == ')' || c == ']' || c == '}');
    p->t = (token){ .kind = T_SIGN, .op = c };
}

static void read_token(parser *p)
{
    char c;

    p->t = (token){ .kind = T_END };
    if (p->status != MD_OK)
        return;
    if (p->fresh && p->open == 0)
        read_indent(p);
    if (p->pending != 0) {
        p->t.kind = p->pending > 0 ? T_INDENT : T_DEDENT;
        p->pending += p->pending > 0 ? -1 : 1;
        return;
    }
    skip_spaces(p);
    if (p->at >= p->end)
        return;
    c = *p->at;
    if (c == '\n') {
        p->at++;
        p->line++;
        p->fresh = true;
        p->t.kind = T_NEWLINE;
    } else if (is_digit(c) ||
               (c == '.' && p->end - p->at > 1 && is_digit(p->at[1]))) {
        read_number(p, &p->t);
    } else if (c == '"' || c == '\'') {
        read_text(p, &p->t);
    } else if (is_name_char(c)) {
        p->t.kind = T_NAME;
        p->t.p = p->at;
        while (p->at < p->end && is_name_char(*p->at))
            p->at++;
        p->t.n = (size_t)(p->at - p->t.p);
    } else if (c == '-' && p->end - p->at > 1 && p->at[1] == '>') {
        p->at += 2;
        p->t.kind = T_ARROW;
    } else {
        read_sign(p, c);
    }
}

static bool is_sign(const parser *p, char op)
{
    return p->t.kind == T_SIGN && p->t.op == op;
}

static bool is_word(const parser *p, const char *word)
{
    return p->t.kind == T_NAME && p->t.n == strlen(word) &&
           memcmp(p->t.p, word, p->t.n) == 0;
}

/* Skip the sign when it is at hand. */
static bool accept(parser *p, char op)
{
    if (!is_sign(p, op))
        return false;
    read_token(p);
    return true;
}

static void expect(parser *p, char op)
{
    char text[] = "'?' expected";

    text[1] = op;
    if (!accept(p, op))
        fail(p, MD_CORRUPT, text);
}

static bool accept_word(parser *p, const char *word)
{
    if (!is_word(p, word))
        return false;
    read_token(p);
    return true;
}

static const char *take_name(parser *p)
{
    char *s;

    if (p->t.kind != T_NAME) {
        fail(p, MD_CORRUPT, "a name expected");
        return "";
    }
    s = md_arena_strndup(p->arena, p->t.p, p->t.n);
    if (!s && p->status == MD_OK)
        p->status = md_fail_nomem(p->err, p->t.n);
    read_token(p);
    return s ? s : "";
}

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
    f->index = alloc(p, n, sizeof(*f->index));
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
        fail(p, MD_TOO_LARGE, "too many variables");
        return 0;
    }
    if (!grow(p, &f->locals, &f->cap_locals, f->n_locals, sizeof(*f->locals)))
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
    md_script_expr *e = alloc(p, 1, sizeof(*e));

    if (!e)
        return &nobody; /* the parser has failed: nobody looks at it */
    e->kind = kind;
    e->line = p->line;
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
        fail(p, MD_TOO_LARGE, "too many items");
        return;
    }
    if (!grow(p, &x->e, &x->cap, x->n, sizeof(*x->e)) ||
        !grow(p, &x->names, &x->cap_names, x->n, sizeof(*x->names)))
        return;
    x->names[x->n] = name;
    x->e[x->n++] = e;
}

/* An argument "name=value" starts like an expression that is a name. */
static void add_argument(parser *p, items *x)
{
    const char *at = p->at;

    while (at < p->end && *at == ' ')
        at++;
    if (p->t.kind == T_NAME && at < p->end && *at == '=') {
        const char *name = take_name(p);

        expect(p, '=');
        add_item(p, x, expression(p), name);
        return;
    }
    add_item(p, x, expression(p), NULL);
}

static items read_items(parser *p, char close, bool named)
{
    items x = { 0 };

    while (!is_sign(p, close) && p->status == MD_OK) {
        if (named)
            add_argument(p, &x);
        else
            add_item(p, &x, expression(p), NULL);
        if (!accept(p, ','))
            break;
    }
    expect(p, close);
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

    while (!is_sign(p, '}') && p->status == MD_OK) {
        add_item(p, &x, expression(p), NULL);
        expect(p, ':');
        add_item(p, &x, expression(p), NULL);
        if (!accept(p, ','))
            break;
    }
    expect(p, '}');
    return with_items(p, MD_SCRIPT_DICT, x);
}

/* (a) is a, (a,) and () are tuples. */
static md_script_expr *parenthesis(parser *p)
{
    items x = { 0 };
    bool comma = false;

    while (!is_sign(p, ')') && p->status == MD_OK) {
        add_item(p, &x, expression(p), NULL);
        comma = accept(p, ',');
        if (!comma)
            break;
    }
    expect(p, ')');
    if (x.n == 1 && !comma)
        return x.e[0];
    return with_items(p, MD_SCRIPT_TUPLE, x);
}

static md_script_expr *name_expr(parser *p)
{
    static const char *const words[] = { "None", "True", "False" };
    const char *name = take_name(p);
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
    token t = p->t;

    switch (t.kind) {
    case T_NAME:
        return name_expr(p);
    case T_INT:
    case T_FLOAT:
    case T_TEXT:
        read_token(p);
        e = new_expr(p, t.kind == T_INT     ? MD_SCRIPT_INT
                        : t.kind == T_FLOAT ? MD_SCRIPT_FLOAT
                                            : MD_SCRIPT_TEXT);
        e->i = t.i;
        e->f = t.f;
        e->text = t.p;
        return e;
    default:
        break;
    }
    if (accept(p, '('))
        return parenthesis(p);
    if (accept(p, '['))
        return with_items(p, MD_SCRIPT_LIST, read_items(p, ']', false));
    if (accept(p, '{'))
        return dictionary(p);
    if (accept(p, '-')) {
        e = new_expr(p, MD_SCRIPT_NEG);
        e->a = expression(p); /* -a.b is -(a.b) */
        return e;
    }
    fail(p, MD_CORRUPT, "an expression expected");
    return new_expr(p, MD_SCRIPT_NONE);
}

/* a.b of a path is a longer path. */
static md_script_expr *attribute(parser *p, md_script_expr *a)
{
    const char *name = take_name(p);
    md_script_expr *e;

    if (a->kind == MD_SCRIPT_PATH) {
        a->text = md_arena_printf(p->arena, "%s.%s", a->text, name);
        if (!a->text) {
            a->text = "";
            if (p->status == MD_OK)
                p->status = md_fail_nomem(p->err, 1);
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
        fail(p, MD_TOO_LARGE, "expressions too deep in each other");
        p->depth--;
        return new_expr(p, MD_SCRIPT_NONE);
    }
    e = atom(p);
    for (int links = 0; p->status == MD_OK; links++) {
        md_script_expr *a = e;

        if (links > EXPR_MAX) {
            fail(p, MD_TOO_LARGE, "an expression of too many parts");
        } else if (accept(p, '.')) {
            e = attribute(p, a);
        } else if (accept(p, '(')) {
            e = with_items(p, MD_SCRIPT_CALL, read_items(p, ')', true));
            e->a = a;
        } else if (accept(p, '[')) {
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
    while (p->t.kind == T_NEWLINE)
        read_token(p);
}

static void end_line(parser *p)
{
    if (p->t.kind != T_NEWLINE && p->t.kind != T_END)
        fail(p, MD_CORRUPT, "the end of a line expected");
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
        fail(p, MD_CORRUPT, "something that cannot be assigned to");
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
        if (!accept(p, ','))
            break;
        *several = true;
    } while (p->status == MD_OK && p->t.kind != T_NEWLINE &&
             p->t.kind != T_END && !is_sign(p, '='));
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

    if (accept(p, ':')) /* an annotation */
        (void)expression(p);
    if (!accept(p, '=')) {
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

        s->targets = alloc(p, 1, sizeof(*s->targets));
        if (s->targets)
            s->targets[0] = t;
    }
}

/* for x in range(n): */
static void for_statement(parser *p, md_script_stmt *s)
{
    md_script_expr *range;

    s->kind = MD_SCRIPT_FOR;
    s->targets = alloc(p, 1, sizeof(*s->targets));
    if (!s->targets)
        return;
    s->targets[0] = as_target(p, expression(p));
    s->n_targets = 1;
    if (!accept_word(p, "in"))
        fail(p, MD_CORRUPT, "'in' expected");
    range = expression(p);
    if (range->kind != MD_SCRIPT_CALL || range->n != 1 ||
        range->a->kind != MD_SCRIPT_PATH ||
        strcmp(range->a->text, "range") != 0) {
        fail(p, MD_UNSUPPORTED, "a loop over something else than range(n)");
        return;
    }
    s->value = range->args[0];
    s->body = block(p);
}

static void statement(parser *p, md_script_stmt *s)
{
    s->line = p->line;
    if (accept_word(p, "if")) {
        s->kind = MD_SCRIPT_IF;
        s->value = expression(p);
        s->body = block(p);
        skip_newlines(p);
        if (accept_word(p, "else"))
            s->otherwise = block(p);
    } else if (accept_word(p, "while")) {
        s->kind = MD_SCRIPT_WHILE;
        s->value = expression(p);
        s->body = block(p);
    } else if (accept_word(p, "for")) {
        for_statement(p, s);
    } else if (accept_word(p, "with")) {
        s->kind = MD_SCRIPT_WITH;
        s->value = expression(p);
        if (accept_word(p, "as")) {
            s->targets = alloc(p, 1, sizeof(*s->targets));
            if (s->targets)
                s->targets[s->n_targets++] = as_target(p, expression(p));
        }
        s->body = block(p);
    } else if (accept_word(p, "return")) {
        s->kind = MD_SCRIPT_RETURN;
        s->value = p->t.kind == T_NEWLINE || p->t.kind == T_END
                       ? new_expr(p, MD_SCRIPT_NONE)
                       : value_list(p);
        end_line(p);
    } else if (accept_word(p, "pass")) {
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
    md_script_block *b = alloc(p, 1, sizeof(*b));

    if (++p->depth > EXPR_MAX)
        fail(p, MD_TOO_LARGE, "blocks too deep in each other");
    expect(p, ':');
    end_line(p);
    if (p->t.kind != T_INDENT)
        fail(p, MD_CORRUPT, "an indented block expected");
    read_token(p);
    while (b && p->status == MD_OK && p->t.kind != T_DEDENT &&
           p->t.kind != T_END) {
        md_script_stmt s = { .kind = MD_SCRIPT_EXPR };

        statement(p, &s);
        if (grow(p, &b->s, &b->cap, b->n, sizeof(*b->s)))
            b->s[b->n++] = s;
        skip_newlines(p);
    }
    if (p->t.kind == T_DEDENT)
        read_token(p);
    p->depth--;
    return b;
}

/* --- definitions --- */

static void parameter(parser *p, md_script_function *f)
{
    md_script_param x = { .name = take_name(p) };

    (void)slot_of(p, x.name);
    p->f = NULL; /* types and defaults know no variables */
    if (accept(p, ':'))
        x.type = expression(p);
    if (accept(p, '='))
        x.otherwise = expression(p);
    p->f = f;
    if (grow(p, &f->params, &f->cap_params, f->n_params, sizeof(*f->params)))
        f->params[f->n_params++] = x;
}

static md_script_function *function(parser *p)
{
    md_script_function *f = alloc(p, 1, sizeof(*f));

    if (!f)
        return NULL;
    f->name = take_name(p);
    p->f = f;
    expect(p, '(');
    while (!is_sign(p, ')') && p->status == MD_OK) {
        if (!accept(p, '*'))
            parameter(p, f);
        if (!accept(p, ','))
            break;
    }
    expect(p, ')');
    if (f->n_params != f->n_locals)
        fail(p, MD_CORRUPT, "two parameters of one name");
    if (p->t.kind == T_ARROW) {
        read_token(p);
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

    if (accept(p, ':'))
        (void)expression(p);
    if (accept(p, '='))
        value = value_list(p);
    end_line(p);
    if (e->kind != MD_SCRIPT_PATH)
        return;
    if (grow(p, &c->fields, &c->cap_fields, c->n_fields, sizeof(*c->fields)))
        c->fields[c->n_fields++] = e->text;
    if (value && grow(p, &c->constants, &c->cap_constants, c->n_constants,
                      sizeof(*c->constants)))
        c->constants[c->n_constants++] = (md_script_constant){ e->text, value };
}

static void class_body(parser *p, md_script_class *c)
{
    expect(p, ':');
    end_line(p);
    if (p->t.kind != T_INDENT) {
        fail(p, MD_CORRUPT, "an indented block expected");
        return;
    }
    read_token(p);
    while (p->status == MD_OK && p->t.kind != T_DEDENT && p->t.kind != T_END) {
        if (accept_word(p, "def")) {
            md_script_function *f = function(p);

            if (f && grow(p, &c->methods, &c->cap_methods, c->n_methods,
                          sizeof(*c->methods)))
                c->methods[c->n_methods++] = f;
        } else if (accept_word(p, "pass")) {
            end_line(p);
        } else {
            field(p, c);
        }
        skip_newlines(p);
    }
    if (p->t.kind == T_DEDENT)
        read_token(p);
}

static md_script_class *class(parser *p, const char *module)
{
    md_script_class *c = alloc(p, 1, sizeof(*c));
    md_script_expr *base;

    if (!c)
        return NULL;
    c->name = md_arena_printf(p->arena, "%s.%s", module, take_name(p));
    if (accept(p, '(')) {
        base = expression(p);
        c->is_tuple = base->kind == MD_SCRIPT_PATH &&
                      strcmp(base->text, "NamedTuple") == 0;
        expect(p, ')');
    }
    class_body(p, c);
    return c;
}

md_status md_script_parse(md_script_module *out, const char *name,
                          const void *text, size_t size, md_arena *arena,
                          md_error *err)
{
    parser p = { .at = text,
                 .line = 1,
                 .n_indent = 1,
                 .fresh = true,
                 .arena = arena,
                 .err = err,
                 .module = name };

    p.end = p.at + size;
    *out = (md_script_module){ .name = name };
    read_token(&p);
    skip_newlines(&p);
    while (p.status == MD_OK && p.t.kind != T_END) {
        if (accept_word(&p, "class")) {
            md_script_class *c = class(&p, name);

            if (c && grow(&p, &out->classes, &out->cap_classes, out->n_classes,
                          sizeof(*out->classes)))
                out->classes[out->n_classes++] = c;
        } else if (accept_word(&p, "def")) {
            md_script_function *f = function(&p);

            if (f && grow(&p, &out->functions, &out->cap_functions,
                          out->n_functions, sizeof(*out->functions)))
                out->functions[out->n_functions++] = f;
        } else { /* "op_version_set = 1" */
            md_script_class unused = { .name = "" };

            field(&p, &unused);
        }
        skip_newlines(&p);
    }
    return p.status;
}
