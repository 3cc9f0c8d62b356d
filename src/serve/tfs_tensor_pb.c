/* TensorProto, both ways. */
#include <string.h>

#include "formats/tf.h"
#include "serve/proto.h"
#include "serve/server_impl.h"
#include "serve/tfs_pb.h"

enum {
    CHUNK = 256 /* values that are widened at once */
};

/* ---- reading ---- */

/* Strings are as formats/tf.h has them: their number, where each begins and
 * the last ends, their bytes. */
static md_status give_strings(md_feed *f, uint32_t i, const md_tf_tensor *t,
                              md_error *err)
{
    const int64_t n = md_shape_n(&t->shape);
    void *to = NULL;

    MD_TRY(md_feed_reserve(f, i, n, &to, err));
    for (int64_t k = 0; k < n; k++) {
        const unsigned char *ends = t->data + 4 * (k + 1);
        int32_t range[2];
        md_str s;

        memcpy(range, ends, sizeof(range));
        s = (md_str){ (const char *)t->data + range[0],
                      (size_t)(range[1] - range[0]) };
        memcpy((md_str *)to + k, &s, sizeof(s));
    }
    f->inputs[i].shape = t->shape;
    f->inputs[i].given = true;
    return MD_OK;
}

static md_status read_tensor(md_feed *f, uint32_t i, md_pb bytes, md_error *err)
{
    const md_serve_io *io = &f->model->inputs[i];
    md_tf_tensor t;

    MD_TRY(md_tf_read_tensor(&t, bytes,
                             f->call->server->opts.http.limits.body_size_max,
                             md_http_request_arena(f->call->http), err));
    if (t.dtype != io->dtype)
        return md_fail(err, MD_INVALID, "%s given, %s expected",
                       md_tfs_dtype(t.dtype), md_tfs_dtype(io->dtype));
    MD_TRY(md_serve_io_check(f->model, io, &t.shape, err));
    if (t.dtype == MD_DTYPE_STRING)
        return give_strings(f, i, &t, err);
    return md_feed_read_raw(f, i, &t.shape, t.data, t.size, err);
}

md_status md_tfs_pb_read_tensor(md_feed *f, uint32_t i, md_pb tensor,
                                md_error *err)
{
    const char *name = f->model->inputs[i].name;
    md_status s;

    if (f->inputs[i].given)
        return md_fail(err, MD_INVALID, "input '%s' is given twice", name);
    s = read_tensor(f, i, tensor, err);
    return s == MD_OK ? MD_OK : md_wrap(err, s, "input '%s': ", name);
}

/* ---- writing ---- */

void md_tfs_pb_put_shape(md_pb_writer *w, uint32_t number,
                         const md_shape *shape, bool has_rank)
{
    md_pb_mark m = md_pb_begin(w, number);

    for (int i = 0; has_rank && i < shape->rank; i++) {
        md_pb_mark dim = md_pb_begin(w, MD_PB_TensorShapeProto_dim);

        md_pb_put_int(w, MD_PB_Dim_size, shape->dim[i]);
        md_pb_end(w, dim);
    }
    if (!has_rank)
        md_pb_put_int(w, MD_PB_TensorShapeProto_unknown_rank, 1);
    md_pb_end(w, m);
}

/* The list whose packed form is the elements as they lie; 0: none is. */
static uint32_t plain_list(md_dtype t)
{
    switch (t) {
    case MD_DTYPE_F32:
        return MD_PB_TensorProto_float_val;
    case MD_DTYPE_F64:
        return MD_PB_TensorProto_double_val;
    case MD_DTYPE_BOOL: /* a varint of one byte each */
        return MD_PB_TensorProto_bool_val;
    case MD_DTYPE_C64:
        return MD_PB_TensorProto_scomplex_val;
    case MD_DTYPE_C128:
        return MD_PB_TensorProto_dcomplex_val;
    default:
        return 0;
    }
}

static uint32_t varint_list(md_dtype t)
{
    switch (t) {
    case MD_DTYPE_I64:
        return MD_PB_TensorProto_int64_val;
    case MD_DTYPE_U32:
        return MD_PB_TensorProto_uint32_val;
    case MD_DTYPE_U64:
        return MD_PB_TensorProto_uint64_val;
    case MD_DTYPE_F16:
    case MD_DTYPE_BF16:
        return MD_PB_TensorProto_half_val;
    default:
        return MD_PB_TensorProto_int_val;
    }
}

/* Element i as a varint takes it: bits of halves, values of the others. */
static int64_t widen(const md_tensor *t, int64_t i)
{
    if (t->dtype == MD_DTYPE_F16 || t->dtype == MD_DTYPE_BF16)
        return ((const uint16_t *)t->data)[i];
    if (t->dtype == MD_DTYPE_U64)
        return (int64_t)((const uint64_t *)t->data)[i];
    return md_tensor_get_i64(t, i);
}

/* Packed lists that follow each other are one. */
static void put_varints(md_pb_writer *w, const md_tensor *t)
{
    const int64_t n = md_tensor_n(t);
    int64_t values[CHUNK];

    for (int64_t at = 0; at < n; at += CHUNK) {
        const int64_t here = n - at < CHUNK ? n - at : CHUNK;

        for (int64_t i = 0; i < here; i++)
            values[i] = widen(t, at + i);
        md_pb_put_ints(w, varint_list(t->dtype), values, (size_t)here);
    }
}

void md_tfs_pb_put_tensor(md_pb_writer *w, const md_tensor *t)
{
    md_pb_put_int(w, MD_PB_TensorProto_dtype, md_tfs_pb_dtype(t->dtype));
    md_tfs_pb_put_shape(w, MD_PB_TensorProto_tensor_shape, &t->shape, true);
    if (t->dtype == MD_DTYPE_STRING) {
        for (int64_t i = 0; i < md_tensor_n(t); i++) {
            const md_str *s = (const md_str *)t->data + i;

            md_pb_put_bytes(w, MD_PB_TensorProto_string_val, s->p, s->n);
        }
    } else if (!plain_list(t->dtype)) {
        put_varints(w, t);
    } else if (md_tensor_n(t) > 0) {
        md_pb_put_slice(w, plain_list(t->dtype), t->data, md_tensor_size(t));
    }
}
