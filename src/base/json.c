/*
 * The JSON reader.  What may come next is one of a few states; a token moves
 * from one to another, and a bit per open container says which kind it is.
 */
#include "base/json.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/json_impl.h"
#include "base/num.h"
#include "base/utf8.h"

void md_json_init(md_json *r, const void *text, size_t n,
                  const md_json_opts *opts)
{
    static const md_json_opts usual = MD_JSON_OPTS_INIT;

    memset(r, 0, sizeof(*r));
    r->begin = text;
    r->at = text;
    r->end = r->begin + n;
    r->opts = opts ? *opts : usual;
    assert(r->opts.depth_max <= MD_LIMIT_JSON_DEPTH_CAP);
    r->state = MD_JSON__VALUE;
}

md_status md_json_fail(size_t at, md_error *err, const char *fmt, ...)
{
    char text[MD_ERROR_MSG_SIZE - 40];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return md_fail(err, MD_INVALID, "JSON at byte %zu: %s", at, text);
}

md_status md_json__unexpected(const md_json *r, const char *want, md_error *err)
{
    size_t at = (size_t)(r->at - r->begin);

    if (r->at == r->end)
        return md_json_fail(at, err, "text ends, expected %s", want);
    if (*r->at > ' ' && *r->at < 127)
        return md_json_fail(at, err, "'%c' given, expected %s", *r->at, want);
    return md_json_fail(at, err, "byte 0x%02x given, expected %s", *r->at,
                        want);
}

static bool in_object(const md_json *r)
{
    unsigned i = (unsigned)r->depth - 1;

    return r->depth > 0 && (r->is_object[i / 64] >> (i % 64) & 1);
}

void md_json__value_done(md_json *r)
{
    r->state = r->depth ? MD_JSON__COMMA : MD_JSON__DONE;
}

static md_status open_container(md_json *r, bool object, md_error *err)
{
    unsigned i = (unsigned)r->depth;
    uint64_t bit = (uint64_t)1 << (i % 64);

    if (r->depth >= r->opts.depth_max)
        return md_json_fail((size_t)(r->at - r->begin), err,
                            "nested deeper than the limit of %d",
                            r->opts.depth_max);
    if (object)
        r->is_object[i / 64] |= bit;
    else
        r->is_object[i / 64] &= ~bit;
    r->depth++;
    r->at++;
    r->state = object ? MD_JSON__NAME_OR_END : MD_JSON__VALUE_OR_END;
    return MD_OK;
}

static void close_container(md_json *r)
{
    r->depth--;
    r->at++;
    md_json__value_done(r);
}

/* Four hex digits at p. */
static bool hex4(unsigned *out, const unsigned char *p,
                 const unsigned char *end)
{
    unsigned u = 0;

    if (end - p < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        unsigned c = p[i];

        if (c - '0' < 10)
            u = u << 4 | (c - '0');
        else if ((c | 0x20) - 'a' < 6)
            u = u << 4 | ((c | 0x20) - 'a' + 10);
        else
            return false;
    }
    *out = u;
    return true;
}

/* The escape at p (a backslash): its length in *n and what it stands for;
 * false when it is none. */
static bool decode_escape(uint32_t *rune, size_t *n, const unsigned char *p,
                          const unsigned char *end)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *hit;
    unsigned u, low;

    if (end - p < 2)
        return false;
    if (p[1] != 'u') {
        hit = p[1] ? strchr(from, p[1]) : NULL;
        *n = 2;
        if (hit)
            *rune = (unsigned char)to[hit - from];
        return hit != NULL;
    }
    if (!hex4(&u, p + 2, end))
        return false;
    *n = 6;
    *rune = u;
    if (u < 0xd800 || u > 0xdfff)
        return true;
    /* A high surrogate and then a low one, or it is not a character. */
    if (u > 0xdbff || end - p < 12 || p[6] != '\\' || p[7] != 'u' ||
        !hex4(&low, p + 8, end) || low < 0xdc00 || low > 0xdfff)
        return false;
    *n = 12;
    *rune = 0x10000 + ((u - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

/* The next thing in a string that is not plain ASCII is at r->at: pass it. */
static md_status pass_special(md_json *r, md_json_token *out, md_error *err)
{
    size_t at = (size_t)(r->at - r->begin);
    uint32_t rune;
    size_t n;

    if (r->at == r->end)
        return md_json__unexpected(r, "'\"' at the end of a string", err);
    if (*r->at == '\\') {
        if (!decode_escape(&rune, &n, r->at, r->end))
            return md_json_fail(at, err, "escape is not one of JSON's");
        out->escaped = true;
    } else if (*r->at < 0x20) {
        return md_json_fail(at, err,
                            "control character 0x%02x in a string, expected "
                            "an escape",
                            *r->at);
    } else {
        n = md_utf8_next(r->at, (size_t)(r->end - r->at));
        if (n == 0)
            return md_json_fail(at, err, "string is not UTF-8");
    }
    r->at += n;
    return MD_OK;
}

static md_status read_string(md_json *r, md_json_token *out, md_error *err)
{
    const unsigned char *first = ++r->at;

    for (;;) {
        const unsigned char *p = r->at;

        while (p < r->end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\')
            p++;
        r->at = p;
        if (p < r->end && *p == '"')
            break;
        MD_TRY(pass_special(r, out, err));
    }
    out->text = (const char *)first;
    out->size = (size_t)(r->at - first);
    r->at++;
    return MD_OK;
}

static bool pass_word(md_json *r, const char *word)
{
    size_t n = strlen(word);

    if ((size_t)(r->end - r->at) < n || memcmp(r->at, word, n) != 0)
        return false;
    r->at += n;
    return true;
}

bool md_json__pass_nonfinite(md_json *r, double *out)
{
    if (!r->opts.nonfinite)
        return false;
    if (pass_word(r, "NaN"))
        *out = (double)__builtin_nanf("");
    else if (pass_word(r, "Infinity"))
        *out = __builtin_inf();
    else if (pass_word(r, "-Infinity"))
        *out = -__builtin_inf();
    else
        return false;
    return true;
}

static md_status read_scalar(md_json *r, md_json_token *out, md_error *err)
{
    static const struct {
        const char *word;
        md_json_kind kind;
    } words[] = { { "true", MD_JSON_TRUE },
                  { "false", MD_JSON_FALSE },
                  { "null", MD_JSON_NULL } };
    const unsigned char *first = r->at;
    double x;

    out->kind = MD_JSON_NUMBER;
    for (size_t i = 0; i < MD_COUNT(words); i++) {
        if (pass_word(r, words[i].word))
            out->kind = words[i].kind;
    }
    if (out->kind == MD_JSON_NUMBER && !md_json__pass_nonfinite(r, &x) &&
        md_num_skip(&r->at, r->at, r->end) != MD_NUM_OK)
        return md_json__unexpected(r, "a value", err);
    out->text = (const char *)first;
    out->size = (size_t)(r->at - first);
    return MD_OK;
}

static md_status read_value(md_json *r, md_json_token *out, md_error *err)
{
    if (r->at == r->end)
        return md_json__unexpected(r, "a value", err);
    switch (*r->at) {
    case '{':
        out->kind = MD_JSON_OBJECT;
        return open_container(r, true, err);
    case '[':
        out->kind = MD_JSON_ARRAY;
        return open_container(r, false, err);
    case '"':
        out->kind = MD_JSON_STRING;
        MD_TRY(read_string(r, out, err));
        break;
    default:
        MD_TRY(read_scalar(r, out, err));
    }
    md_json__value_done(r);
    return MD_OK;
}

static md_status read_name(md_json *r, md_json_token *out, md_error *err)
{
    out->kind = MD_JSON_NAME;
    if (r->at == r->end || *r->at != '"')
        return md_json__unexpected(r, "a member name", err);
    MD_TRY(read_string(r, out, err));
    md_json__skip_space(r);
    if (r->at == r->end || *r->at != ':')
        return md_json__unexpected(r, "':'", err);
    r->at++;
    r->state = MD_JSON__VALUE;
    return MD_OK;
}

/* Behind an element or member; *out is set when the container ends here. */
static md_status pass_comma(md_json *r, md_json_token *out, bool *ended,
                            md_error *err)
{
    bool object = in_object(r);
    int c = r->at < r->end ? *r->at : -1;

    *ended = false;
    if (c == ',') {
        r->at++;
        md_json__skip_space(r);
        r->state = object ? MD_JSON__NAME : MD_JSON__VALUE;
        return MD_OK;
    }
    if (c != (object ? '}' : ']'))
        return md_json__unexpected(r, object ? "',' or '}'" : "',' or ']'",
                                   err);
    out->kind = object ? MD_JSON_OBJECT_END : MD_JSON_ARRAY_END;
    close_container(r);
    *ended = true;
    return MD_OK;
}

static md_status read_end(md_json *r, md_json_token *out, md_error *err)
{
    out->kind = MD_JSON_END;
    return r->at == r->end ? MD_OK
                           : md_json__unexpected(r, "the end of the text", err);
}

md_status md_json_next(md_json *r, md_json_token *out, md_error *err)
{
    bool ended;

    md_json__skip_space(r);
    *out = (md_json_token){ .at = (size_t)(r->at - r->begin) };
    if (r->state == MD_JSON__COMMA) {
        MD_TRY(pass_comma(r, out, &ended, err));
        if (ended)
            return MD_OK;
        out->at = (size_t)(r->at - r->begin);
    }
    switch (r->state) {
    case MD_JSON__DONE:
        return read_end(r, out, err);
    case MD_JSON__VALUE_OR_END:
        if (r->at == r->end || *r->at != ']')
            return read_value(r, out, err);
        out->kind = MD_JSON_ARRAY_END;
        close_container(r);
        return MD_OK;
    case MD_JSON__NAME_OR_END:
        if (r->at == r->end || *r->at != '}')
            return read_name(r, out, err);
        out->kind = MD_JSON_OBJECT_END;
        close_container(r);
        return MD_OK;
    case MD_JSON__NAME:
        return read_name(r, out, err);
    default:
        return read_value(r, out, err);
    }
}

md_status md_json__start_value(md_json *r, md_error *err)
{
    md_json_token t;
    bool ended = false;

    md_json__skip_space(r);
    if (r->state == MD_JSON__COMMA)
        MD_TRY(pass_comma(r, &t, &ended, err));
    if (ended ||
        (r->state != MD_JSON__VALUE && (r->state != MD_JSON__VALUE_OR_END ||
                                        r->at == r->end || *r->at == ']')))
        return md_json_fail((size_t)(r->at - r->begin), err,
                            "expected a value");
    return MD_OK;
}

static const char *const kind_texts[] = {
    [MD_JSON_END] = "end of the text",
    [MD_JSON_OBJECT] = "object",
    [MD_JSON_OBJECT_END] = "end of the object",
    [MD_JSON_ARRAY] = "array",
    [MD_JSON_ARRAY_END] = "end of the array",
    [MD_JSON_NAME] = "member name",
    [MD_JSON_STRING] = "string",
    [MD_JSON_NUMBER] = "number",
    [MD_JSON_TRUE] = "true",
    [MD_JSON_FALSE] = "false",
    [MD_JSON_NULL] = "null",
};

const char *md_json_kind_text(md_json_kind kind)
{
    return kind_texts[kind];
}

static md_status fail_kind(const md_json_token *t, const char *want,
                           md_error *err)
{
    return md_json_fail(t->at, err, "%s given, expected %s",
                        md_json_kind_text(t->kind), want);
}

md_status md_json_expect(md_json *r, md_json_kind kind, md_json_token *out,
                         md_error *err)
{
    MD_TRY(md_json_next(r, out, err));
    return out->kind == kind ? MD_OK
                             : fail_kind(out, md_json_kind_text(kind), err);
}

md_status md_json_skip(md_json *r, const md_json_token *t, md_error *err)
{
    md_json_token next = *t;
    int depth = r->depth;

    if (t->kind == MD_JSON_NAME)
        MD_TRY(md_json_next(r, &next, err));
    if (next.kind != MD_JSON_OBJECT && next.kind != MD_JSON_ARRAY)
        return MD_OK;
    if (t->kind != MD_JSON_NAME)
        depth--;
    while (r->depth > depth)
        MD_TRY(md_json_next(r, &next, err));
    return MD_OK;
}

md_json_kind md_json_peek(const md_json *r)
{
    md_json ahead = *r;
    int c;

    md_json__skip_space(&ahead);
    if (r->state == MD_JSON__COMMA && ahead.at < ahead.end &&
        *ahead.at == ',') {
        ahead.at++;
        md_json__skip_space(&ahead);
        ahead.state = in_object(r) ? MD_JSON__NAME : MD_JSON__VALUE;
    }
    c = ahead.at < ahead.end ? *ahead.at : 0;
    if (c == '"')
        return ahead.state == MD_JSON__NAME ||
                       ahead.state == MD_JSON__NAME_OR_END
                   ? MD_JSON_NAME
                   : MD_JSON_STRING;
    switch (c) {
    case '{':
        return MD_JSON_OBJECT;
    case '}':
        return MD_JSON_OBJECT_END;
    case '[':
        return MD_JSON_ARRAY;
    case ']':
        return MD_JSON_ARRAY_END;
    case 't':
        return MD_JSON_TRUE;
    case 'f':
        return MD_JSON_FALSE;
    case 'n':
        return MD_JSON_NULL;
    case 'N':
    case 'I':
    case '-':
        return MD_JSON_NUMBER;
    default:
        return (unsigned)c - '0' < 10 ? MD_JSON_NUMBER : MD_JSON_END;
    }
}

/* The next character of a string whose syntax was checked: its UTF-8 bytes
 * into dst; returns how many of t's text it took. */
static size_t next_char(const md_json_token *t, size_t at, char dst[4],
                        size_t *n_dst)
{
    const unsigned char *p = (const unsigned char *)t->text + at;
    uint32_t rune = 0;
    size_t n = 1;

    if (*p != '\\') {
        dst[0] = (char)*p;
        *n_dst = 1;
        return 1;
    }
    decode_escape(&rune, &n, p, (const unsigned char *)t->text + t->size);
    *n_dst = md_utf8_put(dst, rune);
    return n;
}

bool md_json_is(const md_json_token *t, const char *s)
{
    size_t n = strlen(s);
    size_t at = 0, i = 0;

    if (!t->escaped)
        return t->size == n && memcmp(t->text, s, n) == 0;
    while (at < t->size) {
        char c[4];
        size_t n_c;

        at += next_char(t, at, c, &n_c);
        if (n - i < n_c || memcmp(s + i, c, n_c) != 0)
            return false;
        i += n_c;
    }
    return i == n;
}

size_t md_json_unescape(const md_json_token *t, char *dst)
{
    size_t at = 0, n = 0;

    if (!t->escaped) {
        if (t->size)
            memcpy(dst, t->text, t->size);
        return t->size;
    }
    while (at < t->size) {
        char c[4];
        size_t n_c;

        at += next_char(t, at, c, &n_c);
        memcpy(dst + n, c, n_c);
        n += n_c;
    }
    return n;
}

md_status md_json_string(const md_json_token *t, md_arena *ar, const char **out,
                         size_t *size, md_error *err)
{
    char *s;
    size_t n;

    if (t->kind != MD_JSON_STRING && t->kind != MD_JSON_NAME)
        return fail_kind(t, "string", err);
    s = md_arena_alloc(ar, t->size + 1);
    if (!s)
        return md_fail_nomem(err, t->size + 1);
    n = md_json_unescape(t, s);
    s[n] = '\0';
    if (size)
        *size = n;
    else if (memchr(s, '\0', n))
        return md_json_fail(t->at, err, "\\u0000 in a string that is a name");
    *out = s;
    return MD_OK;
}

static md_status num_status(const md_json_token *t, md_num_status s,
                            const char *want, md_error *err)
{
    int n = t->size < 40 ? (int)t->size : 40;

    if (s == MD_NUM_OK)
        return MD_OK;
    return md_json_fail(t->at, err,
                        s == MD_NUM_SYNTAX ? "%.*s given, expected %s"
                                           : "%.*s does not fit %s",
                        n, t->text, want);
}

md_status md_json_f64(const md_json_token *t, double *out, md_error *err)
{
    const unsigned char *p = (const unsigned char *)t->text;
    md_json r;

    if (t->kind != MD_JSON_NUMBER)
        return fail_kind(t, "number", err);
    md_json_init(&r, p, t->size, NULL);
    r.opts.nonfinite = true; /* the token would not exist otherwise */
    if (md_json__pass_nonfinite(&r, out))
        return MD_OK;
    return num_status(t, md_num_f64(out, &p, p, p + t->size), "a double", err);
}

md_status md_json_i64(const md_json_token *t, int64_t *out, md_error *err)
{
    const unsigned char *p = (const unsigned char *)t->text;

    if (t->kind != MD_JSON_NUMBER)
        return fail_kind(t, "integer", err);
    return num_status(t, md_num_i64(out, &p, p, p + t->size),
                      "a 64-bit integer", err);
}

md_status md_json_u64(const md_json_token *t, uint64_t *out, md_error *err)
{
    const unsigned char *p = (const unsigned char *)t->text;

    if (t->kind != MD_JSON_NUMBER)
        return fail_kind(t, "integer", err);
    return num_status(t, md_num_u64(out, &p, p, p + t->size),
                      "an unsigned 64-bit integer", err);
}

md_status md_json_bool(const md_json_token *t, bool *out, md_error *err)
{
    if (t->kind != MD_JSON_TRUE && t->kind != MD_JSON_FALSE)
        return fail_kind(t, "true or false", err);
    *out = t->kind == MD_JSON_TRUE;
    return MD_OK;
}
