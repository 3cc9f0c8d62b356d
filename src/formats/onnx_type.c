/* TypeProto to md_type. */
#include <string.h>

#include "formats/onnx_impl.h"

enum {
    /* More distinct names of dimensions than any model has; each new one is
     * compared with all before it. */
    SYMBOLS_MAX = 16384,
    DIM_VALUE = 1, /* TensorShapeProto.Dimension */
    DIM_PARAM = 2,
    ELEM_TYPE = 1, /* Tensor, Sequence, Optional; Map's key type */
    SHAPE = 2,     /* Tensor; Map's value type */
    SHAPE_DIM = 1,
};

static md_status read_symbol(md_dim *out, md_onnx_reader *r, const char *name,
                             md_error *err)
{
    if (r->model->n_symbols >= SYMBOLS_MAX)
        return md_fail(err, MD_TOO_LARGE,
                       "more than %d symbolic dimensions in one model",
                       SYMBOLS_MAX);
    *out = (md_dim){ .scale = 1 };
    if (name && strcmp(name, "?") == 0) /* what some write for any size */
        name = NULL;
    return md_model_symbol(&out->sym, r->model, name, err);
}

static md_status read_dim(md_dim *out, md_onnx_reader *r, md_pb bytes,
                          md_error *err)
{
    const char *name = NULL;
    bool known = false;
    md_pb_field f;

    for (;;) {
        MD_TRY(md_pb_next(&f, &bytes, err));
        if (f.number == 0)
            break;
        if (f.number == DIM_VALUE) {
            *out = (md_dim){ 0 };
            MD_TRY(md_pb_int(&out->k, &f, err));
            known = out->k >= 0;
        } else if (f.number == DIM_PARAM) {
            MD_TRY(md_pb_text(&name, &f, &r->model->arena, err));
        }
    }
    return known ? MD_OK : read_symbol(out, r, name, err);
}

static md_status read_shape(md_type *t, md_onnx_reader *r, md_pb bytes,
                            md_error *err)
{
    md_pb_field f;
    md_pb part;

    t->has_rank = true;
    t->rank = 0;
    for (;;) {
        MD_TRY(md_pb_next(&f, &bytes, err));
        if (f.number == 0)
            return MD_OK;
        if (f.number != SHAPE_DIM)
            continue;
        if (t->rank == MD_RANK_MAX)
            return md_fail(err, MD_UNSUPPORTED,
                           "rank larger than %d, the largest supported",
                           MD_RANK_MAX);
        MD_TRY(md_pb_message(&part, &f, err));
        MD_TRY(read_dim(&t->dim[t->rank++], r, part, err));
    }
}

static md_status read_dtype(md_dtype *out, const md_pb_field *f, md_error *err)
{
    int64_t v;

    MD_TRY(md_pb_int(&v, f, err));
    if (v != 0 && (v < 0 || v > INT32_MAX || !md_dtype_is_valid((int)v)))
        return md_fail(err, MD_CORRUPT, "%lld is not an element type of ONNX",
                       (long long)v);
    *out = (md_dtype)v;
    return MD_OK;
}

static md_status read_tensor_type(md_type *t, md_onnx_reader *r, md_pb bytes,
                                  md_error *err)
{
    md_pb_field f;
    md_pb part;

    for (;;) {
        MD_TRY(md_pb_next(&f, &bytes, err));
        if (f.number == 0)
            return MD_OK;
        if (f.number == ELEM_TYPE)
            MD_TRY(read_dtype(&t->dtype, &f, err));
        if (f.number == SHAPE) {
            MD_TRY(md_pb_message(&part, &f, err));
            MD_TRY(read_shape(t, r, part, err));
        }
    }
}

/* A type that holds another in field `number`: sequence, optional, map. */
static md_status read_holder(md_type *t, md_kind kind, uint32_t number,
                             md_onnx_reader *r, md_pb bytes, md_error *err)
{
    md_type inner = { 0 };
    md_dtype key = MD_DTYPE_NONE;
    bool fits;
    md_pb_field f;
    md_pb part;

    for (;;) {
        MD_TRY(md_pb_next(&f, &bytes, err));
        if (f.number == 0)
            break;
        if (f.number == number) {
            MD_TRY(md_pb_message(&part, &f, err));
            MD_TRY(md_onnx__read_type(&inner, r, part, err));
        } else if (f.number == ELEM_TYPE) {
            MD_TRY(read_dtype(&key, &f, err));
        }
    }
    fits = inner.kind == MD_KIND_TENSOR ||
           (kind == MD_KIND_OPTIONAL && inner.kind == MD_KIND_SEQUENCE &&
            inner.of == MD_KIND_TENSOR) ||
           (kind == MD_KIND_SEQUENCE && inner.kind == MD_KIND_MAP);
    if (!fits)
        return md_fail(err, MD_UNSUPPORTED,
                       "a type nested as no operator of ONNX uses it");
    *t = inner;
    t->kind = kind;
    t->of = inner.kind;
    if (kind == MD_KIND_MAP)
        t->key = key;
    return MD_OK;
}

md_status md_onnx__read_type(md_type *out, md_onnx_reader *r, md_pb bytes,
                             md_error *err)
{
    md_pb_field f;
    md_pb part;

    *out = (md_type){ 0 };
    for (;;) {
        MD_TRY(md_pb_next(&f, &bytes, err));
        switch (f.number) {
        case 0:
            return MD_OK;
        case MD_ONNX_TYPE_TENSOR:
            MD_TRY(md_pb_message(&part, &f, err));
            MD_TRY(read_tensor_type(out, r, part, err));
            break;
        case MD_ONNX_TYPE_SEQUENCE:
            MD_TRY(md_pb_message(&part, &f, err));
            MD_TRY(read_holder(out, MD_KIND_SEQUENCE, ELEM_TYPE, r, part, err));
            break;
        case MD_ONNX_TYPE_OPTIONAL:
            MD_TRY(md_pb_message(&part, &f, err));
            MD_TRY(read_holder(out, MD_KIND_OPTIONAL, ELEM_TYPE, r, part, err));
            break;
        case MD_ONNX_TYPE_MAP:
            MD_TRY(md_pb_message(&part, &f, err));
            MD_TRY(read_holder(out, MD_KIND_MAP, SHAPE, r, part, err));
            break;
        case MD_ONNX_TYPE_SPARSE:
            return md_fail(err, MD_UNSUPPORTED,
                           "values of sparse tensor type are not supported");
        default:
            break;
        }
    }
}
