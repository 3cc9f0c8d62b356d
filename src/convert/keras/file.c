/* Keras containers: zip members and HDF5 attributes. */
#include "convert/keras/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "formats/zip.h"

enum {
    LOCAL_SIZE = 30 /* of a zip member's header, before its name */
};

/* Weights that only matter for going on with the training. */
static const char *const skipped[] = { "optimizer", "optimizer_weights", NULL };

static bool is_zip(const void *bytes, size_t size)
{
    return size >= 4 && memcmp(bytes, "PK\003\004", 4) == 0;
}

/* The first member is one of Keras': what is left to tell by of a file that
 * was cut off, as the list of members comes last. */
static bool begins_like_keras(const unsigned char *p, size_t size)
{
    static const char *const names[] = { "config.json", "metadata.json",
                                         "model.weights.h5" };

    for (size_t i = 0; i < MD_COUNT(names); i++) {
        size_t n = strlen(names[i]);

        if (size >= LOCAL_SIZE + n && (p[26] | (size_t)p[27] << 8) == n &&
            memcmp(p + LOCAL_SIZE, names[i], n) == 0)
            return true;
    }
    return false;
}

bool md_keras_probe(const void *bytes, size_t size)
{
    md_zip z;
    bool found;

    if (md_hdf5_probe(bytes, size))
        return true;
    if (!is_zip(bytes, size))
        return false;
    if (md_zip_open(&z, bytes, size, SIZE_MAX, md_alloc_default(), NULL) !=
        MD_OK)
        return begins_like_keras(bytes, size);
    found = md_zip_find(&z, "config.json") != NULL;
    md_zip_release(&z);
    return found;
}

/* Append a member whole, if it is not over `limit` bytes. */
static md_status read_member(md_buf *out, const md_zip *z, const char *name,
                             size_t limit, md_error *err)
{
    const md_zip_entry *e = md_zip_find(z, name);

    if (!e)
        return md_fail(err, MD_CORRUPT, "keras: no member '%s' in the zip",
                       name);
    if (e->size > limit)
        return md_fail(err, MD_TOO_LARGE,
                       "keras: '%s' of %zu bytes, at most %zu expected", name,
                       e->size, limit);
    return md_zip_read(z, e, out, err);
}

static md_status parse_json(json_t **out, const void *text, size_t size,
                            const char *what, md_error *err)
{
    json_error_t e;

    *out = json_loadb(text, size, JSON_REJECT_DUPLICATES, &e);
    if (!*out)
        return md_fail(err, MD_CORRUPT, "keras: %s: line %d: %s", what, e.line,
                       e.text);
    if (json_is_object(*out))
        return MD_OK;
    json_decref(*out);
    *out = NULL;
    return md_fail(err, MD_CORRUPT, "keras: %s: JSON object expected", what);
}

static md_status read_json(json_t **out, const md_zip *z, const char *name,
                           const md_keras_file *f,
                           const md_keras_limits *limits, md_error *err)
{
    md_buf text;
    md_status s;

    md_buf_init(&text, f->alloc, limits->json_size);
    s = read_member(&text, z, name, limits->json_size, err);
    if (s == MD_OK)
        s = parse_json(out, text.data, text.size, name, err);
    md_buf_release(&text);
    return s;
}

static void set_version(md_keras_file *f, const char *text, size_t n)
{
    snprintf(f->version, sizeof(f->version), "%.*s", n < 31 ? (int)n : 31,
             text);
    f->major = (int)strtol(f->version, NULL, 10);
}

static md_status read_weights(md_keras_file *f, const void *bytes, size_t size,
                              const md_keras_limits *limits, md_error *err)
{
    md_hdf5_opts opts = limits->hdf5;

    opts.skip = skipped;
    return md_hdf5_read(&f->weights, bytes, size, &opts, f->alloc, err);
}

/* Vocabularies: what else Keras puts there no layer here reads. */
static bool is_asset(const char *name)
{
    static const char start[] = "assets/", end[] = "/vocabulary.txt";
    const size_t n = strlen(name);

    return n >= sizeof(start) + sizeof(end) &&
           memcmp(name, start, sizeof(start) - 1) == 0 &&
           strcmp(name + n - (sizeof(end) - 1), end) == 0;
}

static md_status read_asset(md_keras_asset *to, md_keras_file *f,
                            const md_zip *z, const char *name, size_t limit,
                            md_error *err)
{
    md_buf text;
    md_status s;

    md_buf_init(&text, f->alloc, limit);
    s = read_member(&text, z, name, limit, err);
    if (s == MD_OK) {
        to->path = md_arena_strdup(&f->assets_arena, name);
        to->text.p = md_arena_strndup(&f->assets_arena, (const char *)text.data,
                                      text.size);
        to->text.n = text.size;
        if (!to->path || !to->text.p)
            s = md_fail_nomem(err, text.size);
    }
    md_buf_release(&text);
    return s;
}

static md_status read_assets(md_keras_file *f, const md_zip *z,
                             const md_keras_limits *limits, md_error *err)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < z->n_entries; i++)
        n += is_asset(z->entries[i].name);
    if (n == 0)
        return MD_OK;
    md_arena_init(&f->assets_arena, f->alloc, limits->json_size);
    f->assets = md_arena_calloc(&f->assets_arena, n, sizeof(*f->assets));
    if (!f->assets)
        return md_fail_nomem(err, n * sizeof(*f->assets));
    for (uint32_t i = 0; i < z->n_entries; i++) {
        if (is_asset(z->entries[i].name))
            MD_TRY(read_asset(&f->assets[f->n_assets++], f, z,
                              z->entries[i].name, limits->json_size, err));
    }
    return MD_OK;
}

md_str md_keras_file_asset(const md_keras_file *f, const char *path)
{
    for (uint32_t i = 0; i < f->n_assets; i++) {
        if (strcmp(f->assets[i].path, path) == 0)
            return f->assets[i].text;
    }
    return (md_str){ NULL, 0 };
}

static md_status read_zip(md_keras_file *f, const md_zip *z,
                          const md_keras_limits *limits, md_error *err)
{
    json_t *meta = NULL;
    const char *version;
    md_buf weights;
    md_status s;

    MD_TRY(read_json(&f->model, z, "config.json", f, limits, err));
    MD_TRY(read_assets(f, z, limits, err));
    MD_TRY(read_json(&meta, z, "metadata.json", f, limits, err));
    version = json_string_value(json_object_get(meta, "keras_version"));
    set_version(f, version ? version : "3", version ? strlen(version) : 1);
    json_decref(meta);
    if (!md_zip_find(z, "model.weights.h5"))
        return md_fail(err, MD_UNSUPPORTED,
                       "keras: no 'model.weights.h5' in the zip (other forms "
                       "of weights are not read)");
    md_buf_init(&weights, f->alloc, limits->member_size);
    s = read_member(&weights, z, "model.weights.h5", limits->member_size, err);
    if (s == MD_OK)
        s = read_weights(f, weights.data, weights.size, limits, err);
    md_buf_release(&weights);
    return s;
}

/* The one text of a root attribute, or NULL. */
static const md_str *root_text(const md_hdf5 *h, const char *name)
{
    const md_hdf5_attr *a = md_hdf5_attr_find(h, "", name);

    return a && a->n == 1 ? &a->text[0] : NULL;
}

/* The model of a JSON file; only Keras 1 and 2 write their version there, and
 * only Keras 3 where a class is from. */
static md_status read_model(md_keras_file *f, const char *path,
                            const md_keras_limits *limits, md_error *err)
{
    const char *version;
    md_buf text;
    md_status s;

    md_buf_init(&text, f->alloc, limits->json_size);
    s = md_file_read(&text, path, err);
    if (s == MD_OK)
        s = parse_json(&f->model, text.data, text.size, path, err);
    md_buf_release(&text);
    if (s != MD_OK)
        return s;
    version = json_string_value(json_object_get(f->model, "keras_version"));
    if (!version)
        version = json_object_get(f->model, "module") ? "3" : "2";
    set_version(f, version, strlen(version));
    return MD_OK;
}

/* Weights alone: as in `.keras`, or (Keras 1 and 2) as in `.h5`. */
static md_status read_alone(md_keras_file *f, const md_keras_beside *beside,
                            const md_keras_limits *limits, md_error *err)
{
    const char *path = beside ? beside->given : NULL;
    md_error why = MD_ERROR_INIT;
    md_status s;

    f->root = "";
    f->h5 = md_hdf5_attr_find(f->weights, "", "layer_names") ||
            md_hdf5_attr_find(f->weights, "", "layer_names0");
    if (path)
        return read_model(f, path, limits, err);
    s = beside && beside->maybe ? read_model(f, beside->maybe, limits, &why)
                                : MD_NOT_FOUND;
    if (s == MD_NOT_FOUND)
        return md_fail(err, MD_UNSUPPORTED,
                       "keras: HDF5 file without 'model_config': weights "
                       "alone do not tell the model; save it whole, or put its "
                       "JSON (to_json) beside it, as NAME.json beside "
                       "NAME.weights.h5 or by --architecture FILE");
    return s == MD_OK ? s : md_fail(err, s, "%s", why.msg);
}

static md_status read_h5(md_keras_file *f, const void *bytes, size_t size,
                         const md_keras_beside *beside,
                         const md_keras_limits *limits, md_error *err)
{
    const md_str *config;
    const md_str *version;

    f->h5 = true;
    f->root = "model_weights/";
    MD_TRY(read_weights(f, bytes, size, limits, err));
    config = root_text(f->weights, "model_config");
    version = root_text(f->weights, "keras_version");
    if (!config)
        return read_alone(f, beside, limits, err);
    if (version)
        set_version(f, version->p, version->n);
    else
        set_version(f, "1", 1);
    if (config->n > limits->json_size)
        return md_fail(err, MD_TOO_LARGE,
                       "keras: model_config of %zu bytes, at most %zu expected",
                       config->n, limits->json_size);
    return parse_json(&f->model, config->p, config->n, "model_config", err);
}

md_status md_keras_file_open(md_keras_file *out, const void *bytes, size_t size,
                             const md_keras_beside *beside,
                             const md_keras_limits *limits,
                             const md_alloc *alloc, md_error *err)
{
    static const md_keras_limits defaults = MD_KERAS_LIMITS_INIT;
    md_keras_file f = { .alloc = alloc };
    md_status s;

    if (!limits)
        limits = &defaults;
    if (is_zip(bytes, size)) {
        md_zip z;

        MD_TRY(md_zip_open(&z, bytes, size,
                           limits->member_size + 2 * limits->json_size, alloc,
                           err));
        s = read_zip(&f, &z, limits, err);
        md_zip_release(&z);
    } else {
        s = read_h5(&f, bytes, size, beside, limits, err);
    }
    if (s != MD_OK) {
        md_keras_file_release(&f);
        return s;
    }
    *out = f;
    return MD_OK;
}

void md_keras_file_release(md_keras_file *f)
{
    if (f->model)
        json_decref(f->model);
    md_hdf5_free(f->weights);
    if (f->assets_arena.alloc)
        md_arena_release(&f->assets_arena);
    *f = (md_keras_file){ .alloc = NULL };
}
