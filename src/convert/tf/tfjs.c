#include "convert/tf/tfjs.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/size.h"
#include "formats/confine.h"

enum {
    PROBE_SIZE = 1 << 16,
    GRAPH_SIZE_MAX = 256 << 20,
    SHARDS_MAX = 4096,
    NODE = 1,
    LIBRARY = 2,
    FUNCTION = 1
};

typedef struct reader {
    md_tfjs *out;
    const char *folder;
    md_model *model;
    md_arena *ar;
    md_error *err;
    md_pb_writer w;
} reader;

/* --- GraphDef --- */

static const char *text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

/* An integer, which JSON of protobuf writes as text. */
static int64_t number(const json_t *v)
{
    if (json_is_string(v))
        return strtoll(json_string_value(v), NULL, 10);
    return json_is_real(v) ? (int64_t)json_real_value(v)
                           : json_integer_value(v);
}

static double real(const json_t *v)
{
    if (json_is_string(v)) /* "Infinity", "NaN" */
        return strtod(json_string_value(v), NULL);
    return json_number_value(v);
}

/* A DataType by its name or number. */
static int64_t type_of(const json_t *v)
{
    static const struct {
        const char *name;
        int type;
    } types[] = { { "DT_FLOAT", 1 },     { "DT_DOUBLE", 2 },
                  { "DT_INT32", 3 },     { "DT_UINT8", 4 },
                  { "DT_INT16", 5 },     { "DT_INT8", 6 },
                  { "DT_STRING", 7 },    { "DT_COMPLEX64", 8 },
                  { "DT_INT64", 9 },     { "DT_BOOL", 10 },
                  { "DT_BFLOAT16", 14 }, { "DT_HALF", 19 },
                  { "DT_RESOURCE", 20 }, { "DT_VARIANT", 21 } };

    for (size_t i = 0; json_is_string(v) && i < sizeof(types) / sizeof(*types);
         i++) {
        if (strcmp(types[i].name, json_string_value(v)) == 0)
            return types[i].type;
    }
    return json_is_string(v) ? 0 : number(v);
}

static int digit(char c)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *p = c ? strchr(digits, c) : NULL;

    return p ? (int)(p - digits) : -1;
}

/* Bytes, which JSON of protobuf writes in base 64. */
static void put_bytes(reader *r, uint32_t field, const json_t *v)
{
    const char *s = json_is_string(v) ? json_string_value(v) : "";
    size_t n = strlen(s);
    unsigned char *to = md_arena_alloc(r->ar, n + 1);
    size_t at = 0;
    uint32_t bits = 0;
    unsigned n_bits = 0;

    if (!to)
        return;
    for (; digit(*s) >= 0; s++) {
        bits = bits << 6 | (uint32_t)digit(*s);
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            to[at++] = (unsigned char)(bits >> n_bits);
        }
    }
    md_pb_put_bytes(&r->w, field, to, at);
}

static void put_shape(reader *r, uint32_t field, const json_t *v)
{
    md_pb_mark shape = md_pb_begin(&r->w, field);
    const json_t *dim;
    size_t i;

    json_array_foreach(json_object_get(v, "dim"), i, dim)
    {
        md_pb_mark one = md_pb_begin(&r->w, 2);

        md_pb_put_int(&r->w, 1, number(json_object_get(dim, "size")));
        md_pb_end(&r->w, one);
    }
    if (json_is_true(json_object_get(v, "unknownRank")))
        md_pb_put_int(&r->w, 3, 1);
    md_pb_end(&r->w, shape);
}

/* A tensor as far as a model without weights has it: type and shape, small
 * lists. */
static void put_tensor(reader *r, uint32_t field, const json_t *v)
{
    static const struct {
        const char *key;
        uint32_t field;
    } lists[] = { { "intVal", 7 }, { "int64Val", 10 }, { "boolVal", 11 } };
    md_pb_mark tensor = md_pb_begin(&r->w, field);
    const json_t *one;
    size_t i;

    md_pb_put_int(&r->w, 1, type_of(json_object_get(v, "dtype")));
    if (json_object_get(v, "tensorShape"))
        put_shape(r, 2, json_object_get(v, "tensorShape"));
    if (json_object_get(v, "tensorContent"))
        put_bytes(r, 4, json_object_get(v, "tensorContent"));
    json_array_foreach(json_object_get(v, "floatVal"), i, one)
        md_pb_put_float(&r->w, 5, (float)real(one));
    json_array_foreach(json_object_get(v, "stringVal"), i, one)
        put_bytes(r, 8, one);
    for (size_t k = 0; k < sizeof(lists) / sizeof(*lists); k++) {
        json_array_foreach(json_object_get(v, lists[k].key), i, one)
            md_pb_put_int(&r->w, lists[k].field,
                          json_is_boolean(one) ? json_is_true(one)
                                               : number(one));
    }
    md_pb_end(&r->w, tensor);
}

/* One value of an attribute, or one element of a list of them: "s", "i"... */
static void put_value(reader *r, const char *key, const json_t *v)
{
    if (strcmp(key, "s") == 0)
        put_bytes(r, 2, v);
    else if (strcmp(key, "i") == 0)
        md_pb_put_int(&r->w, 3, number(v));
    else if (strcmp(key, "f") == 0)
        md_pb_put_float(&r->w, 4, (float)real(v));
    else if (strcmp(key, "b") == 0)
        md_pb_put_int(&r->w, 5, json_is_true(v));
    else if (strcmp(key, "type") == 0)
        md_pb_put_int(&r->w, 6, type_of(v));
    else if (strcmp(key, "shape") == 0)
        put_shape(r, 7, v);
    else if (strcmp(key, "tensor") == 0)
        put_tensor(r, 8, v);
}

static void put_list(reader *r, json_t *v)
{
    md_pb_mark list = md_pb_begin(&r->w, 1);
    const char *key;
    json_t *values;
    const json_t *one;
    size_t i;

    json_object_foreach(v, key, values)
    {
        json_array_foreach(values, i, one) put_value(r, key, one);
    }
    md_pb_end(&r->w, list);
}

static void put_attr(reader *r, const char *name, json_t *v)
{
    md_pb_mark attr = md_pb_begin(&r->w, 5);
    md_pb_mark value;
    const char *key;
    json_t *one;

    md_pb_put_text(&r->w, 1, name);
    value = md_pb_begin(&r->w, 2);
    json_object_foreach(v, key, one)
    {
        if (strcmp(key, "list") == 0) {
            put_list(r, one);
        } else if (strcmp(key, "func") == 0) {
            md_pb_mark f = md_pb_begin(&r->w, 10);

            md_pb_put_text(&r->w, 1, text(one, "name"));
            md_pb_end(&r->w, f);
        } else {
            put_value(r, key, one);
        }
    }
    md_pb_end(&r->w, value);
    md_pb_end(&r->w, attr);
}

static void put_node(reader *r, uint32_t field, const json_t *n)
{
    md_pb_mark node = md_pb_begin(&r->w, field);
    const json_t *input;
    const char *key;
    json_t *v;
    size_t i;

    md_pb_put_text(&r->w, 1, text(n, "name"));
    md_pb_put_text(&r->w, 2, text(n, "op"));
    json_array_foreach(json_object_get(n, "input"), i, input)
    {
        if (json_is_string(input))
            md_pb_put_text(&r->w, 3, json_string_value(input));
    }
    json_object_foreach(json_object_get(n, "attr"), key, v) put_attr(r, key, v);
    md_pb_end(&r->w, node);
}

static void put_args(reader *r, uint32_t field, const json_t *args)
{
    const json_t *a;
    size_t i;

    json_array_foreach(args, i, a)
    {
        md_pb_mark arg = md_pb_begin(&r->w, field);

        md_pb_put_text(&r->w, 1, text(a, "name"));
        md_pb_put_int(&r->w, 3, type_of(json_object_get(a, "type")));
        md_pb_end(&r->w, arg);
    }
}

static void put_function(reader *r, const json_t *f)
{
    md_pb_mark function = md_pb_begin(&r->w, FUNCTION);
    const json_t *s = json_object_get(f, "signature");
    md_pb_mark signature = md_pb_begin(&r->w, 1);
    const json_t *n;
    const char *key;
    json_t *v;
    size_t i;

    md_pb_put_text(&r->w, 1, text(s, "name"));
    put_args(r, 2, json_object_get(s, "inputArg"));
    put_args(r, 3, json_object_get(s, "outputArg"));
    md_pb_end(&r->w, signature);
    json_array_foreach(json_object_get(f, "nodeDef"), i, n) put_node(r, 3, n);
    json_object_foreach(json_object_get(f, "ret"), key, v)
    {
        md_pb_mark ret = md_pb_begin(&r->w, 4);

        md_pb_put_text(&r->w, 1, key);
        if (json_is_string(v))
            md_pb_put_text(&r->w, 2, json_string_value(v));
        md_pb_end(&r->w, ret);
    }
    md_pb_end(&r->w, function);
}

static md_status gather(void *ctx, const void *data, size_t size, md_error *err)
{
    return md_buf_append(ctx, data, size, err);
}

/* The bytes written, in the arena. */
static md_status keep_graph(reader *r)
{
    md_buf buf;
    md_status s;
    void *copy;

    md_buf_init(&buf, r->model->alloc, GRAPH_SIZE_MAX);
    s = md_pb_writer_drain(&r->w, gather, &buf, r->err);
    copy = s == MD_OK ? md_arena_alloc(r->ar, buf.size + 1) : NULL;
    if (copy && buf.size > 0)
        memcpy(copy, buf.data, buf.size);
    if (copy)
        r->out->graph = md_pb_init(copy, buf.size);
    md_buf_release(&buf);
    return s != MD_OK || copy ? s : md_fail_nomem(r->err, 1);
}

static md_status read_topology(reader *r, const json_t *topology)
{
    const json_t *nodes = json_object_get(topology, "node");
    const json_t *library = json_object_get(topology, "library");
    const json_t *n;
    md_status s;
    size_t i;

    if (!json_is_array(nodes))
        return md_fail(r->err, MD_UNSUPPORTED,
                       "tfjs: a layers model; graph models are read (save it "
                       "as .keras, or convert it to a graph model)");
    md_pb_writer_init(&r->w, r->model->alloc, GRAPH_SIZE_MAX);
    json_array_foreach(nodes, i, n) put_node(r, NODE, n);
    if (library) {
        md_pb_mark mark = md_pb_begin(&r->w, LIBRARY);

        json_array_foreach(json_object_get(library, "function"), i, n)
            put_function(r, n);
        md_pb_end(&r->w, mark);
    }
    s = keep_graph(r);
    md_pb_writer_release(&r->w);
    return s;
}

/* --- weights --- */

/* The files of a group, one behind the other. */
typedef struct group {
    const unsigned char *data;
    size_t size, at;
    bool in_file; /* it is one file */
} group;

static md_status map_file(md_map *out, reader *r, const char *path)
{
    md_status s;
    md_map map;
    int fd;

    if (!r->folder)
        return md_fail(r->err, MD_DENIED,
                       "tfjs: weights in '%.80s', but the model has no folder",
                       path);
    MD_TRY(md_confined_open(&fd, r->folder, path, r->err));
    s = md_map_fd(&map, fd, path, r->err);
    close(fd);
    MD_TRY(s);
    *out = map;
    s = md_model_keep_map(r->model, &map, r->err);
    if (s != MD_OK)
        md_map_release(&map);
    return s;
}

/* Weights go on from one file into the next: several become one block. */
static md_status open_group(group *g, reader *r, const json_t *paths)
{
    static const unsigned char nothing[1];
    size_t n = json_array_size(paths);
    md_map *maps = md_arena_calloc(r->ar, n + 1, sizeof(*maps));
    unsigned char *joined;

    *g = (group){ .data = nothing, .in_file = n == 1 };
    if (!maps)
        return md_fail_nomem(r->err, n);
    if (n > SHARDS_MAX)
        return md_fail(r->err, MD_TOO_LARGE, "tfjs: %zu files of weights", n);
    for (size_t i = 0; i < n; i++) {
        const char *path = json_string_value(json_array_get(paths, i));

        if (!path)
            return md_fail(r->err, MD_CORRUPT, "tfjs: a path is no text");
        MD_TRY(map_file(&maps[i], r, path));
        if (!md_add_size(&g->size, g->size, maps[i].size))
            return md_fail(r->err, MD_TOO_LARGE, "tfjs: weights");
    }
    g->data = n > 0 ? maps[0].data : nothing;
    if (n < 2)
        return MD_OK;
    joined = md_arena_alloc(r->ar, g->size + 1);
    if (!joined)
        return md_fail(r->err, MD_TOO_LARGE, "tfjs: weights of %zu bytes",
                       g->size);
    g->data = joined;
    for (size_t i = 0; i < n; i++) {
        memcpy(joined, maps[i].data, maps[i].size);
        joined += maps[i].size;
    }
    return MD_OK;
}

/* Codes of 8 or 16 bits to code * scale + min; float16 to float32. */
static md_status dequantize(md_tf_tensor *t, reader *r, const json_t *q,
                            const unsigned char *from, unsigned width)
{
    int64_t n = md_shape_n(&t->shape);
    double scale = real(json_object_get(q, "scale"));
    double min = real(json_object_get(q, "min"));
    bool half = strcmp(text(q, "dtype"), "float16") == 0;
    md_tensor halves = { .dtype = MD_DTYPE_F16, .shape = { 1, { n } } };
    md_tensor out = { .dtype = t->dtype, .shape = { 1, { n } } };

    out.data = md_arena_alloc_aligned(r->ar, t->size + 1);
    halves.data =
        half ? md_arena_alloc_aligned(r->ar, (size_t)n * 2 + 1) : NULL;
    if (!out.data || (half && !halves.data))
        return md_fail(r->err, MD_TOO_LARGE, "tfjs: a weight of %zu bytes",
                       t->size);
    if (half)
        memcpy(halves.data, from, (size_t)n * 2);
    for (int64_t i = 0; i < n; i++) {
        double v = from[(size_t)i * width];

        if (half)
            v = md_tensor_get_f64(&halves, i);
        else if (width == 2)
            v += 256 * (double)from[(size_t)i * 2 + 1];
        md_tensor_set_f64(&out, i, half ? v : v * scale + min);
    }
    t->data = out.data;
    return MD_OK;
}

/* Each string's length (uint32), then its bytes: as md_tf_tensor has them. */
static md_status read_strings(md_tf_tensor *t, reader *r, group *g)
{
    size_t n = (size_t)md_shape_n(&t->shape);
    size_t left = g->size - g->at;
    size_t to = (n + 2) * 4;
    int32_t *at = n <= left ? md_arena_calloc(r->ar, to + left + 1, 1) : NULL;

    if (!at || left > INT32_MAX / 2)
        return md_fail(r->err, MD_CORRUPT, "tfjs: %zu strings in %zu bytes", n,
                       left);
    at[0] = (int32_t)n;
    at[1] = (int32_t)to;
    for (size_t i = 0; i < n; i++) {
        uint32_t size;

        left = g->size - g->at;
        if (left < 4)
            return md_fail(r->err, MD_CORRUPT, "tfjs: string %zu is cut", i);
        memcpy(&size, g->data + g->at, 4);
        if (size > left - 4)
            return md_fail(r->err, MD_CORRUPT, "tfjs: string %zu of %u bytes",
                           i, size);
        memcpy((char *)at + to, g->data + g->at + 4, size);
        g->at += 4 + (size_t)size;
        to += size;
        at[i + 2] = (int32_t)to;
    }
    t->data = (const unsigned char *)at;
    t->size = to;
    return MD_OK;
}

static md_status read_shape(md_shape *out, reader *r, const json_t *dims)
{
    out->rank = 0;
    if (json_array_size(dims) > MD_RANK_MAX)
        return md_fail(r->err, MD_UNSUPPORTED, "tfjs: rank %zu",
                       json_array_size(dims));
    for (size_t i = 0; i < json_array_size(dims); i++) {
        int64_t d = number(json_array_get(dims, i));

        if (d < 0)
            return md_fail(r->err, MD_CORRUPT, "tfjs: a size of %lld",
                           (long long)d);
        out->dim[out->rank++] = d;
    }
    return MD_OK;
}

static md_status read_data(md_tf_tensor *t, reader *r, group *g,
                           const json_t *q)
{
    const char *code = text(q, "dtype");
    unsigned width = strcmp(code, "uint8") == 0 ? 1 : 2;
    size_t size = t->size;
    const unsigned char *from = g->data + g->at;

    if (t->dtype == MD_DTYPE_STRING)
        return read_strings(t, r, g);
    if (q && width == 2 && strcmp(code, "uint16") != 0 &&
        strcmp(code, "float16") != 0)
        return md_fail(r->err, MD_UNSUPPORTED, "tfjs: codes of type '%.40s'",
                       code);
    if (q)
        size = (size_t)md_shape_n(&t->shape) * width;
    if (size > g->size - g->at)
        return md_fail(r->err, MD_CORRUPT, "tfjs: %zu bytes, %zu are left",
                       size, g->size - g->at);
    g->at += size;
    if (q)
        return dequantize(t, r, q, from, width);
    t->data = from;
    t->in_file = g->in_file;
    return MD_OK;
}

static md_status read_weight(reader *r, group *g, const json_t *w)
{
    const json_t *q = json_object_get(w, "quantization");
    md_tfjs *out = r->out;
    md_tfjs_weight *made;
    md_status s;

    MD_TRY(md_arena_grow(r->ar, &out->weights, &out->cap_weights,
                         out->n_weights, sizeof(*out->weights), r->err));
    made = &out->weights[out->n_weights++];
    *made = (md_tfjs_weight){ .name = md_arena_strdup(r->ar, text(w, "name")) };
    made->t.dtype = md_dtype_parse(text(w, "dtype"));
    if (!made->name)
        return md_fail_nomem(r->err, 1);
    if (made->t.dtype == MD_DTYPE_NONE)
        return md_fail(r->err, MD_UNSUPPORTED,
                       "tfjs: weight '%.80s' of type '%.40s'", made->name,
                       text(w, "dtype"));
    MD_TRY(read_shape(&made->t.shape, r, json_object_get(w, "shape")));
    s = md_tensor_bytes(&made->t.size, made->t.dtype, &made->t.shape, r->err);
    if (s == MD_OK)
        s = read_data(&made->t, r, g, q);
    return s == MD_OK ? s : md_wrap(r->err, s, "weight '%.80s': ", made->name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const md_tfjs_weight *)a)->name,
                  ((const md_tfjs_weight *)b)->name);
}

static md_status read_manifest(reader *r, const json_t *manifest)
{
    const json_t *one;
    size_t i;

    json_array_foreach(manifest, i, one)
    {
        const json_t *w;
        size_t k;
        group g;

        MD_TRY(open_group(&g, r, json_object_get(one, "paths")));
        json_array_foreach(json_object_get(one, "weights"), k, w)
            MD_TRY(read_weight(r, &g, w));
    }
    if (r->out->n_weights > 0)
        qsort(r->out->weights, r->out->n_weights, sizeof(*r->out->weights),
              by_name);
    return MD_OK;
}

const md_tf_tensor *md_tfjs_find(const md_tfjs *m, const char *name)
{
    const md_tfjs_weight key = { .name = name };
    const md_tfjs_weight *w = m->n_weights > 0
                                  ? bsearch(&key, m->weights, m->n_weights,
                                            sizeof(*m->weights), by_name)
                                  : NULL;

    return w ? &w->t : NULL;
}

/* --- the file --- */

static bool has_word(const char *p, size_t n, const char *word)
{
    size_t size = strlen(word);

    for (; n >= size; p++, n--) {
        if (memcmp(p, word, size) == 0)
            return true;
    }
    return false;
}

bool md_tfjs_probe(const void *bytes, size_t size)
{
    static const char *const words[] = { "\"modelTopology\"",
                                         "\"weightsManifest\"" };
    const char *p = bytes;
    size_t n = size;

    while (n > 0 && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) {
        p++;
        n--;
    }
    if (n == 0 || *p != '{')
        return false;
    for (int i = 0; i < 2; i++) {
        if (has_word(p, n < PROBE_SIZE ? n : PROBE_SIZE, words[i]))
            return true;
    }
    return false;
}

md_status md_tfjs_read(md_tfjs *out, const void *bytes, size_t size,
                       const char *folder, md_model *model, md_arena *ar,
                       md_error *err)
{
    reader r = { out, folder, model, ar, err, { .status = MD_OK } };
    json_error_t e;
    json_t *root = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &e);
    md_status s;

    *out = (md_tfjs){ .version = "" };
    if (!root)
        return md_fail(err, MD_CORRUPT, "tfjs: line %d: %s", e.line, e.text);
    out->version = md_arena_strdup(ar, text(root, "generatedBy"));
    s = out->version ? read_topology(&r, json_object_get(root, "modelTopology"))
                     : md_fail_nomem(err, 1);
    if (s == MD_OK)
        s = read_manifest(&r, json_object_get(root, "weightsManifest"));
    json_decref(root);
    return s;
}
