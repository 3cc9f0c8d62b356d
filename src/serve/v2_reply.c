#include "serve/v2.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "serve/server_impl.h"

/* ---- plain data ---- */

/* JSON has text; other bytes would come out as replacement characters. */
static md_status check_text(const char *name, const md_tensor *t, md_error *err)
{
    const md_str *s = t->data;
    int64_t n = md_tensor_n(t);

    for (int64_t i = 0; i < n; i++)
        if (!md_utf8_valid(s[i].p, s[i].n))
            return md_fail(err, MD_INVALID,
                           "output '%s': string %lld is not UTF-8; ask for "
                           "binary_data",
                           name, (long long)i);
    return MD_OK;
}

static void write_values(md_json_writer *w, const md_tensor *t)
{
    int64_t n = md_tensor_n(t);

    if (t->dtype == MD_DTYPE_F32) {
        md_json_put_f32s(w, t->data, (size_t)n);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        if (t->dtype == MD_DTYPE_STRING) {
            const md_str *s = (const md_str *)t->data + i;

            md_json_put_strn(w, s->p, s->n);
        } else if (t->dtype == MD_DTYPE_BOOL) {
            md_json_put_bool(w, ((const uint8_t *)t->data)[i] != 0);
        } else if (t->dtype == MD_DTYPE_U64) {
            md_json_put_u64(w, ((const uint64_t *)t->data)[i]);
        } else if (md_dtype_is_integer(t->dtype)) {
            md_json_put_i64(w, md_tensor_get_i64(t, i));
        } else {
            md_json_put_f64(w, md_tensor_get_f64(t, i));
        }
    }
}

/* Can the form hold it? */
static md_status check_output(const char *name, const md_tensor *t, bool binary,
                              md_error *err)
{
    MD_TRY(md_v2__check_type(name, t, err));
    if (binary)
        return MD_OK;
    if (t->dtype == MD_DTYPE_F16 || t->dtype == MD_DTYPE_BF16)
        return md_fail(err, MD_INVALID,
                       "output '%s': %s cannot be sent as JSON; ask for "
                       "binary_data",
                       name, md_dtype_v2_name(t->dtype));
    return t->dtype == MD_DTYPE_STRING ? check_text(name, t, err) : MD_OK;
}

static void put_shape(md_json_writer *w, const md_shape *shape)
{
    md_json_put_name(w, "shape");
    md_json_put_array(w);
    for (int i = 0; i < shape->rank; i++)
        md_json_put_i64(w, shape->dim[i]);
    md_json_put_end(w);
}

static void write_tensor(md_json_writer *w, const md_tensor *t, bool binary)
{
    md_json_put_name(w, "datatype");
    md_json_put_str(w, md_dtype_v2_name(t->dtype));
    put_shape(w, &t->shape);
    if (binary) {
        md_json_put_name(w, "parameters");
        md_json_put_object(w);
        md_json_put_name(w, "binary_data_size");
        md_json_put_u64(w, md_v2__raw_size(t));
    } else {
        md_json_put_name(w, "data");
        md_json_put_array(w);
        write_values(w, t);
    }
    md_json_put_end(w);
}

static void put_class(void *ctx, const char *text)
{
    md_json_put_str(ctx, text);
}

static md_status write_classes(md_json_writer *w, const md_v2_request *r,
                               const md_v2_output *o, const md_tensor *t,
                               md_error *err)
{
    md_shape shape;

    MD_TRY(md_v2__class_shape(t, o->classes, &shape, err));
    md_json_put_name(w, "datatype");
    md_json_put_str(w, "BYTES");
    put_shape(w, &shape);
    md_json_put_name(w, "data");
    md_json_put_array(w);
    MD_TRY(md_v2__each_class(r->feed.model, o->index, t, o->classes, put_class,
                             w, err));
    md_json_put_end(w);
    return MD_OK;
}

/* The values are where the client wants them; what is told of them is how many
 * bytes that were. */
static md_status write_shared(md_json_writer *w, const md_v2_request *r,
                              const md_v2_output *o, const md_tensor *t,
                              md_error *err)
{
    size_t size;

    MD_TRY(md_v2__write_shared(r, o, &size, err));
    md_json_put_name(w, "datatype");
    md_json_put_str(w, md_dtype_v2_name(t->dtype));
    put_shape(w, &t->shape);
    md_json_put_name(w, "parameters");
    md_json_put_object(w);
    md_json_put_name(w, "shared_memory_region");
    md_json_put_str(w, o->shared.region);
    if (o->shared.offset) {
        md_json_put_name(w, "shared_memory_offset");
        md_json_put_u64(w, o->shared.offset);
    }
    md_json_put_name(w, "shared_memory_byte_size");
    md_json_put_u64(w, size);
    md_json_put_end(w);
    return MD_OK;
}

static md_status write_output(md_json_writer *w, const md_v2_request *r,
                              const md_v2_output *o, md_error *err)
{
    const md_serve_model *m = r->feed.model;
    const md_tensor *t = md_feed_output(&r->feed, o->index);
    const char *name = m->outputs[o->index].name;

    md_json_put_object(w);
    md_json_put_name(w, "name");
    md_json_put_str(w, name);
    if (o->classes) {
        MD_TRY(write_classes(w, r, o, t, err));
    } else if (o->shared.region) {
        MD_TRY(md_v2__check_type(name, t, err));
        MD_TRY(write_shared(w, r, o, t, err));
    } else {
        MD_TRY(check_output(name, t, o->binary, err));
        write_tensor(w, t, o->binary);
    }
    md_json_put_end(w);
    return MD_OK;
}

static md_status write_json(md_json_writer *w, const md_v2_request *r,
                            md_error *err)
{
    const md_serve_model *m = r->feed.model;

    md_json_put_object(w);
    if (r->id) {
        md_json_put_name(w, "id");
        md_json_put_strn(w, r->id, r->id_size);
    }
    md_json_put_name(w, "model_name");
    md_json_put_str(w, m->name);
    md_json_put_name(w, "model_version");
    md_json_put_str(w, m->version);
    md_json_put_name(w, "outputs");
    md_json_put_array(w);
    for (uint32_t i = 0; i < r->n_outputs; i++)
        MD_TRY(write_output(w, r, &r->outputs[i], err));
    md_json_put_end(w);
    md_json_put_end(w);
    return md_json_finish(w, err);
}

static bool is_raw(const md_v2_output *o)
{
    return o->binary && !o->classes && !o->shared.region;
}

md_status md_v2__reply_rest(const void *request, void *ctx, md_error *err)
{
    const md_v2_request *r = request;
    md_http_request *http = r->feed.call->http;
    md_buf *body = md_http_reply_body(http);
    bool any_raw = false;
    char size[24];
    md_json_writer w;

    (void)ctx;
    for (uint32_t i = 0; i < r->n_outputs; i++)
        any_raw |= is_raw(&r->outputs[i]);
    if (!any_raw) {
        MD_TRY(md_call_json(r->feed.call, &w, err));
        return write_json(&w, r, err);
    }
    md_json_writer_init(&w, body);
    MD_TRY(write_json(&w, r, err));
    (void)snprintf(size, sizeof(size), "%zu", body->size);
    MD_TRY(md_http_reply_field(http, "Content-Type", "application/octet-stream",
                               err));
    MD_TRY(md_http_reply_field(http, "Inference-Header-Content-Length", size,
                               err));
    for (uint32_t i = 0; i < r->n_outputs; i++)
        if (is_raw(&r->outputs[i]))
            MD_TRY(md_v2__raw_append(
                body, md_feed_output(&r->feed, r->outputs[i].index), err));
    return MD_OK;
}

/* ---- metadata ---- */

static void write_ios(md_json_writer *w, const char *name,
                      const md_serve_io *ios, uint32_t n)
{
    md_json_put_name(w, name);
    md_json_put_array(w);
    for (uint32_t i = 0; i < n; i++) {
        const char *v2 = md_dtype_v2_name(ios[i].dtype);

        md_json_put_object(w);
        md_json_put_name(w, "name");
        md_json_put_str(w, ios[i].name);
        md_json_put_name(w, "datatype");
        md_json_put_str(w, *v2 ? v2 : md_dtype_name(ios[i].dtype));
        put_shape(w, &ios[i].shape);
        md_json_put_end(w);
    }
    md_json_put_end(w);
}

static void put_version(void *ctx, const md_model_row *row)
{
    if (row->served)
        md_json_put_str(ctx, row->version);
}

void md_v2_model_write(md_json_writer *w, const md_call *c)
{
    const md_serve_model *m = c->model;

    md_json_put_object(w);
    md_json_put_name(w, "name");
    md_json_put_str(w, m->name);
    md_json_put_name(w, "versions");
    md_json_put_array(w);
    md_models_each(c->server->models, m->name, put_version, w);
    md_json_put_end(w);
    md_json_put_name(w, "platform");
    md_json_put_str(w, m->platform);
    write_ios(w, "inputs", m->inputs, m->n_inputs);
    write_ios(w, "outputs", m->outputs, m->n_outputs);
    md_json_put_end(w);
}
