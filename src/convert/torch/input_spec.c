#include "convert/torch/input_spec.h"

#include <stdlib.h>
#include <string.h>

#include "tensor/dtype.h"

static md_status malformed(const char *at, md_error *err)
{
    return md_fail(err, MD_INVALID,
                   "inputs: '%.60s', name=type[size,...] or name=number "
                   "expected",
                   at);
}

/* Skip up to one of the signs, giving what lies before it. */
static const char *part(const char **at, const char *signs, md_arena *arena)
{
    size_t n;
    char *s;

    while (**at == ' ')
        (*at)++;
    n = strcspn(*at, signs);
    s = md_arena_strndup(arena, *at, n);
    *at += n;
    while (s && n > 0 && s[n - 1] == ' ')
        s[--n] = '\0';
    return s;
}

static md_status read_size(md_input_spec *s, const char **at, md_arena *arena,
                           md_error *err)
{
    const char *text = part(at, ",]", arena);
    char *rest;
    long long v;

    if (!text)
        return md_fail_nomem(err, 1);
    if (s->rank == MD_RANK_MAX || text[0] == '\0')
        return malformed(*at, err);
    v = strtoll(text, &rest, 10);
    s->dim[s->rank] = -1;
    s->symbol[s->rank] = NULL;
    if (*rest == '\0' && v >= 0)
        s->dim[s->rank] = v;
    else if (strcmp(text, "?") != 0 && strcmp(text, "-1") != 0)
        s->symbol[s->rank] = text;
    s->rank++;
    return MD_OK;
}

static md_status read_sizes(md_input_spec *s, const char **at, md_arena *arena,
                            md_error *err)
{
    if (**at != '[')
        return malformed(*at, err);
    (*at)++;
    while (**at != ']') {
        MD_TRY(read_size(s, at, arena, err));
        if (**at == ',')
            (*at)++;
        else if (**at != ']')
            return malformed(*at, err);
    }
    (*at)++;
    return MD_OK;
}

static md_status read_one(md_input_spec *s, const char **at, md_arena *arena,
                          md_error *err)
{
    const char *begin = *at;
    const char *value;
    char *rest = NULL;

    s->name = part(at, "=;", arena);
    if (**at != '=')
        return malformed(begin, err);
    (*at)++;
    value = part(at, "[;", arena);
    if (!s->name || !value)
        return md_fail_nomem(err, 1);
    s->dtype = md_dtype_parse(value);
    if (s->dtype != MD_DTYPE_NONE)
        return read_sizes(s, at, arena, err);
    s->is_number = true;
    s->value = strcmp(value, "true") == 0 ? 1 : strtod(value, &rest);
    s->is_float = strpbrk(value, ".e") != NULL && strcmp(value, "true") != 0;
    if (strcmp(value, "true") == 0 || strcmp(value, "false") == 0)
        return MD_OK;
    return value[0] == '\0' || !rest || *rest != '\0' ? malformed(begin, err)
                                                      : MD_OK;
}

md_status md_input_specs_read(md_input_specs *out, const char *text,
                              md_arena *arena, md_error *err)
{
    *out = (md_input_specs){ .n = 0 };
    while (text && *text) {
        md_input_spec s = { .rank = 0 };

        MD_TRY(read_one(&s, &text, arena, err));
        MD_TRY(md_arena_grow(arena, &out->s, &out->cap, out->n, sizeof(*out->s),
                             err));
        out->s[out->n++] = s;
        while (*text == ' ')
            text++;
        if (*text == ';')
            text++;
        else if (*text)
            return malformed(text, err);
    }
    return MD_OK;
}

const md_input_spec *md_input_specs_find(const md_input_specs *x,
                                         const char *name)
{
    for (uint32_t i = 0; i < x->n; i++) {
        if (strcmp(x->s[i].name, name) == 0)
            return &x->s[i];
    }
    return NULL;
}
