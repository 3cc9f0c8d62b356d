#include "base/opt.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/num.h"
#include "base/size.h"
#include "base/text.h"

enum {
    EXPECTED_SIZE = 160,
    QUOTE_SIZE = 96 /* of a value or a name in a message */
};

typedef struct held {
    const char *text;  /* as given; in the arena */
    const char *where; /* "" for the default */
    int64_t num;       /* bool, int, size, duration */
    md_opt_source source;
} held;

struct md_opts {
    const md_alloc *alloc;
    const md_opt_row *rows;
    size_t n_rows;
    md_arena arena;
    held values[];
};

typedef struct unit {
    const char *name;
    int64_t factor;
} unit;

/* Also with "B" or "iB" behind the letter, in capitals or not. */
static const unit size_units[] = {
    { "", 1 },        { "k", 1 << 10 },          { "M", 1 << 20 },
    { "G", 1 << 30 }, { "T", (int64_t)1 << 40 },
};

static const unit duration_units[] = {
    { "ms", 1 },
    { "s", 1000 },
    { "m", 60000 },
    { "h", 3600000 },
};

/* n with the largest unit that divides it. */
static void format_number(char *buf, size_t size, md_opt_type type, int64_t n)
{
    const unit *units = type == MD_OPT_SIZE ? size_units : duration_units;
    size_t n_units =
        type == MD_OPT_SIZE ? MD_COUNT(size_units) : MD_COUNT(duration_units);
    size_t i = 0;

    if (type == MD_OPT_INT || type == MD_OPT_REAL || n == 0) {
        snprintf(buf, size, "%lld", (long long)n);
        return;
    }
    while (i + 1 < n_units && n % units[i + 1].factor == 0)
        i++;
    snprintf(buf, size, "%lld%s", (long long)(n / units[i].factor),
             units[i].name);
}

void md_opt_expected(char *buf, size_t size, const md_opt_row *row)
{
    static const char *const kinds[] = {
        [MD_OPT_INT] = "a number",
        [MD_OPT_REAL] = "a number, also a fraction,",
        [MD_OPT_SIZE] = "a size",
        [MD_OPT_DURATION] = "a duration",
    };
    char min[24], max[24];

    switch (row->type) {
    case MD_OPT_BOOL:
        snprintf(buf, size, "true or false");
        break;
    case MD_OPT_CHOICE:
        snprintf(buf, size, "one of %s", row->choices);
        break;
    case MD_OPT_TEXT:
        snprintf(buf, size, "text");
        break;
    default:
        format_number(min, sizeof(min), row->type, row->min);
        format_number(max, sizeof(max), row->type, row->max);
        snprintf(buf, size, "%s from %s to %s", kinds[row->type], min, max);
    }
}

static bool parse_bool(const char *text, int64_t *num)
{
    *num = md_text_in_list(text, "true|yes|on|1", '|');
    return *num || md_text_in_list(text, "false|no|off|0", '|');
}

static bool is_unit(const char *text, const unit *u, md_opt_type type)
{
    size_t n = strlen(u->name);

    if (type != MD_OPT_SIZE)
        return strcmp(text, u->name) == 0;
    if (strncasecmp(text, u->name, n) != 0)
        return false;
    text += n;
    return *text == '\0' || strcasecmp(text, "B") == 0 ||
           (n > 0 && strcasecmp(text, "iB") == 0);
}

/* An integer and one of the units; no unit only where "" is one, or for 0. */
static bool parse_number(const char *text, md_opt_type type, const unit *units,
                         size_t n_units, int64_t *num)
{
    const unsigned char *p = (const unsigned char *)text;
    const unsigned char *after;
    const char *rest;

    if (md_num_i64(num, &after, p, p + strlen(text)) != MD_NUM_OK)
        return false;
    rest = (const char *)after;
    if (*num == 0 && *rest == '\0')
        return true;
    for (size_t i = 0; i < n_units; i++) {
        if (is_unit(rest, &units[i], type))
            return md_mul_i64(num, *num, units[i].factor);
    }
    return false;
}

bool md_opt_real(double *out, const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    const unsigned char *end = p + strlen(text);

    return md_num_f64(out, &p, p, end) == MD_NUM_OK && p == end;
}

static bool parse_real(const md_opt_row *row, const char *text)
{
    double x;

    return md_opt_real(&x, text) && x >= (double)row->min &&
           x <= (double)row->max;
}

static bool parse_any(const md_opt_row *row, const char *text, int64_t *num)
{
    switch (row->type) {
    case MD_OPT_BOOL:
        return parse_bool(text, num);
    case MD_OPT_INT:
        return parse_number(text, row->type, size_units, 1, num);
    case MD_OPT_REAL:
        return parse_real(row, text);
    case MD_OPT_SIZE:
        return parse_number(text, row->type, size_units, MD_COUNT(size_units),
                            num);
    case MD_OPT_DURATION:
        return parse_number(text, row->type, duration_units,
                            MD_COUNT(duration_units), num);
    case MD_OPT_CHOICE:
        return md_text_in_list(text, row->choices, '|');
    case MD_OPT_TEXT:
        return true;
    }
    return false;
}

md_status md_opt_parse(const md_opt_row *row, const char *text, int64_t *num,
                       md_error *err)
{
    char expected[EXPECTED_SIZE], given[QUOTE_SIZE];
    bool number = row->type == MD_OPT_INT || row->type == MD_OPT_SIZE ||
                  row->type == MD_OPT_DURATION;

    *num = 0;
    if (parse_any(row, text, num) &&
        (!number || (*num >= row->min && *num <= row->max)))
        return MD_OK;
    md_opt_expected(expected, sizeof(expected), row);
    return md_fail(
        err, MD_INVALID, "option %s: %s given, expected %s", row->name,
        md_text_quote(given, sizeof(given), text, strlen(text)), expected);
}

static bool same_name(const char *a, const char *b)
{
    for (; *a && *b; a++, b++) {
        if (*a != *b && !(*a == '-' && *b == '_'))
            return false;
    }
    return *a == *b;
}

/* The row called name, or n_rows. */
static size_t find(const md_opts *o, const char *name)
{
    size_t i = 0;

    while (i < o->n_rows && !same_name(name, o->rows[i].name))
        i++;
    return i;
}

const md_opt_row *md_opts_find(const md_opts *o, const char *name)
{
    size_t i = find(o, name);

    return i < o->n_rows ? &o->rows[i] : NULL;
}

static md_status fail_unknown(const md_opts *o, const char *name, md_error *err)
{
    char quoted[QUOTE_SIZE];
    md_nearest near;
    const char *best;

    md_nearest_init(&near, name);
    for (size_t i = 0; i < o->n_rows; i++)
        md_nearest_offer(&near, o->rows[i].name);
    best = md_nearest_best(&near);
    return md_fail(err, MD_NOT_FOUND, "option %s is unknown%s%s%s",
                   md_text_quote(quoted, sizeof(quoted), name, strlen(name)),
                   best ? ", did you mean '" : "", best ? best : "",
                   best ? "'?" : "");
}

static md_status set_at(md_opts *o, size_t i, const char *text,
                        md_opt_source source, const char *where, md_error *err)
{
    held v = { .source = source };

    MD_TRY(md_opt_parse(&o->rows[i], text, &v.num, err));
    if (source < o->values[i].source)
        return MD_OK;
    v.text = md_arena_strdup(&o->arena, text);
    v.where = md_arena_strdup(&o->arena, where);
    if (!v.text || !v.where)
        return md_fail_nomem(err, strlen(text) + strlen(where) + 2);
    o->values[i] = v;
    return MD_OK;
}

md_status md_opts_set(md_opts *o, const char *name, const char *value,
                      md_opt_source source, const char *where, md_error *err)
{
    size_t i = find(o, name);
    md_status s = i < o->n_rows ? set_at(o, i, value, source, where, err)
                                : fail_unknown(o, name, err);

    return s == MD_OK ? s : md_wrap(err, s, "%s: ", where);
}

md_status md_opts_new(md_opts **out, const md_opt_row *rows, size_t n_rows,
                      const md_alloc *alloc, md_error *err)
{
    size_t size = sizeof(md_opts) + n_rows * sizeof(held);
    md_opts *o = md_malloc(alloc, size);

    if (!o)
        return md_fail_nomem(err, size);
    memset(o, 0, size);
    o->alloc = alloc;
    o->rows = rows;
    o->n_rows = n_rows;
    md_arena_init(&o->arena, alloc, 0);
    for (size_t i = 0; i < n_rows; i++) {
        md_status s = set_at(o, i, rows[i].otherwise, MD_OPT_DEFAULT, "", err);

        if (s != MD_OK) {
            md_opts_free(o);
            return s;
        }
    }
    *out = o;
    return MD_OK;
}

void md_opts_free(md_opts *o)
{
    if (!o)
        return;
    md_arena_release(&o->arena);
    md_free(o->alloc, o);
}

/* Cut the comment and the space around what is left. */
static char *strip(char *line)
{
    for (char *p = line; *p; p++) {
        if (*p == '#' && (p == line || p[-1] == ' ' || p[-1] == '\t')) {
            *p = '\0';
            break;
        }
    }
    return md_text_trim(line);
}

static md_status read_line(md_opts *o, char *line, const char *where,
                           md_error *err)
{
    char *text = strip(line);
    char quoted[QUOTE_SIZE / 2];
    char *equals = strchr(text, '=');

    if (*text == '\0')
        return MD_OK;
    if (strlen(text) > MD_LIMIT_CONFIG_LINE)
        return md_fail(err, MD_INVALID, "%s: line is longer than %d bytes",
                       where, MD_LIMIT_CONFIG_LINE);
    if (!equals || equals == text)
        return md_fail(
            err, MD_INVALID, "%s: %s given, expected key = value", where,
            md_text_quote(quoted, sizeof(quoted), text, strlen(text)));
    *equals = '\0';
    return md_opts_set(o, md_text_trim(text), md_text_trim(equals + 1),
                       MD_OPT_FILE, where, err);
}

static md_status read_lines(md_opts *o, md_buf *b, const char *path,
                            md_error *err)
{
    char *line = (char *)b->data;
    char where[200];

    if (!line)
        return MD_OK;
    if (memchr(line, '\0', b->size))
        return md_fail(err, MD_INVALID, "file '%s' is not text", path);
    for (int n = 1; line; n++) {
        char *end = strchr(line, '\n');
        size_t len;

        if (end)
            *end = '\0';
        len = strlen(line);
        if (len && line[len - 1] == '\r')
            line[len - 1] = '\0';
        snprintf(where, sizeof(where), "%s:%d", path, n);
        MD_TRY(read_line(o, line, where, err));
        line = end ? end + 1 : NULL;
    }
    return MD_OK;
}

md_status md_opts_read_file(md_opts *o, const char *path, md_error *err)
{
    md_buf b;
    md_status s;

    md_buf_init(&b, o->alloc, MD_LIMIT_CONFIG_SIZE);
    s = md_file_read(&b, path, err);
    if (s == MD_OK)
        s = read_lines(o, &b, path, err);
    md_buf_release(&b);
    return s;
}

md_status md_opts_read_env(md_opts *o, md_error *err)
{
    for (size_t i = 0; i < o->n_rows; i++) {
        char name[64] = "MODELD_";
        size_t n = strlen(name);
        const char *text;

        for (const char *p = o->rows[i].name; *p && n < sizeof(name) - 1; p++)
            name[n++] = (char)toupper((unsigned char)*p);
        name[n] = '\0';
        text = getenv(name);
        if (text)
            MD_TRY(
                md_opts_set(o, o->rows[i].name, text, MD_OPT_ENV, name, err));
    }
    return MD_OK;
}

static const held *value_of(const md_opts *o, const char *name)
{
    size_t i = find(o, name);

    assert(i < o->n_rows);
    return &o->values[i];
}

bool md_opts_bool(const md_opts *o, const char *name)
{
    return value_of(o, name)->num != 0;
}

int64_t md_opts_int(const md_opts *o, const char *name)
{
    return value_of(o, name)->num;
}

const char *md_opts_text(const md_opts *o, const char *name)
{
    return value_of(o, name)->text;
}

md_opt_source md_opts_source(const md_opts *o, const char *name)
{
    return value_of(o, name)->source;
}

static const char *const source_texts[] = {
    [MD_OPT_DEFAULT] = "default",
    [MD_OPT_FILE] = "file",
    [MD_OPT_ENV] = "environment",
    [MD_OPT_COMMAND_LINE] = "command line",
};

static void put_value(md_json_writer *w, const md_opt_row *row, const held *v)
{
    md_json_put_name(w, "value");
    if (row->type == MD_OPT_BOOL)
        md_json_put_bool(w, v->num != 0);
    else if (row->type == MD_OPT_TEXT || row->type == MD_OPT_CHOICE)
        md_json_put_str(w, v->text);
    else
        md_json_put_i64(w, v->num);
    md_json_put_name(w, "source");
    md_json_put_str(w, source_texts[v->source]);
    if (v->source != MD_OPT_DEFAULT) {
        md_json_put_name(w, "where");
        md_json_put_str(w, v->where);
    }
}

static md_status print_json(const md_opts *o, md_buf *out, md_error *err)
{
    md_json_writer w;

    md_json_writer_init(&w, out);
    w.indent = 2;
    md_json_put_object(&w);
    for (size_t i = 0; i < o->n_rows; i++) {
        const md_opt_row *row = &o->rows[i];

        md_json_put_name(&w, row->name);
        md_json_put_object(&w);
        put_value(&w, row, &o->values[i]);
        md_json_put_name(&w, "default");
        md_json_put_str(&w, row->otherwise);
        md_json_put_name(&w, "reloadable");
        md_json_put_bool(&w, row->reloadable);
        md_json_put_name(&w, "help");
        md_json_put_str(&w, row->help);
        md_json_put_end(&w);
    }
    md_json_put_end(&w);
    MD_TRY(md_json_finish(&w, err));
    return md_buf_putc(out, '\n', err);
}

md_status md_opts_print(const md_opts *o, bool json, md_buf *out, md_error *err)
{
    if (json)
        return print_json(o, out, err);
    for (size_t i = 0; i < o->n_rows; i++) {
        const held *v = &o->values[i];
        char line[64];

        snprintf(line, sizeof(line), "%s = ", o->rows[i].name);
        MD_TRY(md_buf_printf(
            out, err, "%s%-*s  # %s%s%s\n", line, (int)(44 - strlen(line)),
            v->text, source_texts[v->source], *v->where ? ": " : "", v->where));
    }
    return MD_OK;
}
