/* The model: owner of graphs, opset imports, metadata and symbols. */
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/size.h"
#include "graph/model_impl.h"

md_status md_model_new(md_model **out, const md_alloc *alloc, size_t limit,
                       md_error *err)
{
    md_model *m = md_calloc(alloc, 1, sizeof(*m));
    uint32_t none;
    md_status s;

    if (!m)
        return md_fail_nomem(err, sizeof(*m));
    m->alloc = alloc;
    md_arena_init(&m->arena, alloc, limit);
    m->producer_name = m->producer_version = m->domain = m->doc = "";
    MD_GOTO(md_model_symbol(&none, m, NULL, err)); /* id 0: no symbol */
    MD_GOTO(md_graph_new(&m->graph, m, NULL, "", err));
    *out = m;
    return MD_OK;
out:
    md_model_free(m);
    return s;
}

/* In the model's arena. */
typedef struct md_model_map {
    md_map map;
    struct md_model_map *next;
} md_model_map;

md_status md_model_keep_map(md_model *m, md_map *map, md_error *err)
{
    md_model_map *k = md_arena_alloc(&m->arena, sizeof(*k));

    if (!k)
        return md_fail_nomem(err, sizeof(*k));
    *k = (md_model_map){ *map, m->maps };
    m->maps = k;
    *map = (md_map){ 0 };
    return MD_OK;
}

md_status md_model_set_file(md_model *m, const char *path, md_error *err)
{
    char folder[4096];

    if (path[0] == '/')
        m->file = md_arena_strdup(&m->arena, path);
    else if (getcwd(folder, sizeof(folder)))
        m->file = md_arena_printf(&m->arena, "%s/%s", folder, path);
    else
        return MD_OK; /* nobody can name it later */
    return m->file ? MD_OK : md_fail_nomem(err, strlen(path) + 1);
}

const char *md_model_file(const md_model *m)
{
    return m->file;
}

uint64_t md_model_stamp(const md_model *m, int64_t *changed_ns)
{
    uint64_t sum = 0;

    *changed_ns = 0;
    for (const md_model_map *k = m->maps; k; k = k->next) {
        sum = md_digest(sum, &k->map.id, sizeof(k->map.id));
        *changed_ns = md_max_i64(*changed_ns, k->map.id.changed_ns);
    }
    return sum;
}

void md_model__forget(const md_model *m, const void *p, size_t size)
{
    for (const md_model_map *k = m->maps; k; k = k->next) {
        uintptr_t at = (uintptr_t)p - (uintptr_t)k->map.data;

        if (at < k->map.size)
            md_map_forget(p, size);
    }
}

void md_model_free(md_model *m)
{
    if (!m)
        return;
    for (md_model_map *k = m->maps; k; k = k->next)
        md_map_release(&k->map);
    while (m->n_cleanups > 0) {
        m->n_cleanups--;
        m->cleanups[m->n_cleanups].fn(m->cleanups[m->n_cleanups].ctx);
    }
    md_arena_release(&m->arena);
    md_free(m->alloc, m);
}

md_status md_model_on_free(md_model *m, md_model_cleanup_fn *fn, void *ctx,
                           md_error *err)
{
    if (m->n_cleanups == MD_COUNT(m->cleanups))
        return md_fail(err, MD_TOO_LARGE, "model keeps more than %zu resources",
                       MD_COUNT(m->cleanups));
    m->cleanups[m->n_cleanups].fn = fn;
    m->cleanups[m->n_cleanups].ctx = ctx;
    m->n_cleanups++;
    return MD_OK;
}

/* "ai.onnx" is another spelling of "". */
static const char *canonical(const char *domain)
{
    return strcmp(domain, "ai.onnx") == 0 ? "" : domain;
}

static md_opset *find_opset(const md_model *m, const char *domain)
{
    for (uint32_t i = 0; i < m->n_opsets; i++) {
        if (strcmp(m->opsets[i].domain, canonical(domain)) == 0)
            return &m->opsets[i];
    }
    return NULL;
}

int64_t md_model_opset(const md_model *m, const char *domain)
{
    const md_opset *o = find_opset(m, domain);

    return o ? o->version : 0;
}

int64_t md_node_opset(const md_model *m, const md_node *n)
{
    return n->opset ? n->opset : md_model_opset(m, n->domain);
}

md_status md_model_set_opset(md_model *m, const char *domain, int64_t version,
                             md_error *err)
{
    md_opset *o = find_opset(m, domain);

    if (!o) {
        char *copy = md_arena_strdup(&m->arena, canonical(domain));

        if (!copy)
            return md_fail_nomem(err, strlen(domain));
        MD_TRY(md_arena_grow(&m->arena, &m->opsets, &m->cap_opsets, m->n_opsets,
                             sizeof(*o), err));
        o = &m->opsets[m->n_opsets++];
        o->domain = copy;
    }
    o->version = version;
    return MD_OK;
}

static md_names_of meta_names(const md_model *m)
{
    return (md_names_of){ m->metas ? &m->metas->key : NULL, sizeof(*m->metas) };
}

static md_meta *find_meta(const md_model *m, const char *key)
{
    uint32_t at = md_names__find(&m->meta_names, meta_names(m), key);

    return at == MD_NAMES_NONE ? NULL : &m->metas[at];
}

const char *md_model_meta(const md_model *m, const char *key)
{
    const md_meta *meta = find_meta(m, key);

    return meta ? meta->value : NULL;
}

static md_status add_meta(md_model *m, const char *key, const char *value,
                          md_error *err)
{
    char *name = md_arena_strdup(&m->arena, key);

    if (!name)
        return md_fail_nomem(err, strlen(key));
    MD_TRY(md_arena_grow(&m->arena, &m->metas, &m->cap_metas, m->n_metas,
                         sizeof(*m->metas), err));
    MD_TRY(md_names__reserve(&m->meta_names, meta_names(m), &m->arena, err));
    m->metas[m->n_metas] = (md_meta){ name, value };
    md_names__add(&m->meta_names, meta_names(m), m->n_metas++);
    return MD_OK;
}

md_status md_model_set_meta(md_model *m, const char *key, const char *value,
                            md_error *err)
{
    md_meta *meta = find_meta(m, key);
    char *copy = md_arena_strdup(&m->arena, value);

    if (!copy)
        return md_fail_nomem(err, strlen(value));
    if (!meta)
        return add_meta(m, key, copy, err);
    meta->value = copy;
    return MD_OK;
}

static md_names_of symbol_names(const md_model *m)
{
    return (md_names_of){ m->symbols, sizeof(*m->symbols) };
}

md_status md_model_symbol(uint32_t *out, md_model *m, const char *name,
                          md_error *err)
{
    bool named = name && name[0];
    char *copy;

    if (named) {
        *out = md_names__find(&m->symbol_names, symbol_names(m), name);
        if (*out != MD_NAMES_NONE)
            return MD_OK;
        MD_TRY(md_names__reserve(&m->symbol_names, symbol_names(m), &m->arena,
                                 err));
    }
    copy = md_arena_strdup(&m->arena, named ? name : "");
    if (!copy)
        return md_fail_nomem(err, 1);
    MD_TRY(md_arena_grow(&m->arena, &m->symbols, &m->cap_symbols, m->n_symbols,
                         sizeof(*m->symbols), err));
    MD_TRY(md_arena_grow(&m->arena, &m->exprs, &m->cap_exprs, m->n_symbols,
                         sizeof(*m->exprs), err));
    m->symbols[m->n_symbols] = copy;
    m->exprs[m->n_symbols] = (md_expr){ .natural = true };
    if (named)
        md_names__add(&m->symbol_names, symbol_names(m), m->n_symbols);
    *out = m->n_symbols++;
    return MD_OK;
}
