#include "serve/feed.h"

#include <string.h>

#include "base/base64.h"
#include "base/size.h"
#include "serve/server_impl.h"
#include "tensor/float.h"

md_status md_feed_init(md_feed *f, md_call *call, md_error *err)
{
    *f = (md_feed){ .call = call, .model = call->model };
    return md_call_alloc(call, &f->inputs, f->model->n_inputs,
                         sizeof(*f->inputs), err);
}

void md_feed_release(md_feed *f)
{
    if (f->run)
        f->model->engine->release(f->run);
    f->run = NULL;
}

/* Begin a tensor at the end of the scratch buffer, on a cache line's multiple
 * from its start. */
static md_status begin(md_feed *f, uint32_t i, md_error *err)
{
    md_buf *b = f->call->scratch;
    size_t at = md_round_up(b->size, MD_CACHE_LINE);

    MD_TRY(md_buf_reserve(b, at - b->size, err));
    b->size = at;
    f->inputs[i].at = at;
    return MD_OK;
}

md_status md_feed_reserve(md_feed *f, uint32_t i, int64_t n, void **out,
                          md_error *err)
{
    md_buf *b = f->call->scratch;
    md_status s;
    size_t size;

    if (!md_dtype_size(&size, f->model->inputs[i].dtype, n))
        return md_fail(err, MD_TOO_LARGE, "input '%s': %lld elements",
                       f->model->inputs[i].name, (long long)n);
    s = begin(f, i, err);
    if (s == MD_OK)
        s = md_buf_reserve(b, size, err);
    if (s != MD_OK)
        return md_wrap(err, s, "input '%s': ", f->model->inputs[i].name);
    *out = b->data + b->size;
    memset(*out, 0, size);
    b->size += size;
    return MD_OK;
}

/* ---- JSON ---- */

/* A type whose values JSON can hold as they are. */
static bool item_of(md_dtype t, md_json_item *out)
{
    switch (t) {
    case MD_DTYPE_F32:
        *out = MD_JSON_F32;
        return true;
    case MD_DTYPE_F64:
        *out = MD_JSON_F64;
        return true;
    case MD_DTYPE_BOOL:
        *out = MD_JSON_BOOL;
        return true;
    case MD_DTYPE_I8:
    case MD_DTYPE_I16:
    case MD_DTYPE_I32:
    case MD_DTYPE_I64:
        *out = MD_JSON_I64;
        return true;
    case MD_DTYPE_U8:
    case MD_DTYPE_U16:
    case MD_DTYPE_U32:
    case MD_DTYPE_U64:
        *out = MD_JSON_U64;
        return true;
    default:
        return false;
    }
}

static md_status fail_range(const md_serve_io *io, md_error *err)
{
    return md_fail(err, MD_INVALID, "a value does not fit %s",
                   md_dtype_name(io->dtype));
}

/* From 64-bit integers down to the type, in place. */
static md_status narrow(const md_serve_io *io, unsigned char *p, size_t n,
                        md_error *err)
{
    const bool is_signed = md_dtype_is_signed(io->dtype);
    const size_t width = md_dtype_bits(io->dtype) / 8;
    const int64_t min = md_dtype_int_min(io->dtype);
    const uint64_t max = (uint64_t)md_dtype_int_max(io->dtype);

    if (width == 8)
        return MD_OK;
    for (size_t i = 0; i < n; i++) {
        uint64_t v;

        memcpy(&v, p + 8 * i, 8);
        if (is_signed ? ((int64_t)v < min || (int64_t)v > (int64_t)max)
                      : v > max)
            return fail_range(io, err);
        memcpy(p + width * i, &v, width); /* little-endian: the low bytes */
    }
    return MD_OK;
}

/* From floats to float16 or bfloat16, in place. */
static void round_floats(md_dtype t, unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float v;
        uint16_t h;

        memcpy(&v, p + 4 * i, 4);
        h = t == MD_DTYPE_F16 ? md_f32_to_f16(v) : md_f32_to_bf16(v);
        memcpy(p + 2 * i, &h, 2);
    }
}

static md_status read_numbers(md_feed *f, uint32_t i, md_json *r,
                              md_json_nest *nest, int64_t *n, md_json_item item,
                              md_error *err)
{
    const md_serve_io *io = &f->model->inputs[i];
    md_buf *b = f->call->scratch;
    const size_t width = item == MD_JSON_BOOL ? 1 : item == MD_JSON_F32 ? 4 : 8;
    unsigned char *p;
    size_t count;

    MD_TRY(begin(f, i, err));
    MD_TRY(md_json_read_array(r, item, b, nest, err));
    p = b->data + f->inputs[i].at;
    count = (b->size - f->inputs[i].at) / width;
    *n = (int64_t)count;
    if (item == MD_JSON_I64 || item == MD_JSON_U64)
        MD_TRY(narrow(io, p, count, err));
    else if (io->dtype == MD_DTYPE_F16 || io->dtype == MD_DTYPE_BF16)
        round_floats(io->dtype, p, count);
    b->size = f->inputs[i].at + count * (md_dtype_bits(io->dtype) / 8);
    return MD_OK;
}

/* {"b64": "..."}, behind its brace. */
static md_status read_base64(const md_feed *f, md_json *r, md_str *out,
                             md_error *err)
{
    md_json_token t;
    const char *text;
    unsigned char *to = NULL;
    size_t n;

    MD_TRY(md_json_next(r, &t, err));
    if (t.kind != MD_JSON_NAME || !md_json_is(&t, "b64"))
        return md_json_fail(t.at, err, "member 'b64' expected");
    MD_TRY(md_json_expect(r, MD_JSON_STRING, &t, err));
    MD_TRY(md_json_string(&t, md_http_request_arena(f->call->http), &text, &n,
                          err));
    MD_TRY(md_call_alloc(f->call, &to, md_base64_decoded_max(n), 1, err));
    if (!md_base64_decode(to, &out->n, text, n))
        return md_json_fail(t.at, err, "base64 expected");
    out->p = (const char *)to;
    return md_json_expect(r, MD_JSON_OBJECT_END, &t, err);
}

static md_status read_strings(md_feed *f, uint32_t i, md_json *r,
                              md_json_nest *nest, int64_t *n, md_error *err)
{
    md_arena *ar = md_http_request_arena(f->call->http);
    md_buf *b = f->call->scratch;

    MD_TRY(begin(f, i, err));
    md_json_nest_init(nest);
    *n = 0;
    do {
        md_json_token t;
        md_str s;

        MD_TRY(md_json_next(r, &t, err));
        if (t.kind == MD_JSON_ARRAY) {
            MD_TRY(md_json_nest_open(nest, t.at, err));
        } else if (t.kind == MD_JSON_ARRAY_END) {
            MD_TRY(md_json_nest_close(nest, t.at, err));
        } else if (t.kind == MD_JSON_STRING ||
                   (f->base64 && t.kind == MD_JSON_OBJECT)) {
            MD_TRY(md_json_nest_leaf(nest, t.at, err));
            MD_TRY(t.kind == MD_JSON_STRING
                       ? md_json_string(&t, ar, &s.p, &s.n, err)
                       : read_base64(f, r, &s, err));
            MD_TRY(md_buf_append(b, &s, sizeof(s), err));
            ++*n;
        } else {
            return md_json_fail(t.at, err, "%s given, expected string",
                                md_json_kind_text(t.kind));
        }
    } while (nest->depth > 0);
    return MD_OK;
}

md_status md_feed_read_json(md_feed *f, uint32_t i, md_json *r,
                            md_json_nest *nest, int64_t *n, bool via_float,
                            md_error *err)
{
    const md_serve_io *io = &f->model->inputs[i];
    md_json_item item = MD_JSON_F32;
    md_status s;

    if (io->dtype == MD_DTYPE_STRING) {
        s = read_strings(f, i, r, nest, n, err);
    } else if (item_of(io->dtype, &item) ||
               (via_float &&
                (io->dtype == MD_DTYPE_F16 || io->dtype == MD_DTYPE_BF16))) {
        s = read_numbers(f, i, r, nest, n, item, err);
    } else {
        return md_fail(err, MD_INVALID,
                       "input '%s': %s cannot be sent as JSON; use the binary "
                       "format",
                       io->name, md_dtype_name(io->dtype));
    }
    return s == MD_OK ? MD_OK : md_wrap(err, s, "input '%s': ", io->name);
}

/* ---- raw bytes ---- */

static md_status read_raw_strings(md_feed *f, uint32_t i, int64_t n,
                                  const unsigned char *p, size_t size,
                                  md_error *err)
{
    const char *name = f->model->inputs[i].name;
    md_buf *b = f->call->scratch;

    MD_TRY(begin(f, i, err));
    for (int64_t k = 0; k < n; k++) {
        uint32_t length;
        md_str s;

        if (size < 4)
            return md_fail(err, MD_INVALID,
                           "input '%s': %lld strings given, %lld expected",
                           name, (long long)k, (long long)n);
        memcpy(&length, p, 4);
        if (length > size - 4)
            return md_fail(err, MD_INVALID,
                           "input '%s': string of %u bytes given, %zu bytes "
                           "are left",
                           name, length, size - 4);
        s.p = (const char *)p + 4;
        s.n = length;
        MD_TRY(md_buf_append(b, &s, sizeof(s), err));
        p += 4 + (size_t)length;
        size -= 4 + (size_t)length;
    }
    if (size)
        return md_fail(err, MD_INVALID,
                       "input '%s': %zu bytes follow the last string", name,
                       size);
    return MD_OK;
}

md_status md_feed_read_text(md_feed *f, uint32_t i, const md_shape *shape,
                            const void *data, size_t size, md_error *err)
{
    const md_str s = { data, size };

    f->inputs[i].shape = *shape;
    f->inputs[i].given = true;
    MD_TRY(begin(f, i, err));
    return md_buf_append(f->call->scratch, &s, sizeof(s), err);
}

/* Numbers: a body is not aligned; a copy is cheaper than kernels that care. */
static md_status read_raw_numbers(md_feed *f, uint32_t i, int64_t n,
                                  md_feed_source *source, void *ctx,
                                  size_t size, md_error *err)
{
    const md_serve_io *io = &f->model->inputs[i];
    unsigned char *to = NULL;
    size_t want;

    if (!md_dtype_size(&want, io->dtype, n) || want != size)
        return md_fail(err, MD_INVALID,
                       "input '%s': %zu bytes given, %zu expected for its "
                       "shape and %s",
                       io->name, size, want, md_dtype_name(io->dtype));
    MD_TRY(md_feed_reserve(f, i, n, (void **)&to, err));
    if (size)
        MD_TRY(source(ctx, to, err));
    if (io->dtype == MD_DTYPE_BOOL)
        for (size_t k = 0; k < size; k++)
            to[k] = to[k] != 0;
    return MD_OK;
}

static md_status give_raw(md_feed *f, uint32_t i, const md_shape *shape,
                          int64_t *n, md_error *err)
{
    MD_TRY(md_shape_count(n, shape, err));
    f->inputs[i].shape = *shape;
    f->inputs[i].given = true;
    return MD_OK;
}

static md_status copy_bytes(void *ctx, void *to, md_error *err)
{
    const md_str *from = ctx;

    (void)err;
    memcpy(to, from->p, from->n);
    return MD_OK;
}

md_status md_feed_read_raw(md_feed *f, uint32_t i, const md_shape *shape,
                           const void *data, size_t size, md_error *err)
{
    md_str from = { data, size };
    int64_t n;

    MD_TRY(give_raw(f, i, shape, &n, err));
    if (f->model->inputs[i].dtype == MD_DTYPE_STRING)
        return read_raw_strings(f, i, n, data, size, err);
    return read_raw_numbers(f, i, n, copy_bytes, &from, size, err);
}

md_status md_feed_read_from(md_feed *f, uint32_t i, const md_shape *shape,
                            md_feed_source *source, void *ctx, size_t size,
                            md_error *err)
{
    void *bytes = NULL;
    int64_t n;

    MD_TRY(give_raw(f, i, shape, &n, err));
    if (f->model->inputs[i].dtype != MD_DTYPE_STRING)
        return read_raw_numbers(f, i, n, source, ctx, size, err);
    MD_TRY(md_call_alloc(f->call, &bytes, size, 1, err));
    if (size)
        MD_TRY(source(ctx, bytes, err));
    return read_raw_strings(f, i, n, bytes, size, err);
}

/* ---- running ---- */

static md_status list_missing(const md_feed *f, md_error *err)
{
    for (uint32_t i = 0; i < f->model->n_inputs; i++)
        if (!f->inputs[i].given)
            return md_fail(err, MD_INVALID,
                           "input '%s' of model '%s' is missing",
                           f->model->inputs[i].name, f->model->name);
    return MD_OK;
}

/* With max_batch the first axis of every input is the same batch. */
static md_status check_batch(const md_feed *f, uint32_t i, md_error *err)
{
    const md_serve_model *m = f->model;
    int64_t rows;

    if (m->max_batch == 0)
        return MD_OK;
    rows = f->inputs[i].shape.dim[0];
    if (rows > m->max_batch)
        return md_fail(err, MD_INVALID,
                       "inference request batch-size must be <= %lld for '%s', "
                       "%lld given",
                       (long long)m->max_batch, m->name, (long long)rows);
    if (rows != f->inputs[0].shape.dim[0])
        return md_fail(err, MD_INVALID,
                       "inputs '%s' and '%s' for model '%s': batches of %lld "
                       "and %lld given, the same expected",
                       m->inputs[0].name, m->inputs[i].name, m->name,
                       (long long)f->inputs[0].shape.dim[0], (long long)rows);
    return MD_OK;
}

md_status md_feed_check(const md_feed *f, md_error *err)
{
    MD_TRY(list_missing(f, err));
    for (uint32_t i = 0; i < f->model->n_inputs; i++) {
        MD_TRY(md_serve_io_check(f->model, &f->model->inputs[i],
                                 &f->inputs[i].shape, err));
        MD_TRY(check_batch(f, i, err));
    }
    return MD_OK;
}

md_status md_feed_run(md_feed *f, md_buf *inputs, int width, md_error *err)
{
    const md_serve_engine *e = f->model->engine;
    const unsigned char *base;
    md_shape *shapes = NULL;
    md_status s;

    MD_TRY(md_call_alloc(f->call, &shapes, f->model->n_inputs, sizeof(*shapes),
                         err));
    for (uint32_t i = 0; i < f->model->n_inputs; i++)
        shapes[i] = f->inputs[i].shape;
    /* Also an empty tensor's data must point somewhere. */
    MD_TRY(md_buf_reserve(inputs, 1, err));
    base = inputs->data;
    MD_TRY(e->acquire(f->model->ctx, &f->run, shapes, err));
    for (uint32_t i = 0; i < f->model->n_inputs; i++)
        e->bind(f->run, i, base + f->inputs[i].at);
    s = e->execute(f->run, width, err);
    if (e->ran)
        e->ran(f->run, 1);
    if (s != MD_OK)
        md_feed_release(f);
    return s;
}

const md_tensor *md_feed_output(const md_feed *f, uint32_t i)
{
    if (f->outputs)
        return &f->outputs[i];
    return f->model->engine->output(f->run, i);
}
