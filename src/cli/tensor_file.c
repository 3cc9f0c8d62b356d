#include "cli/tensor_file.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/size.h"
#include "formats/format.h"
#include "formats/npy.h"
#include "formats/npz.h"
#include "formats/value_pb.h"
#include "serve/image_input.h"

enum {
    TYPE_SIZE = 256,
    JSON_FILE_MAX = 1 << 30
};

md_status md_cli_inputs_init(md_cli_inputs *in, md_cli_session *s,
                             md_arena *arena, md_error *err)
{
    size_t n = md_session_n_inputs(s->session);

    *in = (md_cli_inputs){ .cli = s, .session = s->session, .arena = arena };
    in->tensors = md_arena_calloc(arena, n + 1, sizeof(*in->tensors));
    return in->tensors ? MD_OK : md_fail_nomem(err, n * sizeof(*in->tensors));
}

void md_cli_inputs_release(md_cli_inputs *in)
{
    for (uint32_t i = 0; in->tensors && i < md_session_n_inputs(in->session);
         i++)
        md_tensor_release(&in->tensors[i]);
}

/* ---- to the type and rank of an input ---- */

static bool same_kind(md_dtype a, md_dtype b)
{
    return (md_dtype_is_float(a) && md_dtype_is_float(b)) ||
           (md_dtype_is_integer(a) && md_dtype_is_integer(b));
}

/* Integer i of `from` is the same in `to`, which may have fewer bits. */
static bool is_kept(const md_tensor *to, const md_tensor *from, int64_t i)
{
    int64_t v = md_tensor_get_i64(from, i);
    bool wraps =
        v < 0 && (to->dtype == MD_DTYPE_U64) != (from->dtype == MD_DTYPE_U64);

    return md_tensor_get_i64(to, i) == v && !wraps;
}

static md_status convert_integers(md_tensor *out, const md_tensor *t,
                                  const char *input, md_error *err)
{
    int64_t n = md_tensor_n(t);

    for (int64_t i = 0; i < n; i++) {
        int64_t v = md_tensor_get_i64(t, i);

        md_tensor_set_i64(out, i, v);
        if (is_kept(out, t, i))
            continue;
        if (t->dtype == MD_DTYPE_U64)
            return md_fail(err, MD_INVALID,
                           "input '%s': %llu given, which does not fit %s",
                           input, (unsigned long long)v,
                           md_dtype_name(out->dtype));
        return md_fail(err, MD_INVALID,
                       "input '%s': %lld given, which does not fit %s", input,
                       (long long)v, md_dtype_name(out->dtype));
    }
    return MD_OK;
}

static md_status convert(md_tensor *t, const md_io *io, md_error *err)
{
    md_dtype to = io->type.dtype;
    bool via_int = !md_dtype_is_float(t->dtype) && !md_dtype_is_float(to);
    int64_t n = md_tensor_n(t);
    md_status s = MD_OK;
    md_tensor out;

    MD_TRY(md_tensor_alloc(&out, to, &t->shape, md_alloc_default(), err));
    if (via_int)
        s = convert_integers(&out, t, io->name, err);
    for (int64_t i = 0; !via_int && i < n; i++)
        md_tensor_set_f64(&out, i, md_tensor_get_f64(t, i));
    if (s != MD_OK) {
        md_tensor_release(&out);
        return s;
    }
    md_tensor_release(t);
    *t = out;
    return MD_OK;
}

md_status md_cli_fit(md_tensor *t, const md_session *s, const md_io *io,
                     bool any_type, md_error *err)
{
    char want[TYPE_SIZE];
    md_shape *shape = &t->shape;
    md_type type = md_type_of_value(t);

    if (io->type.kind != MD_KIND_TENSOR)
        return md_type_fits(&type, &io->type)
                   ? MD_OK
                   : md_fail(err, MD_INVALID,
                             "input '%s': %s of %s given, expected %s",
                             io->name, md_kind_name(t->kind),
                             md_dtype_name(t->dtype),
                             md_cli_io_format(want, sizeof(want), s, io));
    if (t->dtype != io->type.dtype && t->dtype != MD_DTYPE_STRING &&
        io->type.dtype != MD_DTYPE_STRING &&
        (any_type || same_kind(t->dtype, io->type.dtype)))
        MD_TRY(convert(t, io, err));
    if (t->dtype != io->type.dtype)
        return md_fail(err, MD_INVALID, "input '%s': %s given, expected %s",
                       io->name, md_dtype_name(t->dtype),
                       md_cli_io_format(want, sizeof(want), s, io));
    if (shape->rank + 1 == io->type.rank &&
        (!md_dim_is_const(io->type.dim[0]) || io->type.dim[0].k == 1)) {
        memmove(&shape->dim[1], shape->dim,
                (size_t)shape->rank * sizeof(shape->dim[0]));
        shape->dim[0] = 1;
        shape->rank++;
    }
    return MD_OK;
}

/* Take t over as input i. */
static md_status give(md_cli_inputs *in, uint32_t i, md_tensor *t,
                      bool any_type, md_error *err)
{
    const md_io *io = md_session_input(in->session, i);
    md_status s = MD_OK;

    if (in->tensors[i].dtype != MD_DTYPE_NONE)
        s = md_fail(err, MD_INVALID, "input '%s' is given twice", io->name);
    if (s == MD_OK)
        s = md_cli_fit(t, in->session, io, any_type, err);
    if (s != MD_OK) {
        md_tensor_release(t);
        return s;
    }
    in->tensors[i] = *t;
    return MD_OK;
}

/* The input that `name` (NULL: the only one) means. */
static md_status find_input(uint32_t *out, const md_cli_inputs *in,
                            const char *name, md_error *err)
{
    uint32_t n = md_session_n_inputs(in->session);
    int i = name ? md_session_find_input(in->session, name) : n == 1 ? 0 : -1;
    char names[200] = "";
    size_t at = 0;

    if (i >= 0) {
        *out = (uint32_t)i;
        return MD_OK;
    }
    for (uint32_t k = 0; k < n && at < sizeof(names); k++)
        at += (size_t)snprintf(names + at, sizeof(names) - at, "%s'%s'",
                               k ? ", " : "",
                               md_session_input(in->session, k)->name);
    if (name)
        return md_fail(err, MD_NOT_FOUND,
                       "the model has no input '%.80s', expected one of %s",
                       name, names);
    return md_fail(err, MD_INVALID,
                   "the model has %u inputs, expected NAME=FILE with one of %s",
                   n, names);
}

/* ---- JSON ---- */

/* A value at r as a tensor of io's kind of numbers. */
static md_status read_value(md_tensor *out, md_json *r, const md_io *io,
                            md_error *err)
{
    md_dtype to = io->type.dtype;
    md_json_item item = to == MD_DTYPE_BOOL       ? MD_JSON_BOOL
                        : to == MD_DTYPE_U64      ? MD_JSON_U64
                        : md_dtype_is_integer(to) ? MD_JSON_I64
                                                  : MD_JSON_F64;
    md_dtype from = to == MD_DTYPE_BOOL       ? MD_DTYPE_BOOL
                    : to == MD_DTYPE_U64      ? MD_DTYPE_U64
                    : md_dtype_is_integer(to) ? MD_DTYPE_I64
                                              : MD_DTYPE_F64;
    md_json_nest nest;
    md_tensor t = { .dtype = from };
    md_status s;
    md_buf b;

    if (to == MD_DTYPE_STRING)
        return md_fail(err, MD_UNSUPPORTED,
                       "input '%s': strings are not read from JSON, expected "
                       ".npy",
                       io->name);
    md_buf_init(&b, md_alloc_default(), JSON_FILE_MAX);
    s = md_json_read_array(r, item, &b, &nest, err);
    if (s == MD_OK && nest.rank > MD_RANK_MAX)
        s = md_fail(err, MD_INVALID, "input '%s': rank %d given, at most %d",
                    io->name, nest.rank, MD_RANK_MAX);
    if (s == MD_OK) {
        t.shape.rank = nest.rank;
        memcpy(t.shape.dim, nest.dims,
               (size_t)nest.rank * sizeof(t.shape.dim[0]));
        t.data = b.data;
        s = md_tensor_copy(out, &t, md_alloc_default(), err);
    }
    md_buf_release(&b);
    return s;
}

/* A flat list stands for any shape of as many elements. */
static void unflatten(md_tensor *t, const md_io *io)
{
    md_shape shape = { .rank = io->type.rank };
    int64_t n = 1;
    int open = -1;

    if (t->shape.rank != 1 || io->type.rank < 2)
        return;
    for (int d = 0; d < io->type.rank; d++) {
        md_dim dim = io->type.dim[d];

        shape.dim[d] = md_dim_is_const(dim) ? dim.k : 1;
        if (!md_dim_is_const(dim) && open < 0)
            open = d;
        n *= shape.dim[d];
        if (n <= 0 || n > t->shape.dim[0])
            return;
    }
    if (open >= 0)
        shape.dim[open] = t->shape.dim[0] / n;
    if (md_shape_n(&shape) == t->shape.dim[0])
        t->shape = shape;
}

static md_status need_tensor(const md_io *io, md_error *err)
{
    if (io->type.kind == MD_KIND_TENSOR)
        return MD_OK;
    return md_fail(err, MD_UNSUPPORTED,
                   "input '%s' is a %s, a .pb file expected", io->name,
                   md_kind_name(io->type.kind));
}

static md_status give_json(md_cli_inputs *in, const char *name, md_json *r,
                           md_error *err)
{
    md_tensor t;
    uint32_t i;

    MD_TRY(find_input(&i, in, name, err));
    MD_TRY(need_tensor(md_session_input(in->session, i), err));
    MD_TRY(read_value(&t, r, md_session_input(in->session, i), err));
    unflatten(&t, md_session_input(in->session, i));
    return give(in, i, &t, true, err);
}

static md_status read_members(md_cli_inputs *in, md_json *r, md_error *err)
{
    md_json_token t;

    MD_TRY(md_json_next(r, &t, err));
    for (;;) {
        const char *name;

        MD_TRY(md_json_next(r, &t, err));
        if (t.kind == MD_JSON_OBJECT_END)
            return MD_OK;
        MD_TRY(md_json_string(&t, in->arena, &name, NULL, err));
        /* As in a request: the default input. */
        if (strcmp(name, "input_data") == 0 &&
            md_session_find_input(in->session, name) < 0)
            name = NULL;
        MD_TRY(give_json(in, name, r, err));
    }
}

static md_status read_json(md_cli_inputs *in, const char *name,
                           const char *path, md_error *err)
{
    md_json_opts opts = MD_JSON_OPTS_INIT;
    md_json_token t;
    md_json r;
    md_status s;
    md_map map;

    MD_TRY(md_map_open(&map, path, err));
    opts.nonfinite = true;
    md_json_init(&r, map.data, map.size, &opts);
    if (!name && md_json_peek(&r) == MD_JSON_OBJECT)
        s = read_members(in, &r, err);
    else
        s = give_json(in, name, &r, err);
    if (s == MD_OK)
        s = md_json_expect(&r, MD_JSON_END, &t, err);
    md_map_release(&map);
    return s;
}

/* ---- the other kinds ---- */

static md_status read_npz(md_cli_inputs *in, const char *name, const char *path,
                          md_error *err)
{
    md_npz *npz;
    md_status s = MD_OK;
    uint32_t only;
    bool found = !name;

    if (name)
        MD_TRY(find_input(&only, in, name, err));
    MD_TRY(md_npz_open(&npz, path, 0, md_alloc_default(), err));
    for (uint32_t k = 0; s == MD_OK && k < md_npz_count(npz); k++) {
        md_tensor t;
        uint32_t i;

        if (name && strcmp(name, md_npz_name(npz, k)) != 0)
            continue;
        found = true;
        s = find_input(&i, in, md_npz_name(npz, k), err);
        if (s == MD_OK)
            s = md_npz_read(&t, npz, k, err);
        if (s == MD_OK)
            s = give(in, i, &t, false, err);
    }
    md_npz_free(npz);
    if (s == MD_OK && !found)
        return md_fail(err, MD_NOT_FOUND, "no array is called '%s'", name);
    return s;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), k = strlen(end);

    return n >= k && strcmp(s + n - k, end) == 0;
}

/* Only ONNX's own files hold sequences, optionals and maps. */
static md_status read_container(md_tensor *t, const md_io *io, const char *path,
                                md_error *err)
{
    if (!ends_with(path, ".pb"))
        return need_tensor(io, err);
    return md_value_pb_load(t, &io->type, path, md_alloc_default(), err);
}

/* A file that holds one tensor, known by its contents. */
static md_status read_one(md_cli_inputs *in, const char *name, const char *path,
                          md_error *err)
{
    md_tensor t = MD_TENSOR_INIT;
    uint32_t i;

    MD_TRY(find_input(&i, in, name, err));
    if (md_session_input(in->session, i)->type.kind != MD_KIND_TENSOR)
        MD_TRY(read_container(&t, md_session_input(in->session, i), path, err));
    else
        MD_TRY(md_format_load_tensor(&t, path, md_alloc_default(), err));
    return give(in, i, &t, false, err);
}

static md_status read_picture(md_cli_inputs *in, const char *path,
                              md_error *err)
{
    md_tensor t;
    md_status s;
    md_map map;

    MD_TRY(md_cli_session_serve(in->cli, err));
    MD_TRY(md_map_open(&map, path, err));
    s = md_image_input_tensor(&t, in->cli->serve, map.data, map.size,
                              md_alloc_default(), err);
    md_map_release(&map);
    MD_TRY(s);
    return give(in, 0, &t, false, err);
}

static md_status read_any(md_cli_inputs *in, const char *name, const char *path,
                          md_error *err)
{
    static const char *const pictures[] = { ".png",  ".jpg", ".jpeg",
                                            ".webp", ".bmp", ".ppm" };

    if (ends_with(path, ".npz"))
        return read_npz(in, name, path, err);
    if (ends_with(path, ".json"))
        return read_json(in, name, path, err);
    for (size_t i = 0; i < MD_COUNT(pictures); i++) {
        if (ends_with(path, pictures[i]))
            return read_picture(in, path, err);
    }
    return read_one(in, name, path, err);
}

md_status md_cli_inputs_read(md_cli_inputs *in, const char *name,
                             const char *path, md_error *err)
{
    md_status s = read_any(in, name, path, err);

    /* What opens files names them. */
    if (s == MD_OK || strstr(err->msg, path))
        return s;
    return md_wrap(err, s, "file '%s': ", path);
}

md_status md_cli_inputs_check(const md_cli_inputs *in, md_error *err)
{
    for (uint32_t i = 0; i < md_session_n_inputs(in->session); i++) {
        const md_io *io = md_session_input(in->session, i);
        char type[TYPE_SIZE];

        if (in->tensors[i].dtype == MD_DTYPE_NONE)
            return md_fail(
                err, MD_INVALID, "input '%s' is missing, expected %s", io->name,
                md_cli_io_format(type, sizeof(type), in->session, io));
    }
    return MD_OK;
}

/* ---- output ---- */

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

md_status md_cli_output_folder(const char *dir, md_error *err)
{
    if (mkdir(dir, 0777) != 0 && errno != EEXIST)
        return md_fail(err, MD_IO, "cannot make folder '%s': %s", dir,
                       strerror(errno));
    return MD_OK;
}

md_status md_cli_output_path(char **out, const char *dir, const char *name,
                             md_arena *arena, md_error *err)
{
    char *path, *p;

    path = md_arena_printf(arena, "%s/%s.npy", dir, name);
    if (!path)
        return md_fail_nomem(err, strlen(dir) + strlen(name) + 6);
    for (p = path + strlen(dir) + 1; *p; p++) {
        if (!is_plain(*p))
            *p = '_';
    }
    *out = path;
    return MD_OK;
}

static void put_element(md_json_writer *w, const md_tensor *t, int64_t i)
{
    if (t->dtype == MD_DTYPE_STRING) {
        const md_str *s = (const md_str *)t->data + i;

        md_json_put_strn(w, s->p, s->n);
    } else if (t->dtype == MD_DTYPE_BOOL) {
        md_json_put_bool(w, md_tensor_get_i64(t, i) != 0);
    } else if (t->dtype == MD_DTYPE_F64) {
        md_json_put_f64(w, md_tensor_get_f64(t, i));
    } else if (t->dtype == MD_DTYPE_U64) {
        md_json_put_u64(w, ((const uint64_t *)t->data)[i]);
    } else if (md_dtype_is_float(t->dtype)) {
        md_json_put_f32(w, (float)md_tensor_get_f64(t, i));
    } else {
        md_json_put_i64(w, md_tensor_get_i64(t, i));
    }
}

/* Brackets open before element i when it begins a row of some dim, and close
 * behind the row's last. */
void md_cli_tensor_json(md_json_writer *w, const md_tensor *t)
{
    int64_t n = md_tensor_n(t);
    int indent = w->indent;

    w->indent = 0; /* a number per line would not be readable */
    if (n == 0 && t->shape.rank > 0) {
        md_json_put_array(w);
        md_json_put_end(w);
    }
    for (int64_t i = 0; i < n; i++) {
        for (int d = 0; d < t->shape.rank; d++) {
            if (i % md_shape_span(&t->shape, d, t->shape.rank) == 0)
                md_json_put_array(w);
        }
        put_element(w, t, i);
        for (int d = 0; d < t->shape.rank; d++) {
            if ((i + 1) % md_shape_span(&t->shape, d, t->shape.rank) == 0)
                md_json_put_end(w);
        }
    }
    w->indent = indent;
}
