#include "formats/textpb.h"

#include <string.h>

#include "base/json.h"
#include "base/text.h"

typedef struct parser {
    const char *at;
    const char *end;
    uint32_t line;
    md_arena *ar;
    md_error *err;
} parser;

static md_status fail(const parser *p, const char *expected)
{
    char quoted[40];
    size_t n = (size_t)(p->end - p->at);

    if (n == 0)
        return md_fail(p->err, MD_INVALID, "line %u: end of text, expected %s",
                       p->line, expected);
    return md_fail(p->err, MD_INVALID, "line %u: %s given, expected %s",
                   p->line,
                   md_text_quote(quoted, sizeof(quoted), p->at,
                                 n < 16 ? strnlen(p->at, n) : 16),
                   expected);
}

/* ---- words ---- */

/* Spaces and comments. */
static void skip_space(parser *p)
{
    while (p->at < p->end) {
        if (*p->at == '#') {
            const char *nl = memchr(p->at, '\n', (size_t)(p->end - p->at));

            p->at = nl ? nl : p->end;
        } else if (*p->at == '\n') {
            p->line++;
            p->at++;
        } else if (*p->at != '\0' && strchr(" \t\r\v\f", *p->at)) {
            p->at++;
        } else {
            return;
        }
    }
}

static bool skip_char(parser *p, char c)
{
    skip_space(p);
    if (p->at == p->end || *p->at != c)
        return false;
    p->at++;
    return true;
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '+' ||
           c == '-';
}

/* A name, a number, an enum's value: all that is not quoted. */
static md_status take_word(parser *p, const char **out, size_t *size,
                           const char *expected)
{
    const char *from;

    skip_space(p);
    from = p->at;
    while (p->at < p->end && is_word(*p->at))
        p->at++;
    *size = (size_t)(p->at - from);
    if (*size == 0)
        return fail(p, expected);
    *out = md_arena_strndup(p->ar, from, *size);
    return *out ? MD_OK : md_fail_nomem(p->err, *size);
}

static int digit(char c, unsigned base)
{
    int v = c >= '0' && c <= '9'   ? c - '0'
            : c >= 'a' && c <= 'f' ? c - 'a' + 10
            : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                   : 99;

    return v < (int)base ? v : -1;
}

/* Up to `most` digits behind a backslash; -1: none. */
static int take_digits(parser *p, unsigned base, int most)
{
    int v = -1;

    for (int i = 0; i < most && p->at < p->end && digit(*p->at, base) >= 0; i++)
        v = (v < 0 ? 0 : v) * (int)base + digit(*p->at++, base);
    return v;
}

/* What stands behind a backslash, as one byte; -1: nothing known. */
static int take_escape(parser *p)
{
    static const char from[] = "abfnrtv\\'\"?";
    static const char to[] = "\a\b\f\n\r\t\v\\'\"?";
    const char *at;
    char c;

    if (p->at == p->end)
        return -1;
    if (digit(*p->at, 8) >= 0)
        return take_digits(p, 8, 3) & 0xff;
    c = *p->at++;
    if (c == 'x' || c == 'X')
        return take_digits(p, 16, 2);
    at = c ? strchr(from, c) : NULL;
    return at ? (unsigned char)to[at - from] : -1;
}

/* One quoted piece, appended to buf, which has room for it. */
static md_status take_quoted(parser *p, char *buf, size_t *size)
{
    const char quote = *p->at++;

    while (p->at < p->end && *p->at != quote && *p->at != '\n') {
        int c = (unsigned char)*p->at++;

        if (c == '\\')
            c = take_escape(p);
        if (c < 0)
            return fail(p, "an escape such as \\n, \\\", \\x41 or \\101");
        buf[(*size)++] = (char)c;
    }
    if (p->at == p->end || *p->at != quote)
        return fail(p, "the string's closing quote on its line");
    p->at++;
    return MD_OK;
}

static bool at_quote(parser *p)
{
    skip_space(p);
    return p->at < p->end && (*p->at == '"' || *p->at == '\'');
}

/* Strings that follow each other are one. */
static md_status take_strings(parser *p, md_textpb *f)
{
    parser ahead = *p;
    size_t room = 1;
    char *buf;

    /* Unescaped text is never longer than what it stands for. */
    while (at_quote(&ahead)) {
        const char quote = *ahead.at++;

        while (ahead.at < ahead.end && *ahead.at != quote &&
               *ahead.at != '\n') {
            ahead.at += *ahead.at == '\\' && ahead.at + 1 < ahead.end ? 2 : 1;
        }
        if (ahead.at < ahead.end)
            ahead.at++;
    }
    room += (size_t)(ahead.at - p->at);
    buf = md_arena_alloc(p->ar, room);
    if (!buf)
        return md_fail_nomem(p->err, room);
    f->quoted = true;
    f->text = buf;
    while (at_quote(p))
        MD_TRY(take_quoted(p, buf, &f->size));
    buf[f->size] = '\0';
    return MD_OK;
}

/* ---- fields ---- */

static md_textpb *new_field(parser *p, md_textpb ***tail, const char *name)
{
    md_textpb *f = md_arena_calloc(p->ar, 1, sizeof(*f));

    if (!f)
        return NULL;
    f->name = name;
    f->line = p->line;
    f->text = "";
    **tail = f;
    *tail = &f->next;
    return f;
}

static md_status take_fields(parser *p, md_textpb *message, char close,
                             int depth);

/* A value of the field `name`: a message, a string or a word. */
static md_status take_value(parser *p, md_textpb ***tail, const char *name,
                            int depth)
{
    md_textpb *f = new_field(p, tail, name);

    if (!f)
        return md_fail_nomem(p->err, sizeof(*f));
    if (skip_char(p, '{') || skip_char(p, '<')) {
        f->is_message = true;
        return take_fields(p, f, p->at[-1] == '{' ? '}' : '>', depth + 1);
    }
    if (at_quote(p))
        return take_strings(p, f);
    return take_word(p, &f->text, &f->size, "a value");
}

/* Without its colon a field is a message, or a list of them. */
static bool at_message(parser *p)
{
    skip_space(p);
    return p->at < p->end && (*p->at == '{' || *p->at == '<');
}

static md_status take_list(parser *p, md_textpb ***tail, const char *name,
                           bool colon, int depth)
{
    if (skip_char(p, ']'))
        return MD_OK;
    do {
        if (!colon && !at_message(p))
            return fail(p, "'{', as there is no ':' before the list");
        MD_TRY(take_value(p, tail, name, depth));
    } while (skip_char(p, ','));
    return skip_char(p, ']') ? MD_OK : fail(p, "',' or ']'");
}

static md_status take_field(parser *p, md_textpb ***tail, int depth)
{
    const char *name;
    size_t size;
    bool colon;

    skip_space(p);
    if (p->at < p->end && *p->at == '[')
        return md_fail(p->err, MD_UNSUPPORTED,
                       "line %u: extensions and Any are not read", p->line);
    MD_TRY(take_word(p, &name, &size, "the name of a field"));
    colon = skip_char(p, ':');
    if (skip_char(p, '['))
        MD_TRY(take_list(p, tail, name, colon, depth));
    else if (colon || at_message(p))
        MD_TRY(take_value(p, tail, name, depth));
    else
        return fail(p, "':' or '{' behind the name of a field");
    if (!skip_char(p, ','))
        (void)skip_char(p, ';');
    return MD_OK;
}

/* Up to `close`, or to the end of the text when that is 0. */
static md_status take_fields(parser *p, md_textpb *message, char close,
                             int depth)
{
    md_textpb **tail = &message->first;

    if (depth > MD_TEXTPB_DEPTH)
        return md_fail(p->err, MD_TOO_LARGE,
                       "line %u: messages are nested more than %d deep",
                       p->line, MD_TEXTPB_DEPTH);
    for (;;) {
        skip_space(p);
        if (p->at == p->end)
            break;
        if (close && skip_char(p, close))
            return MD_OK;
        MD_TRY(take_field(p, &tail, depth));
    }
    return close ? fail(p, "the end of a message") : MD_OK;
}

static md_status new_root(md_textpb **out, size_t n, md_arena *ar,
                          md_error *err)
{
    if (n > MD_TEXTPB_SIZE_MAX)
        return md_fail(err, MD_TOO_LARGE,
                       "%zu bytes of text given, at most %d expected", n,
                       MD_TEXTPB_SIZE_MAX);
    *out = md_arena_calloc(ar, 1, sizeof(**out));
    if (!*out)
        return md_fail_nomem(err, sizeof(**out));
    (*out)->name = "";
    (*out)->text = "";
    (*out)->is_message = true;
    return MD_OK;
}

md_status md_textpb_parse(md_textpb **out, const char *text, size_t n,
                          md_arena *ar, md_error *err)
{
    parser p = { text, text + n, 1, ar, err };

    MD_TRY(new_root(out, n, ar, err));
    return take_fields(&p, *out, 0, 0);
}

/* ---- JSON ---- */

typedef struct json_parser {
    md_json json;
    parser p;
} json_parser;

static md_status json_object(json_parser *j, md_textpb *message, int depth);

/* A value that is no array: t is its first token. */
static md_status json_value(json_parser *j, const md_json_token *t,
                            md_textpb ***tail, const char *name, int depth)
{
    md_textpb *f;

    if (t->kind == MD_JSON_NULL)
        return MD_OK;
    f = new_field(&j->p, tail, name);
    if (!f)
        return md_fail_nomem(j->p.err, sizeof(*f));
    if (t->kind == MD_JSON_OBJECT) {
        f->is_message = true;
        return json_object(j, f, depth + 1);
    }
    if (t->kind == MD_JSON_STRING) {
        f->quoted = true;
        return md_json_string(t, j->p.ar, &f->text, &f->size, j->p.err);
    }
    if (t->kind == MD_JSON_ARRAY)
        return md_json_fail(t->at, j->p.err, "array in an array");
    f->size = t->size;
    f->text = md_arena_strndup(j->p.ar, t->text, t->size);
    return f->text ? MD_OK : md_fail_nomem(j->p.err, t->size);
}

/* The members of an object that is open. */
static md_status json_object(json_parser *j, md_textpb *message, int depth)
{
    md_textpb **tail = &message->first;
    md_error *err = j->p.err;

    if (depth > MD_TEXTPB_DEPTH)
        return md_fail(err, MD_TOO_LARGE,
                       "objects are nested more than %d deep", MD_TEXTPB_DEPTH);
    for (;;) {
        const char *name;
        md_json_token t;

        MD_TRY(md_json_next(&j->json, &t, err));
        if (t.kind == MD_JSON_OBJECT_END)
            return MD_OK;
        MD_TRY(md_json_string(&t, j->p.ar, &name, NULL, err));
        MD_TRY(md_json_next(&j->json, &t, err));
        if (t.kind != MD_JSON_ARRAY) {
            MD_TRY(json_value(j, &t, &tail, name, depth));
            continue;
        }
        for (;;) {
            MD_TRY(md_json_next(&j->json, &t, err));
            if (t.kind == MD_JSON_ARRAY_END)
                break;
            MD_TRY(json_value(j, &t, &tail, name, depth));
        }
    }
}

md_status md_textpb_from_json(md_textpb **out, const char *text, size_t n,
                              md_arena *ar, md_error *err)
{
    json_parser j = { .p = { .ar = ar, .err = err } };
    md_json_token t;

    MD_TRY(new_root(out, n, ar, err));
    md_json_init(&j.json, text, n, NULL);
    MD_TRY(md_json_expect(&j.json, MD_JSON_OBJECT, &t, err));
    MD_TRY(json_object(&j, *out, 0));
    return md_json_expect(&j.json, MD_JSON_END, &t, err);
}
