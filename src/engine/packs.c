#include "engine/packs.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/size.h"
#include "engine/pack_file.h"

#define MD_LOG_TAG "engine.cache"

enum {
    KEPT_MIN = 1 << 20, /* bytes: less is packed faster than a file is opened */
    STEM_SIZE = 48,     /* of the model's name in the file's */
};

/* A file changed within this time of now may be changed once more without
 * getting another time: clocks of file systems tick each 10 ms at most; those
 * that count in seconds, each 2 s. */
static const int64_t tick_ns = 50000000, coarse_tick_ns = 2500000000;

typedef struct block {
    uint64_t node, kernel;
    void *data;
    size_t size;
} block;

struct md_packs {
    md_alloc alloc; /* what lowerings see; ctx is this */
    const md_alloc *base;
    char *folder, *path;
    md_pack_key key;
    int64_t changed_ns; /* when the model's files were changed last */
    md_map map;
    md_pack_file file;
    bool reads;    /* the file is believed */
    bool promised; /* to the node that is being lowered */
    bool gave_up;
    bool kept;        /* all blocks are the file's, and all the file's */
    uint32_t next;    /* block of the file */
    uint64_t n_begun; /* nodes */
    uint64_t node;    /* being lowered */
    block *blocks;    /* that live, in order; given up by settle */
    uint32_t n_blocks, cap_blocks;
    size_t bytes; /* of all blocks */
    pthread_t writer;
    bool writes;
};

/* ---- the allocator ---- */

static bool is_mapped(const md_packs *p, const void *at)
{
    return (uintptr_t)at - (uintptr_t)p->map.data < p->map.size;
}

static void *alloc_fn(void *ctx, size_t size, size_t align)
{
    const md_alloc *base = ((md_packs *)ctx)->base;

    return base->alloc(base->ctx, size, align);
}

static void *resize_fn(void *ctx, void *p, size_t old, size_t size,
                       size_t align)
{
    const md_alloc *base = ((md_packs *)ctx)->base;

    return base->resize(base->ctx, p, old, size, align);
}

/* The last ones first: a lowering that fails frees its own. */
static void forget(md_packs *p, const void *at)
{
    for (uint32_t i = p->n_blocks; i-- > 0;) {
        if (p->blocks[i].data != at)
            continue;
        p->bytes -= p->blocks[i].size;
        p->n_blocks--;
        memmove(p->blocks + i, p->blocks + i + 1,
                (p->n_blocks - i) * sizeof(*p->blocks));
        return;
    }
}

static void free_fn(void *ctx, void *at)
{
    md_packs *p = ctx;

    if (!at)
        return;
    forget(p, at);
    if (!is_mapped(p, at))
        p->base->free(p->base->ctx, at);
}

const md_alloc *md_packs_alloc(md_packs *p)
{
    return &p->alloc;
}

/* ---- opening ---- */

/* The model's own name, as far as it is plain, and a number for the rest. */
static char *make_path(const char *folder, const char *file, uint64_t number,
                       const md_alloc *alloc)
{
    const char *slash = strrchr(file, '/');
    const char *name = slash ? slash + 1 : file;
    const size_t size = strlen(folder) + STEM_SIZE + 32;
    char stem[STEM_SIZE];
    char *path = md_malloc(alloc, size);
    size_t n = 0;

    for (; name[n] && name[n] != '.' && n + 1 < sizeof(stem); n++) {
        const char c = name[n];
        const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                           (c >= 'A' && c <= 'Z') || c == '_' || c == '-';

        stem[n] = '_';
        if (plain)
            stem[n] = c;
    }
    stem[n] = '\0';
    if (path)
        snprintf(path, size, "%s/%s-%016llx.packed", folder, stem,
                 (unsigned long long)number);
    return path;
}

/* Map the file and believe it, or say why not. */
static md_status open_file(md_packs *p, md_pool *pool, md_error *err)
{
    md_status s;

    MD_TRY(md_map_open_own(&p->map, p->path, err));
    s = md_pack_file_read(&p->file, p->map.data, p->map.size, &p->key, err);
    if (s == MD_OK)
        s = md_pack_file_check(&p->file, pool, p->base, err);
    if (s != MD_OK)
        md_map_release(&p->map);
    return s;
}

static void try_file(md_packs *p, md_pool *pool)
{
    md_error why = MD_ERROR_INIT;
    const md_status s = open_file(p, pool, &why);

    p->reads = s == MD_OK;
    if (s == MD_OK)
        MD_LOG(MD_LOG_DEBUG, "packed weights mapped",
               md_log_str("file", p->path), md_log_uint("bytes", p->map.size));
    else if (s == MD_MISMATCH)
        MD_LOG(MD_LOG_INFO, "packed weights are stale, packing again",
               md_log_str("file", p->path), md_log_error(&why));
    else if (s != MD_NOT_FOUND)
        MD_LOG(MD_LOG_WARN, "packed weights ignored, packing again",
               md_log_str("file", p->path), md_log_error(&why));
}

md_status md_packs_open(md_packs **out, const char *folder,
                        const md_model *model, uint32_t cpu,
                        md_precision precision, md_pool *pool,
                        const md_alloc *alloc, md_error *err)
{
    const char *file = md_model_file(model);
    const uint64_t program = md_pack_program();
    const uint32_t how[2] = { cpu, (uint32_t)precision };
    md_packs *p;

    *out = NULL;
    if (!folder || !file || program == 0)
        return MD_OK;
    p = md_calloc(alloc, 1, sizeof(*p));
    if (!p)
        return md_fail_nomem(err, sizeof(*p));
    *p = (md_packs){ .alloc = { alloc_fn, resize_fn, free_fn, p },
                     .base = alloc,
                     .key.program = program };
    p->key.model = md_model_stamp(model, &p->changed_ns);
    p->key.settings =
        md_digest(md_digest_text(0, md_cpu_name()), how, sizeof(how));
    p->path =
        make_path(folder, file, md_digest_text(p->key.settings, file), alloc);
    p->folder = md_strndup(alloc, folder, strlen(folder));
    if (!p->path || !p->folder) {
        md_packs_free(p);
        return md_fail_nomem(err, strlen(folder));
    }
    try_file(p, pool);
    *out = p;
    return MD_OK;
}

/* ---- lowering ---- */

/* A number for a node: its place among all that are lowered, what it is, and
 * the types of its constants. */
static uint64_t number_node(uint64_t place, const md_graph *g, const md_node *n)
{
    uint64_t x = md_digest(0, &place, sizeof(place));

    x = md_digest_text(x, n->domain);
    x = md_digest_text(x, n->op);
    x = md_digest_text(x, md_graph_label(g, n));
    for (uint32_t i = 0; i < n->n_in; i++) {
        const md_value *v = md_graph_value(g, n->in[i]);
        int64_t type[2] = { i, 0 };

        if (!v || !v->cdata)
            continue;
        type[1] = v->cdata->dtype;
        x = md_digest(x, type, sizeof(type));
        x = md_digest(x, v->cdata->shape.dim,
                      (size_t)v->cdata->shape.rank * sizeof(int64_t));
    }
    return x;
}

bool md_packs_begin(md_packs *p, const md_graph *g, const md_node *n)
{
    p->node = number_node(p->n_begun++, g, n);
    p->gave_up = false;
    p->promised = p->reads && p->next < p->file.n_blocks &&
                  md_pack_file_block(&p->file, p->next).node == p->node;
    return p->promised;
}

bool md_packs_gave_up(const md_packs *p)
{
    return p->gave_up;
}

/* Add what is at `data`, which the caller frees on failure. */
static md_status add(md_packs *p, uint64_t kernel, void *data, size_t size,
                     md_error *err)
{
    MD_TRY(md_grow(p->base, (void *)&p->blocks, &p->cap_blocks, p->n_blocks,
                   sizeof(*p->blocks), err));
    p->blocks[p->n_blocks++] = (block){ p->node, kernel, data, size };
    p->bytes += size;
    return MD_OK;
}

/* The next block of the file, when it is what is asked for; else nothing of it
 * is believed any more. */
static md_status take_mapped(md_packs *p, void **out, uint64_t kernel,
                             size_t size, md_error *err)
{
    md_pack_block b = { .node = 0 };

    if (p->next < p->file.n_blocks)
        b = md_pack_file_block(&p->file, p->next);
    if (b.node != p->node || b.kernel != kernel || b.size != size) {
        p->gave_up = true;
        p->reads = p->promised = false;
        return md_fail(err, MD_MISMATCH,
                       "block %u: %llu bytes given, %zu for another kernel "
                       "expected",
                       p->next, (unsigned long long)b.size, size);
    }
    *out = (void *)((uintptr_t)p->map.data + b.offset);
    MD_TRY(add(p, kernel, *out, size, err));
    p->next++;
    return MD_OK;
}

md_status md_packs_take(void *ctx, const md_lower *lo, void **out, size_t size,
                        bool *ready, md_error *err)
{
    md_packs *p = ctx;
    const uint64_t kernel = md_digest_text(0, lo->kernel);
    md_status s;

    *out = NULL;
    *ready = p->promised;
    if (p->promised)
        return take_mapped(p, out, kernel, size, err);
    *out = md_malloc_aligned(p->base, size);
    if (!*out)
        return md_fail_nomem(err, size);
    s = add(p, kernel, *out, size, err);
    if (s != MD_OK)
        p->base->free(p->base->ctx, *out);
    return s;
}

/* ---- writing ---- */

/* May the model's files have been changed since they were read, with the time
 * still the same? */
static bool may_change_unseen(const md_packs *p)
{
    const int64_t tick = p->changed_ns % 1000000000 ? tick_ns : coarse_tick_ns;

    return md_clock_wall_ns() - p->changed_ns < tick;
}

static md_status write_blocks(const md_packs *p, md_file_writer *w,
                              md_error *err)
{
    const uint32_t n = p->n_blocks;
    md_pack_block *list = md_calloc(p->base, n, sizeof(*list));
    const void **data = md_calloc(p->base, n, sizeof(*data));
    md_status s = MD_OK;

    if (!list || !data)
        s = md_fail_nomem(err, n * sizeof(*list));
    for (uint32_t i = 0; i < n && s == MD_OK; i++) {
        list[i] = (md_pack_block){ .node = p->blocks[i].node,
                                   .kernel = p->blocks[i].kernel,
                                   .size = p->blocks[i].size };
        data[i] = p->blocks[i].data;
    }
    if (s == MD_OK)
        s = md_pack_file_write(w, &p->key, list, data, n, err);
    md_free(p->base, data);
    md_free(p->base, list);
    return s;
}

static md_status write_file(const md_packs *p, md_error *err)
{
    md_file_writer w;
    md_status s;

    MD_TRY(md_folder_make(p->folder, err));
    MD_TRY(md_file_writer_open(&w, p->path, p->base, err));
    w.own = w.lazy = true; /* readers check every block */
    s = write_blocks(p, &w, err);
    if (s == MD_OK)
        return md_file_writer_commit(&w, err);
    md_file_writer_abort(&w);
    return s;
}

static void *writer_main(void *ctx)
{
    const md_packs *p = ctx;
    md_error why = MD_ERROR_INIT;

    if (write_file(p, &why) == MD_OK)
        MD_LOG(MD_LOG_DEBUG, "packed weights written",
               md_log_str("file", p->path), md_log_uint("bytes", p->bytes));
    else
        MD_LOG(MD_LOG_WARN, "packed weights not written",
               md_log_str("file", p->path), md_log_error(&why));
    return NULL;
}

void md_packs_settle(md_packs *p)
{
    p->kept = p->reads && p->next == p->file.n_blocks &&
              p->n_blocks == p->file.n_blocks;
    if (p->kept || p->bytes < KEPT_MIN || p->n_blocks > MD_PACK_BLOCKS_MAX)
        return;
    if (may_change_unseen(p)) {
        MD_LOG(MD_LOG_DEBUG,
               "packed weights not written: the model's file was "
               "changed just now",
               md_log_str("file", p->path));
        return;
    }
    p->writes = pthread_create(&p->writer, NULL, writer_main, p) == 0;
}

void md_packs_wait(md_packs *p)
{
    if (!p)
        return;
    if (p->writes)
        pthread_join(p->writer, NULL);
    p->writes = false;
    md_free(p->base, p->blocks);
    p->blocks = NULL;
    p->n_blocks = p->cap_blocks = 0;
}

void md_packs_describe(const md_packs *p, md_packed *out)
{
    out->size = p->bytes;
    out->file = p->kept ? p->path : NULL;
}

void md_packs_free(md_packs *p)
{
    if (!p)
        return;
    md_packs_wait(p);
    md_map_release(&p->map);
    md_free(p->base, p->path);
    md_free(p->base, p->folder);
    md_free(p->base, p);
}
