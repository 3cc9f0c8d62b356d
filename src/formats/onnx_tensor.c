/* TensorProto and SparseTensorProto to md_tensor. */
#include <string.h>

#include "base/size.h"
#include "formats/onnx_impl.h"

enum {
    LARGE = 64 << 10 /* bytes worth not being copied; below lie scales and
                      * shapes, which everybody reads */
};

/* What a TensorProto says, before its data is looked at. */
typedef struct fields {
    md_pb message;
    const char *name;
    md_shape shape;
    md_dtype dtype;
    size_t size; /* bytes that dtype and shape need */
    md_pb raw;
    bool has_raw;
    bool is_external;
    md_onnx_external external;
} fields;

/* Where values of a type are listed when they are not raw. */
typedef struct listing {
    uint32_t number; /* of the field */
    md_pb_wire wire;
    size_t size; /* bytes in memory that one listed value gives */
    const char *name;
} listing;

static listing listing_of(md_dtype t)
{
    unsigned bits = md_dtype_bits(t);

    switch (t) {
    case MD_DTYPE_F32:
    case MD_DTYPE_C64:
        return (listing){ MD_ONNX_TENSOR_FLOATS, MD_PB_FIXED32, 4,
                          "float_data" };
    case MD_DTYPE_F64:
    case MD_DTYPE_C128:
        return (listing){ MD_ONNX_TENSOR_DOUBLES, MD_PB_FIXED64, 8,
                          "double_data" };
    case MD_DTYPE_I64:
        return (listing){ MD_ONNX_TENSOR_INT64S, MD_PB_VARINT, 8,
                          "int64_data" };
    case MD_DTYPE_U32:
    case MD_DTYPE_U64:
        return (listing){ MD_ONNX_TENSOR_UINT64S, MD_PB_VARINT, bits / 8,
                          "uint64_data" };
    default:
        /* Types below 8 bits: one listed value is one packed byte. */
        return (listing){ MD_ONNX_TENSOR_INT32S, MD_PB_VARINT,
                          bits < 8 ? 1 : bits / 8, "int32_data" };
    }
}

static md_status read_dims(md_shape *shape, md_pb_field *f, md_error *err)
{
    uint64_t dim;
    bool more;

    for (;;) {
        MD_TRY(md_pb_take(&dim, &more, f, MD_PB_VARINT, err));
        if (!more)
            return MD_OK;
        if (dim > INT64_MAX)
            return md_fail(err, MD_CORRUPT, "dimension %lld is negative",
                           (long long)dim);
        if (shape->rank == MD_RANK_MAX)
            return md_fail(err, MD_UNSUPPORTED,
                           "rank larger than %d, the largest supported",
                           MD_RANK_MAX);
        shape->dim[shape->rank++] = (int64_t)dim;
    }
}

static md_status read_dtype(md_dtype *out, const md_pb_field *f, md_error *err)
{
    int64_t v;

    MD_TRY(md_pb_int(&v, f, err));
    if (v < 0 || v > INT32_MAX || !md_dtype_is_valid((int)v))
        return md_fail(err, MD_CORRUPT, "%lld is not an element type of ONNX",
                       (long long)v);
    *out = (md_dtype)v;
    return MD_OK;
}

static md_status read_field(fields *x, md_onnx_reader *r, md_pb_field *f,
                            md_error *err)
{
    int64_t v;

    switch (f->number) {
    case MD_ONNX_TENSOR_DIMS:
        return read_dims(&x->shape, f, err);
    case MD_ONNX_TENSOR_DTYPE:
        return read_dtype(&x->dtype, f, err);
    case MD_ONNX_TENSOR_SEGMENT:
        return md_fail(err, MD_UNSUPPORTED, "segments are not supported");
    case MD_ONNX_TENSOR_RAW:
        x->has_raw = true;
        return md_pb_message(&x->raw, f, err);
    case MD_ONNX_TENSOR_EXTERNAL:
        return md_onnx__external_entry(&x->external, r, f, err);
    case MD_ONNX_TENSOR_LOCATION:
        MD_TRY(md_pb_int(&v, f, err));
        x->is_external = v == 1;
        return MD_OK;
    default:
        return MD_OK;
    }
}

/* The name first: every other message wants it. */
static md_status read_name(const char **out, md_onnx_reader *r, md_pb bytes,
                           md_error *err)
{
    md_pb_field f;

    for (;;) {
        MD_TRY(md_pb_next(&f, &bytes, err));
        if (f.number == 0)
            return MD_OK;
        if (f.number == MD_ONNX_TENSOR_NAME)
            MD_TRY(md_pb_text(out, &f, &r->model->arena, err));
    }
}

static md_status read_fields(fields *x, md_onnx_reader *r, md_error *err)
{
    md_pb bytes = x->message;
    md_pb_field f;

    for (;;) {
        MD_TRY(md_pb_next(&f, &bytes, err));
        if (f.number == 0)
            break;
        MD_TRY(read_field(x, r, &f, err));
    }
    if (x->dtype == MD_DTYPE_NONE)
        return md_fail(err, MD_CORRUPT, "no element type given");
    return md_tensor_bytes(&x->size, x->dtype, &x->shape, err);
}

/* A block of `size` > 0 bytes for t's data. */
static md_status make_room(md_tensor *t, md_onnx_reader *r, size_t size,
                           md_onnx_place place, md_error *err)
{
    if (place != MD_ONNX_IN_ARENA) {
        t->data = md_malloc_aligned(r->model->alloc, size);
        t->owner = t->data ? r->model->alloc : NULL;
    } else {
        t->data = md_arena_alloc_aligned(&r->model->arena, size);
    }
    return t->data ? MD_OK : md_fail_nomem(err, size);
}

static md_status fail_count(const fields *x, size_t given, const char *unit,
                            size_t expected, md_error *err)
{
    char shape[MD_SHAPE_TEXT];

    return md_fail(err, MD_CORRUPT, "%zu %s given, %zu expected for %s %s",
                   given, unit, expected, md_dtype_name(x->dtype),
                   md_shape_format(shape, sizeof(shape), &x->shape));
}

/* Bytes as they stand in the file or beside it; `stable`: they live as long
 * as the model. */
static md_status use_bytes(md_tensor *t, const fields *x, md_onnx_reader *r,
                           md_pb bytes, bool stable, md_onnx_place place,
                           md_error *err)
{
    size_t size = md_pb_size(&bytes);

    if (x->dtype == MD_DTYPE_STRING)
        return md_fail(err, MD_CORRUPT, "strings cannot be raw data");
    if (size != x->size)
        return fail_count(x, size, "bytes", x->size, err);
    if (size == 0)
        return MD_OK;
    if (stable && ((uintptr_t)bytes.p % md_dtype_align(x->dtype) == 0 ||
                   (place == MD_ONNX_ANYWHERE && size >= LARGE))) {
        t->data = (void *)(uintptr_t)bytes.p;
        return MD_OK;
    }
    MD_TRY(make_room(t, r, size, place, err));
    memcpy(t->data, bytes.p, size);
    return MD_OK;
}

/* Number of values listed in all fields `number` of the message. */
static md_status count_listed(size_t *out, const fields *x, const listing *l,
                              md_error *err)
{
    md_pb bytes = x->message;
    md_pb_field f;
    size_t n;

    *out = 0;
    for (;;) {
        MD_TRY(md_pb_next(&f, &bytes, err));
        if (f.number == 0)
            return MD_OK;
        if (f.number != l->number)
            continue;
        MD_TRY(md_pb_count(&n, &f, l->wire, err));
        *out += n; /* bounded by the bytes of the file */
    }
}

static md_status copy_listed(unsigned char *to, size_t *at, md_pb_field *f,
                             const listing *l, bool is_bool, md_error *err)
{
    uint64_t v;
    bool more;

    for (;;) {
        MD_TRY(md_pb_take(&v, &more, f, l->wire, err));
        if (!more)
            return MD_OK;
        if (is_bool)
            v = v != 0;
        memcpy(to + *at, &v, l->size); /* little endian: the low bytes */
        *at += l->size;
    }
}

static md_status use_list(md_tensor *t, const fields *x, md_onnx_reader *r,
                          md_onnx_place place, md_error *err)
{
    listing l = listing_of(x->dtype);
    md_pb bytes = x->message;
    md_pb_field f;
    size_t at = 0;
    size_t n;

    MD_TRY(count_listed(&n, x, &l, err));
    if (n != x->size / l.size)
        return fail_count(x, n, l.name, x->size / l.size, err);
    if (n == 0)
        return MD_OK;
    MD_TRY(make_room(t, r, x->size, place, err));
    for (;;) {
        MD_TRY(md_pb_next(&f, &bytes, err));
        if (f.number == 0)
            return MD_OK;
        if (f.number == l.number)
            MD_TRY(copy_listed(t->data, &at, &f, &l, x->dtype == MD_DTYPE_BOOL,
                               err));
    }
}

/* Elements first, their bytes behind them in the same block. */
static md_status use_strings(md_tensor *t, const fields *x, md_onnx_reader *r,
                             md_onnx_place place, md_error *err)
{
    md_pb bytes = x->message;
    md_pb_field f;
    size_t total = x->size;
    size_t n = 0;
    md_str *to;
    char *text;

    for (;;) {
        MD_TRY(md_pb_next(&f, &bytes, err));
        if (f.number == 0)
            break;
        if (f.number != MD_ONNX_TENSOR_STRINGS)
            continue;
        MD_TRY(md_pb_message(&f.bytes, &f, err));
        n++;
        total += md_pb_size(&f.bytes);
    }
    if (n != x->size / sizeof(md_str))
        return fail_count(x, n, "strings", x->size / sizeof(md_str), err);
    if (n == 0)
        return MD_OK;
    MD_TRY(make_room(t, r, total, place, err));
    to = t->data;
    text = (char *)(to + n);
    bytes = x->message;
    while (n > 0) {
        MD_TRY(md_pb_next(&f, &bytes, err));
        if (f.number != MD_ONNX_TENSOR_STRINGS)
            continue;
        *to = (md_str){ text, md_pb_size(&f.bytes) };
        if (to->n)
            memcpy(text, f.bytes.p, to->n);
        text += to->n;
        to++;
        n--;
    }
    return MD_OK;
}

static md_status use_data(md_tensor *t, const fields *x, md_onnx_reader *r,
                          md_onnx_place place, md_error *err)
{
    md_pb bytes;

    if (x->is_external) {
        MD_TRY(md_onnx__external_data(&bytes, r, &x->external, err));
        return use_bytes(t, x, r, bytes, true, place, err);
    }
    if (x->has_raw)
        return use_bytes(t, x, r, x->raw, r->opts.keep, place, err);
    if (x->dtype == MD_DTYPE_STRING)
        return use_strings(t, x, r, place, err);
    return use_list(t, x, r, place, err);
}

md_status md_onnx__read_tensor(md_onnx_tensor *out, md_onnx_reader *r,
                               md_pb bytes, md_onnx_place place,
                               const char *what, md_error *err)
{
    fields x = { .message = bytes, .name = "" };
    md_tensor t = MD_TENSOR_INIT;
    md_status s;

    MD_GOTO(read_name(&x.name, r, bytes, err));
    MD_GOTO(read_fields(&x, r, err));
    MD_GOTO(use_data(&t, &x, r, place, err));
    t.dtype = x.dtype;
    t.shape = x.shape;
    *out = (md_onnx_tensor){ t, x.name };
    return MD_OK;
out:
    md_tensor_release(&t);
    return md_wrap(err, s, "%s '%s': ", what, x.name);
}

/* Offset of the k-th stored value in the dense tensor. */
static md_status sparse_at(size_t *out, const md_tensor *indices, int64_t k,
                           const md_shape *shape, md_error *err)
{
    const int64_t *index = indices->data;
    int64_t n = md_shape_n(shape);
    int64_t at = index[k];

    if (indices->shape.rank == 2) {
        at = 0;
        for (int d = 0; d < shape->rank; d++) {
            int64_t i = index[k * shape->rank + d];

            if (i < 0 || i >= shape->dim[d])
                return md_fail(err, MD_CORRUPT,
                               "index %lld is outside dimension %d of %lld",
                               (long long)i, d, (long long)shape->dim[d]);
            at = at * shape->dim[d] + i;
        }
    }
    if (at < 0 || at >= n)
        return md_fail(err, MD_CORRUPT, "index %lld is not below %lld",
                       (long long)at, (long long)n);
    *out = (size_t)at;
    return MD_OK;
}

static md_status check_sparse(const md_tensor *values, const md_tensor *indices,
                              const md_shape *shape, md_error *err)
{
    bool flat = indices->shape.rank == 1;
    bool full =
        indices->shape.rank == 2 && indices->shape.dim[1] == shape->rank;

    if (values->dtype == MD_DTYPE_STRING || md_dtype_bits(values->dtype) < 8)
        return md_fail(err, MD_UNSUPPORTED, "sparse tensors of %s",
                       md_dtype_name(values->dtype));
    if (values->shape.rank != 1 || indices->dtype != MD_DTYPE_I64 ||
        (!flat && !full) || indices->shape.dim[0] != values->shape.dim[0])
        return md_fail(err, MD_CORRUPT,
                       "sparse tensor: indices do not fit its values");
    return MD_OK;
}

static md_status make_dense(md_tensor *out, md_onnx_reader *r,
                            const md_tensor *values, const md_tensor *indices,
                            const md_shape *shape, md_onnx_place place,
                            md_error *err)
{
    md_tensor t = { .dtype = values->dtype, .shape = *shape };
    size_t width = md_dtype_bits(values->dtype) / 8;
    md_status s;
    size_t size;

    MD_TRY(check_sparse(values, indices, shape, err));
    MD_TRY(md_tensor_bytes(&size, t.dtype, shape, err));
    if (size > r->opts.dense_limit - r->dense_size)
        return md_fail(err, MD_TOO_LARGE,
                       "sparse tensors of %zu bytes made dense, limit %zu",
                       size, r->opts.dense_limit - r->dense_size);
    r->dense_size += size;
    if (size > 0) {
        MD_TRY(make_room(&t, r, size, place, err));
        memset(t.data, 0, size);
    }
    for (int64_t k = 0; k < values->shape.dim[0]; k++) {
        size_t at = 0;

        MD_GOTO(sparse_at(&at, indices, k, shape, err));
        memcpy((char *)t.data + at * width,
               (const char *)values->data + (size_t)k * width, width);
    }
    *out = t;
    return MD_OK;
out:
    md_tensor_release(&t);
    return s;
}

md_status md_onnx__read_sparse(md_onnx_tensor *out, md_onnx_reader *r,
                               md_pb bytes, md_onnx_place place,
                               const char *what, md_error *err)
{
    md_onnx_tensor values = { MD_TENSOR_INIT, "" };
    md_onnx_tensor indices = { MD_TENSOR_INIT, "" };
    md_shape shape = { 0 };
    md_pb_field f;
    md_pb part;
    md_status s;

    for (;;) {
        MD_GOTO(md_pb_next(&f, &bytes, err));
        if (f.number == 0)
            break;
        if (f.number == MD_ONNX_SPARSE_DIMS)
            MD_GOTO(read_dims(&shape, &f, err));
        if (f.number != MD_ONNX_SPARSE_VALUES &&
            f.number != MD_ONNX_SPARSE_INDICES)
            continue;
        MD_GOTO(md_pb_message(&part, &f, err));
        MD_GOTO(md_onnx__read_tensor(
            f.number == MD_ONNX_SPARSE_VALUES ? &values : &indices, r, part,
            MD_ONNX_IN_ARENA, what, err));
    }
    s = make_dense(&out->t, r, &values.t, &indices.t, &shape, place, err);
    if (s != MD_OK)
        return md_wrap(err, s, "%s '%s': ", what, values.name);
    out->name = values.name;
    return MD_OK;
out:
    return s;
}
