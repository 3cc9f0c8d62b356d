/*
 * The inference request over REST.
 *
 * Members of an object may come in any order.  An input's data is read at
 * once when its name stands before it, as all clients do; else it is skipped
 * and read when the object is complete.
 */
#include "serve/v2.h"

#include <string.h>

#include "base/num.h"
#include "base/size.h"

/* One element of "inputs" while it is parsed. */
typedef struct input {
    int index; /* -1: no name yet */
    bool has_datatype;
    md_dtype datatype;
    bool has_shape;
    md_shape shape;
    bool has_binary;
    size_t binary_size;
    bool has_data; /* seen */
    bool read;     /* and read */
    size_t data_at;
    int64_t n;          /* values in data */
    md_shm_part shared; /* instead of data, when that has a region */
} input;

typedef struct parser {
    md_v2_request *r;
    md_call *call;
    md_json json;
    const char *text; /* the JSON part */
    size_t size;
    const char *tail; /* binary tensors, in the order of the inputs */
    size_t tail_size;
    bool has_inputs;
} parser;

/* A member that an object may have: `take` reads its value. */
typedef struct member {
    const char *name;
    md_status (*take)(parser *p, void *ctx, md_error *err);
} member;

/* Read the object that comes next.  Members that are not in the list, which
 * ends with a NULL name, are skipped; one of the list that comes twice is
 * refused, since another reader may take the other one. */
static md_status take_object(parser *p, const member *list, void *ctx,
                             md_error *err)
{
    uint32_t seen = 0;
    md_json_token t;

    MD_TRY(md_json_expect(&p->json, MD_JSON_OBJECT, &t, err));
    for (;;) {
        uint32_t i = 0;

        MD_TRY(md_json_next(&p->json, &t, err));
        if (t.kind == MD_JSON_OBJECT_END)
            return MD_OK;
        while (list[i].name && !md_json_is(&t, list[i].name))
            i++;
        if (!list[i].name) {
            MD_TRY(md_json_skip(&p->json, &t, err));
            continue;
        }
        if (seen & (1U << i))
            return md_json_fail(t.at, err, "member '%s' is given twice",
                                list[i].name);
        seen |= 1U << i;
        MD_TRY(list[i].take(p, ctx, err));
    }
}

static md_status take_string(parser *p, const char **out, size_t *size,
                             md_error *err)
{
    md_json_token t;

    MD_TRY(md_json_expect(&p->json, MD_JSON_STRING, &t, err));
    return md_json_string(&t, md_http_request_arena(p->call->http), out, size,
                          err);
}

static md_status take_bool(parser *p, bool *out, md_error *err)
{
    md_json_token t;

    MD_TRY(md_json_next(&p->json, &t, err));
    return md_json_bool(&t, out, err);
}

static md_status take_size(parser *p, size_t *out, md_error *err)
{
    md_json_token t;
    uint64_t n;

    MD_TRY(md_json_next(&p->json, &t, err));
    MD_TRY(md_json_u64(&t, &n, err));
    *out = (size_t)n;
    return MD_OK;
}

/* ---- one input ---- */

static md_status read_data(parser *p, input *in, md_json *json, md_error *err)
{
    md_json_nest nest;

    /* Before a value that does not fit the model's type is told. */
    if (in->has_datatype)
        MD_TRY(md_v2__check_datatype(p->r, in->index, in->datatype, err));
    in->read = true;
    return md_feed_read_json(&p->r->feed, (uint32_t)in->index, json, &nest,
                             &in->n, false, err);
}

static md_status skip_data(parser *p, input *in, md_error *err)
{
    md_json_token t;

    MD_TRY(md_json_next(&p->json, &t, err));
    in->data_at = t.at;
    return md_json_skip(&p->json, &t, err);
}

static md_status take_data(parser *p, void *ctx, md_error *err)
{
    input *in = ctx;

    in->has_data = true;
    return in->index >= 0 ? read_data(p, in, &p->json, err)
                          : skip_data(p, in, err);
}

static md_status take_name(parser *p, void *ctx, md_error *err)
{
    input *in = ctx;
    md_str name;

    MD_TRY(take_string(p, &name.p, &name.n, err));
    return md_v2__find_input(p->r, name, &in->index, err);
}

static md_status take_shape(parser *p, void *ctx, md_error *err)
{
    input *in = ctx;
    md_json_token t;

    in->has_shape = true;
    in->shape.rank = 0;
    MD_TRY(md_json_expect(&p->json, MD_JSON_ARRAY, &t, err));
    for (;;) {
        int64_t n;

        MD_TRY(md_json_next(&p->json, &t, err));
        if (t.kind == MD_JSON_ARRAY_END)
            return MD_OK;
        MD_TRY(md_json_i64(&t, &n, err));
        if (n < 0 || in->shape.rank == MD_RANK_MAX)
            return md_json_fail(t.at, err,
                                "shape: up to %d numbers from 0 up expected",
                                MD_RANK_MAX);
        in->shape.dim[in->shape.rank++] = n;
    }
}

static md_status take_datatype(parser *p, void *ctx, md_error *err)
{
    input *in = ctx;
    const char *name;

    MD_TRY(take_string(p, &name, NULL, err));
    in->has_datatype = true;
    return md_v2__datatype(&in->datatype, name, err);
}

static md_status take_binary_size(parser *p, void *ctx, md_error *err)
{
    input *in = ctx;

    in->has_binary = true;
    return take_size(p, &in->binary_size, err);
}

static md_status take_region(parser *p, md_shm_part *to, md_error *err)
{
    return take_string(p, &to->region, NULL, err);
}

static md_status take_shared_size(parser *p, md_shm_part *to, md_error *err)
{
    md_json_token t;

    to->has_size = true;
    MD_TRY(md_json_next(&p->json, &t, err));
    return md_json_u64(&t, &to->size, err);
}

static md_status take_shared_offset(parser *p, md_shm_part *to, md_error *err)
{
    md_json_token t;

    MD_TRY(md_json_next(&p->json, &t, err));
    return md_json_u64(&t, &to->offset, err);
}

static md_status take_input_region(parser *p, void *ctx, md_error *err)
{
    input *in = ctx;

    return take_region(p, &in->shared, err);
}

static md_status take_input_shared_size(parser *p, void *ctx, md_error *err)
{
    input *in = ctx;

    return take_shared_size(p, &in->shared, err);
}

static md_status take_input_shared_offset(parser *p, void *ctx, md_error *err)
{
    input *in = ctx;

    return take_shared_offset(p, &in->shared, err);
}

static md_status take_input_parameters(parser *p, void *ctx, md_error *err)
{
    static const member list[] = {
        { "binary_data_size", take_binary_size },
        { "shared_memory_region", take_input_region },
        { "shared_memory_byte_size", take_input_shared_size },
        { "shared_memory_offset", take_input_shared_offset },
        { NULL, NULL }
    };

    return take_object(p, list, ctx, err);
}

static md_status check_input(parser *p, const input *in, md_error *err)
{
    const md_serve_model *m = p->call->model;
    const md_serve_io *io;

    if (in->index < 0)
        return md_fail(err, MD_INVALID, "an input has no name");
    io = &m->inputs[in->index];
    if (!in->has_shape || !in->has_datatype)
        return md_fail(err, MD_INVALID, "input '%s' has no %s", io->name,
                       in->has_shape ? "datatype" : "shape");
    MD_TRY(md_v2__check_datatype(p->r, in->index, in->datatype, err));
    if (in->shared.region && (in->has_data || in->has_binary))
        return md_fail(err, MD_INVALID,
                       "input '%s' has data beside shared memory, one of them "
                       "expected",
                       io->name);
    if (!in->shared.region && in->has_data == in->has_binary)
        return md_fail(err, MD_INVALID,
                       "input '%s' has %s data and binary data, one expected",
                       io->name, in->has_data ? "both" : "neither");
    return md_serve_io_check(m, io, &in->shape, err);
}

static md_status take_binary(parser *p, const input *in, md_error *err)
{
    const char *data = p->tail;

    if (in->binary_size > p->tail_size)
        return md_fail(err, MD_INVALID,
                       "input '%s': binary_data_size %zu given, %zu bytes are "
                       "left of the body",
                       p->call->model->inputs[in->index].name, in->binary_size,
                       p->tail_size);
    p->tail += in->binary_size;
    p->tail_size -= in->binary_size;
    return md_feed_read_raw(&p->r->feed, (uint32_t)in->index, &in->shape, data,
                            in->binary_size, err);
}

/* The object is complete. */
static md_status end_input(parser *p, input *in, md_error *err)
{
    MD_TRY(check_input(p, in, err));
    if (in->shared.region)
        return md_v2__read_shared(p->r, in->index, &in->shape, &in->shared,
                                  err);
    if (in->has_binary)
        return take_binary(p, in, err);
    if (!in->read) {
        md_json again;

        md_json_init(&again, p->text + in->data_at, p->size - in->data_at,
                     NULL);
        MD_TRY(read_data(p, in, &again, err));
    }
    return md_v2__give(p->r, in->index, &in->shape, in->n, err);
}

static md_status take_inputs(parser *p, void *ctx, md_error *err)
{
    static const member list[] = {
        { "name", take_name },         { "shape", take_shape },
        { "datatype", take_datatype }, { "parameters", take_input_parameters },
        { "data", take_data },         { NULL, NULL }
    };
    md_json_token t;

    (void)ctx;
    p->has_inputs = true;
    MD_TRY(md_json_expect(&p->json, MD_JSON_ARRAY, &t, err));
    while (md_json_peek(&p->json) == MD_JSON_OBJECT) {
        input in = { .index = -1 };

        MD_TRY(take_object(p, list, &in, err));
        MD_TRY(end_input(p, &in, err));
    }
    return md_json_expect(&p->json, MD_JSON_ARRAY_END, &t, err);
}

/* ---- outputs ---- */

static md_status take_binary_flag(parser *p, void *ctx, md_error *err)
{
    md_v2_wish *out = ctx;

    out->has_binary = true;
    return take_bool(p, &out->binary, err);
}

static md_status take_classes(parser *p, void *ctx, md_error *err)
{
    md_v2_wish *out = ctx;

    return take_size(p, &out->classes, err);
}

static md_status take_output_region(parser *p, void *ctx, md_error *err)
{
    md_v2_wish *out = ctx;

    return take_region(p, &out->shared, err);
}

static md_status take_output_shared_size(parser *p, void *ctx, md_error *err)
{
    md_v2_wish *out = ctx;

    return take_shared_size(p, &out->shared, err);
}

static md_status take_output_shared_offset(parser *p, void *ctx, md_error *err)
{
    md_v2_wish *out = ctx;

    return take_shared_offset(p, &out->shared, err);
}

static md_status take_output_parameters(parser *p, void *ctx, md_error *err)
{
    static const member list[] = {
        { "binary_data", take_binary_flag },
        { "classification", take_classes },
        { "shared_memory_region", take_output_region },
        { "shared_memory_byte_size", take_output_shared_size },
        { "shared_memory_offset", take_output_shared_offset },
        { NULL, NULL }
    };

    return take_object(p, list, ctx, err);
}

static md_status take_output_name(parser *p, void *ctx, md_error *err)
{
    md_v2_wish *out = ctx;
    md_str text;

    MD_TRY(take_string(p, &text.p, &text.n, err));
    return md_v2__find_output(p->r, text, &out->index, err);
}

static md_status take_outputs(parser *p, void *ctx, md_error *err)
{
    static const member list[] = { { "name", take_output_name },
                                   { "parameters", take_output_parameters },
                                   { NULL, NULL } };
    md_json_token t;

    (void)ctx;
    MD_TRY(md_json_expect(&p->json, MD_JSON_ARRAY, &t, err));
    while (md_json_peek(&p->json) == MD_JSON_OBJECT) {
        md_v2_wish out = { .index = -1 };

        MD_TRY(take_object(p, list, &out, err));
        MD_TRY(md_v2__add_output(p->r, &out, err));
    }
    return md_json_expect(&p->json, MD_JSON_ARRAY_END, &t, err);
}

/* ---- the request ---- */

static md_status take_id(parser *p, void *ctx, md_error *err)
{
    (void)ctx;
    return take_string(p, &p->r->id, &p->r->id_size, err);
}

static md_status take_binary_default(parser *p, void *ctx, md_error *err)
{
    (void)ctx;
    return take_bool(p, &p->r->binary_default, err);
}

/* Of the schedule policy extension: numbers from 0 up. */
static md_status take_natural(parser *p, int64_t *out, md_error *err)
{
    md_json_token t;

    MD_TRY(md_json_next(&p->json, &t, err));
    MD_TRY(md_json_i64(&t, out, err));
    return *out >= 0 ? MD_OK
                     : md_json_fail(t.at, err, "a number from 0 up expected");
}

static md_status take_priority(parser *p, void *ctx, md_error *err)
{
    (void)ctx;
    return take_natural(p, &p->call->priority, err);
}

static md_status take_timeout(parser *p, void *ctx, md_error *err)
{
    (void)ctx;
    return take_natural(p, &p->call->timeout_us, err);
}

static md_status take_parameters(parser *p, void *ctx, md_error *err)
{
    static const member list[] = { { "binary_data_output",
                                     take_binary_default },
                                   { "priority", take_priority },
                                   { "timeout", take_timeout },
                                   { NULL, NULL } };

    return take_object(p, list, ctx, err);
}

static md_status take_request(parser *p, md_error *err)
{
    static const member list[] = { { "id", take_id },
                                   { "parameters", take_parameters },
                                   { "inputs", take_inputs },
                                   { "outputs", take_outputs },
                                   { NULL, NULL } };

    return take_object(p, list, NULL, err);
}

/* Where the JSON ends and the binary tensors begin. */
static md_status split_body(parser *p, bool *raw, md_error *err)
{
    static const char length[] = "inference-header-content-length";
    md_slice body = md_http_request_body(p->call->http);
    md_slice field = md_http_request_field(p->call->http, length);
    const unsigned char *at = (const unsigned char *)field.data;
    uint64_t n = body.size;

    if (md_http_request_field_count(p->call->http, length) > 1)
        return md_fail(err, MD_INVALID, "field %s is given twice", length);
    if (field.data &&
        (md_num_u64(&n, &at, at, at + field.size) != MD_NUM_OK ||
         at != (const unsigned char *)field.data + field.size || n > body.size))
        return md_fail(err, MD_INVALID,
                       "inference header size should be in range [0, %zu], "
                       "got: %.*s",
                       body.size, field.size > 20 ? 20 : (int)field.size,
                       field.data);
    *raw = field.data && n == 0;
    p->text = body.data;
    p->size = (size_t)n;
    p->tail = body.data + n;
    p->tail_size = body.size - (size_t)n;
    return MD_OK;
}

/* The one input's shape for a raw body of `size` bytes, which tell its one
 * variable dim.  A string is the whole body. */
static bool raw_shape(md_shape *out, const md_serve_io *io, size_t size)
{
    const bool text = io->dtype == MD_DTYPE_STRING;
    int64_t fixed = 1;
    int free_axis = -1;

    *out = io->shape;
    for (int i = 0; i < out->rank; i++) {
        if (out->dim[i] < 0) {
            if (free_axis >= 0)
                return false;
            free_axis = i;
        } else if (!md_mul_i64(&fixed, fixed, out->dim[i])) {
            return false;
        }
    }
    if (!io->has_rank || fixed == 0 || (text && fixed != 1))
        return false;
    if (free_axis >= 0)
        out->dim[free_axis] =
            text ? 1 : (int64_t)(size * 8 / md_dtype_bits(io->dtype)) / fixed;
    return true;
}

/* Header length 0: the body is the one input's bytes; the answer is binary
 * too. */
static md_status take_raw(parser *p, md_error *err)
{
    const md_serve_model *m = p->call->model;
    md_shape shape;

    if (m->n_inputs != 1 || !raw_shape(&shape, m->inputs, p->tail_size))
        return md_fail(err, MD_INVALID,
                       "raw binary request: model '%s' must have one input of "
                       "one string, or of numbers with at most one variable "
                       "dimension",
                       m->name);
    p->r->binary_default = true;
    p->has_inputs = true;
    if (m->inputs->dtype == MD_DTYPE_STRING)
        return md_feed_read_text(&p->r->feed, 0, &shape, p->tail, p->tail_size,
                                 err);
    return md_feed_read_raw(&p->r->feed, 0, &shape, p->tail, p->tail_size, err);
}

static md_status parse(void *request, md_call *call, void *ctx, md_error *err)
{
    md_v2_request *r = request;
    parser p = { .r = r, .call = call };
    md_json_token t;
    bool raw = false;

    (void)ctx;
    MD_TRY(split_body(&p, &raw, err));
    if (raw) {
        MD_TRY(take_raw(&p, err));
        return md_v2__end_outputs(r, err);
    }
    md_json_init(&p.json, p.text, p.size, NULL);
    MD_TRY(take_request(&p, err));
    MD_TRY(md_json_expect(&p.json, MD_JSON_END, &t, err));
    if (!p.has_inputs)
        return md_fail(err, MD_INVALID, "request has no 'inputs'");
    if (p.tail_size)
        return md_fail(err, MD_INVALID,
                       "%zu bytes follow the binary data of the inputs",
                       p.tail_size);
    return md_v2__end_outputs(r, err);
}

const md_infer_form md_v2_rest = { sizeof(md_v2_request), parse,
                                   md_v2__reply_rest };
