/* Opening, describing and closing models. */
#include <string.h>

#include "api/api.h"
#include "convert/convert.h"

_Static_assert((int)MODELD_PRECISION_FP32 == (int)MD_PRECISION_FP32 &&
                   (int)MODELD_PRECISION_STRICT == (int)MD_PRECISION_STRICT &&
                   (int)MODELD_PRECISION_BF16 == (int)MD_PRECISION_BF16 &&
                   (int)MODELD_PRECISION_AUTO == (int)MD_PRECISION_AUTO,
               "modeld.h: precision");

/* Members up to here are in every version of the options. */
#define OPTIONS_SIZE_MIN                                                       \
    (offsetof(modeld_options, precision) + sizeof(modeld_precision))

/* No version's options will be larger; a size beyond was never set. */
#define OPTIONS_SIZE_MAX ((size_t)4096)

/* A file at `path`, or bytes. */
typedef struct source {
    const char *path;
    const void *bytes;
    size_t size;
} source;

static md_status read_options(modeld_options *out, const modeld_options *given,
                              md_error *err)
{
    const unsigned char *bytes = (const unsigned char *)given;
    size_t known = sizeof(*out);

    *out = (modeld_options)MODELD_OPTIONS_INIT;
    if (!given)
        return MD_OK;
    if (given->size < OPTIONS_SIZE_MIN || given->size > OPTIONS_SIZE_MAX)
        return md_fail(err, MD_INVALID,
                       "options: size %zu given, %zu to %zu expected; start "
                       "from MODELD_OPTIONS_INIT",
                       given->size, OPTIONS_SIZE_MIN, OPTIONS_SIZE_MAX);
    for (size_t i = known; i < given->size; i++) {
        if (bytes[i] != 0)
            return md_fail(err, MD_UNSUPPORTED,
                           "options: byte %zu is set, %zu bytes are known to "
                           "modeld %s",
                           i, known, MODELD_VERSION);
    }
    memcpy(out, given, given->size < known ? given->size : known);
    if (out->threads < 0 || out->threads > MODELD_THREADS_MAX)
        return md_fail(err, MD_INVALID, "threads: %d given, 0 to %d expected",
                       out->threads, MODELD_THREADS_MAX);
    if ((int)out->precision < 0 || out->precision > MODELD_PRECISION_AUTO)
        return md_fail(err, MD_INVALID, "precision: %d given, 0 to %d expected",
                       (int)out->precision, MODELD_PRECISION_AUTO);
    return MD_OK;
}

static md_status load(md_model **out, const source *from, md_error *err)
{
    const md_alloc *alloc = md_alloc_tagged(MD_MEM_graph);

    if (from->path)
        return md_convert_load(out, from->path, MD_LOAD_TO_RUN, NULL, alloc,
                               err);
    return md_convert_load_bytes(out, from->bytes, from->size,
                                 "model in memory", alloc, err);
}

static modeld_info describe(const md_io *io)
{
    modeld_info info = { .name = io->name,
                         .type = (modeld_type)io->type.dtype,
                         .rank = io->type.has_rank ? io->type.rank : -1 };

    for (int d = 0; d < info.rank; d++)
        info.dim[d] = md_dim_is_const(io->type.dim[d]) ? io->type.dim[d].k : -1;
    return info;
}

static md_status describe_all(modeld_model *m, md_error *err)
{
    uint32_t n_in = md_session_n_inputs(m->session);
    uint32_t n_out = md_session_n_outputs(m->session);

    m->inputs = md_calloc(m->alloc, (size_t)n_in + 1, sizeof(*m->inputs));
    m->outputs = md_calloc(m->alloc, (size_t)n_out + 1, sizeof(*m->outputs));
    if (!m->inputs || !m->outputs)
        return md_fail_nomem(err, ((size_t)n_in + n_out) * sizeof(modeld_info));
    for (uint32_t i = 0; i < n_in; i++)
        m->inputs[i] = describe(md_session_input(m->session, i));
    for (uint32_t i = 0; i < n_out; i++)
        m->outputs[i] = describe(md_session_output(m->session, i));
    return MD_OK;
}

/* Fill m from what is to be opened; what is there by then, close frees. */
static md_status prepare(modeld_model *m, const source *from,
                         const modeld_options *given, md_error *err)
{
    md_session_opts opts = MD_SESSION_OPTS_INIT;
    modeld_options options;
    md_model *model = NULL;
    md_status s;

    MD_TRY(read_options(&options, given, err));
    MD_TRY(load(&model, from, err));
    if (options.threads != 1)
        MD_GOTO(md_pool_new(&m->pool, options.threads, m->alloc, err));
    opts.pool = m->pool;
    opts.precision = (md_precision)options.precision;
    MD_GOTO(md_session_new(&m->session, model, &opts, err));
    model = NULL; /* the session's now */
    MD_GOTO(md_session_check_tensors(m->session, err));
    s = describe_all(m, err);
out:
    md_model_free(model);
    return s;
}

static modeld_code open_source(modeld_model **out, const source *from,
                               const modeld_options *opts, modeld_error *err)
{
    const md_alloc *alloc = md_alloc_default();
    modeld_model *m = md_calloc(alloc, 1, sizeof(*m));
    md_error e = MD_ERROR_INIT;
    md_status s;

    if (!m)
        return md_api__give(err, md_fail_nomem(&e, sizeof(*m)), &e);
    m->alloc = alloc;
    s = prepare(m, from, opts, &e);
    if (s == MD_OK)
        *out = m;
    else
        modeld_model_close(m);
    return md_api__give(err, s, &e);
}

static modeld_code refuse(modeld_error *err, const char *argument)
{
    md_error e = MD_ERROR_INIT;

    return md_api__give(
        err, md_fail(&e, MD_INVALID, "%s: NULL given", argument), &e);
}

modeld_code modeld_model_open(modeld_model **out, const char *path,
                              const modeld_options *opts, modeld_error *err)
{
    const source from = { .path = path };

    if (!out)
        return refuse(err, "out");
    *out = NULL;
    if (!path)
        return refuse(err, "path");
    return open_source(out, &from, opts, err);
}

modeld_code modeld_model_open_memory(modeld_model **out, const void *bytes,
                                     size_t size, const modeld_options *opts,
                                     modeld_error *err)
{
    const source from = { .bytes = bytes, .size = size };

    if (!out)
        return refuse(err, "out");
    *out = NULL;
    if (!bytes)
        return refuse(err, "bytes");
    return open_source(out, &from, opts, err);
}

void modeld_model_close(modeld_model *model)
{
    if (!model)
        return;
    md_session_free(model->session);
    md_pool_free(model->pool);
    md_free(model->alloc, model->inputs);
    md_free(model->alloc, model->outputs);
    md_free(model->alloc, model);
}

size_t modeld_model_n_inputs(const modeld_model *model)
{
    return model ? md_session_n_inputs(model->session) : 0;
}

size_t modeld_model_n_outputs(const modeld_model *model)
{
    return model ? md_session_n_outputs(model->session) : 0;
}

const modeld_info *modeld_model_input(const modeld_model *model, size_t i)
{
    return i < modeld_model_n_inputs(model) ? &model->inputs[i] : NULL;
}

const modeld_info *modeld_model_output(const modeld_model *model, size_t i)
{
    return i < modeld_model_n_outputs(model) ? &model->outputs[i] : NULL;
}
