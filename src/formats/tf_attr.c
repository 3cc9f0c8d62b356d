/* Values of attributes: AttrValue, TensorProto, TensorShapeProto. */
#include <string.h>

#include "base/size.h"
#include "formats/tf.h"

/* Field numbers of AttrValue and its ListValue, which agree. */
enum {
    ATTR_LIST = 1,
    ATTR_TEXT = 2,
    ATTR_INT = 3,
    ATTR_FLOAT = 4,
    ATTR_BOOL = 5,
    ATTR_TYPE = 6,
    ATTR_SHAPE = 7,
    ATTR_TENSOR = 8,
    ATTR_FUNCTION = 10
};

enum {
    FUNCTION_NAME = 1,
    SHAPE_DIM = 2,
    SHAPE_UNKNOWN = 3,
    DIM_SIZE = 1,
    TENSOR_TYPE = 1,
    TENSOR_SHAPE = 2,
    TENSOR_CONTENT = 4,
    TENSOR_STRING = 8
};

static const md_tf_attr *find(const md_tf_node *n, const char *name)
{
    for (uint32_t i = 0; i < n->n_attrs; i++) {
        if (strcmp(n->attrs[i].name, name) == 0)
            return &n->attrs[i];
    }
    return NULL;
}

static md_status fail_kind(const md_tf_node *n, const char *name,
                           const char *want, md_error *err)
{
    return md_fail(err, MD_CORRUPT,
                   "tensorflow: node '%.80s' (%.40s): attribute '%.40s' is no "
                   "%s",
                   n->name, n->op, name, want);
}

/* The one field of an attribute; number 0 where there is no attribute. */
static md_status one(md_pb_field *f, const md_tf_node *n, const char *name,
                     md_error *err)
{
    const md_tf_attr *a = find(n, name);
    md_pb bytes;

    *f = (md_pb_field){ 0 };
    if (!a)
        return MD_OK;
    bytes = a->value;
    return md_pb_next(f, &bytes, err);
}

md_status md_tf_attr_int(int64_t *out, const md_tf_node *n, const char *name,
                         int64_t otherwise, md_error *err)
{
    md_pb_field f;

    *out = otherwise;
    MD_TRY(one(&f, n, name, err));
    if (f.number == 0)
        return MD_OK;
    if (f.number != ATTR_INT && f.number != ATTR_BOOL && f.number != ATTR_TYPE)
        return fail_kind(n, name, "number", err);
    return md_pb_int(out, &f, err);
}

md_status md_tf_attr_float(float *out, const md_tf_node *n, const char *name,
                           float otherwise, md_error *err)
{
    md_pb_field f;

    *out = otherwise;
    MD_TRY(one(&f, n, name, err));
    if (f.number == 0)
        return MD_OK;
    if (f.number != ATTR_FLOAT)
        return fail_kind(n, name, "float", err);
    return md_pb_float(out, &f, err);
}

md_status md_tf_attr_text(const char **out, const md_tf_node *n,
                          const char *name, const char *otherwise, md_arena *ar,
                          md_error *err)
{
    md_pb_field f;

    *out = otherwise;
    MD_TRY(one(&f, n, name, err));
    if (f.number == 0)
        return MD_OK;
    if (f.number != ATTR_TEXT)
        return fail_kind(n, name, "text", err);
    return md_pb_text(out, &f, ar, err);
}

md_status md_tf_attr_function(const char **out, const md_tf_node *n,
                              const char *name, md_arena *ar, md_error *err)
{
    md_pb_field f;
    md_pb bytes;

    *out = NULL;
    MD_TRY(one(&f, n, name, err));
    if (f.number == 0)
        return MD_OK;
    if (f.number != ATTR_FUNCTION)
        return fail_kind(n, name, "function", err);
    MD_TRY(md_pb_message(&bytes, &f, err));
    *out = "";
    for (;;) {
        MD_TRY(md_pb_next(&f, &bytes, err));
        if (f.number == 0)
            return MD_OK;
        if (f.number == FUNCTION_NAME)
            MD_TRY(md_pb_text(out, &f, ar, err));
    }
}

/* Calls take(ctx, value) for each number of a list. */
static md_status each(const md_tf_node *node, const char *name, bool floats,
                      void (*take)(void *ctx, uint64_t v), void *ctx,
                      md_error *err)
{
    md_pb_field f;
    md_pb list;

    MD_TRY(one(&f, node, name, err));
    if (f.number == 0)
        return MD_OK;
    if (f.number != ATTR_LIST)
        return fail_kind(node, name, "list", err);
    MD_TRY(md_pb_message(&list, &f, err));
    for (;;) {
        MD_TRY(md_pb_next(&f, &list, err));
        if (f.number == 0)
            return MD_OK;
        if (floats ? f.number != ATTR_FLOAT
                   : f.number != ATTR_INT && f.number != ATTR_TYPE &&
                         f.number != ATTR_BOOL)
            return fail_kind(node, name, "list of numbers", err);
        for (;;) {
            uint64_t v;
            bool more;

            MD_TRY(md_pb_take(&v, &more, &f,
                              floats ? MD_PB_FIXED32 : MD_PB_VARINT, err));
            if (!more)
                break;
            take(ctx, v);
        }
    }
}

typedef struct ints {
    int64_t *out;
    uint32_t max, n;
} ints;

static void take_int(void *ctx, uint64_t v)
{
    ints *x = ctx;

    if (x->n < x->max)
        x->out[x->n] = (int64_t)v;
    x->n++;
}

md_status md_tf_attr_ints(int64_t *out, uint32_t max, uint32_t *n,
                          const md_tf_node *node, const char *name,
                          md_error *err)
{
    ints x = { .max = max };
    md_status s;

    x.out = out;
    s = each(node, name, false, take_int, &x, err);
    *n = x.n;
    return s;
}

typedef struct floats {
    float *out;
    uint32_t max, n;
} floats;

static void take_float(void *ctx, uint64_t v)
{
    floats *x = ctx;
    uint32_t bits = (uint32_t)v;

    if (x->n < x->max)
        memcpy(&x->out[x->n], &bits, sizeof(bits));
    x->n++;
}

md_status md_tf_attr_floats(float *out, uint32_t max, uint32_t *n,
                            const md_tf_node *node, const char *name,
                            md_error *err)
{
    floats x = { .max = max };
    md_status s;

    x.out = out;
    s = each(node, name, true, take_float, &x, err);
    *n = x.n;
    return s;
}

md_status md_tf_attr_texts(const char **out, uint32_t max, uint32_t *n,
                           const md_tf_node *node, const char *name,
                           md_arena *ar, md_error *err)
{
    md_pb_field f;
    md_pb list;

    *n = 0;
    MD_TRY(one(&f, node, name, err));
    if (f.number == 0)
        return MD_OK;
    if (f.number != ATTR_LIST)
        return fail_kind(node, name, "list", err);
    MD_TRY(md_pb_message(&list, &f, err));
    for (;;) {
        MD_TRY(md_pb_next(&f, &list, err));
        if (f.number == 0)
            return MD_OK;
        if (f.number != ATTR_TEXT)
            return fail_kind(node, name, "list of texts", err);
        if (*n < max)
            MD_TRY(md_pb_text(&out[*n], &f, ar, err));
        (*n)++;
    }
}

/* --- shapes --- */

static md_status read_dim(int64_t *out, const md_pb_field *f, md_error *err)
{
    md_pb bytes;
    md_pb_field g;

    *out = 0;
    MD_TRY(md_pb_message(&bytes, f, err));
    for (;;) {
        MD_TRY(md_pb_next(&g, &bytes, err));
        if (g.number == 0)
            break;
        if (g.number == DIM_SIZE)
            MD_TRY(md_pb_int(out, &g, err));
    }
    if (*out < -1)
        return md_fail(err, MD_CORRUPT, "tensorflow: a size of %lld",
                       (long long)*out);
    return MD_OK;
}

md_status md_tf_read_shape(md_shape *out, bool *has_rank, md_pb bytes,
                           md_error *err)
{
    md_pb_field f;

    *out = (md_shape){ .rank = 0 };
    *has_rank = true;
    for (;;) {
        MD_TRY(md_pb_next(&f, &bytes, err));
        if (f.number == 0)
            return MD_OK;
        if (f.number == SHAPE_UNKNOWN)
            *has_rank = f.value == 0;
        if (f.number != SHAPE_DIM)
            continue;
        if (out->rank == MD_RANK_MAX)
            return md_fail(err, MD_UNSUPPORTED,
                           "tensorflow: a rank above %d, the largest "
                           "supported",
                           MD_RANK_MAX);
        MD_TRY(read_dim(&out->dim[out->rank++], &f, err));
    }
}

md_status md_tf_attr_shape(md_shape *out, bool *has_rank,
                           const md_tf_node *node, const char *name,
                           md_error *err)
{
    md_pb_field f;
    md_pb bytes;

    *out = (md_shape){ .rank = 0 };
    *has_rank = false;
    MD_TRY(one(&f, node, name, err));
    if (f.number == 0)
        return MD_OK;
    if (f.number != ATTR_SHAPE)
        return fail_kind(node, name, "shape", err);
    MD_TRY(md_pb_message(&bytes, &f, err));
    return md_tf_read_shape(out, has_rank, bytes, err);
}

/* --- tensors --- */

/* Where elements of a type are listed, and how. */
typedef struct listing {
    uint32_t number;
    md_pb_wire wire;
} listing;

static listing listing_of(md_dtype t)
{
    switch (t) {
    case MD_DTYPE_F32:
        return (listing){ 5, MD_PB_FIXED32 };
    case MD_DTYPE_F64:
        return (listing){ 6, MD_PB_FIXED64 };
    case MD_DTYPE_C64:
        return (listing){ 9, MD_PB_FIXED32 };
    case MD_DTYPE_C128:
        return (listing){ 12, MD_PB_FIXED64 };
    case MD_DTYPE_I64:
        return (listing){ 10, MD_PB_VARINT };
    case MD_DTYPE_BOOL:
        return (listing){ 11, MD_PB_VARINT };
    case MD_DTYPE_F16:
    case MD_DTYPE_BF16:
        return (listing){ 13, MD_PB_VARINT };
    case MD_DTYPE_U32:
        return (listing){ 16, MD_PB_VARINT };
    case MD_DTYPE_U64:
        return (listing){ 17, MD_PB_VARINT };
    default:
        return (listing){ 7, MD_PB_VARINT };
    }
}

/* Room for all elements, which the caller may find too many. */
static unsigned char *room(size_t size, md_arena *ar, md_error *err)
{
    unsigned char *p = md_arena_calloc(ar, size + 1, 1);

    if (!p)
        md_fail(err, MD_TOO_LARGE, "tensorflow: a tensor of %zu bytes", size);
    return p;
}

/* The values listed, of complex elements two for each; the last element stands
 * for all that are not. */
static md_status use_list(md_tf_tensor *t, md_pb bytes, md_arena *ar,
                          md_error *err)
{
    listing l = listing_of(t->dtype);
    const bool pairs = t->dtype == MD_DTYPE_C64 || t->dtype == MD_DTYPE_C128;
    const size_t width = md_dtype_bits(t->dtype) / 8;
    const size_t step = pairs ? width / 2 : width;
    size_t at = 0;
    unsigned char *to = room(t->size, ar, err);
    md_pb_field f;

    if (!to)
        return MD_TOO_LARGE;
    t->data = to;
    for (;;) {
        MD_TRY(md_pb_next(&f, &bytes, err));
        if (f.number == 0)
            break;
        if (f.number != l.number)
            continue;
        for (;;) {
            uint64_t v;
            bool more;

            MD_TRY(md_pb_take(&v, &more, &f, l.wire, err));
            if (!more)
                break;
            if (at == t->size)
                return md_fail(err, MD_CORRUPT,
                               "tensorflow: a tensor of %zu elements lists "
                               "more",
                               t->size / width);
            if (t->dtype == MD_DTYPE_BOOL)
                v = v != 0;
            memcpy(to + at, &v, step);
            at += step;
        }
    }
    if (at % width != 0)
        return md_fail(err, MD_CORRUPT,
                       "tensorflow: a tensor lists half of a complex number");
    for (size_t from = at; from > 0 && at < t->size; at += width)
        memcpy(to + at, to + from - width, width);
    return MD_OK;
}

static void put_i32(unsigned char *to, size_t i, size_t v)
{
    int32_t x = (int32_t)v;

    memcpy(to + i * 4, &x, 4);
}

static md_status measure_strings(size_t *n, size_t *total, size_t *last,
                                 md_pb bytes, md_error *err)
{
    md_pb_field f;

    *n = *total = *last = 0;
    for (;;) {
        MD_TRY(md_pb_next(&f, &bytes, err));
        if (f.number == 0)
            return MD_OK;
        if (f.number != TENSOR_STRING)
            continue;
        MD_TRY(md_pb_message(&f.bytes, &f, err));
        *last = md_pb_size(&f.bytes);
        *total += *last;
        (*n)++;
    }
}

static md_status use_strings(md_tf_tensor *t, md_pb bytes, size_t size_max,
                             md_arena *ar, md_error *err)
{
    int64_t wanted = md_shape_n(&t->shape);
    size_t n, total, last, more;
    size_t at = 0;
    size_t place;
    unsigned char *to;
    md_pb_field f;

    MD_TRY(measure_strings(&n, &total, &last, bytes, err));
    if ((int64_t)n > wanted)
        return md_fail(err, MD_CORRUPT,
                       "tensorflow: a tensor of %lld strings lists %zu",
                       (long long)wanted, n);
    if (!md_mul_size(&more, (size_t)wanted - n, last) ||
        !md_add_size(&total, total, more) || total > INT32_MAX / 2 ||
        total > size_max || wanted > INT32_MAX / 16)
        return md_fail(err, MD_TOO_LARGE, "tensorflow: %lld strings",
                       (long long)wanted);
    place = ((size_t)wanted + 2) * 4;
    t->size = place + total;
    to = room(t->size, ar, err);
    if (!to)
        return MD_TOO_LARGE;
    t->data = to;
    put_i32(to, 0, (size_t)wanted);
    put_i32(to, 1, place);
    while (at < n) {
        MD_TRY(md_pb_next(&f, &bytes, err));
        if (f.number != TENSOR_STRING)
            continue;
        if (md_pb_size(&f.bytes) > 0)
            memcpy(to + place, f.bytes.p, md_pb_size(&f.bytes));
        place += md_pb_size(&f.bytes);
        put_i32(to, 2 + at++, place);
    }
    for (; at < (size_t)wanted; at++) {
        if (n > 0 && last > 0)
            memcpy(to + place, to + place - last, last);
        place += n > 0 ? last : 0;
        put_i32(to, 2 + at, place);
    }
    return MD_OK;
}

static md_status use_content(md_tf_tensor *t, const md_pb *content,
                             md_error *err)
{
    if (t->dtype == MD_DTYPE_STRING || md_pb_size(content) != t->size)
        return md_fail(err, MD_CORRUPT,
                       "tensorflow: a tensor has %zu bytes, %zu expected",
                       md_pb_size(content), t->size);
    t->data = content->p;
    t->in_file = true;
    return MD_OK;
}

md_status md_tf_read_tensor(md_tf_tensor *t, md_pb all, size_t size_max,
                            md_arena *ar, md_error *err)
{
    md_pb bytes = all;
    md_pb content = md_pb_init(NULL, 0);
    bool has_rank = true;
    int64_t type = 0;
    md_pb_field f;
    md_pb shape;

    *t = (md_tf_tensor){ .dtype = MD_DTYPE_NONE };
    for (;;) {
        MD_TRY(md_pb_next(&f, &bytes, err));
        if (f.number == 0)
            break;
        if (f.number == TENSOR_TYPE)
            MD_TRY(md_pb_int(&type, &f, err));
        if (f.number == TENSOR_CONTENT)
            MD_TRY(md_pb_message(&content, &f, err));
        if (f.number == TENSOR_SHAPE) {
            MD_TRY(md_pb_message(&shape, &f, err));
            MD_TRY(md_tf_read_shape(&t->shape, &has_rank, shape, err));
        }
    }
    t->dtype = type > 0 && type < 100 ? md_tf_dtype((int)type) : MD_DTYPE_NONE;
    if (t->dtype == MD_DTYPE_NONE)
        return md_fail(err, MD_UNSUPPORTED, "tensorflow: a tensor of type %lld",
                       (long long)type);
    for (int i = 0; i < t->shape.rank; i++) {
        if (t->shape.dim[i] < 0 || !has_rank)
            return md_fail(err, MD_CORRUPT,
                           "tensorflow: a tensor without a size");
    }
    MD_TRY(md_tensor_bytes(&t->size, t->dtype, &t->shape, err));
    if (t->size > size_max)
        return md_fail(err, MD_TOO_LARGE,
                       "tensorflow: a tensor of %zu bytes given, at most %zu "
                       "expected",
                       t->size, size_max);
    if (t->dtype == MD_DTYPE_STRING)
        return use_strings(t, all, size_max, ar, err);
    if (md_pb_size(&content) > 0)
        return use_content(t, &content, err);
    return use_list(t, all, ar, err);
}

md_status md_tf_attr_tensor(md_tf_tensor *out, const md_tf_node *node,
                            const char *name, md_arena *ar, md_error *err)
{
    md_pb_field f;
    md_pb bytes;

    MD_TRY(one(&f, node, name, err));
    if (f.number != ATTR_TENSOR)
        return fail_kind(node, name, "tensor", err);
    MD_TRY(md_pb_message(&bytes, &f, err));
    return md_tf_read_tensor(out, bytes, SIZE_MAX, ar, err);
}
