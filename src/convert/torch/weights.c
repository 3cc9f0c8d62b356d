#include "convert/torch/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "convert/torch/unpickle.h"
#include "formats/safetensors.h"

enum {
    DEPTH_MAX = 16,        /* dicts in each other */
    WEIGHTS_MAX = 1 << 20, /* tensors of a state dict */
    VISITS_MAX = 1 << 22   /* values of dicts, shared ones each time */
};

/* The storages of a legacy file, in the order of its list of keys. */
struct md_torch_legacy {
    struct md_torch_legacy_storage *s; /* sorted by key once all are read */
    uint32_t n;
};

struct md_torch_legacy_storage {
    const char *key;
    md_torch_bytes bytes;
};

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct md_torch_legacy_storage *)a)->key,
                  ((const struct md_torch_legacy_storage *)b)->key);
}

typedef struct type_name {
    const char *name;
    md_dtype dtype;
} type_name;

static const type_name storage_types[] = {
    { "FloatStorage", MD_DTYPE_F32 },
    { "DoubleStorage", MD_DTYPE_F64 },
    { "HalfStorage", MD_DTYPE_F16 },
    { "BFloat16Storage", MD_DTYPE_BF16 },
    { "LongStorage", MD_DTYPE_I64 },
    { "IntStorage", MD_DTYPE_I32 },
    { "ShortStorage", MD_DTYPE_I16 },
    { "CharStorage", MD_DTYPE_I8 },
    { "ByteStorage", MD_DTYPE_U8 },
    { "BoolStorage", MD_DTYPE_BOOL },
    { "ComplexFloatStorage", MD_DTYPE_C64 },
};

static md_status malformed(const char *name, const char *what, md_error *err)
{
    return md_fail(err, MD_CORRUPT, "tensor '%.80s': %s", name, what);
}

static md_status storage_dtype(md_dtype *out, const md_pickle *p,
                               const md_pickle_node *n, const char *name,
                               md_error *err)
{
    for (size_t i = 0; i < MD_COUNT(storage_types); i++) {
        if (md_pickle_is_global(p, n, "torch", storage_types[i].name)) {
            *out = storage_types[i].dtype;
            return MD_OK;
        }
    }
    return md_fail(err, MD_UNSUPPORTED,
                   "tensor '%.80s': storage of a type that is not read", name);
}

/* The bytes of storage `key`. */
static md_status find_storage(md_torch_bytes *out,
                              const md_torch_storages *from, const char *key,
                              const char *name, md_error *err)
{
    char member[512];

    if (from->legacy) {
        struct md_torch_legacy_storage wanted = { .key = key };
        const struct md_torch_legacy_storage *got = NULL;

        if (from->legacy->n > 0)
            got = bsearch(&wanted, from->legacy->s, from->legacy->n,
                          sizeof(wanted), by_key);
        if (!got)
            return malformed(name, "its storage is not in the file", err);
        *out = got->bytes;
        return MD_OK;
    }
    snprintf(member, sizeof(member), "%.100s%.300s", from->prefix, key);
    if (md_torch_file_read(out, from->file, member, err) != MD_OK)
        return md_wrap(err, MD_CORRUPT, "tensor '%.80s': ", name);
    return MD_OK;
}

/* ('storage', type, key, device, elements [, view]) */
static md_status read_storage(md_torch_view *v, const md_pickle *p,
                              const md_pickle_node *n,
                              const md_torch_storages *from, const char *name,
                              md_error *err)
{
    const md_pickle_node *id, *count, *key;
    char text[256];
    size_t bytes;

    if (n->kind != MD_PICKLE_PERSISTENT)
        return malformed(name, "a storage expected", err);
    id = md_pickle_item(p, n, 0);
    if (id->kind != MD_PICKLE_TUPLE || id->n < 5 ||
        !md_pickle_is(p, md_pickle_item(p, id, 0), "storage"))
        return malformed(name, "('storage', type, key, ...) expected", err);
    key = md_pickle_item(p, id, 2);
    count = md_pickle_item(p, id, 4);
    if (key->kind != MD_PICKLE_TEXT || key->n >= sizeof(text) ||
        memchr(p->bytes + key->v.i, 0, key->n) ||
        count->kind != MD_PICKLE_INT || count->v.i < 0)
        return malformed(name, "malformed storage", err);
    if (id->n > 5 && md_pickle_item(p, id, 5)->kind != MD_PICKLE_NULL)
        return md_fail(err, MD_UNSUPPORTED,
                       "tensor '%.80s': view of another storage, as PyTorch "
                       "before 0.4 wrote",
                       name);
    memcpy(text, p->bytes + key->v.i, key->n);
    text[key->n] = '\0';
    MD_TRY(storage_dtype(&v->dtype, p, md_pickle_item(p, id, 1), name, err));
    MD_TRY(find_storage(&v->storage, from, text, name, err));
    if (!md_mul_size(&bytes, (size_t)count->v.i, md_dtype_bits(v->dtype) / 8) ||
        bytes > v->storage.size)
        return md_fail(err, MD_CORRUPT,
                       "tensor '%.80s': storage of %lld elements in %zu bytes",
                       name, (long long)count->v.i, v->storage.size);
    v->storage.size = bytes;
    return MD_OK;
}

static md_status read_sizes(int64_t out[MD_RANK_MAX], int *rank,
                            const md_pickle *p, const md_pickle_node *n,
                            const char *name, md_error *err)
{
    if (n->kind == MD_PICKLE_CALL) /* torch.Size((...)) */
        n = md_pickle_item(p, n, 1);
    if (n->kind == MD_PICKLE_TUPLE && n->n == 1 &&
        md_pickle_item(p, n, 0)->kind == MD_PICKLE_TUPLE)
        n = md_pickle_item(p, n, 0);
    if ((n->kind != MD_PICKLE_TUPLE && n->kind != MD_PICKLE_LIST) ||
        n->n > MD_RANK_MAX)
        return malformed(name, "a tuple of up to 8 sizes expected", err);
    *rank = (int)n->n;
    for (uint32_t i = 0; i < n->n; i++) {
        const md_pickle_node *x = md_pickle_item(p, n, i);

        if (x->kind != MD_PICKLE_INT)
            return malformed(name, "a size that is no number of 64 bits", err);
        out[i] = x->v.i;
    }
    return MD_OK;
}

/* (storage, offset, size, stride, ...) */
static md_status read_rebuild(md_torch_view *v, const md_pickle *p,
                              const md_pickle_node *args,
                              const md_torch_storages *from, const char *name,
                              md_error *err)
{
    const md_pickle_node *offset;
    int rank;

    if (args->kind != MD_PICKLE_TUPLE || args->n < 4)
        return malformed(name, "storage, offset, size, stride expected", err);
    offset = md_pickle_item(p, args, 1);
    if (offset->kind != MD_PICKLE_INT)
        return malformed(name, "an offset expected", err);
    v->offset = offset->v.i;
    MD_TRY(read_sizes(v->shape.dim, &v->shape.rank, p,
                      md_pickle_item(p, args, 2), name, err));
    MD_TRY(
        read_sizes(v->stride, &rank, p, md_pickle_item(p, args, 3), name, err));
    if (rank != v->shape.rank)
        return malformed(name, "as many strides as sizes expected", err);
    MD_TRY(read_storage(v, p, md_pickle_item(p, args, 0), from, name, err));
    return md_torch_view_check(v, name, err);
}

md_status md_torch_read_tensor(md_torch_view *out, bool *is_tensor,
                               const md_pickle *p, const md_pickle_node *n,
                               const md_torch_storages *from, const char *name,
                               md_error *err)
{
    const md_pickle_node *what = NULL;

    *is_tensor = false;
    memset(out, 0, sizeof(*out));
    if (n->kind == MD_PICKLE_CALL) {
        what = md_pickle_item(p, n, 0);
        if (md_pickle_is_global(p, what, "torch._utils",
                                "_rebuild_parameter")) {
            const md_pickle_node *args = md_pickle_item(p, n, 1);

            if (args->kind != MD_PICKLE_TUPLE || args->n < 1)
                return malformed(name, "a tensor expected", err);
            n = md_pickle_item(p, args, 0);
            if (n->kind != MD_PICKLE_CALL)
                return malformed(name, "a tensor expected", err);
            what = md_pickle_item(p, n, 0);
        }
    }
    if (!md_pickle_is_global(p, what, "torch._utils", "_rebuild_tensor_v2") &&
        !md_pickle_is_global(p, what, "torch._utils", "_rebuild_tensor"))
        return MD_OK;
    *is_tensor = true;
    return read_rebuild(out, p, md_pickle_item(p, n, 1), from, name, err);
}

/* --- state dicts --- */

typedef struct collector {
    md_torch_weights *out;
    const md_pickle *p;
    const md_torch_storages *from;
    md_arena *arena;
    md_error *err;
    uint32_t n_visits;
} collector;

static md_status add_weight(collector *c, const char *name,
                            const md_torch_view *v)
{
    md_torch_weights *w = c->out;

    if (w->n >= WEIGHTS_MAX)
        return md_fail(c->err, MD_TOO_LARGE, "more than %d tensors",
                       WEIGHTS_MAX);
    MD_TRY(
        md_arena_grow(c->arena, &w->w, &w->cap, w->n, sizeof(*w->w), c->err));
    w->w[w->n++] = (md_torch_weight){ name, *v };
    return MD_OK;
}

static bool is_dict(const md_pickle_node *n)
{
    return n->kind == MD_PICKLE_DICT || n->kind == MD_PICKLE_CALL;
}

static const char *join(collector *c, const char *prefix,
                        const md_pickle_node *key)
{
    const char *name = md_pickle_text(c->p, key, c->arena);

    if (!name && key->kind == MD_PICKLE_INT)
        name = md_arena_printf(c->arena, "%lld", (long long)key->v.i);
    if (!name || !prefix[0])
        return name;
    return md_arena_printf(c->arena, "%s.%s", prefix, name);
}

static md_status collect(collector *c, const md_pickle_node *n,
                         const char *prefix, int depth);

static md_status collect_value(collector *c, const md_pickle_node *n,
                               const char *name, int depth)
{
    md_torch_view v;
    bool is_tensor;

    MD_TRY(
        md_torch_read_tensor(&v, &is_tensor, c->p, n, c->from, name, c->err));
    if (is_tensor)
        return add_weight(c, name, &v);
    return is_dict(n) ? collect(c, n, name, depth + 1) : MD_OK;
}

static md_status collect(collector *c, const md_pickle_node *n,
                         const char *prefix, int depth)
{
    c->n_visits += n->n / 2 + 1;
    if (depth > DEPTH_MAX || c->n_visits > VISITS_MAX)
        return md_fail(c->err, MD_TOO_LARGE,
                       "dicts deeper than %d or of more than %d values",
                       DEPTH_MAX, VISITS_MAX);
    for (uint32_t i = n->kind == MD_PICKLE_CALL ? 2 : 0; i + 1 < n->n; i += 2) {
        const char *name = join(c, prefix, md_pickle_item(c->p, n, i));

        if (name)
            MD_TRY(
                collect_value(c, md_pickle_item(c->p, n, i + 1), name, depth));
    }
    return MD_OK;
}

/* The dict of tensors in what people save around it. */
static const md_pickle_node *unwrap(const md_pickle *p,
                                    const md_pickle_node *root)
{
    static const char *const names[] = { "state_dict", "model_state_dict",
                                         "model", "module", "net" };

    for (size_t i = 0; i < MD_COUNT(names); i++) {
        const md_pickle_node *n = md_pickle_get(p, root, names[i]);

        if (n && is_dict(n) && n->n > 0 &&
            !(n->kind == MD_PICKLE_CALL &&
              md_pickle_is_global(p, md_pickle_item(p, n, 0), "torch._utils",
                                  "_rebuild_tensor_v2")))
            return n;
    }
    return root;
}

static md_status collect_root(collector *c)
{
    const md_pickle_node *root = &c->p->nodes[c->p->root];

    if (!is_dict(root))
        return md_fail(c->err, MD_UNSUPPORTED,
                       "torch: a dict of tensors expected");
    MD_TRY(collect(c, unwrap(c->p, root), "", 0));
    if (c->out->n == 0)
        return md_fail(c->err, MD_UNSUPPORTED, "torch: no tensors in the file");
    return MD_OK;
}

static md_status read_zip(md_torch_weights *out, const void *bytes, size_t size,
                          md_arena *arena, md_error *err)
{
    md_torch_storages from = { &out->file, "data/", NULL };
    collector c = { .out = out, .from = &from, .arena = arena, .err = err };
    md_torch_bytes data;
    md_pickle p;
    md_status s;

    MD_TRY(md_torch_file_open(&out->file, bytes, size, arena, err));
    out->has_file = true;
    s = md_torch_file_read(&data, &out->file, "data.pkl", err);
    if (s == MD_OK)
        s = md_torch_unpickle(&p, data.p, data.size, arena, err);
    c.p = &p;
    return s == MD_OK ? collect_root(&c) : s;
}

/* --- legacy files --- */

/* A storage as the object's tensors name it. */
typedef struct named {
    const md_pickle *p;
    const md_pickle_node *key;
    size_t element; /* bytes */
} named;

/* A file is the pickles of a magic number, the protocol, sizes of types, the
 * object and the list of its storages' keys; then for each key a count of 8
 * bytes and the elements. */
typedef struct legacy {
    const unsigned char *at, *end;
    md_pickle object;
    struct md_torch_legacy storages;
    named *named; /* sorted by key */
    uint32_t n_named;
    md_arena *arena;
    md_error *err;
} legacy;

static md_status next_pickle(md_pickle *p, legacy *l)
{
    MD_TRY(md_torch_unpickle(p, l->at, (size_t)(l->end - l->at), l->arena,
                             l->err));
    l->at += p->size;
    return MD_OK;
}

static md_status read_magic(legacy *l)
{
    static const unsigned char magic[] = { 0x6c, 0xfc, 0x9c, 0x46, 0xf9,
                                           0x20, 0x6a, 0xa8, 0x50, 0x19 };
    const md_pickle_node *n;
    md_pickle p;

    MD_TRY(next_pickle(&p, l));
    n = &p.nodes[p.root];
    if (n->kind != MD_PICKLE_BIG || n->n != sizeof(magic) ||
        memcmp(p.bytes + n->v.i, magic, sizeof(magic)) != 0)
        return md_fail(l->err, MD_UNSUPPORTED,
                       "torch: a pickle that is no file of PyTorch: its magic "
                       "number expected");
    MD_TRY(next_pickle(&p, l));
    n = &p.nodes[p.root];
    if (n->kind != MD_PICKLE_INT || n->v.i != 1001)
        return md_fail(l->err, MD_UNSUPPORTED,
                       "torch: legacy protocol %lld, 1001 expected",
                       (long long)n->v.i);
    MD_TRY(next_pickle(&p, l));
    n = md_pickle_get(&p, &p.nodes[p.root], "little_endian");
    if (n && n->kind == MD_PICKLE_BOOL && !n->v.i)
        return md_fail(l->err, MD_UNSUPPORTED,
                       "torch: big-endian file, little-endian expected");
    return MD_OK;
}

static int by_text(const md_pickle *p, const md_pickle_node *k,
                   const char *text, size_t n)
{
    size_t least = k->n < n ? k->n : n;
    int c = memcmp(text, p->bytes + k->v.i, least);

    return c != 0 ? c : n < k->n ? -1 : n > k->n;
}

static int by_node(const void *a, const void *b)
{
    const named *x = a;
    const named *y = b;

    return by_text(y->p, y->key, (const char *)x->p->bytes + x->key->v.i,
                   x->key->n);
}

static int by_name(const void *a, const void *b)
{
    const named *y = b;
    const char *text = a;

    return by_text(y->p, y->key, text, strlen(text));
}

static md_status find_named(legacy *l)
{
    const md_pickle *p = &l->object;

    l->named =
        md_arena_calloc(l->arena, (size_t)p->n_nodes + 1, sizeof(*l->named));
    if (!l->named)
        return md_fail_nomem(l->err, p->n_nodes);
    for (uint32_t i = 0; i < p->n_nodes; i++) {
        const md_pickle_node *id, *key;
        md_dtype dtype;

        if (p->nodes[i].kind != MD_PICKLE_PERSISTENT)
            continue;
        id = md_pickle_item(p, &p->nodes[i], 0);
        if (id->kind != MD_PICKLE_TUPLE || id->n < 5)
            continue;
        key = md_pickle_item(p, id, 2);
        if (key->kind == MD_PICKLE_TEXT &&
            storage_dtype(&dtype, p, md_pickle_item(p, id, 1), "", NULL) ==
                MD_OK)
            l->named[l->n_named++] =
                (named){ p, key, md_dtype_bits(dtype) / 8 };
    }
    if (l->n_named > 1)
        qsort(l->named, l->n_named, sizeof(*l->named), by_node);
    return MD_OK;
}

/* Bytes of an element of storage `key`; 0: no tensor has it. */
static size_t element_size(const legacy *l, const char *key)
{
    const named *got = NULL;

    if (l->n_named > 0)
        got = bsearch(key, l->named, l->n_named, sizeof(*got), by_name);
    return got ? got->element : 0;
}

static md_status read_count(size_t *out, legacy *l, const char *key)
{
    uint64_t n = 0;

    if (l->end - l->at < 8)
        return md_fail(l->err, MD_CORRUPT,
                       "torch: storage '%.80s' lacks its size", key);
    for (unsigned i = 0; i < 8; i++)
        n |= (uint64_t)l->at[i] << (8 * i);
    l->at += 8;
    *out = (size_t)n;
    return MD_OK;
}

static md_status read_elements(legacy *l, uint32_t i)
{
    const char *key = l->storages.s[i].key;
    size_t element = element_size(l, key);
    size_t n = 0, size;

    MD_TRY(read_count(&n, l, key));
    if (element == 0)
        return md_fail(l->err, MD_CORRUPT,
                       "torch: storage '%.80s' belongs to no tensor", key);
    if (!md_mul_size(&size, n, element) || size > (size_t)(l->end - l->at))
        return md_fail(l->err, MD_CORRUPT,
                       "torch: storage '%.80s' of %zu elements in %zu bytes",
                       key, n, (size_t)(l->end - l->at));
    l->storages.s[i].bytes = (md_torch_bytes){ l->at, size, true };
    l->at += size;
    return MD_OK;
}

static md_status read_storages(legacy *l)
{
    struct md_torch_legacy *x = &l->storages;
    const md_pickle_node *list;
    md_pickle keys;

    MD_TRY(next_pickle(&keys, l));
    list = &keys.nodes[keys.root];
    if (list->kind != MD_PICKLE_LIST || list->n > WEIGHTS_MAX)
        return md_fail(l->err, MD_CORRUPT,
                       "torch: a list of the storages' keys expected");
    x->n = list->n;
    x->s = md_arena_calloc(l->arena, (size_t)x->n + 1, sizeof(*x->s));
    if (!x->s)
        return md_fail_nomem(l->err, x->n);
    MD_TRY(find_named(l));
    for (uint32_t i = 0; i < x->n; i++) {
        x->s[i].key =
            md_pickle_text(&keys, md_pickle_item(&keys, list, i), l->arena);
        if (!x->s[i].key)
            return md_fail(l->err, MD_CORRUPT,
                           "torch: a storage's key is no text");
        MD_TRY(read_elements(l, i));
    }
    if (l->at != l->end)
        return md_fail(l->err, MD_CORRUPT, "torch: %zu bytes behind the end",
                       (size_t)(l->end - l->at));
    if (x->n > 1)
        qsort(x->s, x->n, sizeof(*x->s), by_key);
    return MD_OK;
}

static md_status read_legacy(md_torch_weights *out, const void *bytes,
                             size_t size, md_arena *arena, md_error *err)
{
    legacy l = { .at = bytes, .arena = arena, .err = err };
    md_torch_storages from = { .legacy = &l.storages };
    collector c = { out, &l.object, &from, arena, err, 0 };

    l.end = l.at + size;
    MD_TRY(read_magic(&l));
    MD_TRY(next_pickle(&l.object, &l));
    MD_TRY(read_storages(&l));
    return collect_root(&c);
}

/* --- safetensors --- */

static md_status read_safetensors(md_torch_weights *out, const void *bytes,
                                  size_t size, md_arena *arena, md_error *err)
{
    collector c = { .out = out, .arena = arena, .err = err };
    md_safetensors st;

    MD_TRY(md_safetensors_read(&st, bytes, size, arena, err));
    for (uint32_t i = 0; i < st.n; i++) {
        const md_tensor *t = &st.tensors[i].t;
        md_torch_view v = { .storage = { t->data, md_tensor_size(t), true },
                            .dtype = t->dtype,
                            .shape = t->shape };

        md_shape_strides(v.stride, &v.shape);
        MD_TRY(add_weight(&c, st.tensors[i].name, &v));
    }
    return MD_OK;
}

md_status md_torch_weights_read(md_torch_weights *out, const void *bytes,
                                size_t size, md_arena *arena, md_error *err)
{
    md_status s;

    *out = (md_torch_weights){ .n = 0 };
    switch (md_torch_kind_of(bytes, size)) {
    case MD_TORCH_SAFETENSORS:
        s = read_safetensors(out, bytes, size, arena, err);
        break;
    case MD_TORCH_LEGACY:
        s = read_legacy(out, bytes, size, arena, err);
        break;
    default:
        s = read_zip(out, bytes, size, arena, err);
        break;
    }
    if (s != MD_OK)
        md_torch_weights_release(out);
    return s;
}

void md_torch_weights_release(md_torch_weights *w)
{
    if (w->has_file)
        md_torch_file_release(&w->file);
    w->has_file = false;
}

const md_torch_weight *md_torch_weights_find(const md_torch_weights *w,
                                             const char *name)
{
    for (uint32_t i = w->n; i-- > 0;) {
        if (strcmp(w->w[i].name, name) == 0)
            return &w->w[i];
    }
    return NULL;
}
