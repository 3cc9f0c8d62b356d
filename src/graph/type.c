/* Types: tensors with constant or symbolic dimensions. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "graph/graph.h"

enum {
    SYMBOL_MAX = 40 /* bytes of a symbol's name that are shown */
};

md_type md_type_of_tensor(md_dtype dtype, const md_shape *shape)
{
    md_type t = { .dtype = dtype, .has_rank = true, .rank = shape->rank };

    for (int i = 0; i < shape->rank; i++)
        t.dim[i] = MD_DIM(shape->dim[i]);
    return t;
}

md_type md_type_of_value(const md_tensor *t)
{
    if (t->kind == MD_KIND_TENSOR)
        return md_type_of_tensor(t->dtype, &t->shape);
    return (md_type){
        .kind = t->kind, .of = t->of, .key = t->key, .dtype = t->dtype
    };
}

bool md_type_fits(const md_type *given, const md_type *want)
{
    if (given->kind != want->kind || given->of != want->of ||
        given->key != want->key)
        return false;
    if (given->dtype != want->dtype && given->dtype != MD_DTYPE_NONE &&
        want->dtype != MD_DTYPE_NONE)
        return false;
    if (!given->has_rank || !want->has_rank)
        return true;
    for (int i = 0; given->rank == want->rank && i < want->rank; i++) {
        md_dim a = given->dim[i], b = want->dim[i];

        if (md_dim_is_const(a) && md_dim_is_const(b) && a.k != b.k)
            return false;
    }
    return given->rank == want->rank;
}

bool md_dim_is_const(md_dim d)
{
    return d.sym == 0;
}

bool md_dim_equal(md_dim a, md_dim b)
{
    return a.k == b.k && a.sym == b.sym && (a.sym == 0 || a.scale == b.scale);
}

bool md_type_static(const md_type *t, md_shape *out)
{
    if (t->kind != MD_KIND_TENSOR || !t->has_rank)
        return false;
    for (int i = 0; i < t->rank; i++) {
        if (!md_dim_is_const(t->dim[i]))
            return false;
        out->dim[i] = t->dim[i].k;
    }
    out->rank = t->rank;
    return true;
}

enum {
    DEPTH_MAX = 4 /* of derived dimensions that are spelled out */
};

/* Text that is cut where the buffer ends. */
typedef struct text {
    char *buf;
    size_t size, at;
} text;

static void put(text *t, const char *fmt, ...) MD_PRINTF(2, 3);
static void put(text *t, const char *fmt, ...)
{
    va_list ap;

    if (t->at >= t->size)
        return;
    va_start(ap, fmt);
    t->at += (size_t)vsnprintf(t->buf + t->at, t->size - t->at, fmt, ap);
    va_end(ap);
}

static void put_dim(text *t, const md_model *m, md_dim d, int depth);

static void put_derived(text *t, const md_model *m, const md_expr *e, int depth)
{
    static const struct {
        const char *open, *between, *close;
    } how[] = {
        [MD_EXPR_ADD] = { "(", "+", ")" },
        [MD_EXPR_MUL] = { "", "*", "" },
        [MD_EXPR_DIV] = { "floor(", "/", ")" },
        [MD_EXPR_MOD] = { "(", " mod ", ")" },
        [MD_EXPR_MIN] = { "min(", ",", ")" },
        [MD_EXPR_MAX] = { "max(", ",", ")" },
        [MD_EXPR_BROADCAST] = { "broadcast(", ",", ")" },
        [MD_EXPR_EXACT] = { "(", "/", ")" },
        [MD_EXPR_WRAP] = { "wrap(", ",", ")" },
    };

    put(t, "%s", how[e->kind].open);
    put_dim(t, m, e->a, depth);
    put(t, "%s", how[e->kind].between);
    put_dim(t, m, e->b, depth);
    put(t, "%s", how[e->kind].close);
}

/* "3", "batch", "?4" for an anonymous symbol, "2*h+1". */
static void put_dim(text *t, const md_model *m, md_dim d, int depth)
{
    bool has = m && d.sym < m->n_symbols;
    const char *name = has ? m->symbols[d.sym] : "";
    md_expr_kind kind = has ? m->exprs[d.sym].kind : MD_EXPR_FREE;
    bool in_parts = d.sym != 0 && depth < DEPTH_MAX;

    if (d.sym == 0) {
        put(t, "%lld", (long long)d.k);
        return;
    }
    if (in_parts && d.k != 0 && depth > 0)
        put(t, "(");
    if (d.scale != 1)
        put(t, "%lld*", (long long)d.scale);
    if (name[0])
        put(t, "%.*s", (int)md_utf8_cut(name, strlen(name), SYMBOL_MAX), name);
    else if (in_parts && (kind == MD_EXPR_AT_LEAST || kind == MD_EXPR_EQUAL))
        put_dim(t, m, m->exprs[d.sym].a, depth + 1);
    else if (in_parts && kind != MD_EXPR_FREE)
        put_derived(t, m, &m->exprs[d.sym], depth + 1);
    else
        put(t, "?%u", d.sym);
    if (d.k != 0)
        put(t, "%+lld", (long long)d.k);
    if (in_parts && d.k != 0 && depth > 0)
        put(t, ")");
}

char *md_dim_format(char *buf, size_t size, const md_model *m, md_dim d)
{
    text t = { buf, size, 0 };

    put_dim(&t, m, d, 0);
    return buf;
}

char *md_type_format(char *buf, size_t size, const md_model *m,
                     const md_type *t)
{
    static const char *const kinds[] = { "", "sequence of ", "optional ",
                                         "map to " };
    bool holds = t->kind == MD_KIND_SEQUENCE || t->kind == MD_KIND_OPTIONAL;
    text out = { buf, size, 0 };

    if (size == 0)
        return buf;
    put(&out, "%s%s%s", kinds[t->kind], holds ? kinds[t->of] : "",
        md_dtype_name(t->dtype));
    if (!t->has_rank)
        return buf;
    put(&out, "[");
    for (int i = 0; i < t->rank; i++) {
        if (i)
            put(&out, ",");
        put_dim(&out, m, t->dim[i], 0);
    }
    put(&out, "]");
    return buf;
}
