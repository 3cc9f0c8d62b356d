/* The structure of a Keras model out of its JSON. */
#include "convert/keras/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convert/keras/layer.h"
#include "convert/keras/settings.h"

enum {
    CALLS_MAX = 100000, /* of all layers of a model */
    JSON_DEPTH_MAX = 32 /* of one layer's arguments */
};

/* What stands in the way, gathered over all layers. */
typedef struct refusal {
    const char *cls, *why;
    const char *first; /* name of the first such layer */
    uint32_t n;
    struct refusal *next;
} refusal;

typedef struct parser {
    const md_keras_file *file;
    md_arena *ar;
    md_error *err;
    refusal *refusals;
    uint32_t n_refused;
    uint32_t n_calls;
    int depth;
} parser;

const char *md_keras_text(const json_t *config, const char *key,
                          const char *otherwise)
{
    const char *s = json_string_value(json_object_get(config, key));

    return s ? s : otherwise;
}

double md_keras_number(const json_t *config, const char *key, double otherwise)
{
    const json_t *v = json_object_get(config, key);

    return json_is_number(v) ? json_number_value(v) : otherwise;
}

int64_t md_keras_int(const json_t *config, const char *key, int64_t otherwise)
{
    const json_t *v = json_object_get(config, key);

    return json_is_integer(v) ? (int64_t)json_integer_value(v) : otherwise;
}

bool md_keras_bool(const json_t *config, const char *key, bool otherwise)
{
    const json_t *v = json_object_get(config, key);

    if (json_is_integer(v))
        return json_integer_value(v) != 0;
    return json_is_boolean(v) ? json_is_true(v) : otherwise;
}

md_status md_keras_ints(int64_t *out, uint32_t n, const md_keras_layer *layer,
                        const char *key, int64_t otherwise, md_error *err)
{
    const json_t *v = json_object_get(layer->config, key);
    bool list = json_is_array(v) && json_array_size(v) == n;

    for (uint32_t i = 0; i < n; i++) {
        const json_t *e = list ? json_array_get(v, i) : v;

        if (!v || json_is_null(v)) {
            out[i] = otherwise;
        } else if (json_is_integer(e)) {
            out[i] = (int64_t)json_integer_value(e);
        } else {
            return md_fail(err, MD_CORRUPT,
                           "keras: layer '%s' (%s): '%s' is not %u numbers",
                           layer->path, layer->cls, key, n);
        }
    }
    return MD_OK;
}

const char *md_keras_function_name(const json_t *v)
{
    if (!v || json_is_null(v))
        return "linear";
    /* Functions may be wrapped: {"class_name":"function","config":"relu"}. */
    if (json_is_object(v) &&
        strcmp(md_keras_text(v, "class_name", ""), "function") == 0)
        v = json_object_get(v, "config");
    return json_string_value(v);
}

const char *md_keras_activation(const json_t *config)
{
    return md_keras_function_name(json_object_get(config, "activation"));
}

/* What has room of a value's JSON, and how much there was. */
typedef struct shown {
    char *text;
    size_t n;
} shown;

static int show_part(const char *part, size_t n, void *ctx)
{
    shown *s = ctx;
    size_t room = s->n < MD_KERAS_SHOWN ? MD_KERAS_SHOWN - s->n : 0;

    if (room > 0)
        memcpy(s->text + s->n, part, n < room ? n : room);
    s->n += n;
    return 0;
}

const char *md_keras_show(char text[MD_KERAS_SHOWN], const json_t *v)
{
    shown s = { text, 0 };

    json_dump_callback(v, show_part, &s, JSON_ENCODE_ANY | JSON_COMPACT);
    if (s.n >= MD_KERAS_SHOWN)
        memcpy(text + MD_KERAS_SHOWN - 4, "...", 4);
    else
        text[s.n] = '\0';
    return text;
}

static md_status nomem(const parser *p, size_t size)
{
    return md_fail_nomem(p->err, size);
}

static md_status refuse(parser *p, md_keras_layer *l, const char *why)
{
    refusal **at = &p->refusals;

    p->n_refused += !l->refused;
    l->refused = true;
    while (*at &&
           (strcmp((*at)->cls, l->cls) != 0 || strcmp((*at)->why, why) != 0))
        at = &(*at)->next;
    if (!*at) {
        *at = md_arena_calloc(p->ar, 1, sizeof(**at));
        if (!*at)
            return nomem(p, sizeof(**at));
        **at = (refusal){ l->cls, why, l->path, 0, NULL };
    }
    (*at)->n++;
    return MD_OK;
}

/* The same because of a value, which is shown as JSON. */
static md_status refuse_value(parser *p, md_keras_layer *l, const char *what,
                              const json_t *v, const char *where)
{
    char text[MD_KERAS_SHOWN];
    const char *why = md_arena_printf(p->ar, "%.60s %s%s", what,
                                      md_keras_show(text, v), where);

    return why ? refuse(p, l, why) : nomem(p, sizeof(text));
}

/* One message with every class that was refused. */
static md_status tell_refusals(const parser *p)
{
    char text[MD_ERROR_MSG_SIZE];
    size_t at = 0;

    for (const refusal *r = p->refusals; r && at < sizeof(text); r = r->next) {
        int n = snprintf(text + at, sizeof(text) - at, "%s%s%s%s ('%.60s'",
                         at > 0 ? ", " : "", r->cls, r->why[0] ? " with " : "",
                         r->why, r->first);

        at += n > 0 ? (size_t)n : 0;
        if (at >= sizeof(text))
            break;
        if (r->n > 1)
            n = snprintf(text + at, sizeof(text) - at, " and %u more)",
                         r->n - 1);
        else
            n = snprintf(text + at, sizeof(text) - at, ")");
        at += n > 0 ? (size_t)n : 0;
    }
    return md_fail(p->err, MD_UNSUPPORTED,
                   "keras: %u layers have no conversion: %s", p->n_refused,
                   text);
}

static md_status read_net(md_keras_net **out, parser *p, const json_t *model,
                          const char *prefix);

/* An item that is no layer but a call of a keras.ops function. */
static bool is_operation(const json_t *item)
{
    const char *module = md_keras_text(item, "module", "");

    return strncmp(module, "keras.src.ops", 13) == 0 ||
           strncmp(module, "keras.ops", 9) == 0;
}

static bool is_model(const json_t *item)
{
    const json_t *config = json_object_get(item, "config");

    return strcmp(md_keras_text(item, "class_name", ""), "Sequential") == 0 ||
           json_is_array(json_object_get(config, "layers"));
}

/*
 * A class of someone else that is called like one of Keras: the package
 * before '>' in its registered name, or its module, tells.
 */
static md_status check_origin(parser *p, md_keras_layer *l, const json_t *item)
{
    static const char *const own[] = { "keras", "tf_keras", "tensorflow" };
    const json_t *registered = json_object_get(item, "registered_name");
    const json_t *module = json_object_get(item, "module");
    bool known = !json_is_string(module);

    for (size_t i = 0; !known && i < MD_COUNT(own); i++) {
        const char *text = json_string_value(module);
        size_t n = strlen(own[i]);

        known = strncmp(text, own[i], n) == 0 && (!text[n] || text[n] == '.');
    }
    if (!known)
        return refuse_value(p, l, "module", module, "");
    if (json_is_string(registered) &&
        strchr(json_string_value(registered), '>'))
        return refuse_value(p, l, "registered_name", registered, "");
    return MD_OK;
}

/* Of a function or layer that is a value, its name. */
static const json_t *short_form(const json_t *v)
{
    const json_t *config = json_object_get(v, "config");
    const json_t *cls = json_object_get(v, "class_name");

    return json_is_string(config) ? config : cls ? cls : v;
}

static md_status check_settings(parser *p, md_keras_layer *l, json_t *config)
{
    const char *key;
    json_t *v;

    json_object_foreach(config, key, v)
    {
        if (!md_keras_setting_fits(l->row, key, v))
            MD_TRY(refuse_value(p, l, key, short_form(v), ""));
    }
    return MD_OK;
}

/* Inputs that are more than a dense tensor that is always given.  A sparse
 * one computes the same when it is dense. */
static md_status check_input(parser *p, md_keras_layer *l)
{
    static const char *const key[] = { "ragged", "optional" };

    for (size_t i = 0; i < MD_COUNT(key); i++) {
        const json_t *v = json_object_get(l->config, key[i]);

        /* What is no truth value is no clear `false`. */
        if (md_keras_bool(l->config, key[i], v && !json_is_null(v)))
            MD_TRY(refuse_value(p, l, key[i], v, ""));
    }
    return MD_OK;
}

static md_status read_layer(md_keras_layer *l, parser *p, const json_t *item,
                            const char *prefix)
{
    json_t *config = json_object_get(item, "config");
    const char *name = md_keras_text(item, "name", NULL);

    l->cls = md_keras_text(item, "class_name", NULL);
    if (!name)
        name = md_keras_text(config, "name", NULL);
    if (!l->cls || !name || !name[0] ||
        !(json_is_object(config) || json_is_array(config)))
        return md_fail(p->err, MD_CORRUPT,
                       "keras: a layer of '%s' lacks class_name, name or "
                       "config",
                       prefix);
    l->name = name;
    l->config = config;
    l->path = md_arena_printf(p->ar, "%s%s", prefix, name);
    if (!l->path)
        return nomem(p, strlen(name));
    if (strcmp(l->cls, "InputLayer") == 0) {
        l->is_input = true;
        return check_input(p, l);
    }
    if (is_operation(item))
        return refuse(p, l, "keras.ops");
    if (is_model(item)) {
        const char *inner = md_arena_printf(p->ar, "%s/", l->path);

        return inner ? read_net(&l->net, p, item, inner) : nomem(p, 1);
    }
    l->row = md_keras_row_find(l->cls);
    if (!l->row)
        return refuse(p, l, "");
    MD_TRY(check_origin(p, l, item));
    return check_settings(p, l, config);
}

static md_status find_layer(uint32_t *out, const parser *p,
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
static int own_graph(const parser *p, const md_keras_layer *l, bool is_end)
{
    if (!l->net)
        return 0;
    return p->file->major < 3 || (is_end && strcmp(l->cls, "Sequential") != 0);
}

/* [layer, node, tensor, ...] */
static md_status read_ref(md_keras_ref *out, const parser *p,
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
        index >= (l->net ? (json_int_t)l->net->n_outputs : 1))
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
    uint32_t n, cap;
    bool is_end; /* of a model's inputs or outputs */
} ref_list;

static md_status add_ref(ref_list *list, const parser *p,
                         const md_keras_net *net, const json_t *v)
{
    md_keras_ref ref;

    MD_TRY(read_ref(&ref, p, net, v, list->is_end));
    if (list->n == list->cap) {
        uint32_t cap = list->cap ? list->cap * 2 : 2;
        md_keras_ref *grown = md_arena_calloc(p->ar, cap, sizeof(*grown));

        if (!grown)
            return nomem(p, cap * sizeof(*grown));
        if (list->n > 0)
            memcpy(grown, list->v, list->n * sizeof(*grown));
        list->v = grown;
        list->cap = cap;
    }
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
static md_status sorted_keys(const char ***out, const parser *p, json_t *v)
{
    size_t n = json_object_size(v);
    const char **keys = md_arena_calloc(p->ar, n + 1, sizeof(*keys));
    const char *key;
    json_t *e;
    size_t i = 0;

    if (!keys)
        return nomem(p, (n + 1) * sizeof(*keys));
    json_object_foreach(v, key, e) keys[i++] = key;
    qsort(keys, n, sizeof(*keys), by_text);
    *out = keys;
    return MD_OK;
}

/* Every tensor in v, whatever lists and dictionaries it is wrapped in. */
static md_status collect_refs(ref_list *list, const parser *p,
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
    for (i = 0; keys[i]; i++)
        MD_TRY(
            collect_refs(list, p, net, json_object_get(v, keys[i]), depth + 1));
    return MD_OK;
}

/* A model whose inputs have no keys finds them by the names of its inputs. */
static md_status refs_by_name(ref_list *list, parser *p,
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
static md_status read_tensors(ref_list *list, parser *p,
                              const md_keras_net *net, md_keras_layer *l,
                              json_t *v)
{
    bool keyed = json_is_object(v) && !is_tensor(v);

    if (keyed && !l->net)
        return refuse(p, l, "a dictionary in a call");
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
    return l->net || l->row->emit == md_keras_emit_identity ||
           l->row->emit == md_keras_emit_batch_norm;
}

/* Arguments beside the tensors would change what the layer computes. */
static md_status check_arguments(parser *p, md_keras_layer *l, json_t *kwargs,
                                 const char *tensors)
{
    const char *key;
    json_t *v;

    json_object_foreach(kwargs, key, v)
    {
        if (is_idle(v) || strcmp(key, tensors) == 0 ||
            (strcmp(key, "training") == 0 && !minds_training(l)))
            continue;
        MD_TRY(refuse_value(p, l, key, v, " in a call"));
    }
    return MD_OK;
}

/* {"args": [tensors, ...], "kwargs": {...}} */
static md_status read_node3(ref_list *list, parser *p, const md_keras_net *net,
                            md_keras_layer *l, const json_t *node)
{
    const json_t *args = json_object_get(node, "args");
    json_t *kwargs = json_object_get(node, "kwargs");
    json_t *tensors = json_array_get(args, 0);

    MD_TRY(check_arguments(p, l, kwargs, tensors ? "" : "inputs"));
    for (size_t i = 1; i < json_array_size(args); i++) {
        if (!is_idle(json_array_get(args, i)))
            MD_TRY(refuse_value(p, l, "second argument",
                                json_array_get(args, i), " in a call"));
    }
    if (!tensors)
        tensors = json_object_get(kwargs, "inputs");
    return read_tensors(list, p, net, l, tensors);
}

/* The arguments behind each [layer, node, tensor, {...}] of Keras 2. */
static md_status check_node2(parser *p, md_keras_layer *l, json_t *v, int depth)
{
    const char *key;
    json_t *e;
    size_t i;

    if (is_ref(v))
        return check_arguments(p, l, json_array_get(v, 3), "");
    if (depth == JSON_DEPTH_MAX)
        return MD_OK; /* refused by collect_refs */
    json_array_foreach(v, i, e) MD_TRY(check_node2(p, l, e, depth + 1));
    json_object_foreach(v, key, e) MD_TRY(check_node2(p, l, e, depth + 1));
    return MD_OK;
}

static md_status read_node(md_keras_call *call, parser *p,
                           const md_keras_net *net, md_keras_layer *l,
                           json_t *node)
{
    ref_list refs = { NULL, 0, 0, false };

    if (json_object_get(node, "args") || json_object_get(node, "kwargs")) {
        MD_TRY(read_node3(&refs, p, net, l, node));
    } else {
        MD_TRY(check_node2(p, l, node, 0));
        MD_TRY(read_tensors(&refs, p, net, l, node));
    }
    call->in = refs.v;
    call->n_in = refs.n;
    return MD_OK;
}

static md_status alloc_calls(md_keras_layer *l, parser *p, size_t n)
{
    if (n > CALLS_MAX - p->n_calls)
        return md_fail(p->err, MD_TOO_LARGE, "keras: more than %d layer calls",
                       CALLS_MAX);
    p->n_calls += (uint32_t)n;
    l->n_calls = (uint32_t)n;
    if (n > 0 && !(l->calls = md_arena_calloc(p->ar, n, sizeof(*l->calls))))
        return nomem(p, n * sizeof(*l->calls));
    return MD_OK;
}

static md_status read_calls(parser *p, md_keras_net *net, const json_t *items)
{
    json_t *item;
    json_t *node;
    size_t i;
    size_t j;

    json_array_foreach(items, i, item)
    {
        size_t n = json_array_size(json_object_get(item, "inbound_nodes"));
        md_keras_layer *l = &net->layers[i];

        MD_TRY(alloc_calls(l, p, l->is_input ? 1 : n));
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

static md_status read_ends(md_keras_ref **out, uint32_t *n, const parser *p,
                           const md_keras_net *net, const json_t *config,
                           const char *key)
{
    ref_list refs = { NULL, 0, 0, true };

    MD_TRY(collect_refs(&refs, p, net, json_object_get(config, key), 0));
    if (refs.n == 0)
        return md_fail(p->err, MD_CORRUPT, "keras: model '%s' has no %s",
                       net->name, key);
    *out = refs.v;
    *n = refs.n;
    return MD_OK;
}

static md_status read_functional(md_keras_net *net, parser *p,
                                 const json_t *config, const json_t *items)
{
    net->keyed = json_is_object(json_object_get(config, "input_layers"));
    MD_TRY(read_calls(p, net, items));
    MD_TRY(read_ends(&net->inputs, &net->n_inputs, p, net, config,
                     "input_layers"));
    for (uint32_t i = 0; i < net->n_inputs; i++) {
        const md_keras_layer *l = &net->layers[net->inputs[i].layer];

        if (!l->is_input)
            return md_fail(p->err, MD_CORRUPT,
                           "keras: input '%s' is a %s, InputLayer expected",
                           l->path, l->cls);
    }
    return read_ends(&net->outputs, &net->n_outputs, p, net, config,
                     "output_layers");
}

/* Where a Sequential without InputLayer tells its shape. */
static const json_t *shape_owner(const json_t *config, const json_t *first)
{
    static const char *const key[] = { "batch_input_shape", "batch_shape" };
    const json_t *c = json_object_get(first, "config");

    for (size_t i = 0; i < MD_COUNT(key); i++) {
        if (json_object_get(c, key[i]))
            return c;
    }
    if (json_object_get(config, "build_input_shape"))
        return config;
    return json_object_get(first, "build_config");
}

/* A layer in front for what Sequential left out. */
static md_status add_input(md_keras_net *net, parser *p, const json_t *config,
                           const json_t *first, const char *prefix)
{
    md_keras_layer *l = &net->layers[0];

    *l = (md_keras_layer){ .cls = "InputLayer", .is_input = true };
    l->config = shape_owner(config, first);
    l->name = md_arena_printf(
        p->ar, "%s_input",
        md_keras_text(json_object_get(first, "config"), "name", "first"));
    if (!l->name)
        return nomem(p, 1);
    l->path = md_arena_printf(p->ar, "%s%s", prefix, l->name);
    return l->path ? MD_OK : nomem(p, 1);
}

/* Each layer called once, on the one before. */
static md_status chain(md_keras_net *net, parser *p)
{
    md_keras_ref *refs =
        md_arena_calloc(p->ar, (size_t)net->n_layers + 1, sizeof(*refs));

    if (!refs)
        return nomem(p, net->n_layers * sizeof(*refs));
    for (uint32_t i = 0; i < net->n_layers; i++) {
        MD_TRY(alloc_calls(&net->layers[i], p, 1));
        refs[i + 1].layer = i;
        if (i > 0) {
            net->layers[i].calls[0].in = &refs[i];
            net->layers[i].calls[0].n_in = 1;
        }
    }
    net->inputs = &refs[1];
    net->outputs = &refs[net->n_layers];
    net->n_inputs = net->n_outputs = 1;
    return MD_OK;
}

static md_status read_layers(md_keras_net *net, parser *p, const json_t *items,
                             uint32_t at, const char *prefix)
{
    json_t *item;
    size_t i;

    json_array_foreach(items, i, item)
        MD_TRY(read_layer(&net->layers[at + i], p, item, prefix));
    return MD_OK;
}

static md_status alloc_layers(md_keras_net *net, parser *p, size_t n)
{
    if (n == 0 || n > MD_KERAS_LAYERS_MAX)
        return md_fail(p->err, n == 0 ? MD_CORRUPT : MD_TOO_LARGE,
                       "keras: model '%s' has %zu layers, 1 to %d expected",
                       net->name, n, MD_KERAS_LAYERS_MAX);
    net->layers = md_arena_calloc(p->ar, n, sizeof(*net->layers));
    net->n_layers = (uint32_t)n;
    return net->layers ? MD_OK : nomem(p, n * sizeof(*net->layers));
}

static bool starts_with_input(const json_t *items)
{
    const json_t *first = json_array_get(items, 0);

    return strcmp(md_keras_text(first, "class_name", ""), "InputLayer") == 0;
}

static md_status read_sequential(md_keras_net *net, parser *p,
                                 const json_t *config, const json_t *items,
                                 const char *prefix)
{
    bool has_input = starts_with_input(items);
    size_t n = json_array_size(items);

    MD_TRY(alloc_layers(net, p, n > 0 && !has_input ? n + 1 : n));
    if (!has_input)
        MD_TRY(add_input(net, p, config, json_array_get(items, 0), prefix));
    MD_TRY(read_layers(net, p, items, has_input ? 0 : 1, prefix));
    for (uint32_t i = 1; i < net->n_layers; i++) {
        if (net->layers[i].is_input)
            return md_fail(p->err, MD_CORRUPT,
                           "keras: layer '%s' of a Sequential is an InputLayer",
                           net->layers[i].path);
    }
    return chain(net, p);
}

static md_status read_net(md_keras_net **out, parser *p, const json_t *model,
                          const char *prefix)
{
    const json_t *config = json_object_get(model, "config");
    const char *cls = md_keras_text(model, "class_name", "");
    /* The oldest Sequential is the bare list. */
    const json_t *items =
        json_is_array(config) ? config : json_object_get(config, "layers");
    md_keras_net *net = md_arena_calloc(p->ar, 1, sizeof(*net));
    md_status s;

    if (!net)
        return nomem(p, sizeof(*net));
    net->name = md_keras_text(config, "name", cls);
    if (!json_is_array(items))
        return md_fail(p->err, MD_UNSUPPORTED,
                       "keras: model class '%s' keeps no graph in its file; "
                       "Sequential or Functional expected",
                       cls);
    if (p->depth == MD_KERAS_NEST_MAX)
        return md_fail(p->err, MD_TOO_LARGE,
                       "keras: models nest deeper than %d", MD_KERAS_NEST_MAX);
    p->depth++;
    if (strcmp(cls, "Sequential") == 0) {
        s = read_sequential(net, p, config, items, prefix);
    } else {
        s = alloc_layers(net, p, json_array_size(items));
        if (s == MD_OK)
            s = read_layers(net, p, items, 0, prefix);
        if (s == MD_OK)
            s = read_functional(net, p, config, items);
    }
    p->depth--;
    *out = net;
    return s;
}

md_status md_keras_net_read(md_keras_net **out, const md_keras_file *f,
                            md_arena *ar, md_error *err)
{
    parser p = { .file = f, .ar = ar, .err = err };

    MD_TRY(read_net(out, &p, f->model, ""));
    return p.n_refused > 0 ? tell_refusals(&p) : MD_OK;
}
