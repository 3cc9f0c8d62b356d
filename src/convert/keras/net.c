/* The structure of a Keras model out of its JSON. */
#include "convert/keras/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convert/keras/layer.h"
#include "convert/keras/parse.h"
#include "convert/keras/settings.h"

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

md_status md_keras_parse__nomem(const md_keras_parser *p, size_t size)
{
    return md_fail_nomem(p->err, size);
}

md_status md_keras_parse__refuse(md_keras_parser *p, md_keras_layer *l,
                                 const char *why)
{
    md_keras_refusal **at = &p->refusals;

    p->n_refused += !l->refused;
    l->refused = true;
    while (*at &&
           (strcmp((*at)->cls, l->cls) != 0 || strcmp((*at)->why, why) != 0))
        at = &(*at)->next;
    if (!*at) {
        *at = md_arena_calloc(p->ar, 1, sizeof(**at));
        if (!*at)
            return md_keras_parse__nomem(p, sizeof(**at));
        **at = (md_keras_refusal){ l->cls, why, l->path, 0, NULL };
    }
    (*at)->n++;
    return MD_OK;
}

/* The same because of a value, which is shown as JSON. */
md_status md_keras_parse__refuse_value(md_keras_parser *p, md_keras_layer *l,
                                       const char *what, const json_t *v,
                                       const char *where)
{
    char text[MD_KERAS_SHOWN];
    const char *why = md_arena_printf(p->ar, "%.60s %s%s", what,
                                      md_keras_show(text, v), where);

    return why ? md_keras_parse__refuse(p, l, why)
               : md_keras_parse__nomem(p, sizeof(text));
}

/* One message with every class that was refused. */
static md_status tell_refusals(const md_keras_parser *p)
{
    char text[MD_ERROR_MSG_SIZE];
    size_t at = 0;

    for (const md_keras_refusal *r = p->refusals; r && at < sizeof(text);
         r = r->next) {
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

static md_status read_net(md_keras_net **out, md_keras_parser *p,
                          const json_t *model, const char *prefix);

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
static md_status check_origin(md_keras_parser *p, md_keras_layer *l,
                              const json_t *item)
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
        return md_keras_parse__refuse_value(p, l, "module", module, "");
    if (json_is_string(registered) &&
        strchr(json_string_value(registered), '>'))
        return md_keras_parse__refuse_value(p, l, "registered_name", registered,
                                            "");
    return MD_OK;
}

/* Of a function or layer that is a value, its name. */
static const json_t *short_form(const json_t *v)
{
    const json_t *config = json_object_get(v, "config");
    const json_t *cls = json_object_get(v, "class_name");

    return json_is_string(config) ? config : cls ? cls : v;
}

static md_status check_settings(md_keras_parser *p, md_keras_layer *l,
                                json_t *config)
{
    const char *key;
    json_t *v;

    json_object_foreach(config, key, v)
    {
        if (!md_keras_setting_fits(l->row, key, v))
            MD_TRY(md_keras_parse__refuse_value(p, l, key, short_form(v), ""));
    }
    return MD_OK;
}

/* Inputs that are more than a dense tensor that is always given.  A sparse
 * one computes the same when it is dense. */
static md_status check_input(md_keras_parser *p, md_keras_layer *l)
{
    static const char *const key[] = { "ragged", "optional" };

    for (size_t i = 0; i < MD_COUNT(key); i++) {
        const json_t *v = json_object_get(l->config, key[i]);

        /* What is no truth value is no clear `false`. */
        if (md_keras_bool(l->config, key[i], v && !json_is_null(v)))
            MD_TRY(md_keras_parse__refuse_value(p, l, key[i], v, ""));
    }
    return MD_OK;
}

static md_status read_layer(md_keras_layer *l, md_keras_parser *p,
                            const json_t *item, const char *prefix);

/* The layers of a wrapper.  Bidirectional's second one may be left out: it is
 * then like the first. */
static md_status read_inner(md_keras_layer *l, md_keras_parser *p)
{
    const json_t *first = json_object_get(l->config, "layer");
    const json_t *second = json_object_get(l->config, "backward_layer");
    const bool both = l->row->emit == md_keras_emit_bidirectional;
    const char *prefix = md_arena_printf(p->ar, "%s/", l->path);
    md_status s;

    if (!both && l->row->emit != md_keras_emit_time_distributed)
        return MD_OK;
    if (p->depth == MD_KERAS_NEST_MAX)
        return md_fail(p->err, MD_TOO_LARGE,
                       "keras: layers nest deeper than %d", MD_KERAS_NEST_MAX);
    l->n_inner = both ? 2 : 1;
    l->inner = md_arena_calloc(p->ar, l->n_inner, sizeof(*l->inner));
    if (!l->inner || !prefix)
        return md_keras_parse__nomem(p, l->n_inner * sizeof(*l->inner));
    p->depth++;
    s = read_layer(&l->inner[0], p, first, prefix);
    if (s == MD_OK && both)
        s = read_layer(&l->inner[1], p, json_is_object(second) ? second : first,
                       prefix);
    p->depth--;
    for (uint32_t i = 0; s == MD_OK && both && i < 2; i++) {
        if (!l->inner[i].refused &&
            (!l->inner[i].row || l->inner[i].row != l->inner[0].row ||
             (l->inner[i].row->emit != md_keras_emit_recurrent &&
              l->inner[i].row->emit != md_keras_emit_conv_lstm)))
            s = md_keras_parse__refuse_value(
                p, l, "layer", json_object_get(first, "class_name"), "");
    }
    return s;
}

/* Tensors that a call gives: the result, and states where they are wanted. */
static uint32_t count_outputs(const md_keras_layer *l)
{
    uint32_t n = 1;

    if (l->row->emit == md_keras_emit_bidirectional) {
        const json_t *mode = json_object_get(l->config, "merge_mode");

        n = json_is_null(mode) ? 2 : 1;
        for (uint32_t i = 0; i < l->n_inner; i++)
            n += l->inner[i].n_out - 1;
    } else if (md_keras_bool(l->config, "return_state", false)) {
        n += strstr(l->cls, "LSTM") ? 2 : 1;
    }
    return n;
}

/* A call of keras.ops that is an item of the model. */
static md_status read_operation(md_keras_layer *l, md_keras_parser *p)
{
    const char *key;
    json_t *v;

    l->operation = md_keras_operation_find(l->cls);
    if (!l->operation)
        return md_keras_parse__refuse(p, l, "keras.ops");
    l->row = &l->operation->row;
    json_object_foreach((json_t *)l->config, key, v)
    {
        if (!md_keras_is_word_of(l->operation->settings, key) &&
            strcmp(key, "name") != 0 && !json_is_null(v))
            MD_TRY(md_keras_parse__refuse_value(p, l, key, v, ""));
    }
    return MD_OK;
}

static md_status read_layer(md_keras_layer *l, md_keras_parser *p,
                            const json_t *item, const char *prefix)
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
    l->n_out = 1;
    l->path = md_arena_printf(p->ar, "%s%s", prefix, name);
    if (!l->path)
        return md_keras_parse__nomem(p, strlen(name));
    if (strcmp(l->cls, "InputLayer") == 0) {
        l->is_input = true;
        return check_input(p, l);
    }
    if (is_operation(item))
        return read_operation(l, p);
    if (is_model(item)) {
        const char *inner = md_arena_printf(p->ar, "%s/", l->path);

        return inner ? read_net(&l->net, p, item, inner)
                     : md_keras_parse__nomem(p, 1);
    }
    l->row = md_keras_row_find(l->cls);
    if (!l->row)
        return md_keras_parse__refuse(p, l, "");
    MD_TRY(check_origin(p, l, item));
    MD_TRY(check_settings(p, l, config));
    MD_TRY(read_inner(l, p));
    l->n_out = count_outputs(l);
    return MD_OK;
}

static md_status read_functional(md_keras_net *net, md_keras_parser *p,
                                 const json_t *config, const json_t *items)
{
    net->keyed = json_is_object(json_object_get(config, "input_layers"));
    MD_TRY(md_keras_parse__calls(p, net, items));
    MD_TRY(md_keras_parse__ends(&net->inputs, &net->n_inputs, p, net, config,
                                "input_layers"));
    for (uint32_t i = 0; i < net->n_inputs; i++) {
        const md_keras_layer *l = &net->layers[net->inputs[i].layer];

        if (!l->is_input)
            return md_fail(p->err, MD_CORRUPT,
                           "keras: input '%s' is a %s, InputLayer expected",
                           l->path, l->cls);
    }
    return md_keras_parse__ends(&net->outputs, &net->n_outputs, p, net, config,
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
static md_status add_input(md_keras_net *net, md_keras_parser *p,
                           const json_t *config, const json_t *first,
                           const char *prefix)
{
    md_keras_layer *l = &net->layers[0];

    *l = (md_keras_layer){ .cls = "InputLayer", .is_input = true, .n_out = 1 };
    l->config = shape_owner(config, first);
    l->name = md_arena_printf(
        p->ar, "%s_input",
        md_keras_text(json_object_get(first, "config"), "name", "first"));
    if (!l->name)
        return md_keras_parse__nomem(p, 1);
    l->path = md_arena_printf(p->ar, "%s%s", prefix, l->name);
    return l->path ? MD_OK : md_keras_parse__nomem(p, 1);
}

/* Each layer called once, on the one before. */
static md_status chain(md_keras_net *net, md_keras_parser *p)
{
    md_keras_ref *refs =
        md_arena_calloc(p->ar, (size_t)net->n_layers + 1, sizeof(*refs));

    uint32_t *first = md_arena_calloc(p->ar, 1, sizeof(*first));

    if (!refs || !first)
        return md_keras_parse__nomem(p, net->n_layers * sizeof(*refs));
    for (uint32_t i = 0; i < net->n_layers; i++) {
        MD_TRY(md_keras_parse__alloc_calls(&net->layers[i], p, 1));
        refs[i + 1].layer = i;
        if (i > 0)
            net->layers[i].calls[0] =
                (md_keras_call){ .in = &refs[i], .arg = first, .n_in = 1 };
    }
    net->inputs = &refs[1];
    net->outputs = &refs[net->n_layers];
    net->n_inputs = net->n_outputs = 1;
    return MD_OK;
}

static md_status read_layers(md_keras_net *net, md_keras_parser *p,
                             const json_t *items, uint32_t at,
                             const char *prefix)
{
    json_t *item;
    size_t i;

    json_array_foreach(items, i, item)
        MD_TRY(read_layer(&net->layers[at + i], p, item, prefix));
    return MD_OK;
}

static md_status alloc_layers(md_keras_net *net, md_keras_parser *p, size_t n)
{
    if (n == 0 || n > MD_KERAS_LAYERS_MAX)
        return md_fail(p->err, n == 0 ? MD_CORRUPT : MD_TOO_LARGE,
                       "keras: model '%s' has %zu layers, 1 to %d expected",
                       net->name, n, MD_KERAS_LAYERS_MAX);
    net->layers = md_arena_calloc(p->ar, n, sizeof(*net->layers));
    net->n_layers = (uint32_t)n;
    return net->layers ? MD_OK
                       : md_keras_parse__nomem(p, n * sizeof(*net->layers));
}

static bool starts_with_input(const json_t *items)
{
    const json_t *first = json_array_get(items, 0);

    return strcmp(md_keras_text(first, "class_name", ""), "InputLayer") == 0;
}

static md_status read_sequential(md_keras_net *net, md_keras_parser *p,
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

static md_status read_net(md_keras_net **out, md_keras_parser *p,
                          const json_t *model, const char *prefix)
{
    const json_t *config = json_object_get(model, "config");
    const char *cls = md_keras_text(model, "class_name", "");
    /* The oldest Sequential is the bare list. */
    const json_t *items =
        json_is_array(config) ? config : json_object_get(config, "layers");
    md_keras_net *net = md_arena_calloc(p->ar, 1, sizeof(*net));
    md_status s;

    if (!net)
        return md_keras_parse__nomem(p, sizeof(*net));
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
    md_keras_parser p = { .file = f, .ar = ar, .err = err };

    MD_TRY(read_net(out, &p, f->model, ""));
    return p.n_refused > 0 ? tell_refusals(&p) : MD_OK;
}
