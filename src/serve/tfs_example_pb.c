/*
 * tf.Example: features by name, each a list of bytes, floats or integers.
 *
 * They are walked once for each input of the model, whose rows have to lie
 * together: once to see how many values an example has, and once to take them.
 */
#include <string.h>

#include "serve/proto.h"
#include "serve/tfs_pb.h"
#include "tensor/float.h"

/* The examples of a request. */
typedef struct examples {
    md_pb list; /* of ExampleList or ExampleListWithContext */
    bool has_context;
    md_pb context; /* an Example */
} examples;

/* A feature's list: of bytes, floats or integers, by its field number. */
typedef struct feature {
    uint32_t kind; /* 0: it is not there */
    md_pb list;
} feature;

/* ---- finding ---- */

/* One entry of map<string, Feature>: is it called `name`? */
static md_status take_entry(feature *out, md_pb entry, const char *name,
                            md_error *err)
{
    bool matches = false;
    md_pb value = md_pb_init(NULL, 0);
    md_pb_field f;

    for (;;) {
        MD_TRY(md_pb_next(&f, &entry, err));
        if (f.number == 0)
            break;
        if (f.number == 1)
            matches = md_pb_text_equal(&f, name);
        else if (f.number == 2)
            MD_TRY(md_pb_message(&value, &f, err));
    }
    if (!matches)
        return MD_OK;
    *out = (feature){ 0 };
    for (;;) {
        MD_TRY(md_pb_next(&f, &value, err));
        if (f.number == 0)
            return MD_OK;
        if (f.number >= MD_PB_Feature_bytes_list &&
            f.number <= MD_PB_Feature_int64_list) {
            out->kind = f.number;
            MD_TRY(md_pb_message(&out->list, &f, err));
        }
    }
}

static md_status find_feature(feature *out, md_pb example, const char *name,
                              md_error *err)
{
    md_pb features = md_pb_init(NULL, 0);
    md_pb_field f;

    *out = (feature){ 0 };
    for (;;) {
        MD_TRY(md_pb_next(&f, &example, err));
        if (f.number == 0)
            break;
        if (f.number == MD_PB_Example_features)
            MD_TRY(md_pb_message(&features, &f, err));
    }
    for (;;) {
        md_pb entry;

        MD_TRY(md_pb_next(&f, &features, err));
        if (f.number == 0)
            return MD_OK;
        if (f.number != MD_PB_Features_feature)
            continue;
        MD_TRY(md_pb_message(&entry, &f, err));
        MD_TRY(take_entry(out, entry, name, err));
    }
}

/* The next example; *there false at the end. */
static md_status next_example(md_pb *list, md_pb *out, bool *there,
                              md_error *err)
{
    md_pb_field f;

    do {
        MD_TRY(md_pb_next(&f, list, err));
    } while (f.number != MD_PB_ExampleList_examples && f.number != 0);
    *there = f.number != 0;
    return *there ? md_pb_message(out, &f, err) : MD_OK;
}

/* Of one example, or else of the context. */
static md_status feature_of(feature *out, const feature *context, md_pb example,
                            const char *name, int64_t row, md_error *err)
{
    MD_TRY(find_feature(out, example, name, err));
    if (out->kind == 0)
        *out = *context;
    if (out->kind)
        return MD_OK;
    return md_fail(err, MD_INVALID, "example %lld has no feature '%s'",
                   (long long)row, name);
}

/* ---- values ---- */

/* Which list has values of this type?  Integers serve as floats, too. */
static bool fits_kind(md_dtype t, uint32_t kind)
{
    if (t == MD_DTYPE_STRING)
        return kind == MD_PB_Feature_bytes_list;
    if (md_dtype_is_float(t))
        return kind == MD_PB_Feature_float_list ||
               kind == MD_PB_Feature_int64_list;
    return kind == MD_PB_Feature_int64_list &&
           (md_dtype_is_integer(t) || t == MD_DTYPE_BOOL);
}

static void put_float(md_dtype t, unsigned char *to, double v)
{
    const float f = (float)v;
    uint16_t h;

    switch (t) {
    case MD_DTYPE_F64:
        memcpy(to, &v, 8);
        break;
    case MD_DTYPE_F32:
        memcpy(to, &f, 4);
        break;
    default:
        h = t == MD_DTYPE_F16 ? md_f32_to_f16(f) : md_f32_to_bf16(f);
        memcpy(to, &h, 2);
    }
}

static md_status put_int(const md_serve_io *io, unsigned char *to, int64_t v,
                         md_error *err)
{
    if (io->dtype == MD_DTYPE_BOOL)
        v = v != 0;
    else if (md_dtype_bits(io->dtype) < 64 &&
             (v < md_dtype_int_min(io->dtype) ||
              v > md_dtype_int_max(io->dtype)))
        return md_fail(err, MD_INVALID, "input '%s': a value does not fit %s",
                       io->name, md_dtype_name(io->dtype));
    memcpy(to, &v, md_dtype_bits(io->dtype) / 8); /* the low bytes */
    return MD_OK;
}

/* A number as it is on the wire into the type. */
static md_status put_number(const md_serve_io *io, uint32_t kind,
                            unsigned char *to, uint64_t v, md_error *err)
{
    if (kind == MD_PB_Feature_float_list) {
        const uint32_t bits = (uint32_t)v;
        float f;

        memcpy(&f, &bits, 4);
        put_float(io->dtype, to, (double)f);
        return MD_OK;
    }
    if (!md_dtype_is_float(io->dtype))
        return put_int(io, to, (int64_t)v, err);
    put_float(io->dtype, to, (double)(int64_t)v);
    return MD_OK;
}

/* The values of one field of a list, of which up to n_max go to `to`, where *n
 * are; all are counted.  to NULL: only that. */
static md_status take_field(const md_serve_io *io, uint32_t kind,
                            md_pb_field *f, unsigned char *to, int64_t *n,
                            md_error *err)
{
    const size_t size = md_dtype_bits(io->dtype) / 8;
    const md_pb_wire wire =
        kind == MD_PB_Feature_float_list ? MD_PB_FIXED32 : MD_PB_VARINT;

    if (kind == MD_PB_Feature_bytes_list) {
        md_pb bytes;
        md_str s;

        MD_TRY(md_pb_message(&bytes, f, err));
        s = (md_str){ (const char *)bytes.p, md_pb_size(&bytes) };
        if (to)
            memcpy(to + sizeof(s) * (size_t)*n, &s, sizeof(s));
        ++*n;
        return MD_OK;
    }
    for (;;) {
        uint64_t v;
        bool more;

        MD_TRY(md_pb_take(&v, &more, f, wire, err));
        if (!more)
            return MD_OK;
        if (to)
            MD_TRY(put_number(io, kind, to + size * (size_t)*n, v, err));
        ++*n;
    }
}

/* All values of a feature, as take_field. */
static md_status take_list(const md_serve_io *io, const feature *from,
                           unsigned char *to, int64_t *n, md_error *err)
{
    md_pb list = from->list;
    md_pb_field f;

    *n = 0;
    if (!fits_kind(io->dtype, from->kind))
        return md_fail(err, MD_INVALID,
                       "input '%s': a feature of another kind than %s has",
                       io->name, md_dtype_name(io->dtype));
    for (;;) {
        MD_TRY(md_pb_next(&f, &list, err));
        if (f.number == 0)
            return MD_OK;
        if (f.number == MD_PB_FloatList_value)
            MD_TRY(take_field(io, from->kind, &f, to, n, err));
    }
}

/* ---- one input ---- */

/* An input's values: how many examples there are, and how many values each of
 * them has. */
typedef struct extent {
    int64_t rows, each;
} extent;

static size_t element_size(const md_serve_io *io)
{
    return io->dtype == MD_DTYPE_STRING ? sizeof(md_str)
                                        : md_dtype_bits(io->dtype) / 8;
}

/* The same number of values in each, and not more in all than there is room
 * for: a context has its values for any number of examples. */
static md_status add_row(extent *e, const md_serve_io *io, int64_t n,
                         size_t size_max, md_error *err)
{
    if (e->rows > 0 && n != e->each)
        return md_fail(err, MD_INVALID,
                       "input '%s': example %lld has %lld values, the first "
                       "has %lld",
                       io->name, (long long)e->rows, (long long)n,
                       (long long)e->each);
    e->each = n;
    e->rows++;
    if ((uint64_t)n > size_max / element_size(io) / (uint64_t)e->rows)
        return md_fail(err, MD_TOO_LARGE,
                       "input '%s': more than %zu bytes of values", io->name,
                       size_max);
    return MD_OK;
}

static md_status measure(extent *e, const md_serve_io *io,
                         const feature *context, md_pb list, size_t size_max,
                         md_error *err)
{
    *e = (extent){ 0 };
    for (;;) {
        md_pb example;
        feature from;
        int64_t n;
        bool there;

        MD_TRY(next_example(&list, &example, &there, err));
        if (!there)
            return MD_OK;
        MD_TRY(feature_of(&from, context, example, io->name, e->rows, err));
        MD_TRY(take_list(io, &from, NULL, &n, err));
        MD_TRY(add_row(e, io, n, size_max, err));
    }
}

static md_status fill(md_feed *f, uint32_t i, const extent *e,
                      const feature *context, md_pb list, md_error *err)
{
    const md_serve_io *io = &f->model->inputs[i];
    void *to = NULL;

    MD_TRY(md_feed_reserve(f, i, e->rows * e->each, &to, err));
    for (int64_t row = 0; row < e->rows; row++) {
        unsigned char *at =
            (unsigned char *)to + (size_t)(row * e->each) * element_size(io);
        md_pb example;
        feature from;
        int64_t n;
        bool there;

        MD_TRY(next_example(&list, &example, &there, err));
        MD_TRY(feature_of(&from, context, example, io->name, row, err));
        MD_TRY(take_list(io, &from, at, &n, err));
    }
    return MD_OK;
}

static md_status read_input(md_tfs_request *r, uint32_t i, const examples *ex,
                            md_error *err)
{
    md_feed_input *in = &r->feed.inputs[i];
    const md_serve_io *io = &r->feed.model->inputs[i];
    feature context = { 0 };
    extent e;

    if (ex->has_context)
        MD_TRY(find_feature(&context, ex->context, io->name, err));
    MD_TRY(
        measure(&e, io, &context, ex->list, r->feed.call->scratch->limit, err));
    if (e.rows == 0)
        return md_fail(err, MD_INVALID, "no example given");
    MD_TRY(fill(&r->feed, i, &e, &context, ex->list, err));
    in->shape = (md_shape){ .rank = 2, .dim = { e.rows, e.each } };
    in->given = true;
    md_tfs_shape_features(in, io);
    r->batch = e.rows;
    return MD_OK;
}

/* ---- the request ---- */

/* Take the list, and in *with whether it comes with a context. */
static md_status take_input(examples *ex, bool *with, md_pb input,
                            md_error *err)
{
    md_pb_field f;

    ex->list = md_pb_init(NULL, 0);
    for (;;) {
        MD_TRY(md_pb_next(&f, &input, err));
        if (f.number == 0)
            return MD_OK;
        if (f.number != MD_PB_Input_example_list &&
            f.number != MD_PB_Input_example_list_with_context)
            continue;
        *with = f.number == MD_PB_Input_example_list_with_context;
        MD_TRY(md_pb_message(&ex->list, &f, err));
    }
}

md_status md_tfs_pb_read_examples(md_tfs_request *r, md_pb input, md_error *err)
{
    examples ex = { .has_context = false };
    bool with = false;
    md_pb list;

    MD_TRY(take_input(&ex, &with, input, err));
    for (list = ex.list; with;) {
        md_pb_field f;

        MD_TRY(md_pb_next(&f, &list, err));
        if (f.number == 0)
            break;
        if (f.number == MD_PB_ExampleListWithContext_context) {
            ex.has_context = true;
            MD_TRY(md_pb_message(&ex.context, &f, err));
        }
    }
    for (uint32_t i = 0; i < r->feed.model->n_inputs; i++)
        MD_TRY(read_input(r, i, &ex, err));
    return MD_OK;
}
