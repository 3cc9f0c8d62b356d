/* Types: tensors with constant or symbolic dimensions. */
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

/* "3", "batch", "?4" for an anonymous symbol, "2*h+1". */
static size_t format_dim(char *buf, size_t size, const md_model *m, md_dim d)
{
    const char *name = m && d.sym < m->n_symbols ? m->symbols[d.sym] : "";
    size_t at = 0;

    if (d.sym == 0)
        return (size_t)snprintf(buf, size, "%lld", (long long)d.k);
    if (d.scale != 1)
        at += (size_t)snprintf(buf, size, "%lld*", (long long)d.scale);
    if (at < size && name[0])
        at += (size_t)snprintf(buf + at, size - at, "%.*s",
                               (int)md_utf8_cut(name, strlen(name), SYMBOL_MAX),
                               name);
    else if (at < size)
        at += (size_t)snprintf(buf + at, size - at, "?%u", d.sym);
    if (at < size && d.k != 0)
        at += (size_t)snprintf(buf + at, size - at, "%+lld", (long long)d.k);
    return at;
}

char *md_type_format(char *buf, size_t size, const md_model *m,
                     const md_type *t)
{
    static const char *const kinds[] = { "", "sequence of ", "optional ",
                                         "map to " };
    bool holds = t->kind == MD_KIND_SEQUENCE || t->kind == MD_KIND_OPTIONAL;
    size_t at;

    if (size == 0)
        return buf;
    at = (size_t)snprintf(buf, size, "%s%s%s", kinds[t->kind],
                          holds ? kinds[t->of] : "", md_dtype_name(t->dtype));
    if (!t->has_rank)
        return buf;
    if (at < size)
        at += (size_t)snprintf(buf + at, size - at, "[");
    for (int i = 0; i < t->rank && at < size; i++) {
        if (i)
            at += (size_t)snprintf(buf + at, size - at, ",");
        if (at < size)
            at += format_dim(buf + at, size - at, m, t->dim[i]);
    }
    if (at < size)
        snprintf(buf + at, size - at, "]");
    return buf;
}
