#include "serve/load.h"

#include <stdio.h>

#include "base/file.h"
#include "base/log.h"
#include "convert/convert.h"
#include "serve/ensemble.h"

#define MD_LOG_TAG "serve"

enum {
    LABELS_SIZE_MAX = 64 << 20,
    PATH_SIZE = 4096
};

/* ---- once with made-up inputs ---- */

/* Sizes that are free become 1. */
static void choose_shapes(md_shape *shapes, const md_serve_model *m)
{
    for (uint32_t i = 0; i < m->n_inputs; i++) {
        shapes[i] = m->inputs[i].shape;
        for (int k = 0; k < shapes[i].rank; k++)
            if (shapes[i].dim[k] < 0)
                shapes[i].dim[k] = 1;
    }
}

static md_status warm_up_run(const md_serve_model *m, const md_session *session,
                             void *run, md_tensor *inputs,
                             const md_shape *shapes, int width, md_error *err)
{
    const md_alloc *alloc = md_alloc_default();

    for (uint32_t i = 0; i < m->n_inputs; i++) {
        MD_TRY(md_tensor_alloc(&inputs[i], m->inputs[i].dtype, &shapes[i],
                               alloc, err));
        md_session_sample(session, i, 1, &inputs[i]);
        m->engine->bind(run, i, inputs[i].data);
    }
    return m->engine->execute(run, width, err);
}

static md_status warm_up(const md_serve_model *m, const md_session *session,
                         int width, md_error *err)
{
    md_tensor *inputs = NULL;
    md_shape *shapes = NULL;
    void *run = NULL;
    md_arena ar;
    md_status s;

    md_arena_init(&ar, md_alloc_default(), 0);
    inputs = md_arena_calloc(&ar, (size_t)m->n_inputs + 1, sizeof(*inputs));
    shapes = md_arena_calloc(&ar, (size_t)m->n_inputs + 1, sizeof(*shapes));
    if (!inputs || !shapes) {
        s = md_fail_nomem(err, sizeof(*inputs));
        goto out;
    }
    choose_shapes(shapes, m);
    MD_GOTO(m->engine->acquire(m->ctx, &run, shapes, err));
    s = warm_up_run(m, session, run, inputs, shapes, width, err);
    m->engine->release(run);
    for (uint32_t i = 0; i < m->n_inputs; i++)
        md_tensor_release(&inputs[i]);
out:
    md_arena_release(&ar);
    return s;
}

/* ---- files ---- */

/* The labels that the configuration names, terminated, in `text`. */
static md_status read_labels(md_buf *text, const md_repo_model *model,
                             md_error *err)
{
    for (uint32_t i = 0; i < model->config.outputs.n; i++) {
        const char *file = model->config.outputs.v[i].label_filename;
        char path[PATH_SIZE];

        if (!file)
            continue;
        if (!model->folder ||
            snprintf(path, sizeof(path), "%s/%s", model->folder, file) >=
                (int)sizeof(path))
            return md_fail(err, MD_INVALID,
                           "label_filename '%s': the model has no folder",
                           file);
        return md_file_read(text, path, err);
    }
    return MD_OK;
}

static md_status new_session(md_session **out, md_serve_classes *classes,
                             const char *path, const md_serve_load_opts *opts,
                             md_error *err)
{
    md_session_opts o = MD_SESSION_OPTS_INIT;
    md_model *model = NULL;
    md_status s;

    o.pool = opts->pool;
    o.precision = opts->precision;
    o.weight_cache = opts->weight_cache;
    MD_TRY(md_convert_load(&model, path, MD_LOAD_TO_RUN, &opts->how,
                           md_alloc_tagged(MD_MEM_graph), err));
    s = md_serve_classes_take(classes, model, err);
    if (s == MD_OK)
        s = md_session_new(out, model, &o, err);
    if (s != MD_OK)
        md_model_free(model);
    return s;
}

static md_status finish(md_serve_model *m, const md_repo_model *model,
                        int64_t number, md_error *err)
{
    md_model_config *config;

    m->version = md_arena_printf(&m->arena, "%lld", (long long)number);
    config = md_arena_calloc(&m->arena, 1, sizeof(*config));
    if (!m->version || !config)
        return md_fail_nomem(err, sizeof(*config));
    if (!model->config_text)
        return MD_OK;
    MD_TRY(md_repo_config(config, model, &m->arena, err));
    return md_serve_model_configure(m, config, err);
}

static void tell(const md_serve_model *m, const md_session *session,
                 const char *path, const md_error *warm)
{
    const md_precision_choice *choice = md_session_precision(session);

    MD_LOG(MD_LOG_INFO, "model loaded", md_log_str("model", m->name),
           md_log_str("version", m->version), md_log_str("file", path),
           md_log_str("precision", choice->why
                                       ? choice->why
                                       : md_precision_name(choice->used)));
    if (warm->status != MD_OK)
        MD_LOG(MD_LOG_DEBUG, "not warmed up", md_log_str("model", m->name),
               md_log_error(warm));
}

static md_status load_ensemble(md_serve_model **out, const md_repo_model *model,
                               int64_t number, md_models *models, md_error *err)
{
    md_buf labels;
    md_status s;

    md_buf_init(&labels, md_alloc_default(), LABELS_SIZE_MAX);
    s = read_labels(&labels, model, err);
    if (s == MD_OK)
        s = md_ensemble_new(out, models, model, number,
                            (const char *)labels.data, md_alloc_default(), err);
    md_buf_release(&labels);
    if (s == MD_OK)
        MD_LOG(MD_LOG_INFO, "ensemble loaded", md_log_str("model", model->name),
               md_log_int("version", number),
               md_log_uint("steps", model->config.ensemble.n));
    return s;
}

md_status md_serve_load(md_serve_model **out, const md_repo_model *model,
                        const md_repo_version *version,
                        const md_serve_load_opts *opts, md_error *err)
{
    md_error warm = MD_ERROR_INIT;
    md_session *session = NULL;
    md_serve_classes classes;
    md_serve_model *m = NULL;
    md_buf labels;
    md_status s;

    if (model->config.ensemble.n > 0)
        return load_ensemble(out, model, version->number, opts->models, err);
    if (!version->path)
        return md_fail(err, MD_NOT_FOUND, "%s", version->why);
    md_buf_init(&labels, md_alloc_default(), LABELS_SIZE_MAX);
    s = read_labels(&labels, model, err);
    if (s == MD_OK)
        s = new_session(&session, &classes, version->path, opts, err);
    if (s == MD_OK)
        s = md_serve_model_from_session(&m, model->name,
                                        (const char *)labels.data, &classes,
                                        session, md_alloc_default(), err);
    md_buf_release(&labels);
    if (s != MD_OK) {
        md_session_free(session);
        return s;
    }
    s = finish(m, model, version->number, err);
    if (s != MD_OK) {
        md_serve_model_free(m);
        return s;
    }
    md_serve_model_batch(m, opts->max_batch, opts->delay_us);
    (void)warm_up(m, session, opts->run_width, &warm);
    tell(m, session, version->path, &warm);
    *out = m;
    return MD_OK;
}
