/*
 * CSV (RFC 4180): rows of numbers and a label each.
 *
 * Fields are separated by what the first line has most of: ',', ';' or a tab.
 * That line is a header unless all of its fields but the label are numbers.
 * Rows are found once and parsed where they lie whenever they are read.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/num.h"
#include "data/source.h"

enum {
    COLUMNS_MAX = 1 << 20,
    NAME_SIZE = 64 /* of a field, for messages */
};

/* A field: its bytes without quotes; "" inside stays doubled. */
typedef struct field {
    const char *p;
    size_t n;
} field;

typedef struct csv {
    md_map map;
    char separator;
    bool has_header;
    int64_t n_columns, label; /* label: its column */
    uint64_t *row;            /* where each row begins */
    uint32_t n_rows, cap_rows;
    int64_t *column; /* of each input, when there are several; else NULL */
} csv;

static bool probe(const char *path, bool is_folder)
{
    return !is_folder && md_source__ends(path, ".csv .tsv");
}

/* ---- text ---- */

static const char *text_end(const csv *c)
{
    return (const char *)c->map.data + c->map.size;
}

static bool is_line_end(const csv *c, const char *p)
{
    return p == text_end(c) || *p == '\n' || *p == '\r';
}

/* The field at p; returns what is behind it: a separator or the line's end.
 * NULL: a quote is not closed, or something follows it. */
static const char *take_field(const csv *c, const char *p, field *out)
{
    const char *end = text_end(c);

    *out = (field){ p, 0 };
    if (p < end && *p == '"') {
        out->p = ++p;
        while (p < end && (*p != '"' || (p + 1 < end && p[1] == '"')))
            p += *p == '"' ? 2 : 1;
        if (p >= end)
            return NULL;
        out->n = (size_t)(p - out->p);
        p++;
        return is_line_end(c, p) || *p == c->separator ? p : NULL;
    }
    while (!is_line_end(c, p) && *p != c->separator)
        p++;
    out->n = (size_t)(p - out->p);
    for (; out->n > 0 && out->p[0] == ' '; out->n--)
        out->p++;
    while (out->n > 0 && out->p[out->n - 1] == ' ')
        out->n--;
    return p;
}

/* Behind the line's end, empty lines skipped. */
static const char *next_line(const csv *c, const char *p)
{
    while (p < text_end(c) && (*p == '\n' || *p == '\r'))
        p++;
    return p;
}

static bool is_number(const field *f, double *out)
{
    const unsigned char *p = (const unsigned char *)f->p, *end = p + f->n;

    if (f->n > 0 && *p == '+')
        p++;
    return md_num_f64(out, &p, p, end) == MD_NUM_OK && p == end;
}

static bool is_whole(const field *f, int64_t *out)
{
    const unsigned char *p = (const unsigned char *)f->p, *end = p + f->n;

    return md_num_i64(out, &p, p, end) == MD_NUM_OK && p == end;
}

static const char *shown(char buf[NAME_SIZE], const field *f)
{
    size_t n = f->n < NAME_SIZE - 1 ? f->n : NAME_SIZE - 1;

    memcpy(buf, f->p, n);
    buf[n] = '\0';
    return buf;
}

static long long line_of(const csv *c, int64_t row)
{
    return (long long)row + 1 +
           c->has_header; /* of files without blank lines */
}

static const char *first_line(const csv *c)
{
    return (const char *)c->map.data + c->row[0];
}

static const char *row_of(const csv *c, int64_t sample)
{
    return (const char *)c->map.data + c->row[sample + c->has_header];
}

/* Field `column` of the row at p, which has so many. */
static field field_in(const csv *c, const char *p, int64_t column)
{
    field f;

    for (int64_t i = 0;; i++) {
        p = take_field(c, p, &f);
        if (i == column)
            return f;
        p++;
    }
}

static field label_of(const csv *c, int64_t sample)
{
    return field_in(c, row_of(c, sample), c->label);
}

/* ---- rows ---- */

static void choose_separator(csv *c)
{
    static const char among[] = { ',', ';', '\t' };
    const char *p = next_line(c, (const char *)c->map.data);
    int64_t most = 0;

    c->separator = ',';
    for (size_t i = 0; i < sizeof(among); i++) {
        int64_t n = 0;

        for (const char *q = p; !is_line_end(c, q); q++)
            n += *q == among[i];
        if (n > most) {
            most = n;
            c->separator = among[i];
        }
    }
}

/* Count the fields of the line at p; *after is behind it. */
static md_status count_fields(const csv *c, const char *p, long long line,
                              int64_t *n, const char **after, md_error *err)
{
    field f;

    *n = 0;
    for (;;) {
        p = take_field(c, p, &f);
        if (!p)
            return md_fail(err, MD_CORRUPT,
                           "row %lld: a quote is not closed, or something "
                           "follows it",
                           line);
        if (++*n > COLUMNS_MAX)
            return md_fail(err, MD_TOO_LARGE, "row %lld: more than %d columns",
                           line, COLUMNS_MAX);
        if (is_line_end(c, p))
            break;
        p++;
    }
    *after = next_line(c, p);
    return MD_OK;
}

static md_status find_rows(csv *c, const md_alloc *alloc, md_error *err)
{
    const char *begin = (const char *)c->map.data, *p = next_line(c, begin);
    long long line = 1;

    if (p == text_end(c))
        return md_fail(err, MD_INVALID, "no samples");
    for (; p < text_end(c); line++) {
        const char *after = p;
        int64_t n;

        MD_TRY(count_fields(c, p, line, &n, &after, err));
        if (c->n_rows == 0 && c->n_columns == 0)
            c->n_columns = n;
        if (n != c->n_columns)
            return md_fail(err, MD_INVALID,
                           "row %lld: %lld columns given, %lld expected", line,
                           (long long)n, (long long)c->n_columns);
        MD_TRY(md_grow(alloc, &c->row, &c->cap_rows, c->n_rows, sizeof(*c->row),
                       err));
        c->row[c->n_rows++] = (uint64_t)(p - begin);
        p = after;
    }
    return MD_OK;
}

/* ---- columns ---- */

static bool is_named(const field *f, const char *name)
{
    return strlen(name) == f->n && strncasecmp(f->p, name, f->n) == 0;
}

/* The column of the first line called `name`; -1: none. */
static int64_t find_column(const csv *c, const char *name)
{
    for (int64_t i = 0; i < c->n_columns; i++) {
        field f = field_in(c, first_line(c), i);

        if (is_named(&f, name))
            return i;
    }
    return -1;
}

static md_status choose_label(csv *c, const char *given, md_error *err)
{
    static const char *const usual[] = { "label", "class", "target", "y" };

    c->label = c->n_columns - 1;
    if (given) {
        c->label = find_column(c, given);
        return c->label >= 0 ? MD_OK
                             : md_fail(err, MD_INVALID,
                                       "no column is called '%s'", given);
    }
    for (size_t i = 0; i < MD_COUNT(usual); i++) {
        int64_t at = find_column(c, usual[i]);

        if (at >= 0) {
            c->label = at;
            break;
        }
    }
    return MD_OK;
}

static bool first_line_is_header(const csv *c)
{
    double unused;

    for (int64_t i = 0; i < c->n_columns; i++) {
        field f = field_in(c, first_line(c), i);

        if (i != c->label && !is_number(&f, &unused))
            return true;
    }
    /* Only names: a table of labels alone has no samples either way. */
    return c->n_columns == 1;
}

/* Each of several inputs is a column of its name. */
static md_status match_inputs(md_dataset *d, const md_model *m, md_error *err)
{
    csv *c = d->impl;

    c->column = md_arena_calloc(&d->arena, d->n_inputs, sizeof(*c->column));
    if (!c->column)
        return md_fail_nomem(err, d->n_inputs * sizeof(*c->column));
    for (uint32_t i = 0; i < d->n_inputs; i++) {
        const md_type *type = md_source__type(m, i);
        md_data_input *in = &d->inputs[i];

        c->column[i] = c->has_header ? find_column(c, in->name) : -1;
        if (c->column[i] < 0)
            return md_fail(err, MD_INVALID, "no column is called '%s'",
                           in->name);
        in->sample.rank = type->has_rank ? type->rank - 1 : 0;
        for (int k = 0; k < in->sample.rank; k++)
            in->sample.dim[k] = 1;
        in->n = 1;
    }
    return MD_OK;
}

/* All columns but the label are the sample of the only input. */
static md_status fit_input(md_dataset *d, const md_model *m, md_error *err)
{
    const csv *c = d->impl;
    const md_type *type = md_source__type(m, 0);
    md_data_input *in = &d->inputs[0];
    char text[MD_SHAPE_TEXT * 2];

    in->n = c->n_columns - 1;
    in->sample.rank = type->has_rank && type->rank > 0 ? type->rank - 1 : 0;
    for (int k = 0; k < in->sample.rank; k++)
        in->sample.dim[k] = type->dim[k + 1].sym && in->sample.rank == 1
                                ? in->n
                                : type->dim[k + 1].k;
    if (in->n == 0 || md_shape_n(&in->sample) != in->n)
        return md_fail(err, MD_INVALID,
                       "data for '%s': %lld columns beside the label given, %s "
                       "expected",
                       in->name, (long long)in->n,
                       md_type_format(text, sizeof(text), m, type));
    return MD_OK;
}

static md_status check_dtypes(const md_dataset *d, md_error *err)
{
    for (uint32_t i = 0; i < d->n_inputs; i++) {
        md_dtype t = d->inputs[i].dtype;

        if (!md_dtype_is_float(t) && !md_dtype_is_integer(t))
            return md_fail(err, MD_INVALID,
                           "input '%s' is of %s, numbers are given",
                           d->inputs[i].name, md_dtype_name(t));
    }
    return MD_OK;
}

/* ---- labels ---- */

/* A label's text and its sample, to sort. */
typedef struct entry {
    field f;
    int64_t sample;
} entry;

static int by_text(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    size_t n = x->f.n < y->f.n ? x->f.n : y->f.n;
    int order = memcmp(x->f.p, y->f.p, n);

    if (order == 0)
        order = x->f.n < y->f.n ? -1 : x->f.n > y->f.n;
    return order;
}

static bool same_text(const entry *a, const entry *b)
{
    return by_text(a, b) == 0;
}

/* Names in the order of their bytes become classes. */
static md_status name_classes(md_dataset *d, const md_model *m, entry *e,
                              md_error *err)
{
    int64_t n = 0, *map, *labels = d->labels.data, at = -1;
    const char **names;

    qsort(e, (size_t)d->n, sizeof(*e), by_text);
    for (int64_t i = 0; i < d->n; i++)
        n += i == 0 || !same_text(&e[i], &e[i - 1]);
    if (n > MD_DATA_CLASSES_MAX)
        return md_fail(err, MD_TOO_LARGE, "more than %d different labels",
                       MD_DATA_CLASSES_MAX);
    names = md_arena_calloc(&d->arena, (size_t)n, sizeof(*names));
    map = md_arena_calloc(&d->arena, (size_t)n, sizeof(*map));
    if (!names || !map)
        return md_fail_nomem(err, (size_t)n * sizeof(*map));
    for (int64_t i = 0; i < d->n; i++) {
        if (i == 0 || !same_text(&e[i], &e[i - 1])) {
            names[++at] = md_arena_strndup(&d->arena, e[i].f.p, e[i].f.n);
            if (!names[at])
                return md_fail_nomem(err, e[i].f.n);
        }
        labels[e[i].sample] = at;
    }
    MD_TRY(md_source__name_classes(d, m, names, n, map, err));
    for (int64_t i = 0; i < d->n; i++)
        labels[i] = map[labels[i]];
    return MD_OK;
}

static md_status read_names(md_dataset *d, const md_model *m, md_error *err)
{
    const csv *c = d->impl;
    entry *e = md_calloc(d->alloc, (size_t)d->n, sizeof(*e));
    md_status s;

    if (!e)
        return md_fail_nomem(err, (size_t)d->n * sizeof(*e));
    for (int64_t i = 0; i < d->n; i++)
        e[i] = (entry){ label_of(c, i), i };
    s = name_classes(d, m, e, err);
    md_free(d->alloc, e);
    return s;
}

static md_status read_numbers(md_dataset *d, md_error *err)
{
    const csv *c = d->impl;

    md_tensor_release(&d->labels);
    MD_TRY(md_tensor_alloc(&d->labels, MD_DTYPE_F32,
                           &(md_shape){ 2, { d->n, 1 } }, d->alloc, err));
    for (int64_t i = 0; i < d->n; i++) {
        field f = label_of(c, i);
        double v = 0.0;

        (void)is_number(&f, &v); /* it is one */
        ((float *)d->labels.data)[i] = (float)v;
    }
    return MD_OK;
}

/* Whole numbers are classes, others numbers, anything else names. */
static md_status read_labels(md_dataset *d, const md_model *m, md_error *err)
{
    const csv *c = d->impl;
    bool whole = true, numbers = true;

    MD_TRY(md_source__alloc_classes(d, err));
    for (int64_t i = 0; i < d->n && numbers; i++) {
        field f = label_of(c, i);
        double unused;

        whole = whole && is_whole(&f, &((int64_t *)d->labels.data)[i]);
        numbers = whole || is_number(&f, &unused);
        if (f.n == 0)
            return md_fail(err, MD_INVALID, "row %lld has no label",
                           line_of(c, i));
    }
    if (whole)
        return MD_OK;
    return numbers ? read_numbers(d, err) : read_names(d, m, err);
}

/* ---- the source ---- */

static md_status open_csv(md_dataset *d, const md_source_spec *spec,
                          md_error *err)
{
    csv *c = md_arena_calloc(&d->arena, 1, sizeof(*c));

    if (!c)
        return md_fail_nomem(err, sizeof(*c));
    d->impl = c;
    MD_TRY(md_map_open(&c->map, spec->path, err));
    MD_TRY(check_dtypes(d, err));
    choose_separator(c);
    MD_TRY(find_rows(c, d->alloc, err));
    MD_TRY(choose_label(c, spec->opts->label, err));
    c->has_header = first_line_is_header(c);
    MD_TRY(d->n_inputs > 1 ? match_inputs(d, spec->model, err)
                           : fit_input(d, spec->model, err));
    d->n = (int64_t)c->n_rows - c->has_header;
    return d->n > 0 ? read_labels(d, spec->model, err) : MD_OK;
}

static md_status read_field(const csv *c, const md_data_input *in, int64_t row,
                            int64_t column, const field *f, md_tensor *t,
                            int64_t at, md_error *err)
{
    char text[NAME_SIZE];
    int64_t whole;
    double v;

    if (md_dtype_is_integer(in->dtype) && is_whole(f, &whole)) {
        md_tensor_set_i64(t, at, whole);
        if (md_tensor_get_i64(t, at) == whole)
            return MD_OK;
    } else if (md_dtype_is_float(in->dtype) && is_number(f, &v)) {
        md_tensor_set_f64(t, at, v);
        return MD_OK;
    }
    return md_fail(err, MD_INVALID,
                   "row %lld, column %lld: '%s' given, a number of %s expected",
                   line_of(c, row), (long long)column + 1, shown(text, f),
                   md_dtype_name(in->dtype));
}

static md_status read(const md_dataset *d, uint32_t i, int64_t sample, void *to,
                      md_error *err)
{
    const csv *c = d->impl;
    const md_data_input *in = &d->inputs[i];
    md_tensor t = { .dtype = in->dtype, .shape = { 1, { in->n } }, .data = to };
    const char *p = row_of(c, sample);
    int64_t at = 0;

    for (int64_t k = 0; k < c->n_columns; k++) {
        field f;

        p = take_field(c, k > 0 ? p + 1 : p, &f);
        if (c->column ? k == c->column[i] : k != c->label)
            MD_TRY(read_field(c, in, sample, k, &f, &t, at++, err));
    }
    return MD_OK;
}

static void close(md_dataset *d)
{
    csv *c = d->impl;

    md_free(d->alloc, c->row);
    md_map_release(&c->map);
}

const md_source md_source_csv = {
    .name = "csv",
    .what = "a table: a row for each sample, a column of labels",
    .probe = probe,
    .open = open_csv,
    .read = read,
    .close = close,
};
