/*
 * The inference request and its answer over gRPC: ModelInferRequest and
 * ModelInferResponse.
 *
 * Inputs carry their values themselves ("contents"), or all of them in
 * raw_input_contents, in order; one request does not mix the two.  The answer
 * is always raw, as Triton's is.
 */
#include <string.h>

#include "base/size.h"
#include "serve/grpc.h"
#include "serve/proto.h"
#include "serve/v2.h"

enum {
    NAME_MAX_SIZE = 32 /* of a datatype, with its end */
};

/* One of the inputs while it is read. */
typedef struct input {
    int index; /* -1: no name yet */
    md_str name;
    bool has_datatype;
    md_dtype datatype;
    md_shape shape;
    bool has_contents;
    md_pb contents;
    md_shm_part shared; /* instead of contents, when that has a region */
} input;

typedef struct reader {
    md_v2_request *r;
    md_call *call;
    uint32_t n_raw; /* raw_input_contents */
    md_pb raw;      /* the request again, to find them */
} reader;

static md_status take_str(md_str *out, const md_pb_field *f, md_error *err)
{
    md_pb bytes;

    MD_TRY(md_pb_message(&bytes, f, err));
    *out = (md_str){ (const char *)bytes.p, md_pb_size(&bytes) };
    return MD_OK;
}

/* ---- parameters ---- */

/* An InferParameter; of the types only those that some parameter has. */
typedef struct parameter {
    md_str key;
    bool has_bool, has_int, has_text;
    bool flag;
    int64_t n;
    md_pb_field text;
} parameter;

static md_status take_choice(parameter *out, const md_pb_field *f,
                             md_error *err)
{
    switch (f->number) {
    case MD_PB_InferParameter_bool_param:
        MD_TRY(md_pb_int(&out->n, f, err));
        out->flag = out->n != 0;
        out->has_bool = true;
        return MD_OK;
    case MD_PB_InferParameter_int64_param:
    case MD_PB_InferParameter_uint64_param:
        out->has_int = true;
        return md_pb_int(&out->n, f, err);
    case MD_PB_InferParameter_string_param:
        out->has_text = true;
        out->text = *f;
        return MD_OK;
    default:
        return MD_OK;
    }
}

/* One entry of map<string, InferParameter>. */
static md_status take_parameter(parameter *out, const md_pb_field *entry,
                                md_error *err)
{
    md_pb_field f;
    md_pb in;

    *out = (parameter){ .has_bool = false };
    MD_TRY(md_pb_message(&in, entry, err));
    for (;;) {
        MD_TRY(md_pb_next(&f, &in, err));
        if (f.number == 0)
            return MD_OK;
        if (f.number == 1) {
            MD_TRY(take_str(&out->key, &f, err));
        } else if (f.number == 2) {
            md_pb value;

            MD_TRY(md_pb_message(&value, &f, err));
            for (;;) {
                MD_TRY(md_pb_next(&f, &value, err));
                if (f.number == 0)
                    break;
                MD_TRY(take_choice(out, &f, err));
            }
        }
    }
}

static bool is_key(const parameter *p, const char *key)
{
    return p->key.n == strlen(key) && memcmp(p->key.p, key, p->key.n) == 0;
}

/* Parameters of shared memory; others are left alone. */
static md_status take_shared(const reader *rd, md_shm_part *to,
                             const parameter *p, md_error *err)
{
    uint64_t *n = NULL;

    if (is_key(p, "shared_memory_region")) {
        if (!p->has_text)
            return md_fail(err, MD_INVALID,
                           "parameter 'shared_memory_region': a string "
                           "expected");
        return md_grpc_text(rd->call, &to->region, &p->text, err);
    }
    if (is_key(p, "shared_memory_offset")) {
        n = &to->offset;
    } else if (is_key(p, "shared_memory_byte_size")) {
        n = &to->size;
        to->has_size = true;
    } else {
        return MD_OK;
    }
    if (!p->has_int || p->n < 0)
        return md_fail(err, MD_INVALID,
                       "parameter '%.*s': a number from 0 up expected",
                       (int)p->key.n, p->key.p);
    *n = (uint64_t)p->n;
    return MD_OK;
}

/* ---- inputs ---- */

static md_status take_shape(input *in, md_pb_field *f, md_error *err)
{
    for (;;) {
        uint64_t n;
        bool more;

        MD_TRY(md_pb_take(&n, &more, f, MD_PB_VARINT, err));
        if (!more)
            return MD_OK;
        if (n > INT64_MAX || in->shape.rank == MD_RANK_MAX)
            return md_fail(err, MD_INVALID,
                           "shape of input '%.*s': up to %d numbers from 0 up "
                           "expected",
                           in->name.n > 100 ? 100 : (int)in->name.n, in->name.p,
                           MD_RANK_MAX);
        in->shape.dim[in->shape.rank++] = (int64_t)n;
    }
}

static md_status take_datatype(input *in, const md_pb_field *f, md_error *err)
{
    char name[NAME_MAX_SIZE] = "";
    md_str s;

    MD_TRY(take_str(&s, f, err));
    memcpy(name, s.p, s.n < sizeof(name) ? s.n : sizeof(name) - 1);
    in->has_datatype = true;
    return md_v2__datatype(&in->datatype, name, err);
}

static md_status take_input_field(const reader *rd, input *in, md_pb_field *f,
                                  md_error *err)
{
    parameter p;

    switch (f->number) {
    case MD_PB_InferInputTensor_name:
        return take_str(&in->name, f, err);
    case MD_PB_InferInputTensor_datatype:
        return take_datatype(in, f, err);
    case MD_PB_InferInputTensor_shape:
        return take_shape(in, f, err);
    case MD_PB_InferInputTensor_parameters:
        MD_TRY(take_parameter(&p, f, err));
        return take_shared(rd, &in->shared, &p, err);
    case MD_PB_InferInputTensor_contents:
        in->has_contents = true;
        return md_pb_message(&in->contents, f, err);
    default:
        return MD_OK;
    }
}

/* The field of InferTensorContents for a type, and its elements' wire type;
 * 0: those are raw only. */
static uint32_t contents_of(md_dtype t, md_pb_wire *wire)
{
    *wire = MD_PB_VARINT;
    switch (t) {
    case MD_DTYPE_BOOL:
        return MD_PB_InferTensorContents_bool_contents;
    case MD_DTYPE_I8:
    case MD_DTYPE_I16:
    case MD_DTYPE_I32:
        return MD_PB_InferTensorContents_int_contents;
    case MD_DTYPE_I64:
        return MD_PB_InferTensorContents_int64_contents;
    case MD_DTYPE_U8:
    case MD_DTYPE_U16:
    case MD_DTYPE_U32:
        return MD_PB_InferTensorContents_uint_contents;
    case MD_DTYPE_U64:
        return MD_PB_InferTensorContents_uint64_contents;
    case MD_DTYPE_F32:
        *wire = MD_PB_FIXED32;
        return MD_PB_InferTensorContents_fp32_contents;
    case MD_DTYPE_F64:
        *wire = MD_PB_FIXED64;
        return MD_PB_InferTensorContents_fp64_contents;
    case MD_DTYPE_STRING:
        *wire = MD_PB_LEN;
        return MD_PB_InferTensorContents_bytes_contents;
    default:
        return 0;
    }
}

/* Does the wire's number, sign-extended to 64 bits where it has a sign, fit
 * the type? */
static bool fits(md_dtype t, uint64_t v)
{
    if (!md_dtype_is_integer(t) || md_dtype_bits(t) == 64)
        return true;
    if (md_dtype_is_signed(t))
        return (int64_t)v >= md_dtype_int_min(t) &&
               (int64_t)v <= md_dtype_int_max(t);
    return v <= (uint64_t)md_dtype_int_max(t);
}

static md_status put_value(const md_serve_io *io, unsigned char *to, uint64_t v,
                           md_error *err)
{
    if (io->dtype == MD_DTYPE_BOOL)
        v = v != 0;
    else if (!fits(io->dtype, v))
        return md_fail(err, MD_INVALID, "input '%s': a value does not fit %s",
                       io->name, md_dtype_name(io->dtype));
    memcpy(to, &v, md_dtype_bits(io->dtype) / 8); /* the low bytes */
    return MD_OK;
}

/* Take the values of one field behind the n that are there; room is for
 * n_max. */
static md_status take_values(const md_serve_io *io, unsigned char *to,
                             int64_t *n, int64_t n_max, md_pb_field *f,
                             md_error *err)
{
    md_pb_wire wire;
    const size_t size = md_dtype_bits(io->dtype) / 8;

    (void)contents_of(io->dtype, &wire);
    for (;;) {
        uint64_t v = 0;
        bool more = false;

        if (io->dtype == MD_DTYPE_STRING) {
            md_str s;

            if (*n < n_max) {
                MD_TRY(take_str(&s, f, err));
                memcpy(to + size * (size_t)*n, &s, sizeof(s));
            }
            ++*n;
            return MD_OK;
        }
        MD_TRY(md_pb_take(&v, &more, f, wire, err));
        if (!more)
            return MD_OK;
        if (*n < n_max)
            MD_TRY(put_value(io, to + size * (size_t)*n, v, err));
        ++*n;
    }
}

/* The values of an input that brings them itself. */
static md_status read_contents(reader *rd, const input *in, md_error *err)
{
    const md_serve_io *io = &rd->r->feed.model->inputs[in->index];
    md_pb contents = in->contents;
    md_pb_wire wire;
    const uint32_t number = contents_of(io->dtype, &wire);
    void *to = NULL;
    int64_t want;
    int64_t n = 0;

    if (number == 0)
        return md_fail(err, MD_INVALID,
                       "input '%s': %s has no typed contents; send "
                       "raw_input_contents",
                       io->name, md_dtype_v2_name(io->dtype));
    MD_TRY(md_shape_count(&want, &in->shape, err));
    /* Each value takes a byte at least, so that a lie about the shape takes
     * no memory. */
    if (want < 0 || (uint64_t)want > md_pb_size(&contents))
        want = (int64_t)md_pb_size(&contents);
    MD_TRY(md_feed_reserve(&rd->r->feed, (uint32_t)in->index, want, &to, err));
    for (;;) {
        md_pb_field f;

        MD_TRY(md_pb_next(&f, &contents, err));
        if (f.number == 0)
            break;
        if (f.number != number)
            return md_fail(err, MD_INVALID,
                           "input '%s': contents of another type than %s",
                           io->name, md_dtype_v2_name(io->dtype));
        MD_TRY(take_values(io, to, &n, want, &f, err));
    }
    return md_v2__give(rd->r, in->index, &in->shape, n, err);
}

/* The next of raw_input_contents.  A tensor without elements needs none. */
static md_status read_raw(reader *rd, const input *in, md_error *err)
{
    md_pb_field f;
    int64_t n;

    MD_TRY(md_shape_count(&n, &in->shape, err));
    if (n == 0 && rd->n_raw == 0)
        return md_feed_read_raw(&rd->r->feed, (uint32_t)in->index, &in->shape,
                                NULL, 0, err);

    do {
        MD_TRY(md_pb_next(&f, &rd->raw, err));
    } while (f.number != MD_PB_ModelInferRequest_raw_input_contents &&
             f.number != 0);
    if (f.number == 0)
        return md_fail(err, MD_INVALID,
                       "input '%s' has neither contents nor "
                       "raw_input_contents",
                       rd->r->feed.model->inputs[in->index].name);
    rd->n_raw--;
    return md_feed_read_raw(&rd->r->feed, (uint32_t)in->index, &in->shape,
                            f.bytes.p, md_pb_size(&f.bytes), err);
}

static md_status take_input(reader *rd, const md_pb_field *field, md_error *err)
{
    const md_serve_model *m = rd->r->feed.model;
    input in = { .index = -1 };
    md_pb_field f;
    md_pb pb;

    MD_TRY(md_pb_message(&pb, field, err));
    for (;;) {
        MD_TRY(md_pb_next(&f, &pb, err));
        if (f.number == 0)
            break;
        MD_TRY(take_input_field(rd, &in, &f, err));
    }
    MD_TRY(md_v2__find_input(rd->r, in.name, &in.index, err));
    if (!in.has_datatype)
        return md_fail(err, MD_INVALID, "input '%s' has no datatype",
                       m->inputs[in.index].name);
    MD_TRY(md_v2__check_datatype(rd->r, in.index, in.datatype, err));
    MD_TRY(md_serve_io_check(m, &m->inputs[in.index], &in.shape, err));
    if (in.shared.region && in.has_contents)
        return md_fail(err, MD_INVALID,
                       "contents of input '%s' given beside shared memory, one "
                       "of them expected",
                       m->inputs[in.index].name);
    if (in.shared.region)
        return md_v2__read_shared(rd->r, in.index, &in.shape, &in.shared, err);
    if (in.has_contents && rd->n_raw)
        return md_fail(err, MD_INVALID,
                       "contents of input '%s' given beside "
                       "raw_input_contents, one of them expected",
                       m->inputs[in.index].name);
    return in.has_contents ? read_contents(rd, &in, err)
                           : read_raw(rd, &in, err);
}

/* ---- outputs ---- */

static md_status take_output_parameter(const reader *rd, md_v2_wish *wish,
                                       const md_pb_field *f, md_error *err)
{
    parameter p;

    MD_TRY(take_parameter(&p, f, err));
    if (!is_key(&p, "classification"))
        return take_shared(rd, &wish->shared, &p, err);
    if (!p.has_int || p.n < 0)
        return md_fail(err, MD_INVALID,
                       "parameter 'classification': a number from 0 up "
                       "expected");
    wish->classes = (size_t)p.n;
    return MD_OK;
}

static md_status take_output(reader *rd, const md_pb_field *field,
                             md_error *err)
{
    md_v2_wish wish = { .index = -1 };
    md_pb_field f;
    md_str name;
    md_pb pb;

    MD_TRY(md_pb_message(&pb, field, err));
    for (;;) {
        MD_TRY(md_pb_next(&f, &pb, err));
        if (f.number == 0)
            break;
        if (f.number == MD_PB_InferRequestedOutputTensor_name) {
            MD_TRY(take_str(&name, &f, err));
            MD_TRY(md_v2__find_output(rd->r, name, &wish.index, err));
        } else if (f.number == MD_PB_InferRequestedOutputTensor_parameters) {
            MD_TRY(take_output_parameter(rd, &wish, &f, err));
        }
    }
    return md_v2__add_output(rd->r, &wish, err);
}

/* ---- the request ---- */

/* How many raw contents are there? */
static md_status count_raw(reader *rd, md_pb in, md_error *err)
{
    for (;;) {
        md_pb_field f;

        MD_TRY(md_pb_next(&f, &in, err));
        if (f.number == 0)
            return MD_OK;
        if (f.number != MD_PB_ModelInferRequest_raw_input_contents)
            continue;
        if (f.wire != MD_PB_LEN)
            return md_fail(err, MD_CORRUPT, "raw_input_contents are no bytes");
        rd->n_raw++;
    }
}

/* Of the schedule policy extension; others are passed over. */
static md_status take_request_parameter(md_call *call, const md_pb_field *f,
                                        md_error *err)
{
    parameter p;
    int64_t *to;

    MD_TRY(take_parameter(&p, f, err));
    if (is_key(&p, "priority"))
        to = &call->priority;
    else if (is_key(&p, "timeout"))
        to = &call->timeout_us;
    else
        return MD_OK;
    if (!p.has_int || p.n < 0)
        return md_fail(err, MD_INVALID,
                       "parameter '%.*s': a number from 0 up expected",
                       (int)p.key.n, p.key.p);
    *to = p.n;
    return MD_OK;
}

static md_status parse(void *request, md_call *call, void *ctx, md_error *err)
{
    const md_v2_messages *m = ctx;
    md_v2_request *r = request;
    md_pb in = m->request;
    reader rd = { .r = r, .call = call, .raw = in };

    MD_TRY(count_raw(&rd, in, err));
    for (;;) {
        md_pb_field f;
        md_str id;

        MD_TRY(md_pb_next(&f, &in, err));
        if (f.number == 0)
            break;
        if (f.number == MD_PB_ModelInferRequest_id) {
            MD_TRY(take_str(&id, &f, err));
            r->id = id.p;
            r->id_size = id.n;
        } else if (f.number == MD_PB_ModelInferRequest_inputs) {
            MD_TRY(take_input(&rd, &f, err));
        } else if (f.number == MD_PB_ModelInferRequest_outputs) {
            MD_TRY(take_output(&rd, &f, err));
        } else if (f.number == MD_PB_ModelInferRequest_parameters) {
            MD_TRY(take_request_parameter(call, &f, err));
        }
    }
    if (rd.n_raw)
        return md_fail(err, MD_INVALID,
                       "%u raw_input_contents are more than there are inputs",
                       rd.n_raw);
    return md_v2__end_outputs(r, err);
}

/* ---- the answer ---- */

/* Strings of a classification, as raw contents. */
typedef struct strings {
    md_buf *out;
    md_status status;
    md_error *err;
} strings;

static void put_string(void *ctx, const char *text)
{
    const uint32_t size = (uint32_t)strlen(text);
    strings *s = ctx;

    if (s->status == MD_OK)
        s->status = md_buf_append(s->out, &size, sizeof(size), s->err);
    if (s->status == MD_OK)
        s->status = md_buf_append(s->out, text, size, s->err);
}

/* An entry of map<string, InferParameter>; text NULL: a number. */
static void put_parameter(md_pb_writer *w, const char *key, const char *text,
                          uint64_t n)
{
    md_pb_mark entry = md_pb_begin(w, MD_PB_InferOutputTensor_parameters);
    md_pb_mark value;

    md_pb_put_text(w, 1, key);
    value = md_pb_begin(w, 2);
    if (text)
        md_pb_put_text(w, MD_PB_InferParameter_string_param, text);
    else
        md_pb_put_int(w, MD_PB_InferParameter_int64_param, (int64_t)n);
    md_pb_end(w, value);
    md_pb_end(w, entry);
}

/* Where the values are, and how many bytes. */
static void put_shared(md_pb_writer *w, const md_shm_part *part, size_t size)
{
    put_parameter(w, "shared_memory_region", part->region, 0);
    if (part->offset)
        put_parameter(w, "shared_memory_offset", NULL, part->offset);
    put_parameter(w, "shared_memory_byte_size", NULL, size);
}

static void put_output(md_pb_writer *w, const char *name, const char *datatype,
                       const md_shape *shape, const md_shm_part *shared,
                       size_t size)
{
    md_pb_mark m = md_pb_begin(w, MD_PB_ModelInferResponse_outputs);

    md_pb_put_text(w, MD_PB_InferOutputTensor_name, name);
    md_pb_put_text(w, MD_PB_InferOutputTensor_datatype, datatype);
    md_pb_put_ints(w, MD_PB_InferOutputTensor_shape, shape->dim,
                   (size_t)shape->rank);
    if (shared->region)
        put_shared(w, shared, size);
    md_pb_end(w, m);
}

static md_status write_output(md_pb_writer *w, const md_v2_request *r,
                              const md_v2_output *o, md_error *err)
{
    const md_tensor *t = md_feed_output(&r->feed, o->index);
    const char *name = r->feed.model->outputs[o->index].name;
    md_shape shape;
    size_t size = 0;

    if (o->classes) {
        MD_TRY(md_v2__class_shape(t, o->classes, &shape, err));
        put_output(w, name, "BYTES", &shape, &o->shared, 0);
        return MD_OK;
    }
    MD_TRY(md_v2__check_type(name, t, err));
    if (o->shared.region)
        MD_TRY(md_v2__write_shared(r, o, &size, err));
    put_output(w, name, md_dtype_v2_name(t->dtype), &t->shape, &o->shared,
               size);
    return MD_OK;
}

static md_status write_raw(md_pb_writer *w, const md_v2_request *r,
                           const md_v2_output *o, md_error *err)
{
    const md_tensor *t = md_feed_output(&r->feed, o->index);
    md_buf made;
    md_status s;

    if (o->shared.region) { /* one for each output, as clients count them */
        md_pb_put_bytes(w, MD_PB_ModelInferResponse_raw_output_contents, "", 0);
        return MD_OK;
    }
    if (!o->classes && t->dtype != MD_DTYPE_STRING) {
        md_pb_put_slice(w, MD_PB_ModelInferResponse_raw_output_contents,
                        t->data, md_tensor_size(t));
        return MD_OK;
    }
    md_buf_init(&made, w->buf.alloc, w->buf.limit);
    if (o->classes) {
        strings list = { &made, MD_OK, err };

        s = md_v2__each_class(r->feed.model, o->index, t, o->classes,
                              put_string, &list, err);
        s = s == MD_OK ? list.status : s;
    } else {
        s = md_v2__raw_append(&made, t, err);
    }
    if (s == MD_OK)
        md_pb_put_bytes(w, MD_PB_ModelInferResponse_raw_output_contents,
                        made.data, made.size);
    md_buf_release(&made);
    return s;
}

static md_status write(const void *request, void *ctx, md_error *err)
{
    const md_v2_messages *messages = ctx;
    const md_v2_request *r = request;
    const md_serve_model *m = r->feed.model;
    md_pb_writer *w = messages->reply;
    md_pb_mark mark = { 0 };

    if (messages->streams)
        mark = md_pb_begin(w, MD_PB_ModelStreamInferResponse_infer_response);
    md_pb_put_text(w, MD_PB_ModelInferResponse_model_name, m->name);
    md_pb_put_text(w, MD_PB_ModelInferResponse_model_version, m->version);
    if (r->id_size)
        md_pb_put_bytes(w, MD_PB_ModelInferResponse_id, r->id, r->id_size);
    for (uint32_t i = 0; i < r->n_outputs; i++)
        MD_TRY(write_output(w, r, &r->outputs[i], err));
    for (uint32_t i = 0; i < r->n_outputs; i++)
        MD_TRY(write_raw(w, r, &r->outputs[i], err));
    if (messages->streams)
        md_pb_end(w, mark);
    /* While the outputs are there, which the writer only points to. */
    return md_grpc_send(r->feed.call, w, err);
}

const md_infer_form md_v2_grpc = { sizeof(md_v2_request), parse, write };
