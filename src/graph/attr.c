/* Attributes of nodes. */
#include <string.h>

#include "graph/graph.h"

const md_attr *md_node_attr(const md_node *n, const char *name)
{
    for (uint32_t i = 0; i < n->n_attr; i++) {
        if (strcmp(n->attr[i].name, name) == 0)
            return &n->attr[i];
    }
    return NULL;
}

const char *md_attr_type_name(md_attr_type type)
{
    static const char *const names[] = {
        [MD_ATTR_NONE] = "NONE",
        [MD_ATTR_FLOAT] = "FLOAT",
        [MD_ATTR_INT] = "INT",
        [MD_ATTR_STRING] = "STRING",
        [MD_ATTR_TENSOR] = "TENSOR",
        [MD_ATTR_GRAPH] = "GRAPH",
        [MD_ATTR_FLOATS] = "FLOATS",
        [MD_ATTR_INTS] = "INTS",
        [MD_ATTR_STRINGS] = "STRINGS",
        [MD_ATTR_TENSORS] = "TENSORS",
        [MD_ATTR_GRAPHS] = "GRAPHS",
        [MD_ATTR_SPARSE_TENSOR] = "SPARSE_TENSOR",
        [MD_ATTR_SPARSE_TENSORS] = "SPARSE_TENSORS",
        [MD_ATTR_TYPE_PROTO] = "TYPE_PROTO",
        [MD_ATTR_TYPE_PROTOS] = "TYPE_PROTOS",
    };

    return (size_t)type < MD_COUNT(names) ? names[type] : "UNKNOWN";
}

int64_t md_node_attr_i(const md_node *n, const char *name, int64_t otherwise)
{
    const md_attr *a = md_node_attr(n, name);

    return a && a->type == MD_ATTR_INT ? a->v.i : otherwise;
}

float md_node_attr_f(const md_node *n, const char *name, float otherwise)
{
    const md_attr *a = md_node_attr(n, name);

    return a && a->type == MD_ATTR_FLOAT ? a->v.f : otherwise;
}

const char *md_node_attr_s(const md_node *n, const char *name,
                           const char *otherwise)
{
    const md_attr *a = md_node_attr(n, name);

    return a && a->type == MD_ATTR_STRING ? a->v.s.p : otherwise;
}

const int64_t *md_node_attr_is(const md_node *n, const char *name,
                               uint32_t *n_out)
{
    const md_attr *a = md_node_attr(n, name);

    *n_out = a && a->type == MD_ATTR_INTS ? a->n : 0;
    return *n_out ? a->v.is : NULL;
}

const float *md_node_attr_fs(const md_node *n, const char *name,
                             uint32_t *n_out)
{
    const md_attr *a = md_node_attr(n, name);

    *n_out = a && a->type == MD_ATTR_FLOATS ? a->n : 0;
    return *n_out ? a->v.fs : NULL;
}

uint32_t md_attr_graphs(const md_attr *a, md_graph *const **list)
{
    switch (a->type) {
    case MD_ATTR_GRAPH:
        *list = &a->v.g;
        return a->v.g != NULL;
    case MD_ATTR_GRAPHS:
        *list = a->v.gs;
        return a->n;
    default:
        *list = NULL;
        return 0;
    }
}

md_status md_node_add_attr(md_graph *g, md_node *n, const md_attr *attr,
                           md_error *err)
{
    md_arena *ar = &g->model->arena;
    const md_attr *old = md_node_attr(n, attr->name);
    md_attr *slot;
    const char *name;

    if (old) {
        slot = &n->attr[old - n->attr];
        name = slot->name;
    } else {
        MD_TRY(md_arena_grow(ar, &n->attr, &n->cap_attr, n->n_attr,
                             sizeof(*n->attr), err));
        name = md_arena_strdup(ar, attr->name);
        if (!name)
            return md_fail_nomem(err, strlen(attr->name));
        slot = &n->attr[n->n_attr++];
    }
    *slot = *attr;
    slot->name = name;
    return MD_OK;
}

md_status md_node_set_attr_i(md_graph *g, md_node *n, const char *name,
                             int64_t v, md_error *err)
{
    md_attr a = { .name = name, .type = MD_ATTR_INT, .v.i = v };

    return md_node_add_attr(g, n, &a, err);
}

md_status md_node_set_attr_f(md_graph *g, md_node *n, const char *name, float v,
                             md_error *err)
{
    md_attr a = { .name = name, .type = MD_ATTR_FLOAT, .v.f = v };

    return md_node_add_attr(g, n, &a, err);
}

md_status md_node_set_attr_s(md_graph *g, md_node *n, const char *name,
                             const char *v, md_error *err)
{
    md_attr a = { .name = name, .type = MD_ATTR_STRING };
    char *copy = md_arena_strdup(&g->model->arena, v);

    if (!copy)
        return md_fail_nomem(err, strlen(v));
    a.v.s = (md_str){ copy, strlen(v) };
    return md_node_add_attr(g, n, &a, err);
}

md_status md_node_set_attr_is(md_graph *g, md_node *n, const char *name,
                              const int64_t *v, uint32_t n_v, md_error *err)
{
    md_attr a = { .name = name, .type = MD_ATTR_INTS, .n = n_v };
    int64_t *copy = md_arena_calloc(&g->model->arena, n_v + 1u, sizeof(*copy));

    if (!copy)
        return md_fail_nomem(err, n_v * sizeof(*copy));
    if (n_v)
        memcpy(copy, v, n_v * sizeof(*copy));
    a.v.is = copy;
    return md_node_add_attr(g, n, &a, err);
}
