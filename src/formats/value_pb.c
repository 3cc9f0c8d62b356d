#include "formats/value_pb.h"

#include <string.h>

#include "base/file.h"
#include "formats/onnx_impl.h"

enum {
    ELEM_TENSOR = 1, /* SequenceProto.DataType, OptionalProto.DataType */
    ELEM_SEQUENCE = 3,
    ELEM_MAP = 4
};

/* ---- reading ---- */

typedef struct reader {
    md_onnx_reader onnx;
    const md_alloc *alloc;
} reader;

static md_status read_value(md_tensor *out, reader *r, const md_type *type,
                            md_pb bytes, md_error *err);

/* What an empty container of this type is. */
static md_tensor like(const md_type *type)
{
    return (md_tensor){ .dtype = type->dtype,
                        .kind = type->kind,
                        .of = type->of,
                        .key = type->key };
}

static md_type item_type(const md_type *type)
{
    return (
        md_type){ .kind = type->of, .key = type->key, .dtype = type->dtype };
}

static md_status read_tensor(md_tensor *out, reader *r, md_pb bytes,
                             md_error *err)
{
    md_onnx_tensor t;

    MD_TRY(md_onnx__read_tensor(&t, &r->onnx, bytes, MD_ONNX_OWNED, "tensor",
                                err));
    *out = t.t;
    return MD_OK;
}

/* The field of a SequenceProto or an OptionalProto that holds items of a
 * kind.  Both messages number theirs alike. */
static uint32_t field_of(md_kind kind)
{
    _Static_assert((int)MD_ONNX_SEQUENCE_TENSORS == (int)MD_ONNX_OPT_TENSOR &&
                       (int)MD_ONNX_SEQUENCE_SEQUENCES ==
                           (int)MD_ONNX_OPT_SEQUENCE &&
                       (int)MD_ONNX_SEQUENCE_MAPS == (int)MD_ONNX_OPT_MAP,
                   "onnx_fields.def");
    switch (kind) {
    case MD_KIND_SEQUENCE:
        return MD_ONNX_SEQUENCE_SEQUENCES;
    case MD_KIND_MAP:
        return MD_ONNX_SEQUENCE_MAPS;
    default:
        return MD_ONNX_SEQUENCE_TENSORS;
    }
}

static md_status count_items(int64_t *n, const md_type *type, md_pb bytes,
                             md_error *err)
{
    md_pb_field f;

    *n = 0;
    for (;;) {
        MD_TRY(md_pb_next(&f, &bytes, err));
        if (f.number == 0)
            break;
        *n += f.number == field_of(type->of);
        if (f.number >= MD_ONNX_SEQUENCE_TENSORS &&
            f.number <= MD_ONNX_SEQUENCE_OPTIONALS &&
            f.number != field_of(type->of))
            return md_fail(
                err, MD_CORRUPT, "%s with items that are no %ss (field %u)",
                md_kind_name(type->kind), md_kind_name(type->of), f.number);
    }
    if (type->kind == MD_KIND_OPTIONAL && *n > 1)
        return md_fail(err, MD_CORRUPT, "optional of %lld values",
                       (long long)*n);
    return MD_OK;
}

/* The items of a sequence have one type, which the container takes over. */
static md_status add_item(md_tensor *c, int64_t i, md_tensor *item,
                          md_error *err)
{
    if (i == 0) {
        c->dtype = item->dtype;
        c->key = item->key;
    }
    if (item->dtype != c->dtype || item->key != c->key)
        return md_fail(err, MD_CORRUPT, "item %lld is %s, %s expected",
                       (long long)i, md_dtype_name(item->dtype),
                       md_dtype_name(c->dtype));
    return md_container_give(c, i, item, err);
}

static md_status read_items(md_tensor *out, reader *r, const md_type *type,
                            md_pb bytes, md_error *err)
{
    const md_tensor empty = like(type);
    const md_type inner = item_type(type);
    int64_t n, i = 0;
    md_pb_field f;
    md_status s;

    MD_TRY(count_items(&n, type, bytes, err));
    MD_TRY(md_container_alloc(out, &empty, n, r->alloc, err));
    while (i < n) {
        md_tensor item = MD_TENSOR_INIT;
        md_pb part;

        MD_GOTO(md_pb_next(&f, &bytes, err));
        if (f.number != field_of(type->of))
            continue;
        MD_GOTO(md_pb_message(&part, &f, err));
        s = read_value(&item, r, &inner, part, err);
        if (s == MD_OK)
            s = add_item(out, i, &item, err);
        if (s != MD_OK) {
            md_tensor_release(&item);
            s = md_wrap(err, s, "%s, item %lld: ", md_kind_name(type->kind),
                        (long long)i);
            goto out;
        }
        i++;
    }
    return MD_OK;
out:
    md_tensor_release(out);
    return s;
}

/* What a MapProto says, before its keys are read. */
typedef struct map_fields {
    md_pb message;
    md_dtype key;
    int64_t n_keys;
    md_pb values;
} map_fields;

static md_status read_map_fields(map_fields *m, md_pb bytes, md_error *err)
{
    md_pb_field f;
    int64_t key = 0;
    size_t n;

    *m = (map_fields){ .message = bytes };
    for (;;) {
        MD_TRY(md_pb_next(&f, &bytes, err));
        if (f.number == 0)
            break;
        if (f.number == MD_ONNX_MAP_KEY_TYPE) {
            MD_TRY(md_pb_int(&key, &f, err));
        } else if (f.number == MD_ONNX_MAP_KEYS) {
            MD_TRY(md_pb_count(&n, &f, MD_PB_VARINT, err));
            m->n_keys += (int64_t)n;
        } else if (f.number == MD_ONNX_MAP_STRING_KEYS) {
            m->n_keys++;
        } else if (f.number == MD_ONNX_MAP_VALUES) {
            MD_TRY(md_pb_message(&m->values, &f, err));
        }
    }
    m->key = (md_dtype)key;
    if (key < 0 || key > INT32_MAX || !md_dtype_is_valid((int)key) ||
        (m->key != MD_DTYPE_STRING && !md_dtype_is_integer(m->key)))
        return md_fail(err, MD_CORRUPT,
                       "map with keys of type %lld, an integer type or string "
                       "expected",
                       (long long)key);
    return MD_OK;
}

static md_status read_string_keys(md_tensor *keys, md_pb bytes, md_error *err)
{
    md_str *at = keys->data;
    md_pb_field f;

    for (;;) {
        MD_TRY(md_pb_next(&f, &bytes, err));
        if (f.number == 0)
            return MD_OK;
        if (f.number != MD_ONNX_MAP_STRING_KEYS)
            continue;
        MD_TRY(md_pb_message(&f.bytes, &f, err));
        *at++ = (md_str){ (const char *)f.bytes.p, md_pb_size(&f.bytes) };
    }
}

static md_status read_integer_keys(md_tensor *keys, md_pb bytes, md_error *err)
{
    int64_t i = 0;
    md_pb_field f;

    for (;;) {
        MD_TRY(md_pb_next(&f, &bytes, err));
        if (f.number == 0)
            return MD_OK;
        for (bool more = f.number == MD_ONNX_MAP_KEYS; more;) {
            uint64_t v;

            MD_TRY(md_pb_take(&v, &more, &f, MD_PB_VARINT, err));
            if (more)
                md_tensor_set_i64(keys, i++, (int64_t)v);
        }
    }
}

static md_status read_keys(md_tensor *keys, reader *r, const map_fields *m,
                           md_error *err)
{
    md_shape shape = { 1, { m->n_keys } };
    md_status s;

    MD_TRY(md_tensor_alloc(keys, m->key, &shape, r->alloc, err));
    if (m->key == MD_DTYPE_STRING) {
        s = read_string_keys(keys, m->message, err);
        if (s == MD_OK)
            s = md_tensor_own_text(keys, err);
    } else {
        s = read_integer_keys(keys, m->message, err);
    }
    if (s != MD_OK)
        md_tensor_release(keys);
    return s;
}

static void set_element(md_tensor *to, int64_t i, const md_tensor *scalar)
{
    if (to->dtype == MD_DTYPE_STRING)
        ((md_str *)to->data)[i] = *(const md_str *)scalar->data;
    else
        md_tensor_set_from(to, i, scalar, 0);
}

/* A sequence of scalars as one vector. */
static md_status read_values(md_tensor *out, reader *r, const map_fields *m,
                             const md_type *type, md_error *err)
{
    const md_type scalars = { .kind = MD_KIND_SEQUENCE, .dtype = type->dtype };
    md_shape shape = { 1, { m->n_keys } };
    md_tensor list = MD_TENSOR_INIT;
    md_status s;

    *out = (md_tensor)MD_TENSOR_INIT;
    MD_TRY(read_items(&list, r, &scalars, m->values, err));
    if (md_tensor_n(&list) != m->n_keys)
        s = md_fail(err, MD_CORRUPT, "map of %lld keys to %lld values",
                    (long long)m->n_keys, (long long)md_tensor_n(&list));
    else
        s = md_tensor_alloc(out, list.dtype, &shape, r->alloc, err);
    for (int64_t i = 0; i < m->n_keys && s == MD_OK; i++) {
        const md_tensor *v = md_container_item(&list, i);

        if (md_tensor_n(v) != 1)
            s = md_fail(err, MD_UNSUPPORTED,
                        "map to tensors of %lld elements, scalars expected",
                        (long long)md_tensor_n(v));
        else
            set_element(out, i, v);
    }
    if (s == MD_OK)
        s = md_tensor_own_text(out, err);
    if (s != MD_OK)
        md_tensor_release(out);
    md_tensor_release(&list);
    return s;
}

static md_status read_map(md_tensor *out, reader *r, const md_type *type,
                          md_pb bytes, md_error *err)
{
    md_tensor keys = MD_TENSOR_INIT, values = MD_TENSOR_INIT;
    map_fields m;
    md_status s;

    MD_TRY(read_map_fields(&m, bytes, err));
    MD_TRY(read_keys(&keys, r, &m, err));
    MD_GOTO(read_values(&values, r, &m, type, err));
    MD_GOTO(md_container_map(out, &keys, &values, r->alloc, err));
    return MD_OK;
out:
    md_tensor_release(&keys);
    md_tensor_release(&values);
    return s;
}

static md_status read_value(md_tensor *out, reader *r, const md_type *type,
                            md_pb bytes, md_error *err)
{
    switch (type->kind) {
    case MD_KIND_TENSOR:
        return read_tensor(out, r, bytes, err);
    case MD_KIND_MAP:
        return read_map(out, r, type, bytes, err);
    default:
        return read_items(out, r, type, bytes, err);
    }
}

md_status md_value_pb_parse(md_tensor *out, const md_type *type,
                            const void *bytes, size_t size,
                            const md_alloc *alloc, md_error *err)
{
    reader r = { .onnx = { .opts = MD_ONNX_OPTS_INIT }, .alloc = alloc };
    md_status s;

    /* The model is the arena that names are read into. */
    MD_TRY(md_model_new(&r.onnx.model, alloc, 0, err));
    s = read_value(out, &r, type, md_pb_init(bytes, size), err);
    md_model_free(r.onnx.model);
    return s;
}

md_status md_value_pb_load(md_tensor *out, const md_type *type,
                           const char *path, const md_alloc *alloc,
                           md_error *err)
{
    md_map map;
    md_status s;

    MD_TRY(md_map_open(&map, path, err));
    s = md_value_pb_parse(out, type, map.data, map.size, alloc, err);
    md_map_release(&map);
    return s == MD_OK ? s : md_wrap(err, s, "'%s': ", path);
}

/* ---- writing ---- */

static void put_fields(md_onnx_writer *w, const char *name, const md_tensor *v);

static int elem_of(const md_tensor *v)
{
    switch (v->of) {
    case MD_KIND_SEQUENCE:
        return ELEM_SEQUENCE;
    case MD_KIND_MAP:
        return ELEM_MAP;
    default:
        return ELEM_TENSOR;
    }
}

static void put_item(md_onnx_writer *w, uint32_t number, const md_tensor *v)
{
    md_pb_mark mark = md_pb_begin(&w->pb, number);

    put_fields(w, "", v);
    md_pb_end(&w->pb, mark);
}

static void put_map(md_onnx_writer *w, const md_tensor *v)
{
    const md_tensor *keys = md_container_item(v, 0);
    const md_tensor *values = md_container_item(v, 1);
    int64_t n = md_tensor_n(keys);
    md_pb_mark mark;

    md_pb_put_int(&w->pb, MD_ONNX_MAP_KEY_TYPE, keys->dtype);
    for (int64_t i = 0; i < n; i++) {
        const md_str *s = keys->data;
        int64_t k = md_tensor_get_i64(keys, i);

        if (keys->dtype == MD_DTYPE_STRING)
            md_pb_put_bytes(&w->pb, MD_ONNX_MAP_STRING_KEYS, s[i].p, s[i].n);
        else
            md_pb_put_ints(&w->pb, MD_ONNX_MAP_KEYS, &k, 1);
    }
    mark = md_pb_begin(&w->pb, MD_ONNX_MAP_VALUES);
    md_pb_put_int(&w->pb, MD_ONNX_SEQUENCE_ELEM, ELEM_TENSOR);
    for (int64_t i = 0; i < n; i++) {
        md_tensor one = { .dtype = values->dtype };
        size_t size = md_dtype_bits(values->dtype) / 8;

        one.data = (unsigned char *)values->data + (size_t)i * size;
        put_item(w, MD_ONNX_SEQUENCE_TENSORS, &one);
    }
    md_pb_end(&w->pb, mark);
}

static void put_fields(md_onnx_writer *w, const char *name, const md_tensor *v)
{
    int64_t n = v->kind == MD_KIND_TENSOR ? 0 : md_tensor_n(v);

    if (v->kind == MD_KIND_TENSOR) {
        md_onnx__put_tensor_fields(w, name, v, false);
        return;
    }
    if (name[0])
        md_pb_put_text(&w->pb, MD_ONNX_SEQUENCE_NAME, name);
    if (v->kind == MD_KIND_MAP) {
        put_map(w, v);
        return;
    }
    md_pb_put_int(&w->pb, MD_ONNX_SEQUENCE_ELEM,
                  n || v->kind == MD_KIND_SEQUENCE ? elem_of(v) : 0);
    for (int64_t i = 0; i < n; i++)
        put_item(w, field_of(v->of), md_container_item(v, i));
}

static md_status append(void *ctx, const void *data, size_t size, md_error *err)
{
    return md_buf_append(ctx, data, size, err);
}

md_status md_value_pb_write(const md_tensor *v, const char *name, md_buf *out,
                            md_error *err)
{
    md_onnx_writer w = { .n_outside = 0 };
    md_status s;

    md_pb_writer_init(&w.pb, out->alloc, out->limit);
    put_fields(&w, name, v);
    s = md_pb_writer_drain(&w.pb, append, out, err);
    md_pb_writer_release(&w.pb);
    return s;
}

md_status md_value_pb_save(const md_tensor *v, const char *name,
                           const char *path, md_error *err)
{
    md_buf bytes;
    md_status s;

    md_buf_init(&bytes, md_alloc_default(), SIZE_MAX / 2);
    MD_GOTO(md_value_pb_write(v, name, &bytes, err));
    MD_GOTO(md_file_write_atomic(path, bytes.data, bytes.size, err));
out:
    md_buf_release(&bytes);
    return s;
}
