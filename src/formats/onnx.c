/* ModelProto: loading and reading; see onnx_write.c for the other way. */
#include "formats/onnx.h"

#include <string.h>

#include "base/file.h"
#include "formats/format.h"
#include "formats/onnx_impl.h"

enum {
    IR_VERSION_MAX = 13,
    FIELD_MAX = 26, /* of ModelProto */
    METAS_MAX = 4096,
    OPSETS_MAX = 256 /* searched one by one */
};

md_status md_onnx__read_pair(md_meta *out, md_onnx_reader *r,
                             const md_pb_field *f, md_error *err)
{
    md_arena *ar = &r->model->arena;
    md_pb_field in;
    md_pb bytes;

    *out = (md_meta){ "", "" };
    MD_TRY(md_pb_message(&bytes, f, err));
    for (;;) {
        MD_TRY(md_pb_next(&in, &bytes, err));
        if (in.number == 0)
            return MD_OK;
        if (in.number == MD_ONNX_PAIR_KEY)
            MD_TRY(md_pb_text(&out->key, &in, ar, err));
        if (in.number == MD_ONNX_PAIR_VALUE)
            MD_TRY(md_pb_text(&out->value, &in, ar, err));
    }
}

md_status md_onnx__read_opset(md_opset *out, md_onnx_reader *r,
                              const md_pb_field *f, md_error *err)
{
    md_pb_field in;
    md_pb bytes;

    *out = (md_opset){ "", 0 };
    MD_TRY(md_pb_message(&bytes, f, err));
    for (;;) {
        MD_TRY(md_pb_next(&in, &bytes, err));
        if (in.number == 0)
            return MD_OK;
        if (in.number == MD_ONNX_OPSET_DOMAIN)
            MD_TRY(md_pb_text(&out->domain, &in, &r->model->arena, err));
        if (in.number == MD_ONNX_OPSET_VERSION)
            MD_TRY(md_pb_int(&out->version, &in, err));
    }
}

static md_status add_meta(md_onnx_reader *r, const md_pb_field *f,
                          md_error *err)
{
    md_meta pair;

    MD_TRY(md_onnx__read_pair(&pair, r, f, err));
    if (r->model->n_metas >= METAS_MAX)
        return md_fail(err, MD_TOO_LARGE, "more than %d metadata entries",
                       METAS_MAX);
    return md_model_set_meta(r->model, pair.key, pair.value, err);
}

static md_status add_opset(md_onnx_reader *r, const md_pb_field *f,
                           md_error *err)
{
    md_opset o;

    MD_TRY(md_onnx__read_opset(&o, r, f, err));
    if (r->model->n_opsets >= OPSETS_MAX)
        return md_fail(err, MD_TOO_LARGE, "more than %d operator sets imported",
                       OPSETS_MAX);
    return md_model_set_opset(r->model, o.domain, o.version, err);
}

static md_status add_function(md_onnx_reader *r, const md_pb_field *f,
                              md_error *err)
{
    md_model *m = r->model;
    md_pb bytes;

    if (m->n_functions == m->cap_functions) {
        uint32_t cap = m->cap_functions ? m->cap_functions * 2 : 8;
        md_function *grown = md_arena_calloc(&m->arena, cap, sizeof(*grown));

        if (!grown)
            return md_fail_nomem(err, cap * sizeof(*grown));
        if (m->n_functions)
            memcpy(grown, m->functions, m->n_functions * sizeof(*grown));
        m->functions = grown;
        m->cap_functions = cap;
    }
    MD_TRY(md_pb_message(&bytes, f, err));
    MD_TRY(
        md_onnx__read_function(&m->functions[m->n_functions], r, bytes, err));
    m->n_functions++;
    return MD_OK;
}

static md_status read_field(md_onnx_reader *r, const md_pb_field *f,
                            md_error *err)
{
    md_model *m = r->model;
    md_arena *ar = &m->arena;

    switch (f->number) {
    case MD_ONNX_MODEL_IR_VERSION:
        return md_pb_int(&m->ir_version, f, err);
    case MD_ONNX_MODEL_MODEL_VERSION:
        return md_pb_int(&m->model_version, f, err);
    case MD_ONNX_MODEL_PRODUCER_NAME:
        return md_pb_text(&m->producer_name, f, ar, err);
    case MD_ONNX_MODEL_PRODUCER_VERSION:
        return md_pb_text(&m->producer_version, f, ar, err);
    case MD_ONNX_MODEL_DOMAIN:
        return md_pb_text(&m->domain, f, ar, err);
    case MD_ONNX_MODEL_DOC:
        return md_pb_text(&m->doc, f, ar, err);
    case MD_ONNX_MODEL_OPSET:
        return add_opset(r, f, err);
    case MD_ONNX_MODEL_META:
        return add_meta(r, f, err);
    case MD_ONNX_MODEL_FUNCTION:
        return add_function(r, f, err);
    default:
        return MD_OK;
    }
}

static md_status check_head(md_onnx_reader *r, bool has_graph, md_error *err)
{
    md_model *m = r->model;

    if (!has_graph)
        return md_fail(err, MD_CORRUPT, "no graph in the model");
    if (m->ir_version < 1 || m->ir_version > IR_VERSION_MAX)
        return md_fail(err, m->ir_version < 1 ? MD_CORRUPT : MD_UNSUPPORTED,
                       "ir_version %lld given, 1 to %d expected",
                       (long long)m->ir_version, IR_VERSION_MAX);
    /* Before IR 3 there were no imports: everything was version 1. */
    if (m->ir_version < 3 && md_model_opset(m, "") == 0)
        return md_model_set_opset(m, "", 1, err);
    if (m->n_opsets == 0)
        return md_fail(err, MD_CORRUPT,
                       "no operator set imported, at least one expected since "
                       "ir_version 3");
    return MD_OK;
}

static md_status read_model(md_onnx_reader *r, md_pb bytes, md_error *err)
{
    bool has_graph = false;
    md_pb graph = { 0 };
    md_pb_field f;

    if (md_pb_size(&bytes) == 0)
        return md_fail(err, MD_CORRUPT, "empty file");
    for (;;) {
        MD_TRY(md_pb_next(&f, &bytes, err));
        if (f.number == 0)
            break;
        if (f.number == MD_ONNX_MODEL_GRAPH) {
            MD_TRY(md_pb_message(&graph, &f, err));
            has_graph = true;
        } else {
            MD_TRY(read_field(r, &f, err));
        }
    }
    MD_TRY(check_head(r, has_graph, err));
    MD_TRY(md_onnx__read_graph(r->model->graph, r, graph, err));
    return md_graph_verify(r->model->graph, err);
}

/* Read into a model that exists; it is freed on failure. */
static md_status parse_into(md_model *m, const void *bytes, size_t size,
                            const md_onnx_opts *opts, md_error *err)
{
    md_onnx_reader r = { .model = m, .opts = *opts };
    md_status s = read_model(&r, md_pb_init(bytes, size), err);

    md_free(m->alloc, r.ids);
    return s;
}

md_status md_onnx_parse(md_model **out, const void *bytes, size_t size,
                        const md_onnx_opts *opts, const md_alloc *alloc,
                        md_error *err)
{
    static const md_onnx_opts usual = MD_ONNX_OPTS_INIT;
    md_model *m;
    md_status s;

    if (!opts)
        opts = &usual;
    MD_TRY(md_model_new(&m, alloc, opts->memory_limit, err));
    s = parse_into(m, bytes, size, opts, err);
    if (s != MD_OK)
        md_model_free(m);
    else
        *out = m;
    return s;
}

/* The folder that path lies in, in the arena. */
static const char *folder_of(md_arena *ar, const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return ".";
    return md_arena_strndup(ar, path,
                            slash == path ? 1 : (size_t)(slash - path));
}

static md_status load_into(md_model *m, const char *path, md_load use,
                           md_error *err)
{
    md_onnx_opts opts = MD_ONNX_OPTS_INIT;
    md_map map, kept;
    md_status s;

    opts.keep = true;
    opts.unaligned = use == MD_LOAD_TO_RUN;
    opts.folder = folder_of(&m->arena, path);
    if (!opts.folder)
        return md_fail_nomem(err, strlen(path));
    MD_TRY(md_map_open(&map, path, err));
    kept = map;
    s = md_model_keep_map(m, &map, err);
    if (s != MD_OK) {
        md_map_release(&map);
        return s;
    }
    MD_TRY(parse_into(m, kept.data, kept.size, &opts, err));
    MD_TRY(md_model_set_file(m, path, err));
    /* What was copied need not stay in memory twice. */
    md_map_forget(kept.data, kept.size);
    return MD_OK;
}

static md_status load(md_model **out, const char *path, md_load use,
                      const md_alloc *alloc, md_error *err)
{
    md_model *m;
    md_status s;

    MD_TRY(md_model_new(&m, alloc, 0, err));
    s = load_into(m, path, use, err);
    if (s != MD_OK) {
        md_model_free(m);
        return md_wrap(err, s, "model '%s': ", path);
    }
    *out = m;
    return MD_OK;
}

md_status md_onnx_load(md_model **out, const char *path, const md_alloc *alloc,
                       md_error *err)
{
    return load(out, path, MD_LOAD_TO_READ, alloc, err);
}

bool md_onnx_probe(const void *bytes, size_t size)
{
    md_pb r = md_pb_init(bytes, size);
    bool seen = false;
    md_pb_field f;

    while (md_pb_next(&f, &r, NULL) == MD_OK && f.number != 0) {
        bool varint = f.number == MD_ONNX_MODEL_IR_VERSION ||
                      f.number == MD_ONNX_MODEL_MODEL_VERSION;

        if (f.number > FIELD_MAX && seen)
            continue; /* of a later ONNX, or somebody's own */
        if (f.wire != (varint ? MD_PB_VARINT : MD_PB_LEN) ||
            f.number > FIELD_MAX)
            return false;
        seen |= f.number == MD_ONNX_MODEL_IR_VERSION ||
                f.number == MD_ONNX_MODEL_OPSET;
    }
    return seen;
}

const md_format md_format_onnx = {
    .name = "onnx",
    .title = "ONNX model",
    .ending = ".onnx",
    .probe = md_onnx_probe,
    .load_model = load,
};
