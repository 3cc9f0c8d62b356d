/*
 * TensorFlow's files to ONNX: SavedModels, frozen graphs, checkpoints with
 * their meta graph.
 *
 * A SavedModel's inputs and outputs are called as in its signature, those of
 * the other two as TensorFlow's tensors ("image:0"): placeholders, and what
 * nothing reads.
 */
#include <stdio.h>
#include <string.h>

#include "convert/convert.h"
#include "convert/tf/lower.h"

enum {
    PORTS_MAX = 1 << 12
};

/* What a small file can make of itself. */
static const size_t arena_size = (size_t)1 << 30;

static const char default_signature[] = "serving_default";

/* The file, its arena, and what becomes of it. */
typedef struct conversion {
    const md_convert_source *src;
    md_model *model;
    md_arena *arena;
    md_error *err;
    md_tf_meta meta;
    md_bundle bundle;
    md_tfjs js;
    md_tflite m;
    md_tf_lower w;
    md_tf_signature signature; /* chosen, or made up */
    md_tfl_about about;
} conversion;

static bool is_hidden(const md_tf_signature *s)
{
    return strncmp(s->name, "__saved_model", 13) == 0 || s->n_outputs == 0;
}

/* The signature asked for; else the usual one, else the only one. */
static md_status choose(const md_tf_signature **out, const md_tf_meta *m,
                        const char *name, md_error *err)
{
    const char *wanted = name ? name : default_signature;
    const md_tf_signature *only = NULL;
    char known[256] = "";
    uint32_t n = 0;

    *out = NULL;
    for (uint32_t i = 0; i < m->n_signatures; i++) {
        const md_tf_signature *s = &m->signatures[i];
        size_t at = strlen(known);

        if (is_hidden(s))
            continue;
        if (strcmp(s->name, wanted) == 0)
            *out = s;
        only = s;
        n++;
        snprintf(known + at, sizeof(known) - at, "%s'%.60s'", at ? ", " : "",
                 s->name);
    }
    if (!*out && !name && n == 1)
        *out = only;
    if (*out || (n == 0 && !name))
        return MD_OK;
    return md_fail(err, name ? MD_NOT_FOUND : MD_INVALID,
                   "tensorflow: no signature '%.80s', %s", wanted,
                   known[0] ? known : "the file has none");
}

/* --- ends of graphs without a signature --- */

static bool is_op(const md_tf_node *n, const char *op)
{
    return strcmp(n->op, op) == 0;
}

/* Nodes that keep and restore what a training has, and such. */
static bool is_plumbing(const md_tf_node *n)
{
    static const char *const ops[] = { "Assert",
                                       "Assign",
                                       "AssignVariableOp",
                                       "Const",
                                       "HashTableV2",
                                       "MergeV2Checkpoints",
                                       "NoOp",
                                       "Placeholder",
                                       "PlaceholderWithDefault",
                                       "RestoreV2",
                                       "SaveV2",
                                       "ShardedFilename",
                                       "VarHandleOp",
                                       "VarIsInitializedOp",
                                       "VariableV2",
                                       "Variable",
                                       "IsVariableInitialized" };

    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        if (is_op(n, ops[i]))
            return true;
    }
    return strncmp(n->name, "save/", 5) == 0 ||
           strstr(n->name, "/Initializer/") != NULL;
}

/* Is it a constant or a variable under other names, or one side of a Switch? */
static bool is_no_end(const md_tf_nodes *main, const md_tf_node *n)
{
    enum {
        HOPS_MAX = 16
    };

    for (int hop = 0; n && hop < HOPS_MAX; hop++) {
        if (is_op(n, "Const") || is_op(n, "VarHandleOp") ||
            is_op(n, "VariableV2") || is_op(n, "Switch"))
            return true;
        if ((!is_op(n, "Identity") && !is_op(n, "ReadVariableOp")) ||
            md_tf_n_inputs(n) != 1)
            return false;
        n = md_tf_find_node(main, n->inputs[0], strcspn(n->inputs[0], ":"));
    }
    return false;
}

static md_status add_port(md_tf_port **ports, uint32_t *n, uint32_t *cap,
                          conversion *c, const md_tf_node *node)
{
    md_tf_port *p;
    int64_t type;

    if (*n == PORTS_MAX)
        return md_fail(c->err, MD_UNSUPPORTED,
                       "tensorflow: more than %d ends of the graph", PORTS_MAX);
    MD_TRY(md_arena_grow(c->arena, ports, cap, *n, sizeof(*p), c->err));
    p = &(*ports)[(*n)++];
    p->name = p->tensor = md_arena_printf(c->arena, "%s:0", node->name);
    if (!p->name)
        return md_fail_nomem(c->err, 1);
    MD_TRY(md_tf_attr_int(&type, node, "dtype", 0, c->err));
    p->type = type > 0 && type < 200 ? (int)type : 0;
    return md_tf_attr_shape(&p->shape, &p->has_rank, node, "shape", c->err);
}

/* Marks the nodes that others need, if only to be run before them. */
static md_status mark_read(bool **out, conversion *c)
{
    const md_tf_nodes *main = &c->meta.graph.main;
    bool *read = md_arena_calloc(c->arena, (size_t)main->n + 1, sizeof(*read));

    if (!read)
        return md_fail_nomem(c->err, main->n);
    for (uint32_t i = 0; i < main->n; i++) {
        const md_tf_node *n = &main->nodes[i];

        if (is_plumbing(n) && !is_op(n, "Const"))
            continue;
        for (uint32_t k = 0; k < n->n_inputs; k++) {
            const char *name = n->inputs[k] + (n->inputs[k][0] == '^');
            const md_tf_node *from =
                md_tf_find_node(main, name, strcspn(name, ":"));

            if (from)
                read[from - main->nodes] = true;
        }
    }
    *out = read;
    return MD_OK;
}

static md_status make_up_signature(conversion *c)
{
    const md_tf_nodes *main = &c->meta.graph.main;
    md_tf_signature *s = &c->signature;
    bool *read = NULL;

    *s = (md_tf_signature){ .name = "" };
    MD_TRY(mark_read(&read, c));
    for (uint32_t i = 0; i < main->n; i++) {
        const md_tf_node *n = &main->nodes[i];

        if (is_op(n, "Placeholder"))
            MD_TRY(add_port(&s->inputs, &s->n_inputs, &s->cap_inputs, c, n));
        else if (!read[i] && !is_plumbing(n) && !is_no_end(main, n))
            MD_TRY(add_port(&s->outputs, &s->n_outputs, &s->cap_outputs, c, n));
    }
    if (s->n_outputs == 0)
        return md_fail(c->err, MD_UNSUPPORTED,
                       "tensorflow: the graph computes nothing");
    return MD_OK;
}

/* --- lowering --- */

/* An input of the model: a tensor, given to the node that it is. */
static md_status add_input(int32_t *out, conversion *c, md_tf_frame *f,
                           const md_tf_port *p)
{
    md_tf_lower *w = &c->w;
    const md_tf_node *node;
    md_tflite_tensor *t;
    md_tf_ref *ref;
    uint32_t k;
    size_t at;

    MD_TRY(md_tf_resolve(&node, &k, w, f, p->tensor));
    if (!node || k > 0)
        return md_fail(c->err, MD_UNSUPPORTED,
                       "tensorflow: input '%.80s' is output %u of a node",
                       p->name, k);
    MD_TRY(md_tf_add_tensor(out, w, p->name, md_tf_dtype(p->type)));
    t = &w->made->tensors[*out];
    t->type = p->type;
    t->has_rank = true;
    if (!p->has_rank && p->shape.rank == 0)
        return md_fail(c->err, MD_UNSUPPORTED,
                       "tensorflow: input '%.80s' has any rank", p->name);
    t->rank = p->shape.rank;
    for (int i = 0; i < t->rank; i++)
        t->dim[i] = p->shape.dim[i];
    ref = md_arena_calloc(c->arena, 1, sizeof(*ref));
    if (!ref)
        return md_fail_nomem(c->err, sizeof(*ref));
    *ref = (md_tf_ref){ .kind = MD_TF_REF_TENSOR,
                        .tensor = *out,
                        .condition = -1 };
    at = (size_t)(node - f->nodes->nodes);
    f->values[at] = ref;
    f->n_values[at] = 1;
    f->state[at] = 2; /* done */
    return MD_OK;
}

/* An output, under its own name. */
static md_status add_output(int32_t *out, conversion *c, md_tf_frame *f,
                            const md_tf_port *p)
{
    md_tf_lower *w = &c->w;
    md_tf_ref ref;

    w->node = NULL;
    MD_TRY(md_tf_eval(&ref, w, f, p->tensor));
    *out = 0;
    if (ref.kind != MD_TF_REF_TENSOR) {
        if (w->n_refusals > 0)
            return MD_OK;
        return md_fail(c->err, MD_UNSUPPORTED,
                       "tensorflow: output '%.80s' is no tensor", p->name);
    }
    MD_TRY(md_tf_add_simple(out, w, md_tf_own_code("Output"), &ref.tensor, 1,
                            md_tf_dtype(p->type), (md_fb_table){ .fb = NULL }));
    w->made->tensors[*out].name = p->name;
    return MD_OK;
}

static md_status lower(conversion *c)
{
    const md_tf_signature *s = &c->signature;
    md_tf_lower *w = &c->w;
    md_tf_made made;
    md_tf_frame f;
    int32_t *in;
    int32_t *out;
    uint32_t index;

    MD_TRY(md_tf_find_state(w));
    md_tf_begin_graph(w, &made);
    MD_TRY(md_tf_frame_open(&f, w, NULL, NULL));
    in = md_arena_calloc(c->arena, (size_t)s->n_inputs + 1, sizeof(*in));
    out = md_arena_calloc(c->arena, (size_t)s->n_outputs + 1, sizeof(*out));
    if (!in || !out)
        return md_fail_nomem(c->err, s->n_inputs);
    /* Graph 0 is nobody's body. */
    MD_TRY(md_tf_end_graph(&index, w, &made, "", in, 0, out, 0));
    for (uint32_t i = 0; i < s->n_inputs; i++)
        MD_TRY(add_input(&in[i], c, &f, &s->inputs[i]));
    for (uint32_t i = 0; i < s->n_outputs; i++)
        MD_TRY(add_output(&out[i], c, &f, &s->outputs[i]));
    MD_TRY(md_tf_refuse_changes(w));
    MD_TRY(md_tf_tell_refusals(w));
    MD_TRY(md_tf_end_graph(&index, w, NULL, "main", in, s->n_inputs, out,
                           s->n_outputs));
    return md_tf_join_biases(w);
}

/* --- from the file to the model --- */

static md_status build(conversion *c, md_convert_report *report)
{
    md_tfl_build b = { .e = { .model = c->model,
                              .arena = c->arena,
                              .source = "tensorflow",
                              .plain = c->src->plain,
                              .err = c->err },
                       .m = &c->m,
                       .more = md_tf_more(),
                       .stays = c->src->stays,
                       .plain = c->src->plain };

    MD_TRY(lower(c));
    MD_TRY(md_tfl_make_model(&b, c->m.n_graphs - 1, &c->about));
    report->n_layers = b.n_ops;
    report->n_transposes = b.n_transposes;
    report->n_parameters = b.n_parameters;
    snprintf(report->version, sizeof(report->version), "%s",
             c->meta.version[0] ? c->meta.version : "");
    return MD_OK;
}

/* The variables of a file called "PREFIX.meta", or in the folder "variables" of
 * a SavedModel, where they are. */
static md_status open_bundle(conversion *c, const char *source)
{
    const md_convert_source *src = c->src;
    char *folder;
    char *prefix;
    md_status s;

    if (!src->folder)
        return MD_OK;
    if (strcmp(source, "savedmodel") == 0) {
        folder = md_arena_printf(c->arena, "%s/variables", src->folder);
        prefix = md_arena_strdup(c->arena, "variables");
    } else {
        size_t n = strlen(src->file);

        folder = md_arena_strdup(c->arena, src->folder);
        if (n > 5 && strcmp(src->file + n - 5, ".meta") == 0)
            n -= 5;
        prefix = md_arena_strndup(c->arena, src->file, n);
    }
    if (!folder || !prefix)
        return md_fail_nomem(c->err, 1);
    s = md_bundle_open(&c->bundle, folder, prefix, c->model, c->arena, c->err);
    /* A graph without variables has none beside it. */
    if (s == MD_NOT_FOUND)
        return MD_OK;
    if (s == MD_OK)
        c->w.bundle = &c->bundle;
    return s;
}

typedef md_status read_fn(conversion *c, md_pb bytes);

static md_status read_saved(conversion *c, md_pb bytes)
{
    const md_tf_signature *s;

    MD_TRY(md_tf_read_saved(&c->meta, bytes, c->arena, c->err));
    MD_TRY(choose(&s, &c->meta, c->src->signature, c->err));
    MD_TRY(open_bundle(c, "savedmodel"));
    if (!s)
        return make_up_signature(c);
    c->signature = *s;
    c->about.signature = s->name;
    return MD_OK;
}

static md_status read_meta(conversion *c, md_pb bytes)
{
    const md_tf_signature *s;

    MD_TRY(md_tf_read_meta(&c->meta, bytes, c->arena, c->err));
    MD_TRY(choose(&s, &c->meta, c->src->signature, c->err));
    MD_TRY(open_bundle(c, "checkpoint"));
    if (!s)
        return make_up_signature(c);
    c->signature = *s;
    c->about.signature = s->name;
    return MD_OK;
}

static md_status read_graph(conversion *c, md_pb bytes)
{
    if (c->src->signature)
        return md_fail(c->err, MD_NOT_FOUND,
                       "tensorflow: no signature '%.80s', a graph has none",
                       c->src->signature);
    c->meta.version = "";
    MD_TRY(md_tf_read_graph(&c->meta.graph, bytes, c->arena, c->err));
    return make_up_signature(c);
}

static md_status read_js(conversion *c, md_pb bytes)
{
    MD_TRY(md_tfjs_read(&c->js, bytes.p, md_pb_size(&bytes), c->src->folder,
                        c->model, c->arena, c->err));
    MD_TRY(read_graph(c, c->js.graph));
    c->meta.version = c->js.version;
    c->w.js = &c->js;
    return MD_OK;
}

static md_status convert(md_model *model, md_convert_report *report,
                         const md_convert_source *src, read_fn *read,
                         const char *source, md_error *err)
{
    conversion *c;
    md_arena arena;
    md_status s;

    md_arena_init(&arena, model->alloc, arena_size);
    c = md_arena_calloc(&arena, 1, sizeof(*c));
    if (!c)
        return md_fail_nomem(err, sizeof(*c));
    c->src = src;
    c->model = model;
    c->arena = &arena;
    c->err = err;
    c->w = (md_tf_lower){ .graph = &c->meta.graph,
                          .folder = src->folder,
                          .model = model,
                          .arena = &arena,
                          .err = err,
                          .m = &c->m };
    MD_GOTO(read(c, md_pb_init(src->bytes, src->size)));
    c->w.assets = c->meta.assets;
    c->w.n_assets = c->meta.n_assets;
    c->about.source = source;
    c->about.version = c->meta.version;
    s = build(c, report);
out:
    md_arena_release(&arena);
    return s;
}

static md_status convert_saved(md_model *model, md_convert_report *report,
                               const md_convert_source *src, md_error *err)
{
    return convert(model, report, src, read_saved, "savedmodel", err);
}

static md_status convert_meta(md_model *model, md_convert_report *report,
                              const md_convert_source *src, md_error *err)
{
    return convert(model, report, src, read_meta, "checkpoint", err);
}

static md_status convert_graph(md_model *model, md_convert_report *report,
                               const md_convert_source *src, md_error *err)
{
    return convert(model, report, src, read_graph, "graphdef", err);
}

static md_status convert_js(md_model *model, md_convert_report *report,
                            const md_convert_source *src, md_error *err)
{
    return convert(model, report, src, read_js, "tfjs", err);
}

const md_converter md_converter_tfjs = { .name = "tfjs",
                                         .title = "TensorFlow.js graph model",
                                         .in_folder = "model.json",
                                         .probe = md_tfjs_probe,
                                         .has_plain = true,
                                         .convert = convert_js };

const md_converter md_converter_savedmodel = { .name = "savedmodel",
                                               .title = "TensorFlow SavedModel",
                                               .in_folder = "saved_model.pb",
                                               .probe = md_tf_probe_saved,
                                               .has_plain = true,
                                               .convert = convert_saved };

const md_converter md_converter_checkpoint = {
    .name = "checkpoint",
    .title = "TensorFlow checkpoint (.meta)",
    .probe = md_tf_probe_meta,
    .has_plain = true,
    .convert = convert_meta
};

const md_converter md_converter_graphdef = { .name = "graphdef",
                                             .title = "TensorFlow GraphDef",
                                             .probe = md_tf_probe_graph,
                                             .has_plain = true,
                                             .convert = convert_graph };
