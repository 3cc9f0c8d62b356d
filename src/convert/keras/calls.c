/* Calls of layers: which tensors they are made with, and what else. */
#include <stdlib.h>
#include <string.h>

#include "convert/keras/layer.h"
#include "convert/keras/parse.h"

enum {
    CALLS_MAX = 100000, /* of all layers of a model */
    JSON_DEPTH_MAX = 32 /* of one layer's arguments */
};

static md_status find_layer(uint32_t *out, const md_keras_parser *p,
                            const md_keras_net *net, const char *name)
{
    for (uint32_t i = 0; name && i < net->n_layers; i++) {
        if (strcmp(net->layers[i].name, name) == 0) {
            *out = i;
            return MD_OK;
        }
    }
    return md_fail(p->err, MD_CORRUPT, "keras: model '%s' has no layer '%s'",
                   net->name, name ? name : "(not a name)");
}

/*
 * A model's own graph counts as its first call: in Keras 2 always, in Keras 3
 * where a model's outputs are told, and not for Sequential.
 */
static int own_graph(const md_keras_parser *p, const md_keras_layer *l,
                     bool is_end)
{
    if (!l->net)
        return 0;
    return p->file->major < 3 || (is_end && strcmp(l->cls, "Sequential") != 0);
}

/* [layer, node, tensor, ...] */
static md_status read_ref(md_keras_ref *out, const md_keras_parser *p,
                          const md_keras_net *net, const json_t *a, bool is_end)
{
    json_int_t node = json_integer_value(json_array_get(a, 1));
    json_int_t index = json_integer_value(json_array_get(a, 2));
    const md_keras_layer *l;

    MD_TRY(find_layer(&out->layer, p, net,
                      json_string_value(json_array_get(a, 0))));
    l = &net->layers[out->layer];
    node -= own_graph(p, l, is_end);
    if (node < 0 || node >= (json_int_t)l->n_calls || index < 0 ||
        index >= (json_int_t)(l->net ? l->net->n_outputs : l->n_out))
        return md_fail(p->err, MD_CORRUPT,
                       "keras: tensor %lld of call %lld of layer '%s' does not "
                       "exist",
                       (long long)index, (long long)node, l->path);
    out->call = (uint32_t)node;
    out->index = (uint32_t)index;
    return MD_OK;
}

static bool is_ref(const json_t *v)
{
    return json_is_array(v) && json_array_size(v) >= 3 &&
           json_is_string(json_array_get(v, 0)) &&
           json_is_integer(json_array_get(v, 1));
}

/* A growing list of references in the arena. */
typedef struct ref_list {
    md_keras_ref *v;
    uint32_t *arg;
    uint32_t n, cap;
    uint32_t now; /* the argument that is being read */
    bool is_end;  /* of a model's inputs or outputs */
} ref_list;

static md_status add_ref(ref_list *list, const md_keras_parser *p,
                         const md_keras_net *net, const json_t *v)
{
    md_keras_ref ref;

    MD_TRY(read_ref(&ref, p, net, v, list->is_end));
    if (list->n == list->cap) {
        uint32_t cap = list->cap ? list->cap * 2 : 2;
        md_keras_ref *grown = md_arena_calloc(p->ar, cap, sizeof(*grown));
        uint32_t *arg = md_arena_calloc(p->ar, cap, sizeof(*arg));

        if (!grown || !arg)
            return md_keras_parse__nomem(p, cap * sizeof(*grown));
        if (list->n > 0) {
            memcpy(grown, list->v, list->n * sizeof(*grown));
            memcpy(arg, list->arg, list->n * sizeof(*arg));
        }
        list->v = grown;
        list->arg = arg;
        list->cap = cap;
    }
    list->arg[list->n] = list->now;
    list->v[list->n++] = ref;
    return MD_OK;
}

static bool is_tensor(const json_t *v)
{
    return json_is_object(v) &&
           strcmp(md_keras_text(v, "class_name", ""), "__keras_tensor__") == 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Keras flattens a dictionary in the order of its sorted keys. */
static md_status sorted_keys(const char ***out, const md_keras_parser *p,
                             json_t *v)
{
    size_t n = json_object_size(v);
    const char **keys = md_arena_calloc(p->ar, n + 1, sizeof(*keys));
    const char *key;
    json_t *e;
    size_t i = 0;

    if (!keys)
        return md_keras_parse__nomem(p, (n + 1) * sizeof(*keys));
    json_object_foreach(v, key, e) keys[i++] = key;
    qsort(keys, n, sizeof(*keys), by_text);
    *out = keys;
    return MD_OK;
}

/* Every tensor in v, whatever lists and dictionaries it is wrapped in. */
static md_status collect_refs(ref_list *list, const md_keras_parser *p,
                              const md_keras_net *net, json_t *v, int depth)
{
    const char **keys = NULL;
    json_t *e;
    size_t i;

    if (depth == JSON_DEPTH_MAX)
        return md_fail(p->err, MD_CORRUPT,
                       "keras: arguments of model '%s' nest deeper than %d",
                       net->name, JSON_DEPTH_MAX);
    if (is_ref(v))
        return add_ref(list, p, net, v);
    if (json_is_array(v)) {
        json_array_foreach(v, i, e)
            MD_TRY(collect_refs(list, p, net, e, depth + 1));
        return MD_OK;
    }
    if (!json_is_object(v))
        return MD_OK;
    if (is_tensor(v)) {
        v = json_object_get(json_object_get(v, "config"), "keras_history");
        return is_ref(v) ? add_ref(list, p, net, v)
                         : md_fail(p->err, MD_CORRUPT,
                                   "keras: a tensor of model '%s' lacks its "
                                   "history",
                                   net->name);
    }
    MD_TRY(sorted_keys(&keys, p, v));
    for (i = 0; keys && keys[i]; i++)
        MD_TRY(
            collect_refs(list, p, net, json_object_get(v, keys[i]), depth + 1));
    return MD_OK;
}

/* A model whose inputs have no keys finds them by the names of its inputs. */
static md_status refs_by_name(ref_list *list, md_keras_parser *p,
                              const md_keras_net *net, md_keras_layer *l,
                              json_t *v)
{
    const md_keras_net *inner = l->net;

    for (uint32_t i = 0; i < inner->n_inputs; i++) {
        const char *name = inner->layers[inner->inputs[i].layer].name;
        json_t *e = json_object_get(v, name);

        if (!e)
            return md_fail(p->err, MD_CORRUPT,
                           "keras: layer '%s' is called without its input '%s'",
                           l->path, name);
        MD_TRY(collect_refs(list, p, net, e, 0));
    }
    return MD_OK;
}

/* Tensors that a layer is called with. */
static md_status read_tensors(ref_list *list, md_keras_parser *p,
                              const md_keras_net *net, md_keras_layer *l,
                              json_t *v)
{
    bool keyed = json_is_object(v) && !is_tensor(v);

    if (keyed && !l->net)
        return md_keras_parse__refuse(p, l, "a dictionary in a call");
    if (keyed && !l->net->keyed)
        return refs_by_name(list, p, net, l, v);
    return collect_refs(list, p, net, v, 0);
}

/* An argument that is as good as not given. */
static bool is_idle(json_t *v)
{
    const char *key;
    json_t *e;
    size_t i;

    json_array_foreach(v, i, e)
    {
        if (!is_idle(e))
            return false;
    }
    json_object_foreach(v, key, e)
    {
        if (!is_idle(e))
            return false;
    }
    return json_is_null(v) || json_is_false(v) || json_is_array(v) ||
           json_is_object(v);
}

/* Where training changes what is computed; others only take the argument. */
static bool minds_training(const md_keras_layer *l)
{
    return l->net || l->n_inner > 0 || l->row->emit == md_keras_emit_identity ||
           l->row->emit == md_keras_emit_attention ||
           l->row->emit == md_keras_emit_batch_norm ||
           l->row->emit == md_keras_emit_conv_lstm ||
           l->row->emit == md_keras_emit_recurrent;
}

/*
 * Arguments of call() that are tensors, by position, and others that are read;
 * of layers that are not here, only the first and "inputs".
 */
static const struct {
    md_keras_emit_fn *emit;
    const char *tensors[7];
    const char *others;
} arguments[] = {
    { md_keras_emit_attention,
      { "query", "value", "key", "query_mask", "value_mask", "key_mask",
        "attention_mask" },
      "use_causal_mask" },
    { md_keras_emit_bidirectional,
      { "sequences", "initial_state", "mask" },
      "" },
    { md_keras_emit_conv_lstm, { "sequences", "initial_state", "mask" }, "" },
    { md_keras_emit_dot_attention, { "inputs" }, "use_causal_mask" },
    { md_keras_emit_global_pool, { "inputs", "mask" }, "" },
    { md_keras_emit_recurrent, { "sequences", "initial_state", "mask" }, "" },
    { md_keras_emit_time_distributed, { "inputs", "training", "mask" }, "" },
};

/* The position of an argument of tensors, or -1. */
static int find_argument(const md_keras_layer *l, const char *key)
{
    for (size_t i = 0; l->row && i < MD_COUNT(arguments); i++) {
        if (arguments[i].emit != l->row->emit)
            continue;
        for (int k = 0; k < (int)MD_COUNT(arguments[i].tensors); k++) {
            const char *name = arguments[i].tensors[k];

            if (name && strcmp(name, key) == 0)
                return k;
        }
    }
    return strcmp(key, "inputs") == 0 ? 0 : -1;
}

bool md_keras_is_mask(const md_keras_layer *l, uint32_t position)
{
    for (size_t i = 0; l->row && i < MD_COUNT(arguments); i++) {
        const char *name = position < MD_COUNT(arguments[i].tensors)
                               ? arguments[i].tensors[position]
                               : NULL;

        if (arguments[i].emit == l->row->emit && name)
            return strstr(name, "mask") != NULL;
    }
    return false;
}

static bool has_position(const md_keras_layer *l, size_t at)
{
    if (l->operation)
        return true;
    for (size_t i = 0; l->row && i < MD_COUNT(arguments); i++) {
        if (arguments[i].emit == l->row->emit)
            return at < MD_COUNT(arguments[i].tensors) &&
                   arguments[i].tensors[at];
    }
    return at == 0;
}

static bool is_other(const md_keras_layer *l, const char *key)
{
    for (size_t i = 0; l->row && i < MD_COUNT(arguments); i++) {
        if (arguments[i].emit == l->row->emit &&
            strcmp(arguments[i].others, key) == 0)
            return true;
    }
    /* Only some compute something else in training; the rest take it. */
    return strcmp(key, "training") == 0 && !minds_training(l);
}

/* The tensors of one argument, of which there must be some: a constant would
 * be lost. */
static md_status read_argument(ref_list *list, md_keras_parser *p,
                               const md_keras_net *net, md_keras_layer *l,
                               json_t *v, uint32_t position)
{
    const uint32_t before = list->n;

    list->now = position;
    if (position == 0 && !l->operation)
        MD_TRY(read_tensors(list, p, net, l, v));
    else
        MD_TRY(collect_refs(list, p, net, v, 0));
    if (list->n == before && !l->refused && !l->operation)
        return md_keras_parse__refuse_value(p, l, "argument", v, " in a call");
    return MD_OK;
}

/* Arguments by name; those that are not known would change the result. */
static md_status read_named(ref_list *list, md_keras_parser *p,
                            const md_keras_net *net, md_keras_layer *l,
                            json_t *kwargs)
{
    const char *key;
    json_t *v;

    json_object_foreach(kwargs, key, v)
    {
        int position = find_argument(l, key);

        if (is_idle(v) || is_other(l, key))
            continue;
        if (position < 0 || (position == 0 && list->n > 0))
            MD_TRY(md_keras_parse__refuse_value(p, l, key, v, " in a call"));
        else
            MD_TRY(read_argument(list, p, net, l, v, (uint32_t)position));
    }
    return MD_OK;
}

/* {"args": [tensors, ...], "kwargs": {...}} */
static md_status read_node3(ref_list *list, md_keras_parser *p,
                            const md_keras_net *net, md_keras_layer *l,
                            const json_t *node)
{
    json_t *v;
    size_t i;

    json_array_foreach(json_object_get(node, "args"), i, v)
    {
        if (i > 0 && is_idle(v))
            continue;
        if (has_position(l, i))
            MD_TRY(read_argument(list, p, net, l, v, (uint32_t)i));
        else
            MD_TRY(md_keras_parse__refuse_value(p, l, "second argument", v,
                                                " in a call"));
    }
    return read_named(list, p, net, l, json_object_get(node, "kwargs"));
}

/* The arguments behind each [layer, node, tensor, {...}] of Keras 2; *others
 * become those of the last that has any. */
static md_status read_named2(ref_list *list, md_keras_call *call,
                             md_keras_parser *p, const md_keras_net *net,
                             md_keras_layer *l, json_t *v)
{
    const char *key;
    json_t *e;
    size_t i;

    if (is_ref(v)) {
        json_t *kwargs = json_array_get(v, 3);

        if (json_object_size(kwargs) > 0)
            call->others = kwargs;
        return read_named(list, p, net, l, kwargs);
    }
    json_array_foreach(v, i, e) MD_TRY(read_named2(list, call, p, net, l, e));
    json_object_foreach(v, key, e)
        MD_TRY(read_named2(list, call, p, net, l, e));
    return MD_OK;
}

static md_status read_node(md_keras_call *call, md_keras_parser *p,
                           const md_keras_net *net, md_keras_layer *l,
                           json_t *node)
{
    ref_list refs = { .is_end = false };

    if (json_object_get(node, "args") || json_object_get(node, "kwargs")) {
        call->others = json_object_get(node, "kwargs");
        call->given = json_object_get(node, "args");
        MD_TRY(read_node3(&refs, p, net, l, node));
    } else {
        /* collect_refs has found that it does not nest too deep */
        MD_TRY(read_argument(&refs, p, net, l, node, 0));
        MD_TRY(read_named2(&refs, call, p, net, l, node));
    }
    call->in = refs.v;
    call->arg = refs.arg;
    call->n_in = refs.n;
    return MD_OK;
}

md_status md_keras_parse__alloc_calls(md_keras_layer *l, md_keras_parser *p,
                                      size_t n)
{
    if (n > CALLS_MAX - p->n_calls)
        return md_fail(p->err, MD_TOO_LARGE, "keras: more than %d layer calls",
                       CALLS_MAX);
    p->n_calls += (uint32_t)n;
    l->n_calls = (uint32_t)n;
    if (n > 0 && !(l->calls = md_arena_calloc(p->ar, n, sizeof(*l->calls))))
        return md_keras_parse__nomem(p, n * sizeof(*l->calls));
    return MD_OK;
}

md_status md_keras_parse__calls(md_keras_parser *p, md_keras_net *net,
                                const json_t *items)
{
    json_t *item;
    json_t *node;
    size_t i;
    size_t j;

    json_array_foreach(items, i, item)
    {
        size_t n = json_array_size(json_object_get(item, "inbound_nodes"));
        md_keras_layer *l = &net->layers[i];

        MD_TRY(md_keras_parse__alloc_calls(l, p, l->is_input ? 1 : n));
    }
    json_array_foreach(items, i, item)
    {
        md_keras_layer *l = &net->layers[i];

        if (l->is_input || l->refused)
            continue;
        json_array_foreach(json_object_get(item, "inbound_nodes"), j, node)
            MD_TRY(read_node(&l->calls[j], p, net, l, node));
    }
    return MD_OK;
}

md_status md_keras_parse__ends(md_keras_ref **out, uint32_t *n,
                               const md_keras_parser *p,
                               const md_keras_net *net, const json_t *config,
                               const char *key)
{
    ref_list refs = { .is_end = true };

    MD_TRY(collect_refs(&refs, p, net, json_object_get(config, key), 0));
    if (refs.n == 0)
        return md_fail(p->err, MD_CORRUPT, "keras: model '%s' has no %s",
                       net->name, key);
    *out = refs.v;
    *n = refs.n;
    return MD_OK;
}
