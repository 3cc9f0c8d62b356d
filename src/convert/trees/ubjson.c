#include "convert/trees/ubjson.h"

#include <stdint.h>
#include <string.h>

enum {
    DEPTH_MAX = 64,
    ITEMS_MAX = 1 << 26 /* values in all, some 2 GB as JSON */
};

typedef struct reader {
    const unsigned char *start, *p, *end;
    uint32_t n, depth;
    md_error *err;
} reader;

static md_status fail(const reader *r, const char *why)
{
    return md_fail(r->err, MD_CORRUPT, "ubjson: byte %zu: %s",
                   (size_t)(r->p - r->start), why);
}

static md_status take(const unsigned char **out, reader *r, size_t n)
{
    *out = r->p; /* always: gcc cannot tell that fail is no MD_OK */
    if ((size_t)(r->end - r->p) < n)
        return fail(r, "ends in the middle of a value");
    r->p += n;
    return MD_OK;
}

/* Bytes of a number of that type; 0: none. */
static size_t size_of(char type)
{
    switch (type) {
    case 'i':
    case 'U':
        return 1;
    case 'I':
        return 2;
    case 'l':
    case 'd':
        return 4;
    case 'L':
    case 'D':
        return 8;
    default:
        return 0;
    }
}

/* A big-endian number. */
static json_t *number(char type, const unsigned char *p)
{
    const size_t n = size_of(type);
    uint64_t v = 0;
    float f;
    double d;

    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    switch (type) {
    case 'i':
        return json_integer((int8_t)v);
    case 'U':
        return json_integer((json_int_t)v);
    case 'I':
        return json_integer((int16_t)v);
    case 'l':
        return json_integer((int32_t)v);
    case 'L':
        return json_integer((json_int_t)v);
    case 'd': {
        uint32_t bits = (uint32_t)v;

        memcpy(&f, &bits, sizeof(f));
        return json_real((double)f);
    }
    default:
        memcpy(&d, &v, sizeof(d));
        return json_real(d);
    }
}

static md_status take_size(size_t *out, reader *r)
{
    const unsigned char *type, *p;
    json_t *v;
    json_int_t n;

    MD_TRY(take(&type, r, 1));
    if (size_of((char)*type) == 0 || *type == 'd' || *type == 'D')
        return fail(r, "a length expected");
    MD_TRY(take(&p, r, size_of((char)*type)));
    v = number((char)*type, p);
    n = json_integer_value(v);
    json_decref(v);
    if (n < 0 || (uint64_t)n > (uint64_t)(r->end - r->start))
        return fail(r, "a length beyond the file");
    *out = (size_t)n;
    return MD_OK;
}

static md_status take_value(json_t **out, reader *r, char type);

/* "$" type and "#" length before an array's items; *n is SIZE_MAX without. */
static md_status take_head(char *type, size_t *n, reader *r)
{
    const unsigned char *p;

    *type = 0;
    *n = SIZE_MAX;
    if (r->p < r->end && *r->p == '$') {
        MD_TRY(take(&p, r, 2));
        *type = (char)p[1];
        if (size_of(*type) == 0)
            return fail(r, "an array of a type that is no number");
        if (r->p >= r->end || *r->p != '#')
            return fail(r, "a length expected behind a type");
    }
    if (r->p < r->end && *r->p == '#') {
        r->p++;
        return take_size(n, r);
    }
    return MD_OK;
}

static md_status append(json_t *list, json_t *v, const reader *r)
{
    return v && json_array_append_new(list, v) == 0 ? MD_OK
                                                    : md_fail_nomem(r->err, 1);
}

static md_status take_array(json_t *list, reader *r)
{
    const unsigned char *p;
    json_t *v;
    char type;
    size_t n;

    MD_TRY(take_head(&type, &n, r));
    for (size_t i = 0; i < n; i++) {
        if (type) {
            if (++r->n > ITEMS_MAX)
                return fail(r, "more values than are read");
            MD_TRY(take(&p, r, size_of(type)));
            MD_TRY(append(list, number(type, p), r));
            continue;
        }
        MD_TRY(take(&p, r, 1));
        if (*p == ']' && n == SIZE_MAX)
            return MD_OK;
        MD_TRY(take_value(&v, r, (char)*p));
        MD_TRY(append(list, v, r));
    }
    return MD_OK;
}

static md_status take_text(const char **out, size_t *n, reader *r)
{
    const unsigned char *p;

    MD_TRY(take_size(n, r));
    MD_TRY(take(&p, r, *n));
    *out = (const char *)p;
    return MD_OK;
}

static md_status take_object(json_t *object, reader *r)
{
    const unsigned char *p;
    const char *key;
    json_t *v;
    size_t n;

    for (;;) {
        if (r->p < r->end && *r->p == '}') {
            r->p++;
            return MD_OK;
        }
        MD_TRY(take_text(&key, &n, r));
        MD_TRY(take(&p, r, 1));
        MD_TRY(take_value(&v, r, (char)*p));
        if (json_object_setn_new(object, key, n, v) != 0)
            return fail(r, "a name that is no text");
    }
}

static md_status take_value(json_t **out, reader *r, char type)
{
    const unsigned char *p;
    const char *text;
    md_status s = MD_OK;
    size_t n;

    if (++r->n > ITEMS_MAX || ++r->depth > DEPTH_MAX)
        return fail(r, "more values, or deeper, than are read");
    *out = NULL;
    if (size_of(type) > 0) {
        MD_TRY(take(&p, r, size_of(type)));
        *out = number(type, p);
    } else if (type == 'S' || type == 'C') {
        if (type == 'C') {
            n = 1;
            MD_TRY(take(&p, r, 1));
            text = (const char *)p;
        } else {
            MD_TRY(take_text(&text, &n, r));
        }
        *out = json_stringn(text, n);
        if (!*out)
            return fail(r, "a text that is not UTF-8");
    } else if (type == 'T' || type == 'F') {
        *out = json_boolean(type == 'T');
    } else if (type == 'Z') {
        *out = json_null();
    } else if (type == '{' || type == '[') {
        *out = type == '{' ? json_object() : json_array();
        if (*out)
            s = type == '{' ? take_object(*out, r) : take_array(*out, r);
    } else {
        return fail(r, "a type that is not known");
    }
    r->depth--;
    if (s != MD_OK) {
        json_decref(*out);
        *out = NULL;
        return s;
    }
    return *out ? MD_OK : md_fail_nomem(r->err, 1);
}

md_status md_ubjson_read(json_t **out, const void *bytes, size_t size,
                         md_error *err)
{
    reader r = { bytes, bytes, (const unsigned char *)bytes + size, 0, 0, err };
    const unsigned char *p;

    *out = NULL;
    MD_TRY(take(&p, &r, 1));
    return take_value(out, &r, (char)*p);
}
