#include "serve/v2.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

/* ---- classification: BYTES "value:index[:label]", best first ---- */

/* The next best class behind (value, index) in order of falling value, ties
 * by index; -1 at the end, and when a value is NaN, which is in no order. */
static int64_t next_best(const md_tensor *t, int64_t row, int64_t n,
                         int64_t last)
{
    double limit = last >= 0 ? md_tensor_get_f64(t, row * n + last) : 0;
    double best_value = 0;
    int64_t best = -1;

    for (int64_t i = 0; i < n; i++) {
        double v = md_tensor_get_f64(t, row * n + i);

        if (isnan(v))
            return -1;
        if (last >= 0 && !(v < limit || (v == limit && i > last)))
            continue;
        if (best < 0 || v > best_value) {
            best = i;
            best_value = v;
        }
    }
    return best;
}

static void write_class(md_json_writer *w, const md_serve_model *m,
                        uint32_t output, const md_tensor *t, int64_t at,
                        int64_t i)
{
    bool labelled = output == m->labelled && i < (int64_t)m->n_labels;
    char text[256];

    (void)snprintf(text, sizeof(text), "%f:%lld%s%.180s",
                   md_tensor_get_f64(t, at), (long long)i, labelled ? ":" : "",
                   labelled ? m->labels[i] : "");
    md_json_put_str(w, text);
}

/* [rows, n], an output, becomes [rows, k] strings. */
static md_status write_classes(md_json_writer *w, const md_serve_model *m,
                               uint32_t output, const md_tensor *t, uint32_t k,
                               md_error *err)
{
    int rank = t->shape.rank;
    int64_t n = rank ? t->shape.dim[rank - 1] : 1;
    int64_t rows = rank > 1 ? t->shape.dim[0] : 1;

    if (rank > 2 ||
        !(md_dtype_is_float(t->dtype) || md_dtype_is_integer(t->dtype)))
        return md_fail(err, MD_INVALID,
                       "classification: an output of numbers with shape "
                       "[N,classes] expected");
    if (k > n)
        k = (uint32_t)n;
    md_json_put_name(w, "datatype");
    md_json_put_str(w, "BYTES");
    md_json_put_name(w, "shape");
    md_json_put_array(w);
    if (rank > 1)
        md_json_put_i64(w, rows);
    md_json_put_i64(w, k);
    md_json_put_end(w);
    md_json_put_name(w, "data");
    md_json_put_array(w);
    for (int64_t row = 0; row < rows; row++) {
        int64_t i = -1;

        for (uint32_t j = 0; j < k; j++) {
            i = next_best(t, row, n, i);
            if (i < 0)
                return md_fail(err, MD_INVALID,
                               "classification: the output has values that "
                               "are not numbers");
            write_class(w, m, output, t, row * n + i, i);
        }
    }
    md_json_put_end(w);
    return MD_OK;
}

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

static size_t raw_size(const md_tensor *t)
{
    size_t n = 0;

    if (t->dtype != MD_DTYPE_STRING)
        return md_tensor_size(t);
    for (int64_t i = 0; i < md_tensor_n(t); i++)
        n += 4 + ((const md_str *)t->data)[i].n;
    return n;
}

static md_status append_raw(md_buf *out, const md_tensor *t, md_error *err)
{
    if (t->dtype != MD_DTYPE_STRING)
        return md_buf_append(out, t->data, md_tensor_size(t), err);
    for (int64_t i = 0; i < md_tensor_n(t); i++) {
        const md_str *s = (const md_str *)t->data + i;
        uint32_t size = (uint32_t)s->n;

        MD_TRY(md_buf_append(out, &size, 4, err));
        MD_TRY(md_buf_append(out, s->p, s->n, err));
    }
    return MD_OK;
}

/* Can JSON hold it, and has the protocol a name for its type? */
static md_status check_output(const char *name, const md_tensor *t, bool binary,
                              md_error *err)
{
    if (!*md_dtype_v2_name(t->dtype))
        return md_fail(err, MD_UNSUPPORTED,
                       "output '%s': the protocol has no %s", name,
                       md_dtype_name(t->dtype));
    if (binary)
        return MD_OK;
    if (t->dtype == MD_DTYPE_F16 || t->dtype == MD_DTYPE_BF16)
        return md_fail(err, MD_INVALID,
                       "output '%s': %s cannot be sent as JSON; ask for "
                       "binary_data",
                       name, md_dtype_v2_name(t->dtype));
    return t->dtype == MD_DTYPE_STRING ? check_text(name, t, err) : MD_OK;
}

static void write_tensor(md_json_writer *w, const md_tensor *t, bool binary)
{
    md_json_put_name(w, "datatype");
    md_json_put_str(w, md_dtype_v2_name(t->dtype));
    md_json_put_name(w, "shape");
    md_json_put_array(w);
    for (int i = 0; i < t->shape.rank; i++)
        md_json_put_i64(w, t->shape.dim[i]);
    md_json_put_end(w);
    if (binary) {
        md_json_put_name(w, "parameters");
        md_json_put_object(w);
        md_json_put_name(w, "binary_data_size");
        md_json_put_u64(w, raw_size(t));
    } else {
        md_json_put_name(w, "data");
        md_json_put_array(w);
        write_values(w, t);
    }
    md_json_put_end(w);
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
        MD_TRY(write_classes(w, m, o->index, t, o->classes, err));
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
    return o->binary && !o->classes;
}

md_status md_v2_reply_write(const md_v2_request *r, md_error *err)
{
    md_http_request *http = r->feed.call->http;
    md_buf *body = md_http_reply_body(http);
    bool any_raw = false;
    char size[24];
    md_json_writer w;

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
            MD_TRY(append_raw(
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
        md_json_put_name(w, "shape");
        md_json_put_array(w);
        for (int k = 0; k < ios[i].shape.rank; k++)
            md_json_put_i64(w, ios[i].shape.dim[k]);
        md_json_put_end(w);
        md_json_put_end(w);
    }
    md_json_put_end(w);
}

void md_v2_model_write(md_json_writer *w, const md_serve_model *m)
{
    md_json_put_object(w);
    md_json_put_name(w, "name");
    md_json_put_str(w, m->name);
    md_json_put_name(w, "versions");
    md_json_put_array(w);
    md_json_put_str(w, m->version);
    md_json_put_end(w);
    md_json_put_name(w, "platform");
    md_json_put_str(w, m->platform);
    write_ios(w, "inputs", m->inputs, m->n_inputs);
    write_ios(w, "outputs", m->outputs, m->n_outputs);
    md_json_put_end(w);
}
