/* md_model to ModelProto: the file, its external data, tensors. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/size.h"
#include "formats/onnx_impl.h"

enum {
    IR_VERSION_DEFAULT = 10,  /* for models made from nothing */
    IR_VERSION_MIN = 4,       /* constants need not be inputs */
    IR_VERSION_FUNCTIONS = 8, /* model-local functions */
    EXTERNAL_MIN = 1024,      /* smaller tensors stay inside */
    EXTERNAL_ALIGN = MD_CACHE_LINE,
    LOCATION_EXTERNAL = 1,
};

/* protobuf readers stop at 2 GiB. */
static const size_t file_size_max = ((size_t)1 << 31) - 1;

static void put_pair(md_onnx_writer *w, uint32_t number, const char *key,
                     const char *value)
{
    md_pb_mark mark = md_pb_begin(&w->pb, number);

    md_pb_put_text(&w->pb, MD_ONNX_PAIR_KEY, key);
    md_pb_put_text(&w->pb, MD_ONNX_PAIR_VALUE, value);
    md_pb_end(&w->pb, mark);
}

static void put_size(md_onnx_writer *w, const char *key, size_t v)
{
    char text[32];

    snprintf(text, sizeof(text), "%zu", v);
    put_pair(w, MD_ONNX_TENSOR_EXTERNAL, key, text);
}

/* Give the data a place in the external file. */
static void put_outside(md_onnx_writer *w, const void *data, size_t size)
{
    size_t at = md_round_up(w->outside_size, EXTERNAL_ALIGN);

    if (w->pb.status == MD_OK)
        w->pb.status =
            md_grow(w->pb.buf.alloc, (void *)&w->outside, &w->cap_outside,
                    w->n_outside, sizeof(*w->outside), &w->pb.error);
    if (w->pb.status != MD_OK)
        return;
    w->outside[w->n_outside++] = (md_pb_slice){ at, data, size };
    w->outside_size = at + size;
    put_pair(w, MD_ONNX_TENSOR_EXTERNAL, "location", w->external);
    put_size(w, "offset", at);
    put_size(w, "length", size);
    md_pb_put_int(&w->pb, MD_ONNX_TENSOR_LOCATION, LOCATION_EXTERNAL);
}

void md_onnx__put_tensor_fields(md_onnx_writer *w, const char *name,
                                const md_tensor *t, bool external)
{
    size_t size = md_tensor_size(t);

    md_pb_put_ints(&w->pb, MD_ONNX_TENSOR_DIMS, t->shape.dim,
                   (size_t)t->shape.rank);
    md_pb_put_int(&w->pb, MD_ONNX_TENSOR_DTYPE, t->dtype);
    if (name[0])
        md_pb_put_text(&w->pb, MD_ONNX_TENSOR_NAME, name);
    if (t->dtype == MD_DTYPE_STRING) {
        const md_str *s = t->data;

        for (int64_t i = 0; i < md_tensor_n(t); i++)
            md_pb_put_slice(&w->pb, MD_ONNX_TENSOR_STRINGS, s[i].p, s[i].n);
    } else if (external && w->external && size >= EXTERNAL_MIN) {
        put_outside(w, t->data, size);
    } else {
        md_pb_put_slice(&w->pb, MD_ONNX_TENSOR_RAW, t->data, size);
    }
}

void md_onnx__put_tensor(md_onnx_writer *w, uint32_t number, const char *name,
                         const md_tensor *t, bool external)
{
    md_pb_mark mark = md_pb_begin(&w->pb, number);

    md_onnx__put_tensor_fields(w, name, t, external);
    md_pb_end(&w->pb, mark);
}

/* A one-dimensional tensor of n elements, copied. */
static void put_row(md_onnx_writer *w, uint32_t number, const char *name,
                    md_dtype dtype, const void *data, int64_t n, size_t width)
{
    md_pb_mark mark = md_pb_begin(&w->pb, number);

    md_pb_put_ints(&w->pb, MD_ONNX_TENSOR_DIMS, &n, 1);
    md_pb_put_int(&w->pb, MD_ONNX_TENSOR_DTYPE, dtype);
    if (name[0])
        md_pb_put_text(&w->pb, MD_ONNX_TENSOR_NAME, name);
    md_pb_put_bytes(&w->pb, MD_ONNX_TENSOR_RAW, data, (size_t)n * width);
    md_pb_end(&w->pb, mark);
}

bool md_onnx__put_sparse(md_onnx_writer *w, uint32_t number, const char *name,
                         const md_tensor *t)
{
    const md_alloc *alloc = w->pb.buf.alloc;
    const int64_t n = t->dtype == MD_DTYPE_F32 ? md_tensor_n(t) : 0;
    const float *from = t->data;
    int64_t left = 0, k = 0, *places;
    float *values;

    for (int64_t i = 0; w->sparse && i < n; i++)
        left += from[i] != 0.0f;
    /* 12 bytes for each, and some for the messages around them. */
    if (!w->sparse || t->shape.rank == 0 || left == 0 || 3 * left + 32 > n)
        return false;
    places = md_calloc(alloc, (size_t)left, sizeof(*places));
    values = md_calloc(alloc, (size_t)left, sizeof(*values));
    for (int64_t i = 0; places && values && i < n; i++) {
        if (from[i] == 0.0f)
            continue;
        places[k] = i;
        values[k++] = from[i];
    }
    if (places && values) {
        md_pb_mark mark = md_pb_begin(&w->pb, number);

        put_row(w, MD_ONNX_SPARSE_VALUES, name, MD_DTYPE_F32, values, left,
                sizeof(*values));
        put_row(w, MD_ONNX_SPARSE_INDICES, "", MD_DTYPE_I64, places, left,
                sizeof(*places));
        md_pb_put_ints(&w->pb, MD_ONNX_SPARSE_DIMS, t->shape.dim,
                       (size_t)t->shape.rank);
        md_pb_end(&w->pb, mark);
    } else if (w->pb.status == MD_OK) {
        w->pb.status = md_fail_nomem(&w->pb.error, (size_t)left * 12);
    }
    md_free(alloc, places);
    md_free(alloc, values);
    return true;
}

void md_onnx__put_opset(md_onnx_writer *w, uint32_t number, const md_opset *o)
{
    md_pb_mark mark = md_pb_begin(&w->pb, number);

    md_pb_put_text(&w->pb, MD_ONNX_OPSET_DOMAIN, o->domain);
    md_pb_put_int(&w->pb, MD_ONNX_OPSET_VERSION, o->version);
    md_pb_end(&w->pb, mark);
}

static void put_unless_empty(md_onnx_writer *w, uint32_t number,
                             const char *text)
{
    if (text && text[0])
        md_pb_put_text(&w->pb, number, text);
}

static int64_t ir_version_of(const md_model *m)
{
    int64_t v = m->ir_version ? m->ir_version : IR_VERSION_DEFAULT;

    return md_max_i64(v,
                      m->n_functions ? IR_VERSION_FUNCTIONS : IR_VERSION_MIN);
}

static void put_model(md_onnx_writer *w, const md_model *m)
{
    md_pb_writer *pb = &w->pb;

    md_pb_put_int(pb, MD_ONNX_MODEL_IR_VERSION, ir_version_of(m));
    put_unless_empty(w, MD_ONNX_MODEL_PRODUCER_NAME, m->producer_name);
    put_unless_empty(w, MD_ONNX_MODEL_PRODUCER_VERSION, m->producer_version);
    put_unless_empty(w, MD_ONNX_MODEL_DOMAIN, m->domain);
    if (m->model_version)
        md_pb_put_int(pb, MD_ONNX_MODEL_MODEL_VERSION, m->model_version);
    put_unless_empty(w, MD_ONNX_MODEL_DOC, m->doc);
    for (uint32_t i = 0; i < m->n_opsets; i++)
        md_onnx__put_opset(w, MD_ONNX_MODEL_OPSET, &m->opsets[i]);
    md_onnx__put_graph(w, MD_ONNX_MODEL_GRAPH, m->graph);
    for (uint32_t i = 0; i < m->n_metas; i++)
        put_pair(w, MD_ONNX_MODEL_META, m->metas[i].key, m->metas[i].value);
    for (uint32_t i = 0; i < m->n_functions; i++)
        md_onnx__put_function(w, MD_ONNX_MODEL_FUNCTION, &m->functions[i]);
}

static void writer_init(md_onnx_writer *w, const md_model *m)
{
    *w = (md_onnx_writer){ .n_outside = 0 };
    md_pb_writer_init(&w->pb, m->alloc, file_size_max);
}

static void writer_release(md_onnx_writer *w)
{
    md_free(w->pb.buf.alloc, w->outside);
    md_pb_writer_release(&w->pb);
}

static md_status check_size(const md_onnx_writer *w, md_error *err)
{
    size_t size;

    MD_TRY(md_pb_writer_finish(&w->pb, &size, err));
    if (size > file_size_max)
        return md_fail(err, MD_TOO_LARGE,
                       "model of %zu bytes without external data, limit %zu",
                       size, file_size_max);
    return MD_OK;
}

static md_status to_buf(void *ctx, const void *data, size_t size, md_error *err)
{
    return md_buf_append(ctx, data, size, err);
}

md_status md_onnx_write(const md_model *model, md_buf *out, md_error *err)
{
    md_onnx_writer w;
    size_t size = 0;
    md_status s;

    writer_init(&w, model);
    put_model(&w, model);
    MD_GOTO(check_size(&w, err));
    MD_GOTO(md_pb_writer_finish(&w.pb, &size, err));
    MD_GOTO(md_buf_reserve(out, size, err));
    MD_GOTO(md_pb_writer_drain(&w.pb, to_buf, out, err));
out:
    writer_release(&w);
    return s;
}

static md_status to_file(void *ctx, const void *data, size_t size,
                         md_error *err)
{
    return md_file_writer_append(ctx, data, size, err);
}

static md_status write_outside(const md_onnx_writer *w, md_file_writer *file,
                               md_error *err)
{
    static const char zeros[EXTERNAL_ALIGN];
    size_t at = 0;

    for (uint32_t i = 0; i < w->n_outside; i++) {
        const md_pb_slice *s = &w->outside[i];

        MD_TRY(md_file_writer_append(file, zeros, s->at - at, err));
        MD_TRY(md_file_writer_append(file, s->data, s->size, err));
        at = s->at + s->size;
    }
    return MD_OK;
}

/* Both files are complete before either gets its name. */
static md_status write_files(const md_onnx_writer *w, const char *path,
                             const char *data_path, md_error *err)
{
    const md_alloc *alloc = w->pb.buf.alloc;
    md_file_writer file = { .fd = -1 };
    md_file_writer data = { .fd = -1 };
    md_status s;

    if (w->n_outside) {
        MD_GOTO(md_file_writer_open(&data, data_path, alloc, err));
        MD_GOTO(write_outside(w, &data, err));
    }
    MD_GOTO(md_file_writer_open(&file, path, alloc, err));
    MD_GOTO(md_pb_writer_drain(&w->pb, to_file, &file, err));
    if (w->n_outside)
        MD_GOTO(md_file_writer_commit(&data, err));
    return md_file_writer_commit(&file, err);
out:
    md_file_writer_abort(&file);
    md_file_writer_abort(&data);
    return s;
}

/* Bytes of all constants, subgraphs' not counted: those are small. */
static size_t constant_size(const md_graph *g)
{
    size_t sum = 0;

    for (uint32_t i = 0; i < g->n_values; i++) {
        if (g->values[i].cdata)
            sum += md_tensor_size(g->values[i].cdata);
    }
    return sum;
}

md_status md_onnx_save(const md_model *model, const char *path,
                       const md_onnx_save_opts *opts, md_error *err)
{
    static const md_onnx_save_opts usual = MD_ONNX_SAVE_OPTS_INIT;
    const char *slash = strrchr(path, '/');
    md_onnx_writer w;
    md_buf data_path;
    md_status s;

    if (!opts)
        opts = &usual;
    writer_init(&w, model);
    w.sparse = opts->sparse;
    md_buf_init(&data_path, model->alloc, 1 << 16);
    MD_GOTO(md_buf_printf(&data_path, err, "%s.data", path));
    if (constant_size(model->graph) > opts->external_above)
        w.external =
            (const char *)data_path.data + (slash ? slash + 1 - path : 0);
    put_model(&w, model);
    MD_GOTO(check_size(&w, err));
    MD_GOTO(write_files(&w, path, (const char *)data_path.data, err));
out:
    md_buf_release(&data_path);
    writer_release(&w);
    return s;
}
