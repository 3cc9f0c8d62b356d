/* Tokens of a TorchScript program's text. */
#include "convert/torch/script_token.h"

#include <stdlib.h>
#include <string.h>

void md_script_token__fail(md_script_lexer *p, md_status s, const char *what)
{
    if (p->status == MD_OK)
        p->status = md_fail(p->err, s, "torch: code of '%.80s', line %u: %s",
                            p->module, p->line, what);
}

void *md_script_token__alloc(md_script_lexer *p, size_t n, size_t size)
{
    void *m = md_arena_calloc(p->arena, n + 1, size);

    if (!m && p->status == MD_OK)
        p->status = md_fail_nomem(p->err, n * size);
    return m;
}

bool md_script_token__grow(md_script_lexer *p, void *array, uint32_t *cap,
                           uint32_t n, size_t size)
{
    if (p->status == MD_OK)
        p->status = md_arena_grow(p->arena, array, cap, n, size, p->err);
    return p->status == MD_OK;
}

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
static void read_indent(md_script_lexer *p)
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
        if (p->n_indent == MD_SCRIPT_INDENT_MAX) {
            md_script_token__fail(p, MD_TOO_LARGE,
                                  "blocks too deep in each other");
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
        md_script_token__fail(p, MD_CORRUPT, "indentation of no block");
}

static int hex(char c)
{
    if (is_digit(c))
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One escaped character behind a backslash. */
static char unescape(md_script_lexer *p)
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
    md_script_token__fail(p, MD_CORRUPT, "an escape that is none");
    return 0;
}

static void read_text(md_script_lexer *p, md_script_token *t)
{
    char quote = *p->at++;
    const char *begin = p->at;
    char *out;
    size_t n = 0;

    while (p->at < p->end && *p->at != quote && *p->at != '\n')
        p->at += *p->at == '\\' ? 2 : 1;
    if (p->at >= p->end || *p->at != quote) {
        p->at = p->end;
        md_script_token__fail(p, MD_CORRUPT, "a text without its end");
        return;
    }
    out = md_script_token__alloc(p, (size_t)(p->at - begin), 1);
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
    *t = (md_script_token){ .kind = MD_TOKEN_TEXT, .p = out, .n = n };
}

static void read_number(md_script_lexer *p, md_script_token *t)
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
    *t = (md_script_token){ .kind = is_float ? MD_TOKEN_FLOAT : MD_TOKEN_INT };
    if (is_float)
        t->f = strtod(text, &rest);
    else
        t->i = strtoll(text, &rest, 10);
    if (*rest || n == 0 || n == sizeof(text) - 1)
        md_script_token__fail(p, MD_CORRUPT, "a number that is none");
    if (p->at < p->end && *p->at == 'j')
        md_script_token__fail(p, MD_UNSUPPORTED, "a complex number");
}

/* Spaces and a comment inside a line, newlines inside brackets. */
static void skip_spaces(md_script_lexer *p)
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

static void read_sign(md_script_lexer *p, char c)
{
    static const char signs[] = "()[]{},.:=-*@";

    if (c == '\0' || !strchr(signs, c)) {
        md_script_token__fail(p, MD_CORRUPT, "a character that no program has");
        return;
    }
    p->at++;
    p->open += c == '(' || c == '[' || c == '{';
    p->open -= p->open > 0 && (c == ')' || c == ']' || c == '}');
    p->t = (md_script_token){ .kind = MD_TOKEN_SIGN, .op = c };
}

void md_script_token__next(md_script_lexer *p)
{
    char c;

    p->t = (md_script_token){ .kind = MD_TOKEN_END };
    if (p->status != MD_OK)
        return;
    if (p->fresh && p->open == 0)
        read_indent(p);
    if (p->pending != 0) {
        p->t.kind = p->pending > 0 ? MD_TOKEN_INDENT : MD_TOKEN_DEDENT;
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
        p->t.kind = MD_TOKEN_NEWLINE;
    } else if (is_digit(c) ||
               (c == '.' && p->end - p->at > 1 && is_digit(p->at[1]))) {
        read_number(p, &p->t);
    } else if (c == '"' || c == '\'') {
        read_text(p, &p->t);
    } else if (is_name_char(c)) {
        p->t.kind = MD_TOKEN_NAME;
        p->t.p = p->at;
        while (p->at < p->end && is_name_char(*p->at))
            p->at++;
        p->t.n = (size_t)(p->at - p->t.p);
    } else if (c == '-' && p->end - p->at > 1 && p->at[1] == '>') {
        p->at += 2;
        p->t.kind = MD_TOKEN_ARROW;
    } else {
        read_sign(p, c);
    }
}

bool md_script_token__is_sign(const md_script_lexer *p, char op)
{
    return p->t.kind == MD_TOKEN_SIGN && p->t.op == op;
}

bool md_script_token__is_word(const md_script_lexer *p, const char *word)
{
    return p->t.kind == MD_TOKEN_NAME && p->t.n == strlen(word) &&
           memcmp(p->t.p, word, p->t.n) == 0;
}

/* Skip the sign when it is at hand. */
bool md_script_token__accept(md_script_lexer *p, char op)
{
    if (!md_script_token__is_sign(p, op))
        return false;
    md_script_token__next(p);
    return true;
}

void md_script_token__expect(md_script_lexer *p, char op)
{
    char text[] = "'?' expected";

    text[1] = op;
    if (!md_script_token__accept(p, op))
        md_script_token__fail(p, MD_CORRUPT, text);
}

bool md_script_token__accept_word(md_script_lexer *p, const char *word)
{
    if (!md_script_token__is_word(p, word))
        return false;
    md_script_token__next(p);
    return true;
}

const char *md_script_token__take_name(md_script_lexer *p)
{
    char *s;

    if (p->t.kind != MD_TOKEN_NAME) {
        md_script_token__fail(p, MD_CORRUPT, "a name expected");
        return "";
    }
    s = md_arena_strndup(p->arena, p->t.p, p->t.n);
    if (!s && p->status == MD_OK)
        p->status = md_fail_nomem(p->err, p->t.n);
    md_script_token__next(p);
    return s ? s : "";
}
