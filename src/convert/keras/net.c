/* The structure of a Keras model out of its JSON. */
#include "convert/keras/net.h"

#include <stdio.h>
#include <string.h>

#include "convert/keras/layer.h"

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

const char *md_keras_activation(const json_t *config, const char *key)
{
    const json_t *v = json_object_get(config, key);

    if (!v || json_is_null(v))
        return "linear";
    /* Functions may be wrapped: {"class_name":"function","config":"relu"}. */
    if (json_is_object(v) &&
        strcmp(md_keras_text(v, "class_name", ""), "function") == 0)
        v = json_object_get(v, "config");
    return json_string_value(v);
}

static md_status nomem(const parser *p, size_t size)
{
    return md_fail_nomem(p->err, size);
}

static md_status refuse(parser *p, const md_keras_layer *l, const char *why)
{
    refusal **at = &p->refusals;

    p->n_refused++;
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

/* Settings that every layer of a class has and no emitter looks at. */
static md_status check_settings(parser *p, const md_keras_layer *l)
{
    const json_t *c = l->config;
    const char *activation = md_keras_activation(c, "activation");

    if (!activation)
        MD_TRY(refuse(p, l, "an activation that is a layer"));
    else if (!md_keras_knows_activation(activation))
        MD_TRY(refuse(p, l, activation));
    if (strcmp(md_keras_text(c, "data_format", ""), "channels_first") == 0)
        MD_TRY(refuse(p, l, "channels_first"));
    if (md_keras_bool(c, "mask_zero", false))
        MD_TRY(refuse(p, l, "mask_zero"));
    return MD_OK;
}

static md_status read_layer(md_keras_layer *l, parser *p, const json_t *item,
                            const char *prefix)
{
    const json_t *config = json_object_get(item, "config");
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
        return MD_OK;
    }
    if (is_operation(item))
        return refuse(p, l, "keras.ops");
    if (is_model(item)) {
        const char *inner = md_arena_printf(p->ar, "%s/", l->path);

        return inner ? read_net(&l->net, p, item, inner) : nomem(p, 1);
    }
    l->row = md_keras_row_find(l->cls);
    return l->row ? check_settings(p, l) : refuse(p, l, "");
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

/* [layer, node, tensor, ...] */
static md_status read_ref(md_keras_ref *out, const parser *p,
                          const md_keras_net *net, const json_t *a)
{
    json_int_t node = json_integer_value(json_array_get(a, 1));
    json_int_t index = json_integer_value(json_array_get(a, 2));
    const md_keras_layer *l;

    MD_TRY(find_layer(&out->layer, p, net,
                      json_string_value(json_array_get(a, 0))));
    l = &net->layers[out->layer];
    /* In Keras 2 a model's own graph counts as its first call. */
    if (l->net && p->file->major < 3)
        node--;
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
} ref_list;

static md_status add_ref(ref_list *list, const parser *p,
                         const md_keras_net *net, const json_t *v)
{
    md_keras_ref ref;

    MD_TRY(read_ref(&ref, p, net, v));
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

/* Every tensor in v, whatever lists and dictionaries it is wrapped in. */
static md_status collect_refs(ref_list *list, const parser *p,
                              const md_keras_net *net, json_t *v, int depth)
{
    const char *key;
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
    if (strcmp(md_keras_text(v, "class_name", ""), "__keras_tensor__") == 0) {
        v = json_object_get(json_object_get(v, "config"), "keras_history");
        return is_ref(v) ? add_ref(list, p, net, v)
                         : md_fail(p->err, MD_CORRUPT,
                                   "keras: a tensor of model '%s' lacks its "
                                   "history",
                                   net->name);
    }
    json_object_foreach(v, key, e)
        MD_TRY(collect_refs(list, p, net, e, depth + 1));
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

        if (l->is_input)
            continue;
        json_array_foreach(json_object_get(item, "inbound_nodes"), j, node)
        {
            ref_list refs = { NULL, 0, 0 };

            MD_TRY(collect_refs(&refs, p, net, node, 0));
            l->calls[j].in = refs.v;
            l->calls[j].n_in = refs.n;
        }
    }
    return MD_OK;
}

static md_status read_ends(md_keras_ref **out, uint32_t *n, const parser *p,
                           const md_keras_net *net, const json_t *config,
                           const char *key)
{
    ref_list refs = { NULL, 0, 0 };

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
