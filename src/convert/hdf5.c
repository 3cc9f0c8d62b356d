/*
 * HDF5 in the parent: runs the child and believes nothing it says.
 *
 * The records come from a process that hostile bytes may have taken over, so
 * every length, type and text in them is checked as if it were the file.
 */
#include "convert/hdf5.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "convert/hdf5_record.h"

/* Cursor over the records. */
typedef struct reader {
    const unsigned char *base;
    size_t at, size;
} reader;

static md_status broken(const reader *r, const char *what, md_error *err)
{
    md_fail(err, MD_CORRUPT, "result of the reader: %s at byte %zu", what,
            r->at);
    return MD_CORRUPT; /* which gcc sees, so that it knows what is set */
}

static md_status take(const void **out, reader *r, size_t n, md_error *err)
{
    if (n > r->size - r->at)
        return broken(r, "end of data", err);
    *out = r->base + r->at;
    r->at += n;
    return MD_OK;
}

static md_status take_u32(uint32_t *out, reader *r, md_error *err)
{
    const void *p;

    MD_TRY(take(&p, r, sizeof(*out), err));
    memcpy(out, p, sizeof(*out));
    return MD_OK;
}

static md_status take_padding(reader *r, md_error *err)
{
    const void *p;
    size_t pad = (MD_HDF5_ALIGN - r->at % MD_HDF5_ALIGN) % MD_HDF5_ALIGN;

    return take(&p, r, pad, err);
}

/* `size` bytes that are a text with its NUL and no other. */
static md_status take_text(const char **out, reader *r, size_t size,
                           md_error *err)
{
    const void *p;

    MD_TRY(take(&p, r, size, err));
    if (size == 0 || size > MD_HDF5_PATH_MAX ||
        memchr(p, '\0', size) != (const char *)p + size - 1)
        return broken(r, "malformed text", err);
    *out = p;
    return MD_OK;
}

static bool is_read_type(unsigned dtype)
{
    switch (dtype) {
    case MD_DTYPE_F16:
    case MD_DTYPE_F32:
    case MD_DTYPE_F64:
    case MD_DTYPE_I8:
    case MD_DTYPE_I16:
    case MD_DTYPE_I32:
    case MD_DTYPE_I64:
    case MD_DTYPE_U8:
    case MD_DTYPE_U16:
    case MD_DTYPE_U32:
    case MD_DTYPE_U64:
        return true;
    default:
        return false;
    }
}

static md_status take_shape(md_shape *out, reader *r, unsigned rank,
                            md_error *err)
{
    if (rank > MD_RANK_MAX)
        return broken(r, "rank too large", err);
    out->rank = (int)rank;
    for (unsigned i = 0; i < rank; i++) {
        const void *p;

        MD_TRY(take(&p, r, sizeof(int64_t), err));
        memcpy(&out->dim[i], p, sizeof(int64_t));
    }
    return MD_OK;
}

static md_status add_data(md_hdf5 *h, reader *r, const md_hdf5_head *head,
                          const char *path, md_error *err)
{
    md_hdf5_data *d;
    md_tensor t = MD_TENSOR_INIT;
    size_t want = 0;
    uint64_t size;
    const void *p;

    MD_TRY(take_shape(&t.shape, r, head->rank, err));
    MD_TRY(take(&p, r, sizeof(size), err));
    memcpy(&size, p, sizeof(size));
    if (head->dtype != MD_DTYPE_NONE) {
        if (!is_read_type(head->dtype))
            return broken(r, "unknown type", err);
        t.dtype = (md_dtype)head->dtype;
        MD_TRY(md_tensor_bytes(&want, t.dtype, &t.shape, err));
    }
    if (size != want)
        return broken(r, "size that contradicts the shape", err);
    MD_TRY(take(&p, r, want, err));
    /* Borrowed and only read: the tensor type has no const form. */
    t.data =
        want > 0 ? h->bytes.data + ((const unsigned char *)p - r->base) : NULL;
    MD_TRY(md_grow(h->arena.alloc, &h->data, &h->cap_data, h->n_data,
                   sizeof(*d), err));
    d = &h->data[h->n_data++];
    d->path = path;
    d->t = t;
    return MD_OK;
}

static md_status add_attr(md_hdf5 *h, reader *r, const char *path,
                          md_error *err)
{
    md_hdf5_attr a = { .path = path };
    uint32_t size;

    MD_TRY(take_u32(&size, r, err));
    MD_TRY(take_text(&a.name, r, size, err));
    MD_TRY(take_u32(&a.n, r, err));
    if (a.n > r->size / sizeof(size)) /* each has a length of its own */
        return broken(r, "too many texts", err);
    if (a.n > 0) {
        a.text = md_arena_calloc(&h->arena, a.n, sizeof(*a.text));
        if (!a.text)
            return md_fail_nomem(err, a.n * sizeof(*a.text));
    }
    for (uint32_t i = 0; i < a.n; i++) {
        const void *p;

        MD_TRY(take_u32(&size, r, err));
        MD_TRY(take(&p, r, size, err));
        a.text[i].p = p;
        a.text[i].n = size;
    }
    MD_TRY(md_grow(h->arena.alloc, &h->attrs, &h->cap_attrs, h->n_attrs,
                   sizeof(a), err));
    h->attrs[h->n_attrs++] = a;
    return MD_OK;
}

static md_status add_group(md_hdf5 *h, const char *path, md_error *err)
{
    MD_TRY(md_grow(h->arena.alloc, &h->groups, &h->cap_groups, h->n_groups,
                   sizeof(path), err));
    h->groups[h->n_groups++] = path;
    return MD_OK;
}

/* One record; *more is false after the last. */
static md_status take_record(md_hdf5 *h, reader *r, bool *more, md_error *err)
{
    md_hdf5_head head;
    const char *path;
    const void *p;

    MD_TRY(take(&p, r, sizeof(head), err));
    memcpy(&head, p, sizeof(head));
    if (head.magic != MD_HDF5_MAGIC)
        return broken(r, "no record", err);
    if (h->n_groups + h->n_data + h->n_attrs >= MD_HDF5_OBJECTS_MAX)
        return broken(r, "too many objects", err);
    MD_TRY(take_text(&path, r, head.path_size, err));
    MD_TRY(take_padding(r, err));
    *more = head.kind != MD_HDF5_END;
    switch (head.kind) {
    case MD_HDF5_END:
        return MD_OK;
    case MD_HDF5_GROUP:
        MD_TRY(add_group(h, path, err));
        break;
    case MD_HDF5_DATA:
        MD_TRY(add_data(h, r, &head, path, err));
        break;
    case MD_HDF5_ATTR:
        MD_TRY(add_attr(h, r, path, err));
        break;
    default:
        return broken(r, "unknown kind", err);
    }
    return take_padding(r, err);
}

static int by_group(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int by_data(const void *a, const void *b)
{
    return strcmp(((const md_hdf5_data *)a)->path,
                  ((const md_hdf5_data *)b)->path);
}

static int by_attr(const void *a, const void *b)
{
    const md_hdf5_attr *x = a;
    const md_hdf5_attr *y = b;
    int c = strcmp(x->path, y->path);

    return c != 0 ? c : strcmp(x->name, y->name);
}

/* Sort for the searches; a path that comes twice would make them choose. */
static md_status index_all(md_hdf5 *h, md_error *err)
{
    if (h->n_groups > 0)
        qsort(h->groups, h->n_groups, sizeof(*h->groups), by_group);
    if (h->n_data > 0)
        qsort(h->data, h->n_data, sizeof(*h->data), by_data);
    if (h->n_attrs > 0)
        qsort(h->attrs, h->n_attrs, sizeof(*h->attrs), by_attr);
    for (uint32_t i = 1; i < h->n_data; i++) {
        if (by_data(&h->data[i - 1], &h->data[i]) == 0)
            return md_fail(err, MD_CORRUPT, "dataset '%s' comes twice",
                           h->data[i].path);
    }
    for (uint32_t i = 1; i < h->n_attrs; i++) {
        if (by_attr(&h->attrs[i - 1], &h->attrs[i]) == 0)
            return md_fail(err, MD_CORRUPT,
                           "attribute '%s' of '%s' comes twice",
                           h->attrs[i].name, h->attrs[i].path);
    }
    return MD_OK;
}

md_status md_hdf5_parse(md_hdf5 **out, md_buf *bytes, const md_alloc *alloc,
                        md_error *err)
{
    md_hdf5 *h = md_calloc(alloc, 1, sizeof(*h));
    bool more = true;
    md_status s;
    reader r;

    if (!h) {
        md_buf_release(bytes);
        return md_fail_nomem(err, sizeof(*h));
    }
    md_arena_init(&h->arena, alloc, 0);
    h->bytes = *bytes;
    md_buf_init(bytes, alloc, 0);
    r = (reader){ h->bytes.data, 0, h->bytes.size };
    while (more)
        MD_GOTO(take_record(h, &r, &more, err));
    if (r.at != r.size) {
        s = broken(&r, "bytes after the end", err);
        goto out;
    }
    MD_GOTO(index_all(h, err));
    *out = h;
    return MD_OK;
out:
    md_hdf5_free(h);
    return s;
}

void md_hdf5_free(md_hdf5 *h)
{
    const md_alloc *alloc;

    if (!h)
        return;
    alloc = h->arena.alloc;
    md_free(alloc, h->groups);
    md_free(alloc, h->data);
    md_free(alloc, h->attrs);
    md_buf_release(&h->bytes);
    md_arena_release(&h->arena);
    md_free(alloc, h);
}

bool md_hdf5_has_group(const md_hdf5 *h, const char *path)
{
    return h->n_groups > 0 && bsearch(&path, h->groups, h->n_groups,
                                      sizeof(*h->groups), by_group) != NULL;
}

const md_hdf5_data *md_hdf5_find(const md_hdf5 *h, const char *path)
{
    md_hdf5_data key = { .path = path };

    if (h->n_data == 0)
        return NULL;
    return bsearch(&key, h->data, h->n_data, sizeof(key), by_data);
}

const md_hdf5_attr *md_hdf5_attr_find(const md_hdf5 *h, const char *path,
                                      const char *name)
{
    md_hdf5_attr key = { .path = path, .name = name };

    if (h->n_attrs == 0)
        return NULL;
    return bsearch(&key, h->attrs, h->n_attrs, sizeof(key), by_attr);
}

bool md_hdf5_probe(const void *bytes, size_t size)
{
    return size >= 8 && memcmp(bytes, "\211HDF\r\n\032\n", 8) == 0;
}

/* What the child needs, inherited by the fork. */
typedef struct walk_job {
    const void *bytes;
    size_t size;
    const md_hdf5_opts *opts;
} walk_job;

static md_status run_walk(void *ctx, md_child_out *out, md_error *err)
{
    const walk_job *j = ctx;

    return md_hdf5_walk(j->bytes, j->size, j->opts, out, err);
}

unsigned md_hdf5_cpu_s(size_t size, unsigned most)
{
    size_t mega = size >> 20;

    if (most < 5 || mega > (most - 5) / 3)
        return most;
    return 5 + 3 * (unsigned)mega;
}

md_status md_hdf5_read(md_hdf5 **out, const void *bytes, size_t size,
                       const md_hdf5_opts *opts, const md_alloc *alloc,
                       md_error *err)
{
    static const md_hdf5_opts defaults = MD_HDF5_OPTS_INIT;
    walk_job walk = { bytes, size, opts ? opts : &defaults };
    md_child_job job = { .name = "hdf5",
                         .prepare = md_hdf5_prepare,
                         .run = run_walk,
                         .ctx = &walk };
    md_child_limits limits = walk.opts->limits;
    md_buf result;
    md_status s;

    if (!md_hdf5_probe(bytes, size))
        return md_fail(err, MD_CORRUPT,
                       "hdf5: %zu bytes without the signature of an HDF5 file",
                       size);
    md_buf_init(&result, alloc, walk.opts->size_limit);
    limits.cpu_s = md_hdf5_cpu_s(size, limits.cpu_s);
    s = md_child_run(&result, &job, &limits, err);
    if (s == MD_OK)
        return md_hdf5_parse(out, &result, alloc, err);
    md_buf_release(&result);
    return s;
}
