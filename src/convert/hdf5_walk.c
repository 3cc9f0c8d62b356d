/*
 * libhdf5's side: walks a file in memory and writes records (hdf5_record.h).
 *
 * Runs in the confined child.  Checks every declared size before memory is
 * taken for it; whatever libhdf5 itself does on hostile bytes ends with this
 * process.
 */
#include "convert/hdf5.h"

#include <stdint.h>
#include <string.h>

#include "base/size.h"
#include "convert/hdf5_lib.h"
#include "convert/hdf5_record.h"

enum {
    TEXT_SIZE_MAX = 64 << 20, /* one string attribute */
    /* A dataset may declare so many bytes whatever it stores, and beyond
     * that so many times what it stores (what gzip reaches is 1030). */
    BOMB_SIZE_MIN = 1 << 20,
    BOMB_RATIO = 1100
};

/* Of the process that walks (md_hdf5_prepare). */
static md_hdf5_lib loaded;
static const md_hdf5_lib *const lib = &loaded;

typedef struct walk {
    const md_hdf5_opts *opts;
    md_child_out *out;
    md_error *err;
    md_status status; /* first failure, found inside a callback */
    uint32_t n_objects;
    int depth;
    size_t path_len;
    char path[MD_HDF5_PATH_MAX];
} walk;

/* The most specific message that libhdf5 left. */
static herr_t first_message(unsigned n, const H5E_error2_t *e, void *ctx)
{
    const char **text = ctx;

    (void)n;
    if (!*text && e->desc)
        *text = e->desc;
    return 0;
}

static md_status fail_lib(walk *w, const char *what)
{
    const char *text = NULL;

    lib->Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, first_message, &text);
    return md_fail(w->err, MD_CORRUPT, "'%s': %s: %s",
                   w->path_len > 0 ? w->path : "/", what,
                   text ? text : "unknown reason");
}

static md_status put(walk *w, const void *data, size_t size)
{
    if (size > w->opts->size_limit || w->out->size > w->opts->size_limit - size)
        return md_fail(w->err, MD_TOO_LARGE,
                       "'%s': contents exceed the limit of %zu bytes", w->path,
                       w->opts->size_limit);
    return md_child_write(w->out, data, size, w->err);
}

static md_status put_u32(walk *w, size_t v)
{
    uint32_t word = (uint32_t)v;

    return put(w, &word, sizeof(word));
}

static md_status put_padding(walk *w)
{
    static const char zero[MD_HDF5_ALIGN];

    return put(w, zero,
               (MD_HDF5_ALIGN - w->out->size % MD_HDF5_ALIGN) % MD_HDF5_ALIGN);
}

static md_status put_head(walk *w, enum md_hdf5_kind kind, md_dtype dtype,
                          int rank)
{
    md_hdf5_head head = { .magic = MD_HDF5_MAGIC,
                          .kind = (uint8_t)kind,
                          .dtype = (uint8_t)dtype,
                          .rank = (uint8_t)rank,
                          .path_size = (uint32_t)w->path_len + 1 };

    if (++w->n_objects > MD_HDF5_OBJECTS_MAX)
        return md_fail(w->err, MD_TOO_LARGE, "more than %d objects",
                       MD_HDF5_OBJECTS_MAX);
    MD_TRY(put(w, &head, sizeof(head)));
    MD_TRY(put(w, w->path, w->path_len + 1));
    return put_padding(w);
}

/* Texts of fixed length end at their first NUL. */
static md_status put_fixed_texts(walk *w, const char *data, size_t n,
                                 size_t size)
{
    for (size_t i = 0; i < n; i++) {
        size_t len = strnlen(data + i * size, size);

        MD_TRY(put_u32(w, len));
        MD_TRY(put(w, data + i * size, len));
    }
    return MD_OK;
}

static md_status put_variable_texts(walk *w, char **text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t len = text[i] ? strlen(text[i]) : 0;

        if (len > TEXT_SIZE_MAX)
            return md_fail(w->err, MD_TOO_LARGE,
                           "'%s': text of %zu bytes, at most %d expected",
                           w->path, len, TEXT_SIZE_MAX);
        MD_TRY(put_u32(w, len));
        MD_TRY(put(w, text[i], len));
    }
    return MD_OK;
}

/* Read the n texts of a string attribute and write them. */
static md_status put_texts(walk *w, hid_t attr, hid_t type, hid_t space,
                           size_t n)
{
    const md_alloc *alloc = md_alloc_default();
    bool variable = lib->Tis_variable_str(type) > 0;
    size_t size = variable ? sizeof(char *) : lib->Tget_size(type);
    size_t total;
    void *data;
    md_status s;

    if (!md_mul_size(&total, n, size) || total > TEXT_SIZE_MAX)
        return md_fail(w->err, MD_TOO_LARGE,
                       "'%s': %zu texts of %zu bytes, at most %d bytes "
                       "expected",
                       w->path, n, size, TEXT_SIZE_MAX);
    data = md_calloc(alloc, n, size);
    if (!data)
        return md_fail_nomem(w->err, total);
    if (lib->Aread(attr, type, data) < 0) {
        s = fail_lib(w, "attribute");
    } else if (variable) {
        s = put_variable_texts(w, data, n);
        lib->Dvlen_reclaim(type, space, H5P_DEFAULT, data);
    } else {
        s = put_fixed_texts(w, data, n, size);
    }
    md_free(alloc, data);
    return s;
}

/* The memory type of a string type: its own character set, any padding. */
static md_status put_attr(walk *w, hid_t attr, const char *name)
{
    hid_t type = lib->Aget_type(attr);
    hid_t space = lib->Aget_space(attr);
    hssize_t n = -1;
    md_status s = MD_OK;

    if (type >= 0 && space >= 0)
        n = lib->Sget_simple_extent_npoints(space);
    if (n < 0 || strlen(name) >= MD_HDF5_PATH_MAX) {
        s = fail_lib(w, "attribute");
        goto out;
    }
    if (lib->Tget_class(type) != H5T_STRING)
        n = 0;
    MD_GOTO(put_head(w, MD_HDF5_ATTR, MD_DTYPE_NONE, 0));
    MD_GOTO(put_u32(w, strlen(name) + 1));
    MD_GOTO(put(w, name, strlen(name) + 1));
    if (n > TEXT_SIZE_MAX) {
        s = md_fail(w->err, MD_TOO_LARGE,
                    "'%s': attribute '%s' of %lld texts, at most %d expected",
                    w->path, name, (long long)n, TEXT_SIZE_MAX);
        goto out;
    }
    MD_GOTO(put_u32(w, (size_t)n));
    if (n > 0)
        MD_GOTO(put_texts(w, attr, type, space, (size_t)n));
    s = put_padding(w);
out:
    if (space >= 0)
        lib->Sclose(space);
    if (type >= 0)
        lib->Tclose(type);
    return s;
}

static herr_t visit_attr(hid_t object, const char *name, const H5A_info_t *info,
                         void *ctx)
{
    walk *w = ctx;
    hid_t attr = lib->Aopen(object, name, H5P_DEFAULT);

    (void)info;
    if (attr < 0) {
        w->status = fail_lib(w, "attribute");
        return -1;
    }
    w->status = put_attr(w, attr, name);
    lib->Aclose(attr);
    return w->status == MD_OK ? 0 : -1;
}

static md_status put_attrs(walk *w, hid_t object)
{
    if (lib->Aiterate2(object, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, visit_attr,
                       w) < 0)
        return w->status != MD_OK ? w->status : fail_lib(w, "attributes");
    return MD_OK;
}

/* Element type and the type to read it as; NONE when it is not read. */
static md_dtype number_type(hid_t type, hid_t *memory)
{
    size_t size = lib->Tget_size(type);
    bool is_signed = lib->Tget_sign(type) == H5T_SGN_2;

    *memory = type;
    switch (lib->Tget_class(type)) {
    case H5T_FLOAT:
        /* Half precision has no native type: as it lies there. */
        if (size == 2 && lib->Tget_order(type) == H5T_ORDER_LE &&
            lib->Tget_ebias(type) == 15)
            return MD_DTYPE_F16;
        *memory = size == 4 ? *lib->T_NATIVE_FLOAT : *lib->T_NATIVE_DOUBLE;
        return size == 4 ? MD_DTYPE_F32 : size == 8 ? MD_DTYPE_F64 : 0;
    case H5T_INTEGER:
        break;
    default:
        return MD_DTYPE_NONE;
    }
    switch (size) {
    case 1:
        *memory = is_signed ? *lib->T_NATIVE_INT8 : *lib->T_NATIVE_UINT8;
        return is_signed ? MD_DTYPE_I8 : MD_DTYPE_U8;
    case 2:
        *memory = is_signed ? *lib->T_NATIVE_INT16 : *lib->T_NATIVE_UINT16;
        return is_signed ? MD_DTYPE_I16 : MD_DTYPE_U16;
    case 4:
        *memory = is_signed ? *lib->T_NATIVE_INT32 : *lib->T_NATIVE_UINT32;
        return is_signed ? MD_DTYPE_I32 : MD_DTYPE_U32;
    case 8:
        *memory = is_signed ? *lib->T_NATIVE_INT64 : *lib->T_NATIVE_UINT64;
        return is_signed ? MD_DTYPE_I64 : MD_DTYPE_U64;
    default:
        return MD_DTYPE_NONE;
    }
}

/* Nothing that lies elsewhere, and no filter that could be a plugin. */
static md_status check_storage(walk *w, hid_t dataset)
{
    hid_t list = lib->Dget_create_plist(dataset);
    int n_filters = list < 0 ? -1 : lib->Pget_nfilters(list);
    md_status s = MD_OK;

    if (n_filters < 0) {
        s = fail_lib(w, "storage");
    } else if (lib->Pget_layout(list) == H5D_VIRTUAL) {
        s = md_fail(w->err, MD_DENIED,
                    "'%s': virtual dataset, one inside this file expected",
                    w->path);
    } else if (lib->Pget_layout(list) == H5D_CONTIGUOUS &&
               lib->Pget_external_count(list) > 0) {
        s = md_fail(w->err, MD_DENIED,
                    "'%s': external storage, data inside this file expected",
                    w->path);
    }
    for (int i = 0; s == MD_OK && i < n_filters; i++) {
        unsigned flags = 0;
        size_t n_values = 0;
        char name[64] = "";
        H5Z_filter_t f = lib->Pget_filter2(list, (unsigned)i, &flags, &n_values,
                                           NULL, sizeof(name), name, NULL);

        if (f != H5Z_FILTER_DEFLATE && f != H5Z_FILTER_SHUFFLE)
            s = md_fail(w->err, MD_UNSUPPORTED,
                        "'%s': filter %d ('%.60s'), gzip or shuffle expected",
                        w->path, (int)f, name);
    }
    if (list >= 0)
        lib->Pclose(list);
    return s;
}

static md_status check_size(walk *w, hid_t dataset, size_t bytes)
{
    hsize_t stored = lib->Dget_storage_size(dataset);

    if (bytes > w->opts->size_limit)
        return md_fail(w->err, MD_TOO_LARGE,
                       "'%s': dataset of %zu bytes, at most %zu expected",
                       w->path, bytes, w->opts->size_limit);
    if (bytes > BOMB_SIZE_MIN && bytes / BOMB_RATIO > stored)
        return md_fail(w->err, MD_CORRUPT,
                       "'%s': dataset declares %zu bytes and stores %llu",
                       w->path, bytes, (unsigned long long)stored);
    return MD_OK;
}

static md_status read_shape(walk *w, md_shape *out, hid_t dataset)
{
    hid_t space = lib->Dget_space(dataset);
    hsize_t dim[H5S_MAX_RANK];
    H5S_class_t class =
        space < 0 ? H5S_NO_CLASS : lib->Sget_simple_extent_type(space);
    int rank = class == H5S_SIMPLE || class == H5S_SCALAR
                   ? lib->Sget_simple_extent_ndims(space)
                   : -1;
    md_status s = MD_OK;

    if (rank > MD_RANK_MAX) {
        s = md_fail(w->err, MD_UNSUPPORTED,
                    "'%s': dataset of rank %d, at most %d expected", w->path,
                    rank, MD_RANK_MAX);
    } else if (rank < 0 || lib->Sget_simple_extent_dims(space, dim, NULL) < 0) {
        s = fail_lib(w, "shape");
    }
    out->rank = rank;
    for (int i = 0; s == MD_OK && i < rank; i++) {
        if (dim[i] > INT64_MAX)
            s = md_fail(w->err, MD_TOO_LARGE,
                        "'%s': dimension %d is %llu, at most 2^63-1 expected",
                        w->path, i, (unsigned long long)dim[i]);
        else
            out->dim[i] = (int64_t)dim[i];
    }
    if (space >= 0)
        lib->Sclose(space);
    return s;
}

static md_status put_elements(walk *w, hid_t dataset, hid_t memory,
                              const md_shape *shape, uint64_t bytes)
{
    const md_alloc *alloc = md_alloc_default();
    void *data = NULL;
    md_status s = MD_OK;

    if (bytes > 0 && !(data = md_malloc(alloc, bytes)))
        return md_fail_nomem(w->err, bytes);
    if (bytes > 0 &&
        lib->Dread(dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0) {
        s = fail_lib(w, "data");
        goto out;
    }
    MD_GOTO(put(w, shape->dim, sizeof(shape->dim[0]) * (size_t)shape->rank));
    MD_GOTO(put(w, &bytes, sizeof(bytes)));
    MD_GOTO(put(w, data, bytes));
    s = put_padding(w);
out:
    md_free(alloc, data);
    return s;
}

static md_status put_dataset(walk *w, hid_t dataset)
{
    md_shape shape = { 0, { 0 } };
    size_t bytes = 0;
    hid_t memory = -1;
    hid_t type = lib->Dget_type(dataset);
    md_dtype dtype = type < 0 ? MD_DTYPE_NONE : number_type(type, &memory);
    md_status s = MD_OK;

    if (type < 0)
        return fail_lib(w, "type");
    if (dtype != MD_DTYPE_NONE) {
        MD_GOTO(check_storage(w, dataset));
        MD_GOTO(read_shape(w, &shape, dataset));
        MD_GOTO(md_tensor_bytes(&bytes, dtype, &shape, w->err));
        MD_GOTO(check_size(w, dataset, bytes));
    }
    MD_GOTO(put_head(w, MD_HDF5_DATA, dtype, shape.rank));
    s = put_elements(w, dataset, memory, &shape, bytes);
out:
    lib->Tclose(type);
    return s;
}

static md_status walk_group(walk *w, hid_t group);

static md_status walk_object(walk *w, hid_t parent, const char *name)
{
    hid_t object = lib->Oopen(parent, name, H5P_DEFAULT);
    md_status s = MD_OK;

    if (object < 0)
        return fail_lib(w, "object");
    switch (lib->Iget_type(object)) {
    case H5I_GROUP:
        s = walk_group(w, object);
        break;
    case H5I_DATASET:
        s = put_dataset(w, object);
        if (s == MD_OK)
            s = put_attrs(w, object);
        break;
    default: /* a named type: no contents */
        break;
    }
    lib->Oclose(object);
    return s;
}

static bool is_skipped(const walk *w)
{
    const char *const *p = w->opts->skip;

    while (p && *p) {
        if (strcmp(*p++, w->path) == 0)
            return true;
    }
    return false;
}

static const char *link_name(H5L_type_t type)
{
    switch (type) {
    case H5L_TYPE_SOFT:
        return "soft";
    case H5L_TYPE_EXTERNAL:
        return "external";
    default:
        return "user-defined";
    }
}

static md_status walk_link(walk *w, hid_t group, const char *name,
                           const H5L_info_t *info)
{
    if (info->type != H5L_TYPE_HARD)
        return md_fail(w->err, MD_DENIED,
                       "'%s': %s link, objects inside this file expected",
                       w->path, link_name(info->type));
    return is_skipped(w) ? MD_OK : walk_object(w, group, name);
}

/* Appends the link's name to the path for the time of its visit. */
static herr_t visit_link(hid_t group, const char *name, const H5L_info_t *info,
                         void *ctx)
{
    walk *w = ctx;
    size_t old = w->path_len;
    size_t len = strlen(name);
    size_t sep = old > 0 ? 1 : 0;

    if (len + sep + 1 > sizeof(w->path) - old) {
        w->status =
            md_fail(w->err, MD_TOO_LARGE, "'%.200s': path over %d bytes",
                    w->path, MD_HDF5_PATH_MAX);
        return -1;
    }
    if (sep)
        w->path[old] = '/';
    memcpy(w->path + old + sep, name, len + 1);
    w->path_len = old + sep + len;
    w->status = walk_link(w, group, name, info);
    w->path_len = old;
    w->path[old] = '\0';
    return w->status == MD_OK ? 0 : -1;
}

/* Hard links can form cycles too: the depth ends them. */
static md_status walk_group(walk *w, hid_t group)
{
    md_status s;

    if (w->depth == MD_HDF5_DEPTH_MAX)
        return md_fail(w->err, MD_CORRUPT,
                       "'%.200s': groups nest deeper than %d", w->path,
                       MD_HDF5_DEPTH_MAX);
    MD_TRY(put_head(w, MD_HDF5_GROUP, MD_DTYPE_NONE, 0));
    MD_TRY(put_attrs(w, group));
    w->depth++;
    s = MD_OK;
    if (lib->Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, visit_link,
                      w) < 0)
        s = w->status != MD_OK ? w->status : fail_lib(w, "group");
    w->depth--;
    return s;
}

/*
 * libhdf5's file image callbacks: it wants to copy the image twice; here it
 * gets the caller's bytes, which it only reads.
 */
static void *image_alloc(size_t size, H5FD_file_image_op_t op, void *ctx)
{
    (void)size;
    (void)op;
    return ctx;
}

static void *image_copy(void *dest, const void *src, size_t size,
                        H5FD_file_image_op_t op, void *ctx)
{
    (void)op;
    (void)ctx;
    if (dest != src)
        memcpy(dest, src, size);
    return dest;
}

static void *image_resize(void *p, size_t size, H5FD_file_image_op_t op,
                          void *ctx)
{
    (void)p;
    (void)size;
    (void)op;
    (void)ctx;
    return NULL;
}

static herr_t image_free(void *p, H5FD_file_image_op_t op, void *ctx)
{
    (void)p;
    (void)op;
    (void)ctx;
    return 0;
}

static void *context_copy(void *ctx)
{
    return ctx;
}

static herr_t context_free(void *ctx)
{
    (void)ctx;
    return 0;
}

static md_status open_image(hid_t *file, walk *w, const void *bytes,
                            size_t size)
{
    /* libhdf5's interface is not const; the file is opened for reading. */
    union {
        const void *in;
        void *out;
    } image = { .in = bytes };
    H5FD_file_image_callbacks_t calls = { image_alloc,  image_copy,
                                          image_resize, image_free,
                                          context_copy, context_free,
                                          image.out };
    hid_t access = lib->Pcreate(*lib->P_CLS_FILE_ACCESS_ID);
    md_status s = MD_OK;

    *file = -1;
    if (access >= 0 && lib->Pset_fapl_core(access, (size_t)64 << 10, 0) >= 0 &&
        lib->Pset_file_image_callbacks(access, &calls) >= 0 &&
        lib->Pset_file_image(access, image.out, size) >= 0)
        *file = lib->Fopen("image", H5F_ACC_RDONLY, access);
    if (*file < 0) /* before the next call forgets why */
        s = fail_lib(w, "not a readable HDF5 file");
    if (access >= 0)
        lib->Pclose(access);
    return s;
}

md_status md_hdf5_prepare(void *unused, md_error *err)
{
    (void)unused;
    MD_TRY(md_hdf5_lib_load(&loaded, MD_HDF5_SONAME, err));
    if (lib->open() < 0)
        return md_fail(err, MD_UNAVAILABLE, "hdf5: the library does not start");
    lib->Eset_auto2(H5E_DEFAULT, NULL, NULL);
    lib->PLset_loading_state(0);
    return MD_OK;
}

md_status md_hdf5_walk(const void *bytes, size_t size, const md_hdf5_opts *opts,
                       md_child_out *out, md_error *err)
{
    walk w = { .opts = opts, .out = out, .err = err };
    hid_t file;
    hid_t root;
    md_status s;

    MD_TRY(open_image(&file, &w, bytes, size));
    root = lib->Gopen2(file, "/", H5P_DEFAULT);
    if (root < 0) {
        s = fail_lib(&w, "root group");
    } else {
        s = walk_group(&w, root);
        lib->Gclose(root);
    }
    lib->Fclose(file);
    if (s != MD_OK)
        return s;
    return put_head(&w, MD_HDF5_END, MD_DTYPE_NONE, 0);
}
