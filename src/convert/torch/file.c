#include "convert/torch/file.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "formats/safetensors.h"

enum {
    LOCAL_SIZE = 30,       /* of a zip member's header */
    SPREAD_MAX = 1 << 24,  /* elements that a view may repeat */
    PACKED_FREE = 1 << 20, /* bytes of a member that may be packed in any way */
    PACKED_MAX = 32        /* and how many times smaller a larger one may be */
};

#define UNPACKED_MAX ((size_t)64 << 30)

static bool ends_with(const char *s, size_t n, const char *end)
{
    size_t k = strlen(end);

    return n >= k && memcmp(s + n - k, end, k) == 0;
}

/* A member below the root folder, which has the name of the file. */
static bool has_below_root(const md_zip *z, const char *name)
{
    for (uint32_t i = 0; i < z->n_entries; i++) {
        const char *e = z->entries[i].name;
        const char *slash = strchr(e, '/');

        if (strcmp(e, name) == 0 || (slash && strcmp(slash + 1, name) == 0))
            return true;
    }
    return false;
}

static bool has_code(const md_zip *z)
{
    for (uint32_t i = 0; i < z->n_entries; i++) {
        const char *slash = strchr(z->entries[i].name, '/');

        if (slash && strncmp(slash + 1, "code/", 5) == 0)
            return true;
    }
    return false;
}

static bool has_program(const md_zip *z)
{
    for (uint32_t i = 0; i < z->n_entries; i++) {
        const char *slash = strchr(z->entries[i].name, '/');

        if (slash && strncmp(slash + 1, "models/", 7) == 0)
            return true;
    }
    return has_below_root(z, "serialized_exported_program.json");
}

/* The list of members comes last: of a file that was cut off, its first
 * member is left. */
static md_torch_kind kind_of_first(const unsigned char *p, size_t size)
{
    size_t n;

    if (size < LOCAL_SIZE)
        return MD_TORCH_NONE;
    n = p[26] | (size_t)p[27] << 8;
    if (size < LOCAL_SIZE + n)
        return MD_TORCH_NONE;
    p += LOCAL_SIZE;
    if (ends_with((const char *)p, n, "/archive_format"))
        return MD_TORCH_EXPORT;
    return ends_with((const char *)p, n, "/data.pkl") ? MD_TORCH_STATE
                                                      : MD_TORCH_NONE;
}

static md_torch_kind kind_of_zip(const void *bytes, size_t size)
{
    md_torch_kind kind = MD_TORCH_NONE;
    md_zip z;

    if (md_zip_open(&z, bytes, size, UNPACKED_MAX, md_alloc_default(), NULL) !=
        MD_OK)
        return kind_of_first(bytes, size);
    if (has_program(&z) || has_below_root(&z, "archive_format"))
        kind = MD_TORCH_EXPORT;
    else if (has_below_root(&z, "constants.pkl") || has_code(&z))
        kind = MD_TORCH_SCRIPT;
    else if (has_below_root(&z, "data.pkl"))
        kind = MD_TORCH_STATE;
    md_zip_release(&z);
    return kind;
}

md_torch_kind md_torch_kind_of(const void *bytes, size_t size)
{
    const unsigned char *p = bytes;

    if (size >= 4 && memcmp(p, "PK\003\004", 4) == 0)
        return kind_of_zip(bytes, size);
    /* A pickle of protocol 2 to 5: a magic number first, or whatever somebody
     * saved under the ending. */
    if (size >= 4 && p[0] == 0x80 && p[1] >= 2 && p[1] <= 5)
        return MD_TORCH_LEGACY;
    return md_safetensors_probe(bytes, size) ? MD_TORCH_SAFETENSORS
                                             : MD_TORCH_NONE;
}

/* --- archives --- */

/* All members lie in one folder. */
static md_status find_root(md_torch_file *f, md_error *err)
{
    const char *first = f->zip.n_entries > 0 ? f->zip.entries[0].name : "";
    const char *slash = strchr(first, '/');
    size_t n = slash ? (size_t)(slash - first) + 1 : 0;

    for (uint32_t i = 0; i < f->zip.n_entries; i++) {
        if (strncmp(f->zip.entries[i].name, first, n) != 0)
            n = 0;
    }
    f->root = md_arena_strndup(f->arena, first, n);
    return f->root ? MD_OK : md_fail_nomem(err, n);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const md_zip_entry *const *)a)->name,
                  (*(const md_zip_entry *const *)b)->name);
}

static md_status sort_entries(md_torch_file *f, md_error *err)
{
    f->by_name = md_arena_calloc(f->arena, (size_t)f->zip.n_entries + 1,
                                 sizeof(*f->by_name));
    if (!f->by_name)
        return md_fail_nomem(err, f->zip.n_entries);
    for (uint32_t i = 0; i < f->zip.n_entries; i++)
        f->by_name[i] = &f->zip.entries[i];
    if (f->zip.n_entries > 1)
        qsort(f->by_name, f->zip.n_entries, sizeof(*f->by_name), by_name);
    return MD_OK;
}

static md_status check_order(const md_torch_file *f, md_error *err)
{
    md_torch_bytes b;

    if (!md_torch_file_has(f, "byteorder"))
        return MD_OK;
    MD_TRY(md_torch_file_read(&b, f, "byteorder", err));
    if (b.size >= 6 && memcmp(b.p, "little", 6) == 0)
        return MD_OK;
    return md_fail(err, MD_UNSUPPORTED,
                   "torch: byte order '%.*s', 'little' expected",
                   b.size < 20 ? (int)b.size : 20, (const char *)b.p);
}

md_status md_torch_file_open(md_torch_file *f, const void *bytes, size_t size,
                             md_arena *arena, md_error *err)
{
    md_status s;

    *f = (md_torch_file){ .arena = arena };
    MD_TRY(md_zip_open(&f->zip, bytes, size, UNPACKED_MAX, arena->alloc, err));
    MD_GOTO(md_zip_check_names(&f->zip, err));
    MD_GOTO(find_root(f, err));
    MD_GOTO(sort_entries(f, err));
    MD_GOTO(check_order(f, err));
    return MD_OK;
out:
    md_zip_release(&f->zip);
    return s;
}

void md_torch_file_release(md_torch_file *f)
{
    md_zip_release(&f->zip);
}

/* What is looked for: a name below the root. */
typedef struct wanted {
    const char *name;
    size_t n_root;
} wanted;

static int by_wanted(const void *key, const void *entry)
{
    const wanted *w = key;

    return strcmp(w->name,
                  (*(const md_zip_entry *const *)entry)->name + w->n_root);
}

static const md_zip_entry *find(const md_torch_file *f, const char *name)
{
    wanted w = { name, strlen(f->root) };
    const md_zip_entry **e;

    if (f->zip.n_entries == 0)
        return NULL;
    e = bsearch(&w, f->by_name, f->zip.n_entries, sizeof(*f->by_name),
                by_wanted);
    return e ? *e : NULL;
}

bool md_torch_file_has(const md_torch_file *f, const char *name)
{
    return find(f, name) != NULL;
}

md_status md_torch_file_read(md_torch_bytes *out, const md_torch_file *f,
                             const char *name, md_error *err)
{
    const md_zip_entry *e = find(f, name);
    md_buf b;
    md_status s;

    if (!e)
        return md_fail(err, MD_CORRUPT, "torch: no member '%s%.200s'", f->root,
                       name);
    *out = (md_torch_bytes){ .size = e->size, .in_file = true };
    /* PyTorch stores; who packs saves little: weights are noise. */
    if (e->size > PACKED_FREE && e->size / PACKED_MAX > e->packed)
        return md_fail(err, MD_TOO_LARGE,
                       "torch: member '%.200s' of %zu bytes is packed in %zu",
                       e->name, e->size, e->packed);
    if (e->method == 0)
        return md_zip_map(&out->p, &f->zip, e, err);
    md_buf_init(&b, f->zip.arena.alloc, e->size);
    s = md_zip_read(&f->zip, e, &b, err);
    if (s == MD_OK) {
        unsigned char *p = md_arena_alloc_aligned(f->arena, e->size + 1);

        if (p && e->size > 0)
            memcpy(p, b.data, e->size);
        *out = (md_torch_bytes){ p, e->size, false };
        s = p ? MD_OK : md_fail_nomem(err, e->size);
    }
    md_buf_release(&b);
    return s;
}

/* --- views --- */

static bool last_element(int64_t *out, const md_torch_view *v)
{
    *out = v->offset;
    for (int i = 0; i < v->shape.rank; i++) {
        int64_t step;

        if (v->stride[i] < 0 ||
            !md_mul_i64(&step, v->shape.dim[i] - 1, v->stride[i]) ||
            !md_add_i64(out, *out, step))
            return false;
    }
    return true;
}

md_status md_torch_view_check(const md_torch_view *v, const char *name,
                              md_error *err)
{
    size_t bytes = md_dtype_bits(v->dtype) / 8;
    int64_t held = bytes ? (int64_t)(v->storage.size / bytes) : 0;
    int64_t n, last;
    char text[MD_SHAPE_TEXT];
    md_status s = md_shape_count(&n, &v->shape, err);

    if (s != MD_OK)
        return md_wrap(err, MD_CORRUPT, "tensor '%.80s': ", name);
    if (v->offset < 0 || v->offset > held)
        return md_fail(err, MD_CORRUPT,
                       "tensor '%.80s': offset %lld in a storage of %lld "
                       "elements",
                       name, (long long)v->offset, (long long)held);
    if (n == 0)
        return MD_OK;
    if (!last_element(&last, v) || last >= held)
        return md_fail(err, MD_CORRUPT,
                       "tensor '%.80s': shape %s at offset %lld leaves its "
                       "storage of %lld elements",
                       name, md_shape_format(text, sizeof(text), &v->shape),
                       (long long)v->offset, (long long)held);
    if (n - held > SPREAD_MAX)
        return md_fail(err, MD_TOO_LARGE,
                       "tensor '%.80s': shape %s of a storage of %lld elements",
                       name, md_shape_format(text, sizeof(text), &v->shape),
                       (long long)held);
    return MD_OK;
}

static bool is_in_order(const md_torch_view *v)
{
    int64_t want = 1;

    for (int i = v->shape.rank; i-- > 0;) {
        if (v->shape.dim[i] != 1 && v->stride[i] != want)
            return false;
        want *= v->shape.dim[i];
    }
    return true;
}

static void gather(unsigned char *to, const md_torch_view *v, size_t bytes,
                   int64_t n)
{
    int64_t at[MD_RANK_MAX] = { 0 };
    int64_t from = v->offset;

    for (int64_t i = 0; i < n; i++) {
        memcpy(to + (size_t)i * bytes, v->storage.p + (size_t)from * bytes,
               bytes);
        for (int k = v->shape.rank; k-- > 0;) {
            from += v->stride[k];
            if (++at[k] < v->shape.dim[k])
                break;
            from -= at[k] * v->stride[k];
            at[k] = 0;
        }
    }
}

md_status md_torch_view_tensor(md_tensor *out, const md_torch_view *v,
                               bool stays, const md_alloc *alloc, md_error *err)
{
    size_t bytes = md_dtype_bits(v->dtype) / 8;
    const unsigned char *p = v->storage.p + (size_t)v->offset * bytes;
    md_tensor t = { .dtype = v->dtype, .shape = v->shape };
    int64_t n = md_shape_n(&v->shape);

    if (n == 0 || !is_in_order(v)) {
        MD_TRY(md_tensor_alloc(out, v->dtype, &v->shape, alloc, err));
        gather(out->data, v, bytes, n);
        return MD_OK;
    }
    /* Borrowed and only read: the tensor type has no const form. */
    t.data = (void *)(uintptr_t)p;
    if (stays && v->storage.in_file && md_tensor_is_aligned(&t)) {
        *out = t;
        return MD_OK;
    }
    MD_TRY(md_tensor_alloc_unset(out, v->dtype, &v->shape, alloc, err));
    memcpy(out->data, p, (size_t)n * bytes);
    return MD_OK;
}

static const md_dtype scalar_types[] = {
    [0] = MD_DTYPE_U8,    [1] = MD_DTYPE_I8,    [2] = MD_DTYPE_I16,
    [3] = MD_DTYPE_I32,   [4] = MD_DTYPE_I64,   [5] = MD_DTYPE_F16,
    [6] = MD_DTYPE_F32,   [7] = MD_DTYPE_F64,   [9] = MD_DTYPE_C64,
    [11] = MD_DTYPE_BOOL, [15] = MD_DTYPE_BF16, [27] = MD_DTYPE_U16,
    [28] = MD_DTYPE_U32,  [29] = MD_DTYPE_U64,
};

md_dtype md_torch_dtype(int64_t scalar_type)
{
    if (scalar_type < 0 || scalar_type >= (int64_t)MD_COUNT(scalar_types))
        return MD_DTYPE_NONE;
    return scalar_types[scalar_type];
}

int64_t md_torch_scalar_type(md_dtype dtype)
{
    for (size_t i = 0; i < MD_COUNT(scalar_types); i++) {
        if (scalar_types[i] == dtype && dtype != MD_DTYPE_NONE)
            return (int64_t)i;
    }
    return -1;
}
