#include "convert/torch/unpickle.h"

#include <string.h>

#include "base/size.h"
#include "convert/child.h"

enum {
    PICKLE_MAX = 256 << 20, /* bytes of a pickle: it has no weights */
    ARENA_MAX = 1 << 30,    /* what it becomes */
    SECONDS = 20
};

static const char allowed[] = "tensors, numbers, texts and plain containers";

typedef struct allowed_global {
    const char *module, *name;
} allowed_global;

static const allowed_global list[] = {
#define ALLOW(module, name) { module, name },
#include "convert/torch/allow.def"
#undef ALLOW
};

static bool is(const char *text, const char *p, size_t n)
{
    return strlen(text) == n && memcmp(text, p, n) == 0;
}

bool md_torch_allows(const char *module, size_t n_module, const char *name,
                     size_t n_name)
{
    static const char script[] = "__torch__";
    size_t n = strlen(script);

    if (n_module >= n && memcmp(module, script, n) == 0 &&
        (n_module == n || module[n] == '.'))
        return true;
    for (size_t i = 0; i < MD_COUNT(list); i++) {
        if (is(list[i].module, module, n_module) &&
            is(list[i].name, name, n_name))
            return true;
    }
    return false;
}

/* --- records: a head, the nodes, the items --- */

typedef struct head {
    uint64_t size; /* of the pickle */
    uint32_t n_nodes, n_items, root, zero;
} head;

typedef struct unpickle_job {
    const void *bytes;
    size_t size;
    const md_alloc *alloc;
} unpickle_job;

typedef md_status write_fn(void *to, const void *p, size_t n, md_error *err);

static md_status write_records(write_fn *write, void *to, const md_pickle *p,
                               md_error *err)
{
    head h = { p->size, p->n_nodes, p->n_items, p->root, 0 };

    MD_TRY(write(to, &h, sizeof(h), err));
    MD_TRY(write(to, p->nodes, p->n_nodes * sizeof(*p->nodes), err));
    return write(to, p->items, p->n_items * sizeof(*p->items), err);
}

static md_status interpret(const unpickle_job *j, write_fn *write, void *to,
                           md_error *err)
{
    md_arena arena;
    md_pickle p;
    md_status s;

    md_arena_init(&arena, j->alloc, ARENA_MAX);
    s = md_pickle_parse(&p, j->bytes, j->size, md_torch_allows, allowed, &arena,
                        err);
    if (s == MD_OK)
        s = write_records(write, to, &p, err);
    md_arena_release(&arena);
    return s;
}

static md_status write_child(void *to, const void *p, size_t n, md_error *err)
{
    return md_child_write(to, p, n, err);
}

static md_status write_buf(void *to, const void *p, size_t n, md_error *err)
{
    return md_buf_append(to, p, n, err);
}

static md_status run(void *ctx, md_child_out *out, md_error *err)
{
    return interpret(ctx, write_child, out, err);
}

md_status md_torch_pickle_records(md_buf *out, const void *bytes, size_t size,
                                  const md_alloc *alloc, md_error *err)
{
    unpickle_job j = { bytes, size, alloc };

    return interpret(&j, write_buf, out, err);
}

/* --- in the parent --- */

static md_status copy(void *out, md_arena *arena, const void *p, size_t n,
                      size_t size, md_error *err)
{
    void *to = md_arena_calloc(arena, n + 1, size);

    if (!to)
        return md_fail_nomem(err, n * size);
    if (n > 0)
        memcpy(to, p, n * size);
    memcpy(out, &to, sizeof(to));
    return MD_OK;
}

md_status md_torch_pickle_take(md_pickle *out, const void *bytes, size_t size,
                               const void *records, size_t n_records,
                               md_arena *arena, md_error *err)
{
    const unsigned char *p = records;
    size_t nodes, items;
    head h;

    if (n_records < sizeof(h))
        return md_fail(err, MD_CORRUPT, "result of the reader: no head");
    memcpy(&h, p, sizeof(h));
    nodes = h.n_nodes * sizeof(md_pickle_node);
    items = h.n_items * sizeof(uint32_t);
    if (h.size > size || n_records - sizeof(h) < nodes ||
        n_records - sizeof(h) - nodes != items)
        return md_fail(err, MD_CORRUPT,
                       "result of the reader: %zu bytes for %u objects",
                       n_records, h.n_nodes);
    *out = (md_pickle){ .bytes = bytes,
                        .size = (size_t)h.size,
                        .n_nodes = h.n_nodes,
                        .n_items = h.n_items,
                        .root = h.root };
    MD_TRY(copy(&out->nodes, arena, p + sizeof(h), h.n_nodes,
                sizeof(md_pickle_node), err));
    MD_TRY(copy(&out->items, arena, p + sizeof(h) + nodes, h.n_items,
                sizeof(uint32_t), err));
    return md_pickle_check(out, arena, err);
}

md_status md_torch_unpickle(md_pickle *out, const void *bytes, size_t size,
                            md_arena *arena, md_error *err)
{
    unpickle_job ctx = { bytes, size, md_alloc_default() };
    md_child_job job = { .name = "torch", .run = run, .ctx = &ctx };
    md_child_limits limits = MD_CHILD_LIMITS_INIT;
    md_buf records;
    md_status s;

    if (size > PICKLE_MAX)
        size = PICKLE_MAX; /* a legacy file: storages lie behind */
    ctx.size = size;
    limits.cpu_s = SECONDS;
    md_buf_init(&records, arena->alloc, ARENA_MAX);
    s = md_child_run(&records, &job, &limits, err);
    if (s == MD_OK)
        s = md_torch_pickle_take(out, bytes, size, records.data, records.size,
                                 arena, err);
    md_buf_release(&records);
    return s;
}
