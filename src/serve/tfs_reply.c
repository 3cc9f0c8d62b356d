#include <string.h>

#include "base/base64.h"
#include "base/utf8.h"
#include "serve/nested.h"
#include "serve/tfs.h"

const char *md_tfs_dtype(md_dtype t)
{
    static const struct {
        md_dtype dtype;
        const char *name;
    } names[] = {
        { MD_DTYPE_F32, "DT_FLOAT" },       { MD_DTYPE_F64, "DT_DOUBLE" },
        { MD_DTYPE_I32, "DT_INT32" },       { MD_DTYPE_U8, "DT_UINT8" },
        { MD_DTYPE_I16, "DT_INT16" },       { MD_DTYPE_I8, "DT_INT8" },
        { MD_DTYPE_STRING, "DT_STRING" },   { MD_DTYPE_C64, "DT_COMPLEX64" },
        { MD_DTYPE_I64, "DT_INT64" },       { MD_DTYPE_BOOL, "DT_BOOL" },
        { MD_DTYPE_BF16, "DT_BFLOAT16" },   { MD_DTYPE_U16, "DT_UINT16" },
        { MD_DTYPE_C128, "DT_COMPLEX128" }, { MD_DTYPE_F16, "DT_HALF" },
        { MD_DTYPE_U32, "DT_UINT32" },      { MD_DTYPE_U64, "DT_UINT64" },
    };

    for (size_t i = 0; i < MD_COUNT(names); i++)
        if (names[i].dtype == t)
            return names[i].name;
    return "DT_INVALID";
}

/* Strings of outputs so named go as base64. */
static bool is_bytes(const char *name)
{
    static const char end[] = "_bytes";
    const size_t n = strlen(name);

    return n >= sizeof(end) - 1 &&
           strcmp(name + n - (sizeof(end) - 1), end) == 0;
}

static md_status put_base64(md_json_writer *w, const md_tfs_request *r,
                            const md_str *s, md_error *err)
{
    const size_t n = md_base64_encoded_size(s->n);
    char *text = NULL;

    MD_TRY(md_call_alloc(r->feed.call, &text, n, 1, err));
    md_base64_encode(text, s->p, s->n);
    md_json_put_object(w);
    md_json_put_name(w, "b64");
    md_json_put_strn(w, text, n);
    md_json_put_end(w);
    return MD_OK;
}

/* As md_nested_write, of strings that are bytes. */
static md_status put_bytes(md_json_writer *w, const md_tfs_request *r,
                           const md_tensor *t, int axis, int64_t at,
                           md_error *err)
{
    const md_str *s = (const md_str *)t->data + at;
    int64_t step;

    if (axis == t->shape.rank)
        return put_base64(w, r, s, err);
    step = md_shape_span(&t->shape, axis + 1, t->shape.rank);
    md_json_put_array(w);
    for (int64_t i = 0; i < t->shape.dim[axis]; i++)
        MD_TRY(put_bytes(w, r, t, axis + 1, at + i * step, err));
    md_json_put_end(w);
    return MD_OK;
}

static md_status put_value(md_json_writer *w, const md_tfs_request *r,
                           uint32_t output, int axis, int64_t at, md_error *err)
{
    const md_tensor *t = md_feed_output(&r->feed, output);

    if (t->dtype == MD_DTYPE_STRING &&
        is_bytes(r->feed.model->outputs[output].name))
        return put_bytes(w, r, t, axis, at, err);
    md_nested_write(w, t, axis, at);
    return MD_OK;
}

/* Is it something that JSON has, with a row for each instance? */
static md_status check_output(const md_tfs_request *r, uint32_t i,
                              md_error *err)
{
    const md_tensor *t = md_feed_output(&r->feed, i);
    const char *name = r->feed.model->outputs[i].name;

    if (t->dtype == MD_DTYPE_C64 || t->dtype == MD_DTYPE_C128)
        return md_fail(err, MD_UNSUPPORTED, "output '%s': JSON has no %s", name,
                       md_dtype_name(t->dtype));
    if (r->rows && (t->shape.rank == 0 || t->shape.dim[0] != r->batch))
        return md_fail(err, MD_INVALID,
                       "output '%s' has no row for each of %lld instances: "
                       "ask by 'inputs'",
                       name, (long long)r->batch);
    if (t->dtype != MD_DTYPE_STRING || is_bytes(name))
        return MD_OK;
    for (int64_t k = 0; k < md_tensor_n(t); k++) {
        const md_str *s = (const md_str *)t->data + k;

        if (!md_utf8_valid(s->p, s->n))
            return md_fail(err, MD_INVALID,
                           "output '%s': string %lld is not UTF-8, which only "
                           "outputs called ..._bytes may be",
                           name, (long long)k);
    }
    return MD_OK;
}

/* All outputs of one row (axis 1), or whole (axis 0). */
static md_status put_outputs(md_json_writer *w, const md_tfs_request *r,
                             int axis, int64_t row, md_error *err)
{
    const md_serve_model *m = r->feed.model;

    if (m->n_outputs != 1)
        md_json_put_object(w);
    for (uint32_t i = 0; i < m->n_outputs; i++) {
        const md_tensor *t = md_feed_output(&r->feed, i);
        const int64_t step =
            axis ? md_shape_span(&t->shape, 1, t->shape.rank) : 0;

        if (m->n_outputs != 1)
            md_json_put_name(w, m->outputs[i].name);
        MD_TRY(put_value(w, r, i, axis, row * step, err));
    }
    if (m->n_outputs != 1)
        md_json_put_end(w);
    return MD_OK;
}

static md_status reply(const void *request, void *ctx, md_error *err)
{
    const md_tfs_request *r = request;
    md_json_writer w;

    (void)ctx;
    for (uint32_t i = 0; i < r->feed.model->n_outputs; i++)
        MD_TRY(check_output(r, i, err));
    MD_TRY(md_call_json(r->feed.call, &w, err));
    w.nonfinite = MD_JSON_NONFINITE_LITERAL;
    md_json_put_object(&w);
    md_json_put_name(&w, r->rows ? "predictions" : "outputs");
    if (r->rows) {
        md_json_put_array(&w);
        for (int64_t row = 0; row < r->batch; row++)
            MD_TRY(put_outputs(&w, r, 1, row, err));
        md_json_put_end(&w);
    } else {
        MD_TRY(put_outputs(&w, r, 0, 0, err));
    }
    md_json_put_end(&w);
    return md_json_finish(&w, err);
}

/* ---- classify and regress ---- */

static bool is_number(const md_tensor *t)
{
    return md_dtype_is_float(t->dtype) || md_dtype_is_integer(t->dtype);
}

static void put_class(md_json_writer *w, const md_serve_model *m,
                      const md_tensor *t, int64_t row, uint32_t i)
{
    md_json_put_array(w);
    md_json_put_str(w, m->labels[i]);
    md_json_put_f32(w, (float)md_tensor_get_f64(t, row * (int64_t)m->n_labels +
                                                       (int64_t)i));
    md_json_put_end(w);
}

static void begin_results(md_json_writer *w)
{
    w->nonfinite = MD_JSON_NONFINITE_LITERAL;
    md_json_put_object(w);
    md_json_put_name(w, "results");
    md_json_put_array(w);
}

static md_status end_results(md_json_writer *w, md_error *err)
{
    md_json_put_end(w);
    md_json_put_end(w);
    return md_json_finish(w, err);
}

md_status md_tfs_scores(const md_tfs_request *r, const md_tensor **out,
                        md_error *err)
{
    const md_serve_model *m = r->feed.model;
    const md_tensor *t;

    if (m->n_labels == 0 || !m->labels || m->labelled >= m->n_outputs)
        return md_fail(err, MD_INVALID,
                       "model '%s' has no labels to classify by", m->name);
    t = md_feed_output(&r->feed, m->labelled);
    if (t->shape.rank != 2 || t->shape.dim[0] != r->batch ||
        t->shape.dim[1] != m->n_labels || !is_number(t))
        return md_fail(err, MD_INVALID,
                       "output '%s' has no score for each of %lld examples "
                       "and %u labels",
                       m->outputs[m->labelled].name, (long long)r->batch,
                       m->n_labels);
    *out = t;
    return MD_OK;
}

static md_status reply_classes(const void *request, void *ctx, md_error *err)
{
    const md_tfs_request *r = request;
    const md_serve_model *m = r->feed.model;
    const md_tensor *t;
    md_json_writer w;

    (void)ctx;
    MD_TRY(md_tfs_scores(r, &t, err));
    MD_TRY(md_call_json(r->feed.call, &w, err));
    begin_results(&w);
    for (int64_t row = 0; row < r->batch; row++) {
        md_json_put_array(&w);
        for (uint32_t i = 0; i < m->n_labels; i++)
            put_class(&w, m, t, row, i);
        md_json_put_end(&w);
    }
    return end_results(&w, err);
}

md_status md_tfs_values(const md_tfs_request *r, const md_tensor **out,
                        md_error *err)
{
    const md_serve_model *m = r->feed.model;
    const md_tensor *t = md_feed_output(&r->feed, 0);

    if (m->n_outputs != 1 || !is_number(t) || md_tensor_n(t) != r->batch)
        return md_fail(err, MD_INVALID,
                       "model '%s' has no output of one number for each of "
                       "%lld examples",
                       m->name, (long long)r->batch);
    *out = t;
    return MD_OK;
}

static md_status reply_values(const void *request, void *ctx, md_error *err)
{
    const md_tfs_request *r = request;
    const md_tensor *t;
    md_json_writer w;

    (void)ctx;
    MD_TRY(md_tfs_values(r, &t, err));
    MD_TRY(md_call_json(r->feed.call, &w, err));
    begin_results(&w);
    for (int64_t row = 0; row < r->batch; row++)
        md_json_put_f32(&w, (float)md_tensor_get_f64(t, row));
    return end_results(&w, err);
}

/* ---- all of them ---- */

const md_infer_form md_tfs_predict = { sizeof(md_tfs_request), md_tfs__parse,
                                       reply };
const md_infer_form md_tfs_classify = { sizeof(md_tfs_request),
                                        md_tfs__parse_examples, reply_classes };
const md_infer_form md_tfs_regress = { sizeof(md_tfs_request),
                                       md_tfs__parse_examples, reply_values };

md_status md_tfs_run(md_call *call, const md_infer_form *form, md_error *err)
{
    MD_TRY(md_call_model(call, err));
    return md_infer_call(call, form, NULL, err);
}
