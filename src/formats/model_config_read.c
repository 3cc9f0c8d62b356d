#include "formats/model_config_read.h"

#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "base/text.h"

enum {
    LIST_MAX = 1 << 16
};

md_status md_config__fail(const md_config_reader *r, const md_textpb *f,
                          const char *expected)
{
    char quoted[48];

    return md_fail(
        r->err, MD_INVALID,
        "line %u: field '%.64s': %s given, %s "
        "expected",
        f->line, f->name,
        f->is_message ? "a message"
                      : md_text_quote(quoted, sizeof(quoted), f->text, f->size),
        expected);
}

/* Read the fields of a message by the list, which ends with a NULL name. */
md_status md_config__message(md_config_reader *r, const md_textpb *m,
                             const md_config_field *list, void *to)
{
    if (!m->is_message)
        return md_config__fail(r, m, "a message");
    for (const md_textpb *f = m->first; f; f = f->next) {
        md_nearest near;
        const md_config_field *row = list;

        while (row->name && strcmp(row->name, f->name) != 0)
            row++;
        if (row->name) {
            MD_TRY(row->take(r, f, (char *)to + row->at));
            continue;
        }
        md_nearest_init(&near, f->name);
        for (row = list; row->name; row++)
            md_nearest_offer(&near, row->name);
        return md_fail(r->err, MD_INVALID,
                       "line %u: unknown field '%.64s'%s%s%s", f->line, f->name,
                       md_nearest_best(&near) ? ", nearest is '" : "",
                       md_nearest_best(&near) ? md_nearest_best(&near) : "",
                       md_nearest_best(&near) ? "'" : "");
    }
    return MD_OK;
}

md_status md_config__map(md_config_reader *r, const md_textpb *f,
                         md_status (*fn)(md_config_reader *r,
                                         const md_textpb *key,
                                         const md_textpb *value, void *to),
                         void *to)
{
    const md_textpb *key = NULL;
    const md_textpb *value = NULL;

    if (!f->is_message)
        return md_config__fail(r, f, "a message");
    for (const md_textpb *e = f->first; e; e = e->next) {
        const md_textpb name = { .name = f->name,
                                 .text = e->name,
                                 .size = strlen(e->name) };

        if (e->line == 0) /* JSON */
            MD_TRY(fn(r, &name, e, to));
        else if (strcmp(e->name, "key") == 0)
            key = e;
        else if (strcmp(e->name, "value") == 0)
            value = e;
        else
            return md_fail(r->err, MD_INVALID,
                           "line %u: unknown field '%.64s' of a map, 'key' or "
                           "'value' expected",
                           e->line, e->name);
    }
    return key ? fn(r, key, value, to) : MD_OK;
}

/* ---- scalars ---- */

md_status md_config__nothing(md_config_reader *r, const md_textpb *f, void *to)
{
    (void)r;
    (void)f;
    (void)to;
    return MD_OK;
}

md_status md_config__refuse(md_config_reader *r, const md_textpb *f, void *to)
{
    (void)to;
    return md_fail(r->err, MD_UNSUPPORTED,
                   "line %u: field '%s' is not supported", f->line, f->name);
}

md_status md_config__text(md_config_reader *r, const md_textpb *f, void *to)
{
    if (f->is_message || !f->quoted || strlen(f->text) != f->size)
        return md_config__fail(r, f, "a string");
    *(const char **)to = f->size ? f->text : NULL;
    return MD_OK;
}

/* A name that becomes part of a path. */
md_status md_config__file_name(md_config_reader *r, const md_textpb *f,
                               void *to)
{
    MD_TRY(md_config__text(r, f, to));
    if (f->size && !md_config_is_file_name(f->text))
        return md_config__fail(r, f, "the name of a file, without folders,");
    return MD_OK;
}

md_status md_config__bool(md_config_reader *r, const md_textpb *f, void *to)
{
    const bool yes = strcmp(f->text, "true") == 0 ||
                     strcmp(f->text, "True") == 0 ||
                     strcmp(f->text, "t") == 0 || strcmp(f->text, "1") == 0;
    const bool no = strcmp(f->text, "false") == 0 ||
                    strcmp(f->text, "False") == 0 ||
                    strcmp(f->text, "f") == 0 || strcmp(f->text, "0") == 0;

    if (f->is_message || (!yes && !no))
        return md_config__fail(r, f, "true or false");
    *(bool *)to = yes;
    return MD_OK;
}

/* JSON writes 64-bit numbers as strings, so quotes do not matter. */
md_status md_config__number(md_config_reader *r, const md_textpb *f,
                            int64_t min, int64_t max, int64_t *to)
{
    const unsigned char *p = (const unsigned char *)f->text;
    const unsigned char *end = p + f->size;
    char expected[80];

    if (!f->is_message && md_num_i64(to, &p, p, end) == MD_NUM_OK && p == end &&
        *to >= min && *to <= max)
        return MD_OK;
    (void)snprintf(expected, sizeof(expected), "a number from %lld to %lld",
                   (long long)min, (long long)max);
    return md_config__fail(r, f, expected);
}

md_status md_config__count(md_config_reader *r, const md_textpb *f, void *to)
{
    return md_config__number(r, f, 0, INT64_MAX / 1000, to);
}

static md_status push(md_config_reader *r, md_config_ints *list, int64_t v)
{
    if (list->n >= LIST_MAX)
        return md_fail(r->err, MD_TOO_LARGE, "a list of more than %d numbers",
                       LIST_MAX);
    MD_TRY(md_arena_grow(r->ar, &list->v, &list->cap, list->n, sizeof(*list->v),
                         r->err));
    list->v[list->n++] = v;
    return MD_OK;
}

md_status md_config__dims(md_config_reader *r, const md_textpb *f, void *to)
{
    int64_t v = 0;

    MD_TRY(md_config__number(r, f, -1, INT64_MAX, &v));
    return push(r, to, v);
}

md_status md_config__positives(md_config_reader *r, const md_textpb *f,
                               void *to)
{
    int64_t v = 0;

    MD_TRY(md_config__number(r, f, 1, INT64_MAX, &v));
    return push(r, to, v);
}

md_status md_config__naturals(md_config_reader *r, const md_textpb *f, void *to)
{
    int64_t v = 0;

    MD_TRY(md_config__number(r, f, 0, INT64_MAX, &v));
    return push(r, to, v);
}
