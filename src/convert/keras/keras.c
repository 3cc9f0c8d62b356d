/*
 * Keras models to ONNX: walks the model's calls, one operator file per kind of
 * layer, and finishes the result: opset 21, inputs and outputs named as in
 * Keras, the batch free under the symbol "batch".
 */
#include <stdio.h>
#include <string.h>

#include "convert/convert.h"
#include "convert/keras/layer.h"

enum {
    OPSET = 21,
    IR_VERSION = 10,      /* the first with opset 21; 11 has 23 */
    ARENA_SIZE = 1 << 30, /* what a small file can make of itself */
    EMITTED_MAX = 200000  /* layer calls, those of models in models counted
                          * each time */
};

/* The values that one call of a model has made so far. */
typedef struct frame {
    const md_keras_net *net;
    md_keras_value **out; /* [layer][call * n_outputs + index], NULL: none */
    bool **done;          /* [layer][call] */
} frame;

static md_status emit_net(md_keras_build *b, md_keras_net *net,
                          const md_keras_value *in, md_keras_value *out,
                          md_error *err);

static uint32_t n_outputs(const md_keras_layer *l)
{
    return l->net ? l->net->n_outputs : l->n_out;
}

static md_status frame_init(frame *f, const md_keras_net *net, md_arena *ar,
                            md_error *err)
{
    f->net = net;
    f->out = md_arena_calloc(ar, net->n_layers, sizeof(*f->out));
    f->done = md_arena_calloc(ar, net->n_layers, sizeof(*f->done));
    if (!f->out || !f->done)
        return md_fail_nomem(err, net->n_layers * sizeof(*f->out));
    for (uint32_t i = 0; i < net->n_layers; i++) {
        const md_keras_layer *l = &net->layers[i];
        size_t n = l->n_calls;

        if (n == 0)
            continue;
        f->out[i] = md_arena_calloc(ar, n * n_outputs(l), sizeof(**f->out));
        f->done[i] = md_arena_calloc(ar, n, sizeof(**f->done));
        if (!f->out[i] || !f->done[i])
            return md_fail_nomem(err, n * sizeof(**f->out));
    }
    return MD_OK;
}

static md_keras_value *frame_at(const frame *f, const md_keras_ref *r)
{
    uint32_t n = n_outputs(&f->net->layers[r->layer]);

    return &f->out[r->layer][(size_t)r->call * n + r->index];
}

static bool is_ready(const frame *f, const md_keras_call *c)
{
    for (uint32_t i = 0; i < c->n_in; i++) {
        if (!f->done[c->in[i].layer][c->in[i].call])
            return false;
    }
    return true;
}

/* Keras computes in floats; only Embedding looks at integers. */
static md_status to_float(md_keras_value *v, md_keras_build *b, md_error *err)
{
    md_node *node;

    if (v->dtype == MD_DTYPE_F32)
        return MD_OK;
    MD_TRY(md_keras_op(&v->id, b, "Cast", &v->id, 1, &node, err));
    v->dtype = MD_DTYPE_F32;
    return md_node_set_attr_i(b->g, node, "to", MD_DTYPE_F32, err);
}

/* Layers whose inputs may be of any type. */
static bool takes_any(const md_keras_layer *l)
{
    return l->row->emit == md_keras_emit_category_encoding ||
           l->row->emit == md_keras_emit_lookup ||
           l->row->emit == md_keras_emit_identity;
}

/* Layers compute in floats, but those that look at indices; masks are
 * booleans, and operations are of any type. */
static bool takes_floats(const md_keras_build *b, uint32_t i)
{
    const md_keras_layer *l = b->layer;

    if (l->operation || l->row->emit == md_keras_emit_embedding || takes_any(l))
        return false;
    return !b->call || !md_keras_is_mask(l, b->call->arg[i]);
}

/* A mask that is given as an argument becomes part of the first tensor. */
static uint32_t attach_mask(const md_keras_build *b, md_keras_value *in,
                            uint32_t n_in)
{
    if (!b->call || b->layer->operation ||
        b->layer->row->emit == md_keras_emit_attention)
        return n_in;
    for (uint32_t i = 1; i < n_in; i++) {
        if (!md_keras_is_mask(b->layer, b->call->arg[i]))
            continue;
        in[0].mask = in[i].id + 1;
        memmove(&in[i], &in[i + 1], (n_in - i - 1) * sizeof(*in));
        return n_in - 1;
    }
    return n_in;
}

static md_status emit_layer(md_keras_build *b, md_keras_layer *l,
                            md_keras_value *in, uint32_t n_in,
                            md_keras_value *out, md_error *err)
{
    b->layer = l;
    for (uint32_t i = 0; i < n_in; i++) {
        if (in[i].dtype == MD_DTYPE_STRING && !takes_any(l))
            return md_keras_fail(b, err, MD_UNSUPPORTED,
                                 "text where numbers are expected");
        if (takes_floats(b, i))
            MD_TRY(to_float(&in[i], b, err));
    }
    n_in = attach_mask(b, in, n_in);
    if (n_in < l->row->in_min || n_in > l->row->in_max)
        return md_keras_fail(b, err, MD_UNSUPPORTED, "called with %u tensors",
                             n_in);
    MD_TRY(l->row->emit(b, in, n_in, out, err));
    MD_TRY(md_keras_mask_settle(out, b, in, n_in, err));
    for (uint32_t i = 0; b->plain && i < l->n_out; i++) {
        const md_keras_value y = out[i];

        MD_TRY(md_keras_last(&out[i], b, &y, err));
    }
    for (uint32_t i = 0; i < n_in; i++) {
        if (in[i].id == out->id)
            return MD_OK; /* keeps the name it has */
    }
    return md_keras_stem(b, out->id, NULL, err);
}

md_status md_keras_call_layer(md_keras_build *b, md_keras_layer *l,
                              md_keras_value *in, uint32_t n_in,
                              md_keras_value *out, md_error *err)
{
    b->call = NULL;
    if (!l->net)
        return emit_layer(b, l, in, n_in, out, err);
    if (n_in != l->net->n_inputs)
        return md_fail(err, MD_CORRUPT,
                       "keras: layer '%s' is called with %u tensors", l->path,
                       n_in);
    return emit_net(b, l->net, in, out, err);
}

static md_status emit_call(md_keras_build *b, const frame *f, uint32_t layer,
                           uint32_t call, md_error *err)
{
    md_keras_layer *l = &f->net->layers[layer];
    const md_keras_call *c = &l->calls[call];
    md_keras_value *out = &f->out[layer][(size_t)call * n_outputs(l)];
    md_keras_value *in;

    if (++b->n_layers > EMITTED_MAX)
        return md_fail(err, MD_TOO_LARGE, "keras: more than %d layer calls",
                       EMITTED_MAX);
    if (c->n_in == 0 || (l->net && c->n_in != l->net->n_inputs))
        return md_fail(err, MD_CORRUPT,
                       "keras: layer '%s' is called with %u tensors", l->path,
                       c->n_in);
    in = md_arena_calloc(b->arena, c->n_in, sizeof(*in));
    if (!in)
        return md_fail_nomem(err, c->n_in * sizeof(*in));
    for (uint32_t i = 0; i < c->n_in; i++)
        in[i] = *frame_at(f, &c->in[i]);
    if (l->net)
        return emit_net(b, l->net, in, out, err);
    b->call = c;
    return emit_layer(b, l, in, c->n_in, out, err);
}

/* Emit what has become ready; *progress tells whether anything had. */
static md_status emit_ready(md_keras_build *b, const frame *f, bool *progress,
                            md_error *err)
{
    *progress = false;
    for (uint32_t i = 0; i < f->net->n_layers; i++) {
        const md_keras_layer *l = &f->net->layers[i];

        for (uint32_t k = 0; !l->is_input && k < l->n_calls; k++) {
            if (f->done[i][k] || !is_ready(f, &l->calls[k]))
                continue;
            MD_TRY(emit_call(b, f, i, k, err));
            f->done[i][k] = *progress = true;
        }
    }
    return MD_OK;
}

/* Layers need not come in order: go round until nothing more is ready. */
static md_status emit_net(md_keras_build *b, md_keras_net *net,
                          const md_keras_value *in, md_keras_value *out,
                          md_error *err)
{
    bool progress = true;
    frame f;

    MD_TRY(frame_init(&f, net, b->arena, err));
    for (uint32_t i = 0; i < net->n_inputs; i++) {
        *frame_at(&f, &net->inputs[i]) = in[i];
        f.done[net->inputs[i].layer][0] = true;
    }
    while (progress)
        MD_TRY(emit_ready(b, &f, &progress, err));
    for (uint32_t i = 0; i < net->n_outputs; i++) {
        const md_keras_ref *r = &net->outputs[i];

        if (!f.done[r->layer][r->call])
            return md_fail(err, MD_CORRUPT,
                           "keras: output '%s' depends on itself or on no "
                           "input",
                           net->layers[r->layer].path);
        out[i] = *frame_at(&f, r);
    }
    return MD_OK;
}

static const json_t *input_shape(const json_t *config)
{
    static const char *const key[] = { "batch_shape", "batch_input_shape",
                                       "build_input_shape", "input_shape" };

    for (size_t i = 0; i < MD_COUNT(key); i++) {
        const json_t *v = json_object_get(config, key[i]);

        if (json_is_array(v))
            return v;
    }
    return NULL;
}

/* Element type of an input; narrow and double floats become float32, in which
 * everything is computed. */
static md_status input_type(md_dtype *out, const md_keras_layer *l,
                            md_error *err)
{
    const json_t *given = json_object_get(l->config, "dtype");
    const json_t *v = given;
    char text[MD_KERAS_SHOWN];
    const char *name;

    if (json_is_object(v)) /* a DTypePolicy */
        v = json_object_get(json_object_get(v, "config"), "name");
    name = !given || json_is_null(given) ? "float32" : json_string_value(v);
    if (name && strstr(name, "float")) {
        *out = MD_DTYPE_F32;
        return MD_OK;
    }
    if (name && strcmp(name, "string") == 0) {
        *out = MD_DTYPE_STRING;
        return MD_OK;
    }
    *out = name ? md_dtype_parse(name) : MD_DTYPE_NONE;
    if (!md_dtype_is_integer(*out) && *out != MD_DTYPE_BOOL)
        return md_fail(
            err, MD_UNSUPPORTED,
            "keras: input '%s' has dtype %s, a type of numbers or string "
            "expected",
            l->path, md_keras_show(text, given));
    return MD_OK;
}

static md_status read_input(md_keras_value *out, const md_keras_layer *l,
                            md_error *err)
{
    const json_t *shape = input_shape(l->config);
    size_t rank = json_array_size(shape);

    *out = (md_keras_value){ .rank = (int)rank };
    if (!shape || rank < 1 || rank > MD_RANK_MAX)
        return md_fail(err, MD_CORRUPT,
                       "keras: input '%s' has no shape of rank 1 to %d",
                       l->path, MD_RANK_MAX);
    for (size_t i = 0; i < rank; i++) {
        const json_t *d = json_array_get(shape, i);

        if (!json_is_null(d) &&
            (!json_is_integer(d) || json_integer_value(d) < 1 ||
             json_integer_value(d) > INT32_MAX))
            return md_fail(err, MD_CORRUPT,
                           "keras: input '%s' has a dimension that is neither "
                           "null nor 1 to 2^31-1",
                           l->path);
        out->dim[i] = json_is_null(d) ? -1 : json_integer_value(d);
    }
    return input_type(&out->dtype, l, err);
}

/* The ONNX type: axis 0 free is the batch, other free ones get own symbols. */
static md_status set_type(md_keras_build *b, const md_keras_value *v,
                          const char *name, md_error *err)
{
    md_type *t = &md_graph_value(b->g, v->id)->type;

    *t = (md_type){ .dtype = v->dtype, .has_rank = true, .rank = v->rank };
    for (int i = 0; i < v->rank; i++) {
        const char *symbol = "batch";

        if (v->dim[i] >= 0) {
            t->dim[i] = MD_DIM(v->dim[i]);
            continue;
        }
        if (i > 0)
            symbol = md_arena_printf(b->arena, "%s_%d", name, i);
        if (!symbol)
            return md_fail_nomem(err, 1);
        t->dim[i].scale = 1;
        MD_TRY(md_model_symbol(&t->dim[i].sym, b->model, symbol, err));
    }
    return MD_OK;
}

static md_status add_inputs(md_keras_value **out, md_keras_build *b,
                            const md_keras_net *net, md_error *err)
{
    md_keras_value *in = md_arena_calloc(b->arena, net->n_inputs, sizeof(*in));

    if (!in)
        return md_fail_nomem(err, net->n_inputs * sizeof(*in));
    for (uint32_t i = 0; i < net->n_inputs; i++) {
        const md_keras_layer *l = &net->layers[net->inputs[i].layer];

        MD_TRY(read_input(&in[i], l, err));
        MD_TRY(md_graph_add_value(&in[i].id, b->g, l->name, err));
        MD_TRY(set_type(b, &in[i], l->name, err));
        MD_TRY(md_graph_add_input(b->g, in[i].id, err));
    }
    *out = in;
    return MD_OK;
}

/* Give a name, or the next free one like it. */
static md_status give_name(md_keras_build *b, md_value_id id, const char *name,
                           md_error *err)
{
    const char *tried = name;

    for (uint32_t i = 1; md_graph_find(b->g, tried) != MD_VALUE_NONE; i++) {
        tried = md_arena_printf(b->arena, "%s_%u", name, i);
        if (!tried)
            return md_fail_nomem(err, strlen(name));
    }
    return md_graph_name_value(b->g, id, tried, err);
}

/* An output must be the result of a node, as Keras has it, and once. */
static md_status add_output(md_keras_build *b, md_keras_layer *l,
                            const md_keras_value *v, md_error *err)
{
    const md_value *value;
    md_keras_value y;

    b->layer = l;
    MD_TRY(md_keras_last(&y, b, v, err));
    value = md_graph_value(b->g, y.id);
    if (!value->def || value->is_output)
        MD_TRY(md_keras_op(&y.id, b, "Identity", &y.id, 1, NULL, err));
    MD_TRY(give_name(b, y.id, l->name, err));
    MD_TRY(set_type(b, &y, md_graph_value(b->g, y.id)->name, err));
    return md_graph_add_output(b->g, y.id, err);
}

static md_status add_outputs(md_keras_build *b, const md_keras_net *net,
                             const md_keras_value *out, md_error *err)
{
    for (uint32_t i = 0; i < net->n_outputs; i++)
        MD_TRY(
            add_output(b, &net->layers[net->outputs[i].layer], &out[i], err));
    return MD_OK;
}

/* Mark what the outputs do not need; nodes lie in topological order. */
static void drop_unused(md_keras_build *b, bool *used)
{
    md_graph *g = b->g;

    for (uint32_t i = 0; i < g->n_outputs; i++)
        used[g->outputs[i]] = true;
    for (uint32_t i = g->n_nodes; i-- > 0;) {
        md_node *n = g->nodes[i];

        n->dead = true;
        for (uint32_t k = 0; k < n->n_out; k++)
            n->dead = n->dead && !used[n->out[k]];
        for (uint32_t k = 0; !n->dead && k < n->n_out; k++)
            used[n->out[k]] = true; /* not all of them are optional */
        for (uint32_t k = 0; !n->dead && k < n->n_in; k++) {
            if (n->in[k] != MD_VALUE_NONE)
                used[n->in[k]] = true;
        }
    }
    for (uint32_t i = 0; i < g->n_values; i++) {
        if (!used[i])
            g->values[i].cdata = NULL;
    }
    md_graph_compact(g);
}

/* Names for what is left, in the order of the values; nodes are called after
 * their results. */
static md_status name_all(md_keras_build *b, const bool *used, md_error *err)
{
    md_graph *g = b->g;

    for (uint32_t i = 0; i < g->n_values; i++) {
        if (used[i] && i < b->cap_stems && !g->values[i].name[0])
            MD_TRY(give_name(b, i, b->stems[i], err));
    }
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        md_node *n = g->nodes[i];

        n->name = g->values[n->out[0]].name;
        b->n_transposes += strcmp(n->op, "Transpose") == 0;
    }
    return MD_OK;
}

md_status md_keras_finish_graph(md_keras_build *b, md_error *err)
{
    bool *used = md_arena_calloc(b->arena, b->g->n_values, sizeof(*used));

    if (!used)
        return md_fail_nomem(err, b->g->n_values);
    drop_unused(b, used);
    return name_all(b, used, err);
}

static md_status build(md_keras_build *b, md_keras_net *net,
                       const md_keras_file *f, md_error *err)
{
    md_keras_value *in = NULL;
    md_keras_value *out;

    MD_TRY(add_inputs(&in, b, net, err));
    out = md_arena_calloc(b->arena, net->n_outputs, sizeof(*out));
    if (!out)
        return md_fail_nomem(err, net->n_outputs * sizeof(*out));
    MD_TRY(emit_net(b, net, in, out, err));
    MD_TRY(add_outputs(b, net, out, err));
    MD_TRY(md_keras_finish_graph(b, err));
    b->model->ir_version = b->opset > 21 ? IR_VERSION + 1 : IR_VERSION;
    b->model->producer_name = "modeld";
    b->model->producer_version = MODELD_VERSION;
    MD_TRY(md_model_set_opset(b->model, "", b->opset, err));
    MD_TRY(md_model_set_meta(b->model, "modeld.source", "keras", err));
    MD_TRY(
        md_model_set_meta(b->model, "modeld.source_version", f->version, err));
    return md_graph_verify(b->g, err);
}

/* "NAME.json" for a path "NAME.weights.h5" or "NAME.h5". */
static md_status name_beside(const char **out, md_arena *ar, const char *path,
                             md_error *err)
{
    static const char *const endings[] = { ".weights.h5", ".h5", ".hdf5" };
    size_t n = strlen(path);

    for (size_t i = 0; i < MD_COUNT(endings); i++) {
        size_t k = strlen(endings[i]);

        if (n < k || strcmp(path + n - k, endings[i]) != 0)
            continue;
        *out = md_arena_printf(ar, "%.*s.json", (int)(n - k), path);
        return *out ? MD_OK : md_fail_nomem(err, n);
    }
    return MD_OK;
}

static md_status convert(md_model *model, md_convert_report *report,
                         const md_convert_source *src, md_error *err)
{
    md_keras_build b = {
        .model = model, .g = model->graph, .opset = OPSET, .plain = src->plain
    };
    md_keras_beside beside = { .given = src->architecture };
    md_keras_net *net = NULL;
    md_keras_file f = { .alloc = NULL };
    md_arena arena;
    md_status s;

    md_arena_init(&arena, model->alloc, ARENA_SIZE);
    b.arena = &arena;
    if (src->path)
        MD_GOTO(name_beside(&beside.maybe, &arena, src->path, err));
    MD_GOTO(md_keras_file_open(&f, src->bytes, src->size, &beside, NULL,
                               model->alloc, err));
    b.major = f.major;
    MD_GOTO(md_keras_net_read(&net, &f, &arena, err));
    MD_GOTO(md_keras_net_bind(net, &f, &arena, err));
    MD_GOTO(build(&b, net, &f, err));
    report->n_layers = b.n_layers;
    report->n_transposes = b.n_transposes;
    report->n_parameters = b.n_parameters;
    snprintf(report->version, sizeof(report->version), "%s", f.version);
out:
    md_free(model->alloc, b.stems);
    md_free(model->alloc, b.turns);
    md_arena_release(&arena);
    md_keras_file_release(&f);
    return s;
}

const md_converter md_converter_keras = { .name = "keras",
                                          .title = "Keras .keras and .h5",
                                          .probe = md_keras_probe,
                                          .has_plain = true,
                                          .convert = convert };
