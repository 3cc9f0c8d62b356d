/*
 * The value of "instances" or "inputs" is skipped first, since members come in
 * any order, and then read in one pass for each input: rows of several inputs
 * lie side by side there, and each input's values have to lie together here.
 */
#include <string.h>

#include "serve/tfs.h"

/* NaN and infinities are told as bare words, both ways. */
static const md_json_opts OPTS = { .depth_max = MD_LIMIT_JSON_DEPTH,
                                   .nonfinite = true };

typedef struct parser {
    md_tfs_request *r;
    const md_serve_model *model;
    const char *text; /* of the value */
    size_t size;
    bool examples;       /* of classify and regress */
    const char *context; /* of them: features that all have; NULL: none */
    size_t context_size;
    size_t context_left; /* bytes of it that may still be read again */
} parser;

/* ---- values ---- */

static md_status check_rank(const parser *p, uint32_t i, int rank,
                            md_error *err)
{
    if (rank <= MD_RANK_MAX)
        return MD_OK;
    return md_fail(err, MD_INVALID,
                   "input '%s': %d nested arrays given, at most %d expected",
                   p->model->inputs[i].name, rank, MD_RANK_MAX);
}

static void shape_of(md_shape *out, const md_json_nest *nest)
{
    out->rank = nest->rank;
    for (int k = 0; k < nest->rank; k++)
        out->dim[k] = nest->dims[k] < 0 ? 0 : nest->dims[k];
}

/* One value, all of input i. */
static md_status read_whole(parser *p, uint32_t i, md_json *r, md_error *err)
{
    md_feed *f = &p->r->feed;
    md_json_nest nest;
    int64_t n;

    if (f->inputs[i].given)
        return md_fail(err, MD_INVALID, "input '%s' is given twice",
                       p->model->inputs[i].name);
    MD_TRY(md_feed_read_json(f, i, r, &nest, &n, true, err));
    MD_TRY(check_rank(p, i, nest.rank, err));
    shape_of(&f->inputs[i].shape, &nest);
    f->inputs[i].given = true;
    return MD_OK;
}

/* The next row's value of input i, behind those of the rows before. */
static md_status read_row(parser *p, uint32_t i, int64_t row, md_json *r,
                          md_error *err)
{
    md_feed *f = &p->r->feed;
    md_feed_input *in = &f->inputs[i];
    md_buf *b = f->call->scratch;
    const size_t first = in->at;
    const size_t end = b->size;
    md_json_nest nest;
    md_shape shape = { .rank = 1 };
    int64_t n;

    MD_TRY(md_feed_read_json(f, i, r, &nest, &n, true, err));
    MD_TRY(check_rank(p, i, nest.rank + 1, err));
    shape_of(&shape, &nest);
    memmove(shape.dim + 1, shape.dim,
            (size_t)shape.rank * sizeof(shape.dim[0]));
    shape.dim[0] = row + 1;
    shape.rank++;
    if (row > 0) {
        const size_t size = b->size - in->at;

        in->shape.dim[0] = row + 1;
        if (shape.rank != in->shape.rank ||
            memcmp(shape.dim, in->shape.dim,
                   (size_t)shape.rank * sizeof(shape.dim[0])) != 0)
            return md_fail(err, MD_INVALID,
                           "input '%s': instance %lld has another shape than "
                           "the first",
                           p->model->inputs[i].name, (long long)row);
        memmove(b->data + end, b->data + in->at, size);
        b->size = end + size;
        in->at = first;
    }
    in->shape = shape;
    return MD_OK;
}

/* ---- objects with a value for each input ---- */

static md_status find_input(const parser *p, const md_json_token *t, int *i,
                            md_error *err)
{
    md_str name;

    MD_TRY(md_json_string(t, md_http_request_arena(p->r->feed.call->http),
                          &name.p, &name.n, err));
    *i = md_serve_model_find_input(p->model, name);
    if (*i < 0 && !p->examples) /* features that nobody reads do no harm */
        return md_fail(
            err, MD_INVALID, "unexpected input '%.*s' for model '%s'",
            name.n > 100 ? 100 : (int)name.n, name.p, p->model->name);
    return MD_OK;
}

static md_status read_columns(parser *p, md_json *r, md_error *err)
{
    md_json_token t;

    MD_TRY(md_json_expect(r, MD_JSON_OBJECT, &t, err));
    for (;;) {
        int i;

        MD_TRY(md_json_next(r, &t, err));
        if (t.kind == MD_JSON_OBJECT_END)
            return MD_OK;
        MD_TRY(find_input(p, &t, &i, err));
        MD_TRY(read_whole(p, (uint32_t)i, r, err));
    }
}

/* Of an object for one row, the value of input `want`. */
static md_status read_member(parser *p, uint32_t want, int64_t row, md_json *r,
                             bool *given, md_error *err)
{
    md_json_token t;

    *given = false;
    MD_TRY(md_json_expect(r, MD_JSON_OBJECT, &t, err));
    for (;;) {
        int i;

        MD_TRY(md_json_next(r, &t, err));
        if (t.kind == MD_JSON_OBJECT_END)
            return MD_OK;
        MD_TRY(find_input(p, &t, &i, err));
        if (i != (int)want) {
            MD_TRY(md_json_skip(r, &t, err));
            continue;
        }
        if (*given)
            return md_json_fail(t.at, err, "input '%s' is given twice",
                                p->model->inputs[i].name);
        *given = true;
        MD_TRY(read_row(p, want, row, r, err));
    }
}

/* What an example lacks.  A long context for many examples would be read for
 * longer than any request is worth. */
static md_status read_context(parser *p, uint32_t want, int64_t row,
                              bool *given, md_error *err)
{
    md_json r;

    if (p->context_left < p->context_size)
        return md_fail(err, MD_TOO_LARGE,
                       "context of %zu bytes given for more than %lld "
                       "examples that need it, fewer expected",
                       p->context_size, (long long)row);
    p->context_left -= p->context_size;
    md_json_init(&r, p->context, p->context_size, &OPTS);
    return read_member(p, want, row, &r, given, err);
}

static md_status read_row_object(parser *p, uint32_t want, int64_t row,
                                 md_json *r, md_error *err)
{
    bool given;

    MD_TRY(read_member(p, want, row, r, &given, err));
    if (!given && p->context)
        MD_TRY(read_context(p, want, row, &given, err));
    if (given)
        return MD_OK;
    return md_fail(err, MD_INVALID, "instance %lld has no input '%s'",
                   (long long)row, p->model->inputs[want].name);
}

static md_status read_row_objects(parser *p, md_error *err)
{
    for (uint32_t i = 0; i < p->model->n_inputs; i++) {
        int64_t row = 0;
        md_json_token t;
        md_json r;

        md_json_init(&r, p->text, p->size, &OPTS);
        MD_TRY(md_json_expect(&r, MD_JSON_ARRAY, &t, err));
        while (md_json_peek(&r) == MD_JSON_OBJECT)
            MD_TRY(read_row_object(p, i, row++, &r, err));
        MD_TRY(md_json_expect(&r, MD_JSON_ARRAY_END, &t, err));
        if (row == 0)
            return md_fail(err, MD_INVALID, "no example given");
        p->r->feed.inputs[i].given = true;
    }
    return MD_OK;
}

/* ---- the request ---- */

/* Does a value begin with an object that names inputs? */
static bool names_inputs(md_json r)
{
    md_json_token t;

    if (md_json_peek(&r) != MD_JSON_OBJECT ||
        md_json_expect(&r, MD_JSON_OBJECT, &t, NULL) != MD_OK)
        return false;
    return md_json_next(&r, &t, NULL) == MD_OK &&
           !(t.kind == MD_JSON_NAME && md_json_is(&t, "b64"));
}

static md_status read_value(parser *p, md_error *err)
{
    md_json_token t;
    md_json first;
    md_json r;

    md_json_init(&r, p->text, p->size, &OPTS);
    first = r;
    if (p->r->rows)
        MD_TRY(md_json_expect(&first, MD_JSON_ARRAY, &t, err));
    if (names_inputs(first))
        return p->r->rows ? read_row_objects(p, err) : read_columns(p, &r, err);
    if (p->model->n_inputs == 1)
        return read_whole(p, 0, &r, err);
    return md_fail(err, MD_INVALID,
                   "model '%s' has %u inputs: objects with a value for each "
                   "expected",
                   p->model->name, p->model->n_inputs);
}

md_status md_tfs_check_signature(const char *name, size_t size, md_error *err)
{
    static const char only[] = "serving_default";

    if (size == 0 ||
        (size == sizeof(only) - 1 && memcmp(name, only, size) == 0))
        return MD_OK;
    return md_fail(err, MD_INVALID,
                   "signature_name '%.*s' given, '%s' expected",
                   size > 60 ? 60 : (int)size, name, only);
}

static md_status take_signature(md_json *r, md_error *err)
{
    md_json_token t;

    MD_TRY(md_json_expect(r, MD_JSON_STRING, &t, err));
    return md_tfs_check_signature(t.text, t.size, err);
}

/* Note where the value is that comes next. */
static md_status skip_value(const char **text, size_t *left, md_json *r,
                            md_slice body, md_error *err)
{
    md_json_token t;

    MD_TRY(md_json_next(r, &t, err));
    *text = body.data + t.at;
    *left = body.size - t.at;
    return md_json_skip(r, &t, err);
}

/* A member of the request, whose name is t. */
static md_status take_member(parser *p, const md_json_token *t, md_json *r,
                             md_slice body, md_error *err)
{
    const bool rows = md_json_is(t, p->examples ? "examples" : "instances");

    if (rows || (!p->examples && md_json_is(t, "inputs"))) {
        if (p->text)
            return md_fail(err, MD_INVALID,
                           p->examples
                               ? "'examples' is given twice"
                               : "one of 'instances' and 'inputs' expected, "
                                 "once");
        p->r->rows = rows;
        return skip_value(&p->text, &p->size, r, body, err);
    }
    if (p->examples && md_json_is(t, "context")) {
        MD_TRY(skip_value(&p->context, &p->context_size, r, body, err));
        /* Nothing behind it is read. */
        p->context_size = (size_t)((const char *)r->at - p->context);
        return MD_OK;
    }
    if (md_json_is(t, "signature_name"))
        return take_signature(r, err);
    return md_json_skip(r, t, err);
}

static md_status find_value(parser *p, md_slice body, md_error *err)
{
    md_json_token t;
    md_json r;

    md_json_init(&r, body.data, body.size, &OPTS);
    MD_TRY(md_json_expect(&r, MD_JSON_OBJECT, &t, err));
    for (;;) {
        MD_TRY(md_json_next(&r, &t, err));
        if (t.kind == MD_JSON_OBJECT_END)
            break;
        MD_TRY(take_member(p, &t, &r, body, err));
    }
    MD_TRY(md_json_expect(&r, MD_JSON_END, &t, err));
    if (!p->text)
        return md_fail(err, MD_INVALID,
                       p->examples
                           ? "request has no 'examples'"
                           : "request has neither 'instances' nor 'inputs'");
    return MD_OK;
}

static md_status parse(parser *p, md_call *call, md_error *err)
{
    md_tfs_request *r = p->r;

    r->feed.base64 = true;
    MD_TRY(find_value(p, md_http_request_body(call->http), err));
    MD_TRY(p->examples ? read_row_objects(p, err) : read_value(p, err));
    if (r->rows && r->feed.inputs[0].shape.rank > 0)
        r->batch = r->feed.inputs[0].shape.dim[0];
    return MD_OK;
}

md_status md_tfs__parse(void *request, md_call *call, void *ctx, md_error *err)
{
    parser p = { .r = request, .model = call->model };

    (void)ctx;
    return parse(&p, call, err);
}

void md_tfs_shape_features(md_feed_input *in, const md_serve_io *io)
{
    const int64_t sample = md_serve_io_sample(io);
    const int64_t rows = in->shape.dim[0];

    if (sample == 0 || rows == 0 || md_shape_n(&in->shape) != rows * sample)
        return;
    in->shape = io->shape;
    in->shape.dim[0] = rows;
}

md_status md_tfs__parse_examples(void *request, md_call *call, void *ctx,
                                 md_error *err)
{
    parser p = { .r = request,
                 .model = call->model,
                 .examples = true,
                 .context_left = call->scratch->limit };
    md_tfs_request *r = request;

    (void)ctx;
    MD_TRY(parse(&p, call, err));
    for (uint32_t i = 0; i < p.model->n_inputs; i++)
        md_tfs_shape_features(&r->feed.inputs[i], &p.model->inputs[i]);
    return MD_OK;
}
