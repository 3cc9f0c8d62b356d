#include "serve/predict.h"

#include <math.h>
#include <string.h>

#include "base/size.h"
#include "image/image.h"
#include "serve/image_input.h"
#include "serve/nested.h"

typedef struct predict {
    md_feed feed;
    bool single; /* one sample without batch axis: so is the answer */
} predict;

/* ---- shapes as people write them ---- */

/* Without axes of one element, from axis `from` on. */
static int squeeze(int64_t out[MD_RANK_MAX], const int64_t *dims, int from,
                   int rank)
{
    int n = 0;

    for (int i = from; i < rank; i++)
        if (dims[i] != 1)
            out[n++] = dims[i];
    return n;
}

static bool equal_dims(const int64_t *want, const int64_t *got, int n)
{
    for (int i = 0; i < n; i++)
        if (want[i] != -1 && want[i] != got[i])
            return false;
    return true;
}

/* A given shape of the model's own rank, or of one less: a single sample. */
static bool fits_as_is(md_shape *out, bool *single, const md_serve_io *io,
                       const md_shape *got)
{
    const md_shape *want = &io->shape;
    bool batched = want->rank > 0 && (want->dim[0] == -1 || want->dim[0] == 1);

    if (!io->has_rank || (got->rank == want->rank &&
                          equal_dims(want->dim, got->dim, want->rank))) {
        *out = *got;
        *single = false;
        return true;
    }
    if (!batched || got->rank != want->rank - 1 ||
        !equal_dims(want->dim + 1, got->dim, got->rank))
        return false;
    out->rank = want->rank;
    out->dim[0] = 1;
    memcpy(out->dim + 1, got->dim, sizeof(int64_t) * (size_t)got->rank);
    *single = true;
    return true;
}

/* Flat, or with axes of one element more or less: when a sample's size is
 * fixed, the number of values tells how many there are. */
static bool fits_by_count(md_shape *out, bool *single, const md_serve_io *io,
                          const md_shape *got)
{
    int64_t sample = md_serve_io_sample(io);
    int64_t n = md_shape_n(got);
    int64_t want[MD_RANK_MAX];
    int64_t have[MD_RANK_MAX];
    int n_want;
    int n_have;

    if (sample == 0 || n == 0 || n % sample != 0 ||
        (n != sample && io->shape.dim[0] == 1))
        return false;
    n_want = squeeze(want, io->shape.dim, 1, io->shape.rank);
    n_have = squeeze(have, got->dim, 0, got->rank);
    if (got->rank > 1 &&
        !(n_have == n_want && equal_dims(want, have, n_have)) &&
        !(n_have == n_want + 1 && equal_dims(want, have + 1, n_want)))
        return false;
    *out = io->shape;
    out->dim[0] = n / sample;
    *single = n == sample;
    return true;
}

static md_status set_shape(predict *p, uint32_t i, const md_json_nest *nest,
                           md_error *err)
{
    const md_serve_model *m = p->feed.model;
    md_shape got = { .rank = nest->rank };
    bool single;

    if (nest->rank > MD_RANK_MAX)
        return md_fail(err, MD_INVALID,
                       "input '%s': %d nested arrays given, at most %d "
                       "expected",
                       m->inputs[i].name, nest->rank, MD_RANK_MAX);
    for (int k = 0; k < nest->rank; k++)
        got.dim[k] = nest->dims[k] < 0 ? 0 : nest->dims[k];
    if (!fits_as_is(&p->feed.inputs[i].shape, &single, &m->inputs[i], &got) &&
        !fits_by_count(&p->feed.inputs[i].shape, &single, &m->inputs[i], &got))
        return md_serve_io_check(m, &m->inputs[i], &got, err);
    p->feed.inputs[i].given = true;
    p->single |= single;
    return MD_OK;
}

/* ---- JSON ---- */

static md_status read_input(predict *p, uint32_t i, md_json *r, md_error *err)
{
    md_json_nest nest;
    int64_t n;

    MD_TRY(md_feed_read_json(&p->feed, i, r, &nest, &n, true, err));
    return set_shape(p, i, &nest, err);
}

/* {"name": values, ...} of a model with several inputs. */
static md_status read_named(predict *p, md_json *r, md_error *err)
{
    const md_serve_model *m = p->feed.model;
    md_json_token t;

    MD_TRY(md_json_expect(r, MD_JSON_OBJECT, &t, err));
    for (;;) {
        md_str name;
        int i;

        MD_TRY(md_json_next(r, &t, err));
        if (t.kind == MD_JSON_OBJECT_END)
            return MD_OK;
        MD_TRY(md_json_string(&t, md_http_request_arena(p->feed.call->http),
                              &name.p, &name.n, err));
        i = md_serve_model_find_input(m, name);
        if (i < 0)
            return md_fail(err, MD_INVALID,
                           "unexpected input '%.*s' for model '%s'",
                           name.n > 100 ? 100 : (int)name.n, name.p, m->name);
        if (p->feed.inputs[i].given)
            return md_fail(err, MD_INVALID, "input '%s' is given twice",
                           m->inputs[i].name);
        MD_TRY(read_input(p, (uint32_t)i, r, err));
    }
}

static md_status read_json(predict *p, md_slice body, md_error *err)
{
    const md_serve_model *m = p->feed.model;
    bool given = false;
    md_json r;
    md_json_token t;

    md_json_init(&r, body.data, body.size, NULL);
    MD_TRY(md_json_expect(&r, MD_JSON_OBJECT, &t, err));
    for (;;) {
        MD_TRY(md_json_next(&r, &t, err));
        if (t.kind == MD_JSON_OBJECT_END)
            break;
        if (!md_json_is(&t, "input_data")) {
            MD_TRY(md_json_skip(&r, &t, err));
            continue;
        }
        if (given)
            return md_json_fail(t.at, err, "'input_data' is given twice");
        given = true;
        if (md_json_peek(&r) == MD_JSON_OBJECT)
            MD_TRY(read_named(p, &r, err));
        else if (m->n_inputs == 1)
            MD_TRY(read_input(p, 0, &r, err));
        else
            return md_json_fail(t.at, err,
                                "'input_data': model '%s' has %u inputs, an "
                                "object with one array for each expected",
                                m->name, m->n_inputs);
    }
    MD_TRY(md_json_expect(&r, MD_JSON_END, &t, err));
    if (!given)
        return md_fail(err, MD_INVALID,
                       "request has no 'input_data', an array of numbers "
                       "expected");
    return MD_OK;
}

static md_status parse(void *request, md_call *call, void *ctx, md_error *err)
{
    md_slice body = md_http_request_body(call->http);
    predict *p = request;

    (void)ctx;
    if (md_call_has_type(call, "image/") ||
        (!md_call_has_type(call, "application/json") &&
         md_image_probe(body.data, body.size))) {
        p->single = true;
        return md_image_input_read(&p->feed, body.data, body.size, err);
    }
    if (md_call_has_type(call, "multipart/"))
        return md_fail(err, MD_MEDIA_TYPE,
                       "content type multipart is not supported: send the "
                       "picture itself as the body, as image/png or "
                       "image/jpeg, or JSON");
    return read_json(p, body, err);
}

/* ---- the answer ---- */

/* A single sample's answer loses its batch axis, where it has one. */
static void write_output(md_json_writer *w, const predict *p,
                         const md_tensor *t)
{
    bool strip = p->single && t->shape.rank > 0 && t->shape.dim[0] == 1;

    md_nested_write(w, t, strip ? 1 : 0, 0);
}

typedef struct best {
    int64_t index;
    double probability;
} best;

/* Scores that are probabilities already stay; others go through softmax. */
static best best_of(const md_tensor *t, int64_t at, int64_t n)
{
    best b = { 0, 0 };
    double max = -INFINITY;
    double sum = 0;
    double exps = 0;
    bool proper = true;

    for (int64_t i = 0; i < n; i++) {
        double v = md_tensor_get_f64(t, at + i);

        if (v > max) {
            max = v;
            b.index = i;
        }
        sum += v;
        proper = proper && v >= 0 && v <= 1;
    }
    for (int64_t i = 0; i < n; i++)
        exps += exp(md_tensor_get_f64(t, at + i) - max);
    b.probability = proper && fabs(sum - 1) < 1e-2 ? max : 1 / exps;
    return b;
}

/* One member with a value per row, or a bare one for a single sample. */
typedef void put_fn(md_json_writer *w, const md_serve_model *m, const best *b);

static void put_class(md_json_writer *w, const md_serve_model *m, const best *b)
{
    if (m->label_numbers)
        md_json_put_i64(w, m->label_numbers[b->index]);
    else
        md_json_put_str(w, m->labels[b->index]);
}

static void put_index(md_json_writer *w, const md_serve_model *m, const best *b)
{
    (void)m;
    md_json_put_i64(w, b->index);
}

static void put_probability(md_json_writer *w, const md_serve_model *m,
                            const best *b)
{
    (void)m;
    md_json_put_f32(w, (float)b->probability);
}

static void write_rows(md_json_writer *w, const predict *p, const char *name,
                       const best *rows, int64_t n, put_fn *put)
{
    md_json_put_name(w, name);
    if (!p->single)
        md_json_put_array(w);
    for (int64_t i = 0; i < n; i++)
        put(w, p->feed.model, &rows[i]);
    if (!p->single)
        md_json_put_end(w);
}

/* Only for scores [N, n_labels] of numbers. */
static md_status write_classes(md_json_writer *w, const predict *p,
                               const md_tensor *t, md_error *err)
{
    const md_serve_model *m = p->feed.model;
    int64_t n_rows = t->shape.dim[0];
    best *rows;

    if (m->n_labels == 0 || t->shape.rank != 2 ||
        t->shape.dim[1] != m->n_labels || (p->single && n_rows != 1) ||
        !(md_dtype_is_float(t->dtype) || md_dtype_is_integer(t->dtype)))
        return MD_OK;
    MD_TRY(
        md_call_alloc(p->feed.call, &rows, (size_t)n_rows, sizeof(*rows), err));
    for (int64_t i = 0; i < n_rows; i++)
        rows[i] = best_of(t, i * m->n_labels, m->n_labels);
    write_rows(w, p, "class", rows, n_rows, put_class);
    write_rows(w, p, "class_index", rows, n_rows, put_index);
    write_rows(w, p, "probability", rows, n_rows, put_probability);
    return MD_OK;
}

static md_status write(const void *request, void *ctx, md_error *err)
{
    const predict *p = request;
    const md_serve_model *m = p->feed.model;
    md_json_writer w;

    (void)ctx;
    MD_TRY(md_call_json(p->feed.call, &w, err));
    md_json_put_object(&w);
    md_json_put_name(&w, "model");
    md_json_put_str(&w, m->name);
    md_json_put_name(&w, "output");
    if (m->n_outputs == 1) {
        write_output(&w, p, md_feed_output(&p->feed, 0));
    } else {
        md_json_put_object(&w);
        for (uint32_t i = 0; i < m->n_outputs; i++) {
            md_json_put_name(&w, m->outputs[i].name);
            write_output(&w, p, md_feed_output(&p->feed, i));
        }
        md_json_put_end(&w);
    }
    if (m->labelled < m->n_outputs)
        MD_TRY(
            write_classes(&w, p, md_feed_output(&p->feed, m->labelled), err));
    md_json_put_end(&w);
    return md_json_finish(&w, err);
}

const md_infer_form md_predict_form = { sizeof(predict), parse, write };
