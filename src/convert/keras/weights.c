/*
 * Which dataset belongs to which layer.
 *
 * In `.keras` the groups are not named after the layers: a layer's group is
 * its class in snake case with a counter per class in the order of the
 * model's layers; only Keras 3 also writes the real name, as attribute `name`
 * of `vars`.  In `.h5` each layer's group lists its weights in the attribute
 * `weight_names`; a model used as a layer lists those of all its layers.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "convert/keras/layer.h"

enum {
    CLASS_SIZE = 128,
    CHUNKS_MAX = 1000 /* weight_names0, weight_names1, … */
};

typedef struct binder {
    const md_keras_file *file;
    const md_hdf5 *h;
    md_arena *ar;
    md_error *err;
    char path[MD_HDF5_PATH_MAX];
} binder;

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static char to_lower(char c)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";

    if (!is_upper(c))
        return c;
    return letters[c - 'A'];
}

static bool is_word(char c)
{
    return is_upper(c) || is_lower(c) || (c >= '0' && c <= '9') || c == '_';
}

/*
 * Keras' to_snake_case, which is three regular expressions: other characters
 * than letters, digits and _ go; `(.)([A-Z][a-z]+)` and then `([a-z])([A-Z])`
 * get a _ between their groups; the result is made lower case.
 */
static void snake_case(char out[CLASS_SIZE * 4], const char *cls)
{
    char word[CLASS_SIZE];
    char mid[CLASS_SIZE * 2];
    size_t n = 0;
    size_t m = 0;
    size_t k = 0;

    for (; *cls && n + 1 < sizeof(word); cls++) {
        if (is_word(*cls))
            word[n++] = *cls;
    }
    for (size_t i = 0; i < n;) {
        mid[m++] = word[i++];
        if (i + 1 >= n || !is_upper(word[i]) || !is_lower(word[i + 1]))
            continue;
        mid[m++] = '_';
        mid[m++] = word[i++];
        while (i < n && is_lower(word[i]))
            mid[m++] = word[i++];
    }
    for (size_t i = 0; i < m; i++) {
        char c = mid[i];

        if (i > 0 && is_upper(c) && is_lower(mid[i - 1]))
            out[k++] = '_';
        out[k++] = to_lower(c);
    }
    out[k] = '\0';
}

static md_status too_long(const binder *b, const md_keras_layer *l)
{
    return md_fail(b->err, MD_TOO_LARGE,
                   "keras: path of the weights of '%.200s' is too long",
                   l->path);
}

/* printf into the binder's path; false when it does not fit. */
static bool make_path(binder *b, const char *fmt, ...) MD_PRINTF(2, 3);

static bool make_path(binder *b, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(b->path, sizeof(b->path), fmt, ap);
    va_end(ap);
    return n >= 0 && (size_t)n < sizeof(b->path);
}

static md_status add_weight(md_keras_layer *l, const binder *b,
                            const md_hdf5_data *d)
{
    if (l->n_w == MD_KERAS_WEIGHTS_MAX)
        return md_fail(b->err, MD_UNSUPPORTED,
                       "keras: layer '%s' has more than %d weights", l->path,
                       MD_KERAS_WEIGHTS_MAX);
    if (d->t.dtype == MD_DTYPE_NONE)
        return md_fail(b->err, MD_UNSUPPORTED,
                       "keras: weight '%s' is not of numbers", d->path);
    l->w[l->n_w++] = &d->t;
    return MD_OK;
}

static bool same_text(const md_str *s, const char *text)
{
    return s->n == strlen(text) && memcmp(s->p, text, s->n) == 0;
}

/* The group whose `vars` bears the layer's name, when it is not `group`. */
static const char *group_by_name(const binder *b, const char *base,
                                 const char *name)
{
    size_t n = strlen(base);

    for (uint32_t i = 0; i < b->h->n_attrs; i++) {
        const md_hdf5_attr *a = &b->h->attrs[i];
        size_t len = strlen(a->path);

        if (strcmp(a->name, "name") != 0 || a->n != 1 ||
            !same_text(&a->text[0], name) || strncmp(a->path, base, n) != 0 ||
            len < n + 6 || a->path[n] != '/' ||
            strcmp(a->path + len - 5, "/vars") != 0 ||
            memchr(a->path + n + 1, '/', len - 5 - (n + 1)))
            continue;
        return md_arena_printf(b->ar, "%.*s", (int)(len - 5), a->path);
    }
    return NULL;
}

/* Group of a layer: by its place, or by its name where that says otherwise. */
static md_status locate(const char **out, binder *b, const md_keras_layer *l,
                        const char *base, const char *snake, uint32_t count)
{
    const md_hdf5_attr *a;
    const char *other;
    bool fits = count == 0 ? make_path(b, "%s/%s", base, snake)
                           : make_path(b, "%s/%s_%u", base, snake, count);

    if (!fits)
        return too_long(b, l);
    *out = md_arena_strdup(b->ar, b->path);
    if (!*out)
        return md_fail_nomem(b->err, strlen(b->path));
    if (!make_path(b, "%s/vars", *out))
        return too_long(b, l);
    a = md_hdf5_attr_find(b->h, b->path, "name");
    if (!a || a->n != 1 || same_text(&a->text[0], l->name))
        return MD_OK;
    other = group_by_name(b, base, l->name);
    if (other)
        *out = other;
    return MD_OK;
}

static md_status bind_vars(md_keras_layer *l, binder *b, const char *group)
{
    for (uint32_t i = 0;; i++) {
        const md_hdf5_data *d;

        if (!make_path(b, "%s/vars/%u", group, i))
            return too_long(b, l);
        d = md_hdf5_find(b->h, b->path);
        if (!d)
            return MD_OK;
        MD_TRY(add_weight(l, b, d));
    }
}

/* Layers whose weights are those of layers within, in this order. */
static const struct {
    md_keras_emit_fn *emit;
    const char *part[4];
} parts[] = {
    { md_keras_emit_attention,
      { "query_dense", "key_dense", "value_dense", "output_dense" } },
    { md_keras_emit_conv_lstm, { "cell" } },
    { md_keras_emit_recurrent, { "cell" } },
};

/* The parts of a layer, or NULL. */
static const char *const *parts_of(const md_keras_layer *l)
{
    for (size_t i = 0; l->row && i < MD_COUNT(parts); i++) {
        if (parts[i].emit == l->row->emit)
            return parts[i].part;
    }
    return NULL;
}

static md_status bind_zip(md_keras_net *net, binder *b, const char *base);
static md_status bind_group(md_keras_layer *l, binder *b, const char *group);

/* Layer i of a wrapper. */
static md_status bind_inner(md_keras_layer *l, binder *b, const char *group,
                            uint32_t i)
{
    md_keras_layer *inner = &l->inner[i];
    const char *name = l->n_inner == 1 ? "layer"
                       : i == 0        ? "forward_layer"
                                       : "backward_layer";
    const char *path = md_arena_printf(b->ar, "%s/%s%s", group, name,
                                       inner->net ? "/layers" : "");

    if (!path)
        return md_fail_nomem(b->err, strlen(group));
    return inner->net ? bind_zip(inner->net, b, path)
                      : bind_group(inner, b, path);
}

/* What a vocabulary has: its text, and weights with a name of their own. */
static md_status bind_vocabulary(md_keras_layer *l, binder *b,
                                 const char *group)
{
    const md_hdf5_data *d;

    if (!make_path(b, "%s/vars/idf_weights", group))
        return too_long(b, l);
    d = md_hdf5_find(b->h, b->path);
    if (d)
        MD_TRY(add_weight(l, b, d));
    if (!make_path(b, "assets/%s/vocabulary.txt", group))
        return too_long(b, l);
    l->vocabulary = md_keras_file_asset(b->file, b->path);
    return MD_OK;
}

static md_status bind_group(md_keras_layer *l, binder *b, const char *group)
{
    const char *const *part = parts_of(l);

    MD_TRY(bind_vars(l, b, group));
    if (l->row && l->row->emit == md_keras_emit_lookup)
        MD_TRY(bind_vocabulary(l, b, group));
    for (uint32_t i = 0; i < l->n_inner; i++)
        MD_TRY(bind_inner(l, b, group, i));
    for (uint32_t i = 0; part && i < MD_COUNT(parts[0].part) && part[i]; i++) {
        /* some versions keep the name of a private attribute */
        for (int hidden = 0; hidden < 2; hidden++) {
            const char *path = md_arena_printf(b->ar, "%s/%s%s", group,
                                               hidden ? "_" : "", part[i]);

            if (!path)
                return md_fail_nomem(b->err, strlen(group));
            MD_TRY(bind_vars(l, b, path));
        }
    }
    return MD_OK;
}

/* How many of the layers before i have its snake-cased class. */
static uint32_t count_before(const md_keras_net *net, uint32_t i)
{
    uint32_t n = 0;

    for (uint32_t j = 0; j < i; j++)
        n += strcmp(net->layers[j].cls, net->layers[i].cls) == 0;
    return n;
}

/* A class that is registered under another name than Python's. */
static const char *python_class(const char *cls)
{
    return strcmp(cls, "GroupQueryAttention") == 0 ? "GroupedQueryAttention"
                                                   : cls;
}

static md_status bind_zip(md_keras_net *net, binder *b, const char *base)
{
    char snake[CLASS_SIZE * 4];

    for (uint32_t i = 0; i < net->n_layers; i++) {
        md_keras_layer *l = &net->layers[i];
        const char *group = NULL;

        if (l->is_input)
            continue;
        snake_case(snake, python_class(l->cls));
        MD_TRY(locate(&group, b, l, base, snake, count_before(net, i)));
        if (!l->net) {
            MD_TRY(bind_group(l, b, group));
            continue;
        }
        group = md_arena_printf(b->ar, "%s/layers", group);
        if (!group)
            return md_fail_nomem(b->err, 1);
        MD_TRY(bind_zip(l->net, b, group));
    }
    return MD_OK;
}

/* The part before the last slash of a weight's name ends with `layer`. */
static bool is_of_layer(const char *name, const char *layer)
{
    const char *end = strrchr(name, '/');
    size_t n = strlen(layer);

    if (!end || (size_t)(end - name) < n)
        return false;
    return memcmp(end - n, layer, n) == 0 &&
           ((size_t)(end - name) == n || end[-(ptrdiff_t)n - 1] == '/');
}

/* One of the folders of a weight's name is `layer`: of layers whose weights
 * lie in layers within. */
static bool is_below_layer(const char *name, const char *layer)
{
    const size_t n = strlen(layer);

    for (const char *p = name, *end; (end = strchr(p, '/')) != NULL;
         p = end + 1) {
        if ((size_t)(end - p) == n && memcmp(p, layer, n) == 0)
            return true;
    }
    return false;
}

static bool belongs(const char *name, const md_keras_layer *l)
{
    return l->n_inner > 0 || parts_of(l) ? is_below_layer(name, l->name)
                                         : is_of_layer(name, l->name);
}

/* The weights of one list that belong to l; all when `inner` is false. */
static md_status bind_names(md_keras_layer *l, binder *b, const char *top,
                            const md_hdf5_attr *names, bool inner)
{
    for (uint32_t i = 0; i < names->n; i++) {
        const md_hdf5_data *d;

        if (!make_path(b, "%s%s/%.*s", b->file->root, top,
                       (int)names->text[i].n, names->text[i].p))
            return too_long(b, l);
        if (inner && !belongs(b->path, l))
            continue;
        d = md_hdf5_find(b->h, b->path);
        if (!d)
            return md_fail(b->err, MD_CORRUPT,
                           "keras: weight '%.200s' is listed and not there",
                           b->path);
        MD_TRY(add_weight(l, b, d));
    }
    return MD_OK;
}

/* Long lists are split into numbered attributes. */
static md_status bind_layer_h5(md_keras_layer *l, binder *b, const char *top,
                               bool inner)
{
    const md_hdf5_attr *a;
    char key[32];

    if (!make_path(b, "%s%s", b->file->root, top))
        return too_long(b, l);
    a = md_hdf5_attr_find(b->h, b->path, "weight_names");
    if (a)
        return bind_names(l, b, top, a, inner);
    for (unsigned i = 0; i < CHUNKS_MAX; i++) {
        snprintf(key, sizeof(key), "weight_names%u", i);
        if (!make_path(b, "%s%s", b->file->root, top))
            return too_long(b, l);
        a = md_hdf5_attr_find(b->h, b->path, key);
        if (!a)
            return MD_OK;
        MD_TRY(bind_names(l, b, top, a, inner));
    }
    return MD_OK;
}

static md_status bind_h5(md_keras_net *net, binder *b, const char *top);

/* A wrapper's weights are those of its layers, one after the other. */
static md_status hand_down(md_keras_layer *l, binder *b, const char *top)
{
    const uint32_t each = l->n_inner > 0 ? l->n_w / l->n_inner : 0;

    if (l->n_inner == 1 && l->inner[0].net)
        return bind_h5(l->inner[0].net, b, top);
    for (uint32_t i = 0; i < l->n_inner; i++) {
        md_keras_layer *inner = &l->inner[i];

        memcpy(inner->w, l->w + (size_t)i * each, each * sizeof(*inner->w));
        inner->n_w = each;
        MD_TRY(hand_down(inner, b, top));
    }
    return MD_OK;
}

static md_status bind_h5(md_keras_net *net, binder *b, const char *top)
{
    for (uint32_t i = 0; i < net->n_layers; i++) {
        md_keras_layer *l = &net->layers[i];
        const char *group = top ? top : l->name;

        if (l->is_input)
            continue;
        if (l->net)
            MD_TRY(bind_h5(l->net, b, group));
        else if (l->n_inner != 1 || !l->inner[0].net)
            MD_TRY(bind_layer_h5(l, b, group, top != NULL));
        MD_TRY(hand_down(l, b, group));
    }
    return MD_OK;
}

md_status md_keras_net_bind(md_keras_net *net, const md_keras_file *f,
                            md_arena *ar, md_error *err)
{
    binder b = { .file = f, .h = f->weights, .ar = ar, .err = err };

    if (f->h5)
        return bind_h5(net, &b, NULL);
    /* Keras 2.12 and 2.13 called the container after its attribute. */
    if (!md_hdf5_has_group(f->weights, "layers"))
        return bind_zip(net, &b, "_layer_checkpoint_dependencies");
    return bind_zip(net, &b, "layers");
}
