#include "support/text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/build.h"
#include "tensor/float.h"

enum {
    LIST_MAX = 64 /* elements that a list has room for at least */
};

void text_space(text_reader *t)
{
    t->p += strspn(t->p, " \n");
}

bool text_take(text_reader *t, char c)
{
    text_space(t);
    if (*t->p != c)
        return false;
    t->p++;
    return true;
}

static void fail(text_reader *t, const char *fault)
{
    if (!t->fault)
        t->fault = fault;
}

md_dtype text_type(const char *name)
{
    static const struct {
        const char *name;
        md_dtype t;
    } rows[] = {
        { "f32", MD_DTYPE_F32 },
        { "f64", MD_DTYPE_F64 },
        { "f16", MD_DTYPE_F16 },
        { "bf16", MD_DTYPE_BF16 },
        { "i8", MD_DTYPE_I8 },
        { "u8", MD_DTYPE_U8 },
        { "i16", MD_DTYPE_I16 },
        { "u16", MD_DTYPE_U16 },
        { "i32", MD_DTYPE_I32 },
        { "u32", MD_DTYPE_U32 },
        { "i64", MD_DTYPE_I64 },
        { "u64", MD_DTYPE_U64 },
        { "bool", MD_DTYPE_BOOL },
        { "i4", MD_DTYPE_I4 },
        { "u4", MD_DTYPE_U4 },
        { "i2", MD_DTYPE_I2 },
        { "u2", MD_DTYPE_U2 },
        { "str", MD_DTYPE_STRING },
        { "e4m3fn", MD_DTYPE_F8E4M3FN },
        { "e5m2", MD_DTYPE_F8E5M2 },
        { "f4", MD_DTYPE_F4E2M1 },
        { "e8m0", MD_DTYPE_F8E8M0 },
        { "e4m3fnuz", MD_DTYPE_F8E4M3FNUZ },
        { "e5m2fnuz", MD_DTYPE_F8E5M2FNUZ },
    };

    for (size_t i = 0; i < MD_COUNT(rows); i++) {
        if (strcmp(rows[i].name, name) == 0)
            return rows[i].t;
    }
    return MD_DTYPE_NONE;
}

void text_word(text_reader *t, char word[TEXT_WORD])
{
    size_t n = 0;

    while ((isalnum((unsigned char)*t->p) || *t->p == '_') && n < TEXT_WORD - 1)
        word[n++] = *t->p++;
    word[n] = '\0';
}

double text_number(text_reader *t)
{
    char *end;
    double v = strtod(t->p, &end);

    if (end == t->p)
        fail(t, "a number expected");
    t->p = end;
    return v;
}

/* Integers beyond 2^53 need their own reading. */
static void take_element(text_reader *t, md_tensor *out, int64_t i)
{
    const char *digits = *t->p == '-' ? t->p + 1 : t->p;
    size_t n = strspn(digits, "0123456789");
    char *end;
    double v;

    if (n > 0 && digits[n] != '.' && digits[n] != 'e' &&
        md_dtype_is_integer(out->dtype)) {
        int64_t whole = *t->p == '-' ? strtoll(t->p, &end, 10)
                                     : (int64_t)strtoull(t->p, &end, 10);

        t->p = end;
        md_tensor_set_i64(out, i, whole);
        return;
    }
    v = text_number(t);
    if (out->dtype == MD_DTYPE_F8E5M2) /* an Inf is stored, not its nearest */
        ((uint8_t *)out->data)[i] = md_f32_to_f8(out->dtype, (float)v, false);
    else
        md_tensor_set_f64(out, i, v);
}

/* In quotes where it is empty or has spaces. */
static void take_string(text_reader *t, md_tensor *out, int64_t i)
{
    bool quoted = *t->p == '"';
    size_t n = strcspn(t->p += quoted, quoted ? "\"" : " }");

    ((md_str *)out->data)[i] = (md_str){ t->p, n };
    t->p += n + quoted;
}

/* "{...}" */
static void take_values(text_reader *t, md_tensor *out)
{
    int64_t n = md_tensor_n(out);
    const char *at = ++t->p;
    const char *dots = strstr(at, "..");

    if (*at == '=') {
        at = ++t->p;
        for (int64_t i = 0; i < n; i++) {
            t->p = at;
            take_element(t, out, i);
        }
        t->p += n == 0 ? strcspn(t->p, "}") : 0;
    } else if (dots && dots < strchr(at, '}')) {
        double first = text_number(t);

        for (int64_t i = 0; i < n; i++)
            md_tensor_set_f64(out, i, first + (double)i);
        t->p = strchr(t->p, '}');
    } else {
        for (int64_t i = 0; i < n && !t->fault; i++) {
            text_space(t);
            if (out->dtype == MD_DTYPE_STRING)
                take_string(t, out, i);
            else
                take_element(t, out, i);
        }
    }
    if (!text_take(t, '}'))
        fail(t, "} expected: wrong number of elements");
}

static void take_container(text_reader *t, md_kind kind, md_tensor *out)
{
    enum {
        ITEMS_MAX = 8
    };
    md_tensor like = { .kind = kind }, items[ITEMS_MAX] = { 0 };
    int64_t n = 0;
    char word[TEXT_WORD];

    t->p++;
    for (text_space(t); *t->p && *t->p != ')' && !t->fault; text_space(t)) {
        text_word(t, word);
        if (*t->p == ')') { /* empty */
            like.dtype = text_type(word);
        } else if (n == ITEMS_MAX) {
            fail(t, "too many items");
        } else {
            text_tensor(t, word, &items[n++]);
            like.dtype = items[0].dtype;
            like.of = items[0].kind;
        }
    }
    if (*t->p++ != ')' || like.dtype == MD_DTYPE_NONE ||
        md_container_alloc(out, &like, n, md_alloc_default(), NULL) != MD_OK)
        fail(t, "items and ) expected");
    for (int64_t i = 0; i < n; i++) {
        if (!t->fault && md_container_give(out, i, &items[i], NULL) != MD_OK)
            fail(t, "out of memory");
        md_tensor_release(&items[i]);
    }
}

void text_tensor(text_reader *t, const char *type, md_tensor *out)
{
    md_dtype dtype = text_type(type);
    md_shape shape = { 0 };
    md_error err = MD_ERROR_INIT;

    if (*t->p == '(' &&
        (strcmp(type, "seq") == 0 || strcmp(type, "opt") == 0)) {
        take_container(t, type[0] == 's' ? MD_KIND_SEQUENCE : MD_KIND_OPTIONAL,
                       out);
        return;
    }
    if (dtype == MD_DTYPE_NONE || *t->p != '[') {
        fail(t, "a tensor expected");
        return;
    }
    t->p++;
    while (*t->p && *t->p != ']' && shape.rank < MD_RANK_MAX) {
        shape.dim[shape.rank++] = (int64_t)text_number(t);
        if (*t->p == ',')
            t->p++;
    }
    t->p++;
    if (md_tensor_alloc(out, dtype, &shape, md_alloc_default(), &err) != MD_OK)
        fail(t, "tensor too large");
    else if (*t->p == '{')
        take_values(t, out);
    else if (text_take(t, '~'))
        md_build_fill_any(out, text_number(t), ++t->n_random);
    else
        fail(t, "{ or ~ expected");
}

/* Room for the elements of a list. */
static uint32_t list_room(const text_reader *t)
{
    const char *end = t->p + strcspn(t->p, "]");
    uint32_t n = LIST_MAX;

    for (const char *p = t->p; p < end; p++)
        n += *p == ',';
    return n;
}

/* ["a","b"]; the strings stay in the text. */
static void take_strings(text_reader *t, md_graph *g, md_node *n,
                         const char *name)
{
    const uint32_t room = list_room(t);
    md_str *v = md_arena_calloc(&g->model->arena, room, sizeof(*v));
    md_attr a = { .name = name, .type = MD_ATTR_STRINGS, .v.ss = v };

    while (v && (*t->p == '[' || *t->p == ',') && a.n < room) {
        t->p += 2; /* and the quote */
        v[a.n] = (md_str){ t->p, strcspn(t->p, "\"]") };
        t->p += v[a.n++].n + 1;
    }
    if (!v || *t->p++ != ']' || md_node_add_attr(g, n, &a, NULL) != MD_OK)
        fail(t, "attribute refused");
}

static void take_list(text_reader *t, md_graph *g, md_node *n, const char *name)
{
    md_arena *ar = &g->model->arena;
    const uint32_t room = list_room(t);
    int64_t *ints = md_arena_calloc(ar, room, sizeof(*ints));
    float *floats = md_arena_calloc(ar, room, sizeof(*floats));
    md_attr a = { .name = name, .type = MD_ATTR_INTS };
    size_t size = strcspn(t->p, "]");

    if (!ints || !floats) {
        fail(t, "out of memory");
        return;
    }
    if (memchr(t->p, '.', size))
        a.type = MD_ATTR_FLOATS;
    t->p++;
    while (*t->p && *t->p != ']' && a.n < room && !t->fault) {
        double v = text_number(t);

        ints[a.n] = (int64_t)v;
        floats[a.n++] = (float)v;
        if (*t->p == ',')
            t->p++;
    }
    t->p++;
    if (a.type == MD_ATTR_INTS)
        a.v.is = ints;
    else
        a.v.fs = floats;
    if (md_node_add_attr(g, n, &a, NULL) != MD_OK)
        fail(t, "attribute refused");
}

/* "i32[1]{5}", in the model's memory; strings stay in the text. */
static void take_tensor(text_reader *t, md_graph *g, md_node *n,
                        const char *name)
{
    md_tensor *v = md_arena_calloc(&g->model->arena, 1, sizeof(*v));
    md_attr a = { .name = name, .type = MD_ATTR_TENSOR, .v.t = v };
    md_tensor read = MD_TENSOR_INIT;
    char type[TEXT_WORD];

    text_word(t, type);
    text_tensor(t, type, &read);
    if (v && !t->fault) {
        size_t size = md_tensor_size(&read);

        v->dtype = read.dtype;
        v->shape = read.shape;
        v->data = md_arena_alloc_aligned(&g->model->arena, size + 1);
        if (v->data && size)
            memcpy(v->data, read.data, size);
    }
    if (!v || !v->data || md_node_add_attr(g, n, &a, NULL) != MD_OK)
        fail(t, "attribute refused");
    md_tensor_release(&read);
}

void text_attr(text_reader *t, md_graph *g, md_node *n, const char *name)
{
    md_status s;

    t->p++;
    if (*t->p == '[') {
        if (t->p[1] == '"')
            take_strings(t, g, n, name);
        else
            take_list(t, g, n, name);
        return;
    }
    if (islower((unsigned char)*t->p) && strncmp(t->p, "inf", 3) != 0 &&
        strncmp(t->p, "nan", 3) != 0) {
        take_tensor(t, g, n, name);
        return;
    }
    if (*t->p == '"') {
        char value[TEXT_WORD];

        size_t length = strcspn(++t->p, "\"");

        snprintf(value, sizeof(value), "%.*s", (int)length, t->p);
        t->p += length + (t->p[length] == '"');
        s = md_node_set_attr_s(g, n, name, value, NULL);
    } else {
        size_t size = strcspn(t->p, " ;\n");
        char *end = NULL;

        if (memchr(t->p, '.', size)) {
            s = md_node_set_attr_f(g, n, name, (float)text_number(t), NULL);
        } else {
            s = md_node_set_attr_i(g, n, name, strtoll(t->p, &end, 10), NULL);
            if (end == t->p)
                fail(t, "a number expected");
            t->p = end;
        }
    }
    if (s != MD_OK)
        fail(t, "attribute refused");
}
