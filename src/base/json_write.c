/* The JSON writer. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/num.h"
#include "base/utf8.h"

enum {
    F32_ROOM = MD_NUM_SIZE + 1 /* a number and its comma */
};

void md_json_writer_init(md_json_writer *w, md_buf *out)
{
    memset(w, 0, sizeof(*w));
    w->out = out;
    w->first = true;
}

static void append(md_json_writer *w, const char *s, size_t n)
{
    if (w->status == MD_OK)
        w->status = md_buf_append(w->out, s, n, &w->err);
}

static bool in_object(const md_json_writer *w)
{
    unsigned i = (unsigned)w->depth - 1;

    return w->depth > 0 && (w->is_object[i / 64] >> (i % 64) & 1);
}

static void new_line(md_json_writer *w)
{
    if (w->indent == 0)
        return;
    append(w, "\n", 1);
    for (int i = 0; i < w->depth * w->indent; i++)
        append(w, " ", 1);
}

/* What stands before a value or a name. */
static void separate(md_json_writer *w)
{
    if (w->after_name) {
        w->after_name = false;
        return;
    }
    if (!w->first)
        append(w, ",", 1);
    if (w->depth)
        new_line(w);
    w->first = false;
}

static void before_value(md_json_writer *w)
{
    assert(w->after_name || !in_object(w));
    assert(w->depth > 0 || w->first);
    separate(w);
}

static void put_text(md_json_writer *w, const char *s, size_t n)
{
    before_value(w);
    append(w, s, n);
}

static void open_container(md_json_writer *w, bool object)
{
    unsigned i = (unsigned)w->depth;
    uint64_t bit = (uint64_t)1 << (i % 64);

    put_text(w, object ? "{" : "[", 1);
    assert(w->depth < MD_LIMIT_JSON_DEPTH_CAP);
    if (object)
        w->is_object[i / 64] |= bit;
    else
        w->is_object[i / 64] &= ~bit;
    w->depth++;
    w->first = true;
}

void md_json_put_object(md_json_writer *w)
{
    open_container(w, true);
}

void md_json_put_array(md_json_writer *w)
{
    open_container(w, false);
}

void md_json_put_end(md_json_writer *w)
{
    bool object = in_object(w);
    bool empty = w->first;

    assert(w->depth > 0 && !w->after_name);
    w->depth--;
    if (!empty)
        new_line(w);
    append(w, object ? "}" : "]", 1);
    w->first = false;
}

/* A byte that cannot stand for itself. */
static void put_escape(md_json_writer *w, unsigned char c)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    static const char hex[] = "0123456789abcdef";
    const char *hit = c ? strchr(from, c) : NULL;
    char text[6] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };

    if (hit) {
        text[1] = to[hit - from];
        append(w, text, 2);
    } else {
        append(w, text, 6);
    }
}

static void put_quoted(md_json_writer *w, const char *s, size_t n)
{
    static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */
    size_t from = 0; /* of the bytes that stand for themselves */
    size_t at = 0;

    append(w, "\"", 1);
    while (at < n) {
        unsigned char c = (unsigned char)s[at];
        size_t k = md_utf8_next((const unsigned char *)s + at, n - at);

        if (k > 0 && c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) {
            at += k;
            continue;
        }
        append(w, s + from, at - from);
        if (k == 0)
            append(w, replacement, 3);
        else
            put_escape(w, c);
        from = ++at;
    }
    append(w, s + from, n - from);
    append(w, "\"", 1);
}

void md_json_put_name(md_json_writer *w, const char *name)
{
    assert(in_object(w) && !w->after_name);
    separate(w);
    put_quoted(w, name, strlen(name));
    append(w, ": ", w->indent ? 2 : 1);
    w->after_name = true;
}

void md_json_put_strn(md_json_writer *w, const char *s, size_t n)
{
    before_value(w);
    put_quoted(w, s, n);
}

void md_json_put_str(md_json_writer *w, const char *s)
{
    md_json_put_strn(w, s, strlen(s));
}

void md_json_put_u64(md_json_writer *w, uint64_t x)
{
    char text[20];
    size_t at = sizeof(text);

    do {
        text[--at] = (char)('0' + x % 10);
        x /= 10;
    } while (x);
    put_text(w, text + at, sizeof(text) - at);
}

void md_json_put_i64(md_json_writer *w, int64_t x)
{
    uint64_t m = x < 0 ? -(uint64_t)x : (uint64_t)x;
    char text[21];
    size_t at = sizeof(text);

    do {
        text[--at] = (char)('0' + m % 10);
        m /= 10;
    } while (m);
    if (x < 0)
        text[--at] = '-';
    put_text(w, text + at, sizeof(text) - at);
}

static void put_nonfinite(md_json_writer *w, double x)
{
    const char *text = isnan(x) ? "\"NaN\""
                       : x > 0  ? "\"Infinity\""
                                : "\"-Infinity\"";
    size_t n = strlen(text);

    switch (w->nonfinite) {
    case MD_JSON_NONFINITE_STRING:
        put_text(w, text, n);
        break;
    case MD_JSON_NONFINITE_LITERAL:
        put_text(w, text + 1, n - 2);
        break;
    case MD_JSON_NONFINITE_FAIL:
        if (w->status == MD_OK)
            w->status = md_fail(&w->err, MD_INVALID,
                                "value %.*s cannot be written as JSON",
                                (int)n - 2, text + 1);
        break;
    }
}

void md_json_put_f32(md_json_writer *w, float x)
{
    char text[MD_NUM_SIZE];

    if (isfinite(x))
        put_text(w, text, md_num_put_f32(text, x));
    else
        put_nonfinite(w, (double)x);
}

void md_json_put_f64(md_json_writer *w, double x)
{
    char text[MD_NUM_SIZE];

    if (isfinite(x))
        put_text(w, text, md_num_put_f64(text, x));
    else
        put_nonfinite(w, x);
}

void md_json_put_f32s(md_json_writer *w, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        md_buf *b = w->out;

        /* The usual element, straight into the buffer. */
        if (w->status == MD_OK && !w->first && !w->after_name &&
            w->indent == 0 && w->depth > 0 && isfinite(x[i]) &&
            b->cap > b->size && b->cap - b->size > F32_ROOM &&
            b->limit - b->size > F32_ROOM) {
            b->data[b->size] = ',';
            b->size += 1 + md_num_put_f32((char *)b->data + b->size + 1, x[i]);
        } else {
            md_json_put_f32(w, x[i]);
        }
    }
}

void md_json_put_bool(md_json_writer *w, bool x)
{
    put_text(w, x ? "true" : "false", x ? 4 : 5);
}

void md_json_put_null(md_json_writer *w)
{
    put_text(w, "null", 4);
}

void md_json_put_raw(md_json_writer *w, const char *json, size_t n)
{
    put_text(w, json, n);
}

md_status md_json_finish(md_json_writer *w, md_error *err)
{
    assert(w->status != MD_OK || (w->depth == 0 && !w->first));
    if (w->status != MD_OK && err)
        *err = w->err;
    return w->status;
}
