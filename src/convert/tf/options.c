/* Options as tables of a FlatBuffer, made of a node's attributes. */
#include <stdlib.h>
#include <string.h>

#include "convert/tf/lower.h"

enum {
    FIELDS_MAX = 16,
    SLOT = 8, /* bytes of a field */
    LIST_MAX = 4096,
    TEXT_MAX = 64
};

static void put_u16(unsigned char *to, size_t v)
{
    to[0] = (unsigned char)v;
    to[1] = (unsigned char)(v >> 8);
}

static void put_u32(unsigned char *to, uint32_t v)
{
    put_u16(to, v & 0xffff);
    put_u16(to + 2, v >> 16);
}

static size_t vector_size(const md_tf_field *f)
{
    bool is_list = f->kind == MD_TF_FIELD_INTS || f->kind == MD_TF_FIELD_FLOATS;

    if (f->kind == MD_TF_FIELD_TEXT)
        return 4 + (strlen(f->s) + 4) / 4 * 4; /* with its end, rounded up */
    return is_list ? 4 + (size_t)f->n * 4 : 0;
}

static void put_vector(unsigned char *to, const md_tf_field *f)
{
    if (f->kind == MD_TF_FIELD_TEXT) {
        put_u32(to, (uint32_t)strlen(f->s));
        memcpy(to + 4, f->s, strlen(f->s));
        return;
    }
    put_u32(to, f->n);
    for (uint32_t i = 0; i < f->n; i++) {
        uint32_t bits;

        if (f->kind == MD_TF_FIELD_INTS)
            bits = (uint32_t)f->is[i];
        else
            memcpy(&bits, &f->fs[i], sizeof(bits));
        put_u32(to + 4 + (size_t)i * 4, bits);
    }
}

/* The vtable, the table, the vectors. */
md_status md_tf_make_options(md_fb_table *out, md_tf_lower *w,
                             const md_tf_field *fields, uint32_t n)
{
    size_t vtable = 4 + 2 * (size_t)n;
    size_t table = (vtable + 3) / 4 * 4;
    size_t size = 4 + (size_t)n * SLOT;
    size_t total = table + size;
    size_t behind = total;
    unsigned char *p;
    md_fb *fb = md_arena_calloc(w->arena, 1, sizeof(*fb));

    for (uint32_t i = 0; i < n; i++)
        total += vector_size(&fields[i]);
    p = md_arena_calloc(w->arena, total, 1);
    if (!p || !fb)
        return md_fail_nomem(w->err, total);
    md_fb_init(fb, p, total, "options");
    put_u16(p, vtable);
    put_u16(p + 2, size);
    put_u32(p + table, (uint32_t)table);
    for (uint32_t i = 0; i < n; i++) {
        const md_tf_field *f = &fields[i];
        size_t at = 4 + (size_t)i * SLOT;
        unsigned char *to = p + table + at;
        uint32_t bits;

        if (f->kind == MD_TF_FIELD_NONE)
            continue;
        put_u16(p + 4 + 2 * (size_t)i, at);
        if (f->kind == MD_TF_FIELD_INT) {
            put_u32(to, (uint32_t)f->i);
            put_u32(to + 4, (uint32_t)((uint64_t)f->i >> 32));
        } else if (f->kind == MD_TF_FIELD_FLOAT) {
            memcpy(&bits, &f->f, sizeof(bits));
            put_u32(to, bits);
        } else {
            put_u32(to, (uint32_t)(behind - table - at));
            put_vector(p + behind, f);
            behind += vector_size(f);
        }
    }
    *out = (md_fb_table){ .fb = fb,
                          .at = table,
                          .vtable = 0,
                          .vtable_size = (uint16_t)vtable,
                          .size = (uint16_t)size };
    return MD_OK;
}

/* The place of the attribute's text among A|B|C. */
static md_status read_choice(md_tf_field *f, md_tf_lower *w,
                             const md_tf_node *node, const char *name,
                             const char *choices)
{
    const char *given;
    const char *p = choices;

    f->kind = MD_TF_FIELD_INT;
    MD_TRY(md_tf_attr_text(&given, node, name, "", w->arena, w->err));
    if (!given[0])
        return MD_OK;
    for (f->i = 0; *p; f->i++) {
        size_t n = strcspn(p, "|");

        if (strlen(given) == n && strncmp(given, p, n) == 0)
            return MD_OK;
        p += n + (p[n] == '|');
    }
    return md_tf_fail(w, MD_UNSUPPORTED, "%s '%.40s', one of %s expected", name,
                      given, choices);
}

static md_status read_list(md_tf_field *f, md_tf_lower *w,
                           const md_tf_node *node, const char *name)
{
    bool floats = name[0] == '%';
    int64_t *is = md_arena_calloc(w->arena, LIST_MAX, sizeof(*is));
    float *fs = (float *)is;

    if (!is)
        return md_fail_nomem(w->err, LIST_MAX);
    f->kind = floats ? MD_TF_FIELD_FLOATS : MD_TF_FIELD_INTS;
    f->is = is;
    f->fs = fs;
    if (floats)
        MD_TRY(md_tf_attr_floats(fs, LIST_MAX, &f->n, node, name + 1, w->err));
    else
        MD_TRY(md_tf_attr_ints(is, LIST_MAX, &f->n, node, name, w->err));
    if (f->n > LIST_MAX)
        return md_tf_fail(w, MD_TOO_LARGE, "%s has %u elements", name, f->n);
    return MD_OK;
}

/* One field of the text, its name and its default apart. */
static md_status read_field(md_tf_field *f, md_tf_lower *w,
                            const md_tf_node *node, char *text)
{
    char *value = strchr(text, '=');
    float given;

    if (value)
        *value++ = '\0';
    if (text[0] == '?')
        return read_choice(f, w, node, text + 1, value ? value : "");
    if (text[0] == '$') {
        f->kind = MD_TF_FIELD_TEXT;
        return md_tf_attr_text(&f->s, node, text + 1, "", w->arena, w->err);
    }
    if (text[0] == '*')
        return read_list(f, w, node, text + 1);
    if (text[0] == '%') {
        f->kind = MD_TF_FIELD_FLOAT;
        f->f = value ? strtof(value, NULL) : 0;
        if (!text[1])
            return MD_OK;
        given = f->f;
        MD_TRY(md_tf_attr_float(&f->f, node, text + 1, given, w->err));
        return MD_OK;
    }
    if (!text[0] && !value)
        return MD_OK;
    f->kind = MD_TF_FIELD_INT;
    f->i = value ? strtol(value, NULL, 10) : 0;
    if (!text[0])
        return MD_OK;
    return md_tf_attr_int(&f->i, node, text, f->i, w->err);
}

md_status md_tf_options(md_fb_table *out, md_tf_lower *w,
                        const md_tf_node *node, const char *text)
{
    md_tf_field fields[FIELDS_MAX] = { { .kind = MD_TF_FIELD_NONE } };
    uint32_t n = 0;

    *out = (md_fb_table){ .fb = NULL };
    if (!text[0])
        return MD_OK;
    for (const char *p = text;; p++) {
        char one[TEXT_MAX] = "";
        size_t size = strcspn(p, ",");

        memcpy(one, p, size < sizeof(one) - 1 ? size : sizeof(one) - 1);
        MD_TRY(read_field(&fields[n++], w, node, one));
        p += size;
        if (!*p || n == FIELDS_MAX)
            break;
    }
    return md_tf_make_options(out, w, fields, n);
}
