#include "registry/repository.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/text.h"
#include "formats/textpb.h"

static const char CONFIG[] = "config.pbtxt";

/* Of lone model files; ' ' separates. */
static const char ENDINGS[] =
    ".onnx .tflite .keras .h5 .hdf5 .pt .pth .pt2 .safetensors";

/* Main files in a version's folder, the first one that is there. */
static const char *const MAIN_FILES[] = {
    "model.onnx", "model.savedmodel", "model.tflite", "model.keras",
    "model.h5",   "model.pt",         "model.pt2",    "model.safetensors",
};

/* Files that make their folder the model. */
static const char *const FOLDER_FILES[] = { "saved_model.pb", "model.json" };

md_status md_model_name_check(const char *name, md_error *err)
{
    const size_t n =
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUV"
                     "WXYZ0123456789._-");

    if (n == 0 || n > MD_MODEL_NAME_MAX || name[n] || strspn(name, ".") == n)
        return md_fail(err, MD_INVALID,
                       "model name '%.140s': 1 to %d letters, digits, '.', "
                       "'_' or '-' expected",
                       name, MD_MODEL_NAME_MAX);
    return MD_OK;
}

/* ---- paths ---- */

static md_status join(const char **out, const char *folder, const char *name,
                      md_arena *ar, md_error *err)
{
    *out = md_arena_printf(ar, "%s/%s", folder, name);
    return *out ? MD_OK : md_fail_nomem(err, strlen(folder));
}

static bool is_there(const char *path, mode_t type)
{
    struct stat st;

    return stat(path, &st) == 0 && (!type || (st.st_mode & S_IFMT) == type);
}

/* Does `folder` hold a file that makes it a model? */
static bool is_model_folder(const char *folder, md_arena *ar)
{
    for (size_t i = 0; i < MD_COUNT(FOLDER_FILES); i++) {
        const char *path;

        if (join(&path, folder, FOLDER_FILES[i], ar, NULL) == MD_OK &&
            is_there(path, 0))
            return true;
    }
    return false;
}

/* Call fn for each entry of a folder that is not hidden, in no order. */
static md_status each_entry(const char *folder,
                            md_status (*fn)(void *ctx, const char *name,
                                            md_error *err),
                            void *ctx, md_error *err)
{
    DIR *dir = opendir(folder);
    const struct dirent *e;
    md_status s = MD_OK;

    if (!dir)
        return md_fail(err, errno == ENOENT ? MD_NOT_FOUND : MD_IO,
                       "cannot read folder '%s': %s", folder, strerror(errno));
    while (s == MD_OK && (e = readdir(dir)))
        if (e->d_name[0] != '.')
            s = fn(ctx, e->d_name, err);
    closedir(dir);
    return s;
}

/* A version, or a configuration, which only a model has. */
static md_status look_for_model(void *ctx, const char *name, md_error *err)
{
    (void)err;
    *(bool *)ctx = *(bool *)ctx || strcmp(name, CONFIG) == 0 ||
                   strspn(name, "0123456789") == strlen(name);
    return MD_OK;
}

bool md_repo_is_repository(const char *path)
{
    bool is_model = false;
    md_arena ar;
    bool yes;

    md_arena_init(&ar, md_alloc_default(), 0);
    yes = is_there(path, S_IFDIR) && !is_model_folder(path, &ar) &&
          each_entry(path, look_for_model, &is_model, NULL) == MD_OK &&
          !is_model;
    md_arena_release(&ar);
    return yes;
}

/* ---- a folder of models ---- */

typedef struct names {
    const char *dir;
    const char **v;
    uint32_t n, cap;
    md_arena *ar;
} names;

/* Bytes of a lone file's name that are the model's; 0: it is none. */
static size_t stem_size(const char *file)
{
    const char *dot = strrchr(file, '.');

    return dot && md_text_in_list(dot, ENDINGS, ' ') ? (size_t)(dot - file) : 0;
}

static md_status add_name(void *ctx, const char *file, md_error *err)
{
    names *l = ctx;
    const char *path;
    const char *name;
    size_t n = strlen(file);

    MD_TRY(join(&path, l->dir, file, l->ar, err));
    if (!is_there(path, S_IFDIR))
        n = stem_size(file);
    if (n == 0)
        return MD_OK;
    name = md_arena_strndup(l->ar, file, n);
    if (!name)
        return md_fail_nomem(err, n);
    if (md_model_name_check(name, NULL) != MD_OK)
        return MD_OK;
    MD_TRY(md_arena_grow(l->ar, &l->v, &l->cap, l->n, sizeof(*l->v), err));
    l->v[l->n++] = name;
    return MD_OK;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

md_status md_repo_names(const char ***out, uint32_t *n, const char *dir,
                        md_arena *ar, md_error *err)
{
    names l = { .dir = dir, .ar = ar };
    uint32_t kept = 0;

    MD_TRY(each_entry(dir, add_name, &l, err));
    if (l.n)
        qsort((void *)l.v, l.n, sizeof(*l.v), by_text);
    for (uint32_t i = 0; i < l.n; i++)
        if (i == 0 || strcmp(l.v[i], l.v[kept - 1]) != 0)
            l.v[kept++] = l.v[i];
    *out = l.v;
    *n = kept;
    return MD_OK;
}

md_status md_repo_find(const char **path, const char *dir, const char *name,
                       md_arena *ar, md_error *err)
{
    MD_TRY(md_model_name_check(name, err));
    MD_TRY(join(path, dir, name, ar, err));
    if (is_there(*path, S_IFDIR))
        return MD_OK;
    for (const char *p = ENDINGS; *p; p += strspn(p, " ")) {
        const size_t n = strcspn(p, " ");

        *path = md_arena_printf(ar, "%s/%s%.*s", dir, name, (int)n, p);
        if (!*path)
            return md_fail_nomem(err, n);
        if (is_there(*path, S_IFREG))
            return MD_OK;
        p += n;
    }
    return md_fail(err, MD_NOT_FOUND, "the repository has no model '%s'", name);
}

/* ---- versions ---- */

typedef struct search {
    md_repo_model *m;
    const char *path; /* of the model */
    md_arena *ar;
} search;

/* A folder whose name is a number is a version. */
static md_status add_version(void *ctx, const char *name, md_error *err)
{
    search *s = ctx;
    md_repo_model *m = s->m;
    const char *path;
    char *end;
    long long number;

    if (strspn(name, "0123456789") != strlen(name))
        return MD_OK;
    MD_TRY(join(&path, s->path, name, s->ar, err));
    if (!is_there(path, S_IFDIR))
        return MD_OK;
    errno = 0;
    number = strtoll(name, &end, 10);
    if (errno || m->n == MD_REPO_VERSIONS_MAX)
        return md_fail(err, MD_INVALID,
                       "version '%.80s': a number of 63 bits, and at most %d "
                       "of them, expected",
                       name, MD_REPO_VERSIONS_MAX);
    MD_TRY(md_arena_grow(s->ar, &m->versions, &m->cap, m->n,
                         sizeof(*m->versions), err));
    m->versions[m->n++] = (md_repo_version){ .number = number, .path = path };
    return MD_OK;
}

static int by_number(const void *a, const void *b)
{
    const md_repo_version *x = a;
    const md_repo_version *y = b;

    return (x->number > y->number) - (x->number < y->number);
}

static bool is_listed(const md_config_ints *list, int64_t v)
{
    for (uint32_t i = 0; i < list->n; i++)
        if (list->v[i] == v)
            return true;
    return false;
}

/* Sort, and keep what the configuration asks for. */
static md_status choose(md_repo_model *m, md_error *err)
{
    const md_model_config *c = &m->config;
    uint32_t n = 0;

    if (m->n)
        qsort(m->versions, m->n, sizeof(*m->versions), by_number);
    for (uint32_t i = 0; i + 1 < m->n; i++)
        if (m->versions[i].number == m->versions[i + 1].number)
            return md_fail(err, MD_INVALID, "two folders are version %lld",
                           (long long)m->versions[i].number);
    for (uint32_t i = 0; i < m->n; i++)
        if (c->which == MD_VERSIONS_ALL ||
            (c->which == MD_VERSIONS_LATEST && m->n - i <= c->n_latest) ||
            (c->which == MD_VERSIONS_SPECIFIC &&
             is_listed(&c->versions, m->versions[i].number)))
            m->versions[n++] = m->versions[i];
    m->n = n;
    if (n == 0)
        return md_fail(err, MD_NOT_FOUND,
                       "there is no version to be served, expected folders "
                       "whose names are numbers");
    return MD_OK;
}

/* ---- the file of a version ---- */

typedef struct only {
    md_arena *ar;
    const char *name; /* NULL: none yet */
    bool several;
} only;

static md_status count_entry(void *ctx, const char *name, md_error *err)
{
    only *o = ctx;

    o->several = o->name != NULL;
    if (o->name)
        return MD_OK;
    o->name = md_arena_strdup(o->ar, name);
    return o->name ? MD_OK : md_fail_nomem(err, strlen(name));
}

/* v->path is the version's folder: make it that of its model. */
static md_status find_main(md_repo_version *v, const md_model_config *c,
                           md_arena *ar, md_error *err)
{
    const char *folder = v->path;
    only o = { .ar = ar };

    if (c->ensemble.n > 0)
        return MD_OK; /* made of other models: nothing lies there */
    if (c->default_model_filename) {
        MD_TRY(join(&v->path, folder, c->default_model_filename, ar, err));
        if (is_there(v->path, 0))
            return MD_OK;
        return md_fail(err, MD_NOT_FOUND,
                       "version %lld has no file '%s', which the "
                       "configuration names",
                       (long long)v->number, c->default_model_filename);
    }
    if (is_model_folder(folder, ar))
        return MD_OK;
    for (size_t i = 0; i < MD_COUNT(MAIN_FILES); i++) {
        MD_TRY(join(&v->path, folder, MAIN_FILES[i], ar, err));
        if (is_there(v->path, 0))
            return MD_OK;
    }
    MD_TRY(each_entry(folder, count_entry, &o, err));
    if (!o.name || o.several)
        return md_fail(err, MD_NOT_FOUND,
                       "version %lld has no model file, expected model.onnx, "
                       "saved_model.pb, a file that default_model_filename "
                       "names, or one file only",
                       (long long)v->number);
    return join(&v->path, folder, o.name, ar, err);
}

static md_status find_mains(md_repo_model *m, const md_stamp *config,
                            md_arena *ar, md_error *err)
{
    for (uint32_t i = 0; i < m->n; i++) {
        md_repo_version *v = &m->versions[i];
        md_error why = MD_ERROR_INIT;
        md_status s;

        v->stamp = *config;
        md_stamp_tree(&v->stamp, v->path);
        s = find_main(v, &m->config, ar, &why);
        if (s == MD_NOMEM)
            return md_fail(err, s, "%s", why.msg);
        if (s == MD_OK)
            continue;
        v->path = NULL;
        v->why = md_arena_strdup(ar, why.msg);
        if (!v->why)
            return md_fail_nomem(err, sizeof(why.msg));
    }
    return MD_OK;
}

/* ---- the whole ---- */

/* The text of config.pbtxt; none is no failure. */
static md_status read_config_file(md_repo_model *m, const char *path,
                                  md_arena *ar, md_error *err)
{
    md_status s;
    md_buf text;

    md_buf_init(&text, md_alloc_default(), MD_TEXTPB_SIZE_MAX);
    s = md_file_read(&text, path, err);
    if (s == MD_OK) {
        m->config_size = text.size;
        m->config_text =
            md_arena_strndup(ar, (const char *)text.data, text.size);
        if (!m->config_text)
            s = md_fail_nomem(err, text.size);
    }
    md_buf_release(&text);
    return s == MD_NOT_FOUND ? MD_OK : s;
}

md_status md_repo_config(md_model_config *out, const md_repo_model *m,
                         md_arena *ar, md_error *err)
{
    const char *copy;
    md_status s;

    md_model_config_init(out);
    if (!m->config_text)
        return MD_OK;
    copy = md_arena_strndup(ar, m->config_text, m->config_size);
    if (!copy)
        return md_fail_nomem(err, m->config_size);
    s = m->config_is_json
            ? md_model_config_from_json(out, copy, m->config_size, ar, err)
            : md_model_config_parse(out, copy, m->config_size, ar, err);
    return s == MD_OK ? MD_OK : md_wrap(err, s, "%s: ", CONFIG);
}

static md_status read_config(md_repo_model *m, const char *json, md_arena *ar,
                             md_error *err)
{
    const char *path;

    if (json) {
        m->config_text = json;
        m->config_size = strlen(json);
        m->config_is_json = true;
    } else if (m->folder) {
        MD_TRY(join(&path, m->folder, CONFIG, ar, err));
        MD_TRY(read_config_file(m, path, ar, err));
    }
    MD_TRY(md_repo_config(&m->config, m, ar, err));
    if (m->config.name && strcmp(m->config.name, m->name) != 0)
        return md_fail(err, MD_INVALID,
                       "the configuration is that of '%.128s', '%s' expected",
                       m->config.name, m->name);
    return MD_OK;
}

/* What the versions have in common. */
static md_status stamp_config(md_stamp *st, const md_repo_model *m,
                              md_arena *ar, md_error *err)
{
    const char *path;

    *st = (md_stamp){ 0, 0 };
    if (m->config_is_json)
        md_stamp_text(st, m->config_text);
    if (!m->folder)
        return MD_OK;
    MD_TRY(join(&path, m->folder, CONFIG, ar, err));
    if (!m->config_is_json)
        md_stamp_tree(st, path);
    for (uint32_t i = 0; i < m->config.outputs.n; i++) {
        const char *labels = m->config.outputs.v[i].label_filename;

        if (!labels)
            continue;
        MD_TRY(join(&path, m->folder, labels, ar, err));
        md_stamp_tree(st, path);
    }
    return MD_OK;
}

/* What lies at `path` is the model itself: version 1. */
static md_status take_lone(md_repo_model *m, const char *path, md_arena *ar,
                           md_error *err)
{
    MD_TRY(
        md_arena_grow(ar, &m->versions, &m->cap, 0, sizeof(*m->versions), err));
    m->versions[0] = (md_repo_version){ .number = 1, .path = path };
    MD_TRY(stamp_config(&m->versions[0].stamp, m, ar, err));
    md_stamp_tree(&m->versions[0].stamp, path);
    m->n = 1;
    return MD_OK;
}

md_status md_repo_read(md_repo_model *out, const char *name, const char *path,
                       const char *config_json, md_arena *ar, md_error *err)
{
    const bool is_folder = is_there(path, S_IFDIR);
    search s = { out, path, ar };
    md_stamp config;

    *out = (md_repo_model){ .name = name, .folder = is_folder ? path : NULL };
    if (!is_there(path, 0))
        return md_fail(err, errno == EACCES ? MD_DENIED : MD_NOT_FOUND,
                       "cannot open '%s': %s", path, strerror(errno));
    MD_TRY(read_config(out, config_json, ar, err));
    if (!is_folder || is_model_folder(path, ar))
        return take_lone(out, path, ar, err);
    MD_TRY(each_entry(path, add_version, &s, err));
    MD_TRY(choose(out, err));
    MD_TRY(stamp_config(&config, out, ar, err));
    return find_mains(out, &config, ar, err);
}
