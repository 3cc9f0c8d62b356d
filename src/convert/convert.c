/* Choice of the converter, labels, and the end of every conversion. */
#include "convert/convert.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "convert/check.h"
#include "formats/format.h"
#include "formats/onnx.h"

enum {
    LABELS_SIZE_MAX = 16 << 20,
    TITLES_SIZE = 256,
    PATH_SIZE = 4096
};

static const md_converter *const list[] = {
#define CONVERTER(id) &md_converter_##id,
#include "convert/converters.def"
#undef CONVERTER
    NULL
};

const md_converter *const *md_converter_list(void)
{
    return list;
}

const md_converter *md_converter_find(const void *bytes, size_t size)
{
    for (size_t i = 0; list[i]; i++) {
        if (list[i]->probe(bytes, size))
            return list[i];
    }
    return NULL;
}

/* Append a title to the list of them in text. */
static void add_title(char text[TITLES_SIZE], const char *title)
{
    size_t n = strlen(text);

    snprintf(text + n, TITLES_SIZE - n, "%s%s", n ? ", " : "", title);
}

/* The file's lines as they are, without a newline at the end. */
static md_status add_labels(md_model *model, const char *path, md_error *err)
{
    md_buf text;
    md_status s;

    md_buf_init(&text, model->alloc, LABELS_SIZE_MAX);
    s = md_file_read(&text, path, err);
    if (s == MD_OK && text.size == 0)
        s = md_fail(err, MD_INVALID, "labels '%s' are empty", path);
    if (s == MD_OK && memchr(text.data, '\0', text.size))
        s = md_fail(err, MD_INVALID, "labels '%s' are not text", path);
    while (s == MD_OK && text.size > 0 && text.data[text.size - 1] == '\n')
        text.data[--text.size] = '\0';
    if (s == MD_OK)
        s = md_model_set_meta(model, "modeld.labels", (const char *)text.data,
                              err);
    md_buf_release(&text);
    return s;
}

/* A session of the source, converted once more: it takes its model over. */
static md_status make_session(md_session **out, const md_converter *c,
                              const md_convert_source *src,
                              const md_alloc *alloc, md_error *err)
{
    md_session_opts opts = MD_SESSION_OPTS_INIT;
    md_convert_report unused;
    md_model *m = NULL;
    md_status s;

    opts.alloc = alloc;
    MD_TRY(md_model_new(&m, alloc, 0, err));
    s = c->convert(m, &unused, src, err);
    if (s == MD_OK)
        s = md_session_new(out, m, &opts, err);
    if (s != MD_OK)
        md_model_free(m);
    return s;
}

/* The result against the import form, or by itself where there is none. */
static md_status self_check(const md_model *model, const md_converter *c,
                            const md_convert_source *src,
                            md_convert_report *report, md_error *err)
{
    md_convert_source as_it_is = *src;
    md_session *session = NULL;
    md_convert_report unused;
    md_model *plain = NULL;
    md_status s;

    if (!c->has_plain || !md_check__is_repeatable(model))
        return md_convert_self_check(model, &report->ran, report->self_check,
                                     err);
    as_it_is.plain = true;
    MD_TRY(md_model_new(&plain, model->alloc, 0, err));
    MD_GOTO(c->convert(plain, &unused, &as_it_is, err));
    MD_GOTO(make_session(&session, c, src, model->alloc, err));
    s = md_check__compare(session, plain, &report->trial, &report->ran,
                          report->self_check, err);
out:
    md_session_free(session);
    md_model_free(plain);
    return s;
}

/* Made-up sizes may be some that the model cannot have: then nothing is said
 * of it. */
static md_status check_open(const md_model *model, const md_converter *c,
                            const md_convert_source *src,
                            md_convert_report *report, md_error *err)
{
    md_error why = MD_ERROR_INIT;
    md_status s = self_check(model, c, src, report, &why);

    if (s == MD_OK)
        return MD_OK;
    if (s == MD_MISMATCH || s == MD_NOMEM)
        return md_fail(err, s, "%s", why.msg);
    report->ran = false;
    snprintf(report->self_check, sizeof(report->self_check), "%.200s", why.msg);
    return MD_OK;
}

static md_status finish(md_model *model, const md_converter *c,
                        const md_convert_source *src,
                        const md_convert_opts *opts, md_convert_report *report,
                        md_error *err)
{
    report->n_nodes = model->graph->n_nodes;
    if (opts->labels)
        MD_TRY(add_labels(model, opts->labels, err));
    if (opts->no_self_check) {
        snprintf(report->self_check, sizeof(report->self_check),
                 "not asked for");
        return MD_OK;
    }
    if (!report->open_sizes)
        return self_check(model, c, src, report, err);
    return check_open(model, c, src, report, err);
}

static void add_converters(char text[TITLES_SIZE])
{
    for (size_t i = 0; list[i]; i++)
        add_title(text, list[i]->title);
}

static md_status fail_no_converter(const char *name, md_error *err)
{
    char titles[TITLES_SIZE] = "";

    add_converters(titles);
    return md_fail(err, MD_UNSUPPORTED,
                   "'%s' is nothing that can be converted, expected %s", name,
                   titles);
}

/* map is NULL for bytes that are no file, else the model keeps it. */
static md_status convert(md_model **out, md_convert_source *src, md_map *map,
                         const char *name, const md_convert_opts *opts,
                         md_convert_report *report, const md_alloc *alloc,
                         md_error *err)
{
    static const md_convert_opts defaults = MD_CONVERT_OPTS_INIT;
    const md_converter *c = md_converter_find(src->bytes, src->size);
    md_convert_report mine;
    md_model *model = NULL;
    md_status s;

    if (!report)
        report = &mine;
    if (!opts)
        opts = &defaults;
    memset(report, 0, sizeof(*report));
    if (!c)
        return fail_no_converter(name, err);
    report->format = c->name;
    src->signature = opts->how.signature;
    src->inputs = opts->how.inputs;
    src->arch = opts->how.arch;
    src->architecture = opts->how.architecture;
    src->path = map ? name : NULL;
    src->stays = map != NULL;
    MD_TRY(md_model_new(&model, alloc, 0, err));
    if (map)
        MD_GOTO(md_model_keep_map(model, map, err));
    MD_GOTO(c->convert(model, report, src, err));
    MD_GOTO(finish(model, c, src, opts, report, err));
    *out = model;
    return MD_OK;

out:
    md_model_free(model);
    return md_wrap(err, s, "'%s': ", name);
}

md_status md_convert_bytes(md_model **out, const void *bytes, size_t size,
                           const char *name, const md_convert_opts *opts,
                           md_convert_report *report, const md_alloc *alloc,
                           md_error *err)
{
    md_convert_source src = { .bytes = bytes, .size = size };

    return convert(out, &src, NULL, name, opts, report, alloc, err);
}

/* A model's main file, and where it lies. */
typedef struct place {
    md_map map;
    char path[PATH_SIZE];
    char folder[PATH_SIZE];
} place;

static bool is_folder(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The main file of a model that is a folder. */
static md_status find_main(place *p, const char *folder, md_error *err)
{
    char names[TITLES_SIZE] = "";
    struct stat st;

    for (size_t i = 0; list[i]; i++) {
        if (!list[i]->in_folder)
            continue;
        snprintf(p->path, sizeof(p->path), "%s/%s", folder, list[i]->in_folder);
        if (stat(p->path, &st) == 0)
            return MD_OK;
        add_title(names, list[i]->in_folder);
    }
    return md_fail(err, MD_NOT_FOUND,
                   "folder '%s' holds no model, expected one with %s", folder,
                   names);
}

/* Map the file at `path`, or the main one in the folder; the map is the
 * caller's. */
static md_status open_place(place *p, const char *path, md_error *err)
{
    char *slash;

    *p = (place){ .map = { .size = 0 } };
    if (strlen(path) > PATH_SIZE / 2)
        return md_fail(err, MD_TOO_LARGE, "a path of %zu bytes", strlen(path));
    if (is_folder(path))
        MD_TRY(find_main(p, path, err));
    else
        snprintf(p->path, sizeof(p->path), "%s", path);
    memcpy(p->folder, p->path, sizeof(p->folder));
    slash = strrchr(p->folder, '/');
    if (!slash)
        snprintf(p->folder, sizeof(p->folder), ".");
    else
        slash[slash == p->folder] = '\0';
    return md_map_open(&p->map, p->path, err);
}

static md_status convert_place(md_model **out, place *p, const char *name,
                               const md_convert_opts *opts,
                               md_convert_report *report, const md_alloc *alloc,
                               md_error *err)
{
    const char *slash = strrchr(p->path, '/');
    md_convert_source src = { .bytes = p->map.data,
                              .size = p->map.size,
                              .folder = p->folder,
                              .file = slash ? slash + 1 : p->path };

    return convert(out, &src, &p->map, name, opts, report, alloc, err);
}

md_status md_convert(md_model **out, const char *path,
                     const md_convert_opts *opts, md_convert_report *report,
                     const md_alloc *alloc, md_error *err)
{
    place p;
    md_status s;

    MD_TRY(open_place(&p, path, err));
    s = convert_place(out, &p, path, opts, report, alloc, err);
    md_map_release(&p.map);
    return s;
}

static md_status fail_unknown(const char *name, md_error *err)
{
    char titles[TITLES_SIZE] = "";

    for (const md_format *const *f = md_format_list(); *f; f++) {
        if ((*f)->load_model)
            add_title(titles, (*f)->title);
    }
    add_converters(titles);
    return md_fail(err, MD_UNSUPPORTED,
                   "'%s' is no model of a known format, expected %s", name,
                   titles);
}

static const md_convert_opts unchecked = { .no_self_check = true };

/* The file's bytes decide; what no converter takes is left for formats. */
static md_status load_foreign(md_model **out, const char *path,
                              const md_convert_how *how, const md_alloc *alloc,
                              md_error *err)
{
    md_convert_opts opts = unchecked;
    md_status s = MD_OK;
    place p;

    *out = NULL;
    if (how)
        opts.how = *how;
    MD_TRY(open_place(&p, path, err));
    if (md_converter_find(p.map.data, p.map.size))
        s = convert_place(out, &p, path, &opts, NULL, alloc, err);
    md_map_release(&p.map);
    return s;
}

/* ONNX tells all there is to tell. */
static md_status expect_nothing(const md_convert_how *how, const char *path,
                                md_error *err)
{
    static const char *const what[] = { "signature", "inputs", "arch",
                                        "architecture" };
    const char *given[4];

    if (!how)
        return MD_OK;
    given[0] = how->signature;
    given[1] = how->inputs;
    given[2] = how->arch;
    given[3] = how->architecture;
    for (size_t i = 0; i < MD_COUNT(what); i++) {
        if (given[i])
            return md_fail(err, MD_INVALID,
                           "'%s': ONNX has no %s '%.80s', it tells itself",
                           path, what[i], given[i]);
    }
    return MD_OK;
}

md_status md_convert_load(md_model **out, const char *path, md_load use,
                          const md_convert_how *how, const md_alloc *alloc,
                          md_error *err)
{
    const md_format *f = NULL;

    MD_TRY(load_foreign(out, path, how, alloc, err));
    if (*out)
        return MD_OK;
    MD_TRY(expect_nothing(how, path, err));
    if (md_format_detect(&f, path, NULL) == MD_UNSUPPORTED)
        return fail_unknown(path, err);
    return md_format_load_model(out, path, use, alloc, err);
}

md_status md_convert_load_bytes(md_model **out, const void *bytes, size_t size,
                                const char *name, const md_alloc *alloc,
                                md_error *err)
{
    if (md_converter_find(bytes, size))
        return md_convert_bytes(out, bytes, size, name, &unchecked, NULL, alloc,
                                err);
    if (!md_onnx_probe(bytes, size))
        return fail_unknown(name, err);
    return md_onnx_parse(out, bytes, size, NULL, alloc, err);
}
