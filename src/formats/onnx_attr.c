/* AttributeProto to md_attr. */
#include <string.h>

#include "base/size.h"
#include "formats/onnx_impl.h"

/* Type of the attribute whose value lies in field `number`; NONE for others.
 * Before IR 3 this was the only sign of the type. */
static md_attr_type type_of_field(uint32_t number)
{
    switch (number) {
    case MD_ONNX_ATTR_F:
        return MD_ATTR_FLOAT;
    case MD_ONNX_ATTR_I:
        return MD_ATTR_INT;
    case MD_ONNX_ATTR_S:
        return MD_ATTR_STRING;
    case MD_ONNX_ATTR_T:
        return MD_ATTR_TENSOR;
    case MD_ONNX_ATTR_G:
        return MD_ATTR_GRAPH;
    case MD_ONNX_ATTR_FLOATS:
        return MD_ATTR_FLOATS;
    case MD_ONNX_ATTR_INTS:
        return MD_ATTR_INTS;
    case MD_ONNX_ATTR_STRINGS:
        return MD_ATTR_STRINGS;
    case MD_ONNX_ATTR_TENSORS:
        return MD_ATTR_TENSORS;
    case MD_ONNX_ATTR_GRAPHS:
        return MD_ATTR_GRAPHS;
    case MD_ONNX_ATTR_SPARSE:
        return MD_ATTR_SPARSE_TENSOR;
    case MD_ONNX_ATTR_SPARSES:
        return MD_ATTR_SPARSE_TENSORS;
    case MD_ONNX_ATTR_TYPE_PROTO:
        return MD_ATTR_TYPE_PROTO;
    case MD_ONNX_ATTR_TYPE_PROTOS:
        return MD_ATTR_TYPE_PROTOS;
    default:
        return MD_ATTR_NONE;
    }
}

static md_pb_wire wire_of_list(md_attr_type type)
{
    return type == MD_ATTR_FLOATS ? MD_PB_FIXED32 : MD_PB_VARINT;
}

static bool is_list(md_attr_type t)
{
    return (t >= MD_ATTR_FLOATS && t <= MD_ATTR_GRAPHS) ||
           t == MD_ATTR_TYPE_PROTOS;
}

static md_status count_value(size_t *n, const md_attr *a, const md_pb_field *f,
                             md_error *err)
{
    size_t more = 1;

    if (a->type == MD_ATTR_FLOATS || a->type == MD_ATTR_INTS)
        MD_TRY(md_pb_count(&more, f, wire_of_list(a->type), err));
    if (!md_add_size(n, *n, more) || *n > UINT32_MAX)
        return md_fail(err, MD_TOO_LARGE, "attribute '%s' has %zu elements",
                       a->name, *n);
    return MD_OK;
}

/* Name, reference and type; then how many values there are. */
static md_status read_head(md_attr *a, size_t *n, md_onnx_reader *r,
                           md_pb bytes, md_error *err)
{
    md_pb whole = bytes;
    md_attr_type found = MD_ATTR_NONE;
    int64_t declared = MD_ATTR_NONE;
    md_pb_field f;

    for (;;) {
        MD_TRY(md_pb_next(&f, &bytes, err));
        if (f.number == 0)
            break;
        if (f.number == MD_ONNX_ATTR_NAME)
            MD_TRY(md_pb_text(&a->name, &f, &r->model->arena, err));
        else if (f.number == MD_ONNX_ATTR_REF)
            MD_TRY(md_pb_text(&a->ref, &f, &r->model->arena, err));
        else if (f.number == MD_ONNX_ATTR_TYPE)
            MD_TRY(md_pb_int(&declared, &f, err));
        else if (type_of_field(f.number) != MD_ATTR_NONE)
            found = type_of_field(f.number);
    }
    if (declared < 0 || declared > MD_ATTR_TYPE_PROTOS)
        return md_fail(err, MD_CORRUPT,
                       "attribute '%s': %lld is not an attribute type", a->name,
                       (long long)declared);
    a->type = declared ? (md_attr_type)declared : found;
    for (;;) {
        MD_TRY(md_pb_next(&f, &whole, err));
        if (f.number == 0)
            return MD_OK;
        if (a->type != MD_ATTR_NONE && type_of_field(f.number) == a->type)
            MD_TRY(count_value(n, a, &f, err));
    }
}

static md_status read_string(md_str *out, md_onnx_reader *r,
                             const md_pb_field *f, md_error *err)
{
    size_t n;
    md_pb bytes;

    MD_TRY(md_pb_message(&bytes, f, err));
    n = md_pb_size(&bytes);
    out->p = md_arena_strndup(&r->model->arena, (const char *)bytes.p, n);
    out->n = n;
    return out->p ? MD_OK : md_fail_nomem(err, n);
}

static md_status read_tensor(const md_tensor **out, md_onnx_reader *r,
                             const md_pb_field *f, bool sparse, md_error *err)
{
    md_arena *ar = &r->model->arena;
    md_onnx_tensor t;
    md_tensor *copy;
    md_pb bytes;

    MD_TRY(md_pb_message(&bytes, f, err));
    if (sparse)
        MD_TRY(md_onnx__read_sparse(&t, r, bytes, MD_ONNX_IN_ARENA, "tensor",
                                    err));
    else
        MD_TRY(md_onnx__read_tensor(&t, r, bytes, MD_ONNX_IN_ARENA, "tensor",
                                    err));
    copy = md_arena_alloc(ar, sizeof(*copy));
    if (!copy)
        return md_fail_nomem(err, sizeof(*copy));
    *copy = t.t;
    *out = copy;
    return MD_OK;
}

static md_status read_subgraph(md_graph **out, md_graph *parent,
                               md_onnx_reader *r, const md_pb_field *f,
                               md_error *err)
{
    md_pb bytes;

    MD_TRY(md_pb_message(&bytes, f, err));
    MD_TRY(md_graph_new(out, r->model, parent, "", err));
    return md_onnx__read_graph(*out, r, bytes, err);
}

/* Values of a packed list, appended after the first `at`. */
static md_status read_numbers(const md_attr *a, void *to, uint32_t *at,
                              md_pb_field f, md_error *err)
{
    uint64_t v;
    bool more;

    for (;;) {
        MD_TRY(md_pb_take(&v, &more, &f, wire_of_list(a->type), err));
        if (!more)
            return MD_OK;
        if (a->type == MD_ATTR_INTS)
            ((int64_t *)to)[*at] = (int64_t)v;
        else
            memcpy((float *)to + *at, &v, sizeof(float)); /* little endian */
        (*at)++;
    }
}

/* Element `at` of a list of things with a length, or numbers from it on. */
static md_status read_element(const md_attr *a, void *list, uint32_t *at,
                              md_graph *g, md_onnx_reader *r,
                              const md_pb_field *f, md_error *err)
{
    md_pb bytes;

    switch (a->type) {
    case MD_ATTR_STRINGS:
        return read_string((md_str *)list + (*at)++, r, f, err);
    case MD_ATTR_TENSORS:
        return read_tensor((const md_tensor **)list + (*at)++, r, f, false,
                           err);
    case MD_ATTR_GRAPHS:
        return read_subgraph((md_graph **)list + (*at)++, g, r, f, err);
    case MD_ATTR_TYPE_PROTOS:
        MD_TRY(md_pb_message(&bytes, f, err));
        return md_onnx__read_type((md_type *)list + (*at)++, r, bytes, err);
    default:
        return read_numbers(a, list, at, *f, err);
    }
}

static size_t element_size(md_attr_type t)
{
    switch (t) {
    case MD_ATTR_FLOATS:
        return sizeof(float);
    case MD_ATTR_INTS:
        return sizeof(int64_t);
    case MD_ATTR_STRINGS:
        return sizeof(md_str);
    case MD_ATTR_TYPE_PROTOS:
        return sizeof(md_type);
    default:
        return sizeof(void *);
    }
}

static md_status read_list(md_attr *a, size_t n, md_graph *g, md_onnx_reader *r,
                           md_pb bytes, md_error *err)
{
    uint32_t at = 0;
    md_pb_field f;
    /* One more, so that an empty list is a list. */
    void *list =
        md_arena_calloc(&r->model->arena, n + 1, element_size(a->type));

    if (!list)
        return md_fail_nomem(err, n * element_size(a->type));
    for (;;) {
        MD_TRY(md_pb_next(&f, &bytes, err));
        if (f.number == 0)
            break;
        if (type_of_field(f.number) == a->type)
            MD_TRY(read_element(a, list, &at, g, r, &f, err));
    }
    a->n = (uint32_t)n;
    a->v.is = list; /* every member of the union is this one pointer */
    return MD_OK;
}

static md_status read_type(const md_type **out, md_onnx_reader *r,
                           const md_pb_field *f, md_error *err)
{
    md_type *t = md_arena_alloc(&r->model->arena, sizeof(*t));
    md_pb bytes;

    if (!t)
        return md_fail_nomem(err, sizeof(*t));
    MD_TRY(md_pb_message(&bytes, f, err));
    *out = t;
    return md_onnx__read_type(t, r, bytes, err);
}

static md_status read_value(md_attr *a, md_graph *g, md_onnx_reader *r,
                            const md_pb_field *f, md_error *err)
{
    switch (a->type) {
    case MD_ATTR_FLOAT:
        return md_pb_float(&a->v.f, f, err);
    case MD_ATTR_INT:
        return md_pb_int(&a->v.i, f, err);
    case MD_ATTR_STRING:
        return read_string(&a->v.s, r, f, err);
    case MD_ATTR_TENSOR:
        return read_tensor(&a->v.t, r, f, false, err);
    case MD_ATTR_SPARSE_TENSOR:
        return read_tensor(&a->v.t, r, f, true, err);
    case MD_ATTR_GRAPH:
        return read_subgraph(&a->v.g, g, r, f, err);
    case MD_ATTR_TYPE_PROTO:
        return read_type(&a->v.type_proto, r, f, err);
    default:
        return md_fail(err, MD_UNSUPPORTED, "attribute '%s' of type %d",
                       a->name, (int)a->type);
    }
}

static md_status read_single(md_attr *a, size_t n, md_graph *g,
                             md_onnx_reader *r, md_pb bytes, md_error *err)
{
    md_pb_field f;

    /* proto2 leaves out nothing but what is not there: a number that is not
     * there is 0. */
    if (n == 0 && !a->ref && a->type != MD_ATTR_FLOAT && a->type != MD_ATTR_INT)
        return md_fail(err, MD_CORRUPT,
                       "attribute '%s' of type %d has no value", a->name,
                       (int)a->type);
    if (a->type == MD_ATTR_STRING)
        a->v.s = (md_str){ "", 0 };
    for (;;) {
        MD_TRY(md_pb_next(&f, &bytes, err));
        if (f.number == 0)
            return MD_OK;
        /* Of repetitions the last counts; earlier ones need not be read. */
        if (type_of_field(f.number) == a->type && --n == 0)
            return read_value(a, g, r, &f, err);
    }
}

md_status md_onnx__read_attr(md_attr *a, md_graph *g, md_onnx_reader *r,
                             md_pb bytes, md_error *err)
{
    size_t n = 0;

    *a = (md_attr){ .name = "" };
    MD_TRY(read_head(a, &n, r, bytes, err));
    if (a->name[0] == '\0')
        return md_fail(err, MD_CORRUPT, "attribute without a name");
    if (a->ref && (!r->in_function || a->type == MD_ATTR_GRAPH))
        return md_fail(err, r->in_function ? MD_UNSUPPORTED : MD_CORRUPT,
                       "attribute '%s' refers to '%s', but %s", a->name, a->ref,
                       r->in_function ? "graphs cannot be passed to functions"
                                      : "is not in a function");
    if (a->type == MD_ATTR_NONE && !a->ref)
        return md_fail(err, MD_CORRUPT, "attribute '%s' has no type", a->name);
    if (a->type == MD_ATTR_NONE)
        return MD_OK;
    if (is_list(a->type))
        return read_list(a, n, g, r, bytes, err);
    MD_TRY(read_single(a, n, g, r, bytes, err));
    if (a->type == MD_ATTR_SPARSE_TENSOR) {
        /* Constant's sparse_value, dense by now, is its value. */
        a->type = MD_ATTR_TENSOR;
        if (strcmp(a->name, "sparse_value") == 0)
            a->name = "value";
    }
    return MD_OK;
}
