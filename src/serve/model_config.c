/* A served model and its written configuration: do they agree? */
#include <string.h>

#include "serve/model.h"

md_status md_serve_config_shape(md_shape *out, const md_model_config *c,
                                const md_config_io *io, md_error *err)
{
    const int batched = c->max_batch_size > 0;

    if (io->dims.n + (uint32_t)batched > MD_RANK_MAX)
        return md_fail(err, MD_INVALID,
                       "configuration of '%s': %u dims given, at most %d "
                       "expected",
                       io->name, io->dims.n, MD_RANK_MAX - batched);
    *out = (md_shape){ .rank = (int)io->dims.n + batched };
    if (batched)
        out->dim[0] = -1;
    for (uint32_t i = 0; i < io->dims.n; i++)
        out->dim[(int)i + batched] = io->dims.v[i];
    return MD_OK;
}

/* The same in both, where both say something; then the narrower one. */
static bool agree(md_serve_io *io, const md_shape *want)
{
    if (!io->has_rank) {
        io->has_rank = true;
        io->shape = *want;
        return true;
    }
    if (io->shape.rank != want->rank)
        return false;
    for (int i = 0; i < want->rank; i++) {
        if (io->shape.dim[i] == -1)
            io->shape.dim[i] = want->dim[i];
        else if (want->dim[i] != -1 && want->dim[i] != io->shape.dim[i])
            return false;
    }
    return true;
}

static md_status configure_io(md_serve_io *io, const md_model_config *c,
                              const md_config_io *want, md_error *err)
{
    char ours[MD_SHAPE_TEXT];
    char theirs[MD_SHAPE_TEXT];
    md_shape shape;

    if (want->dtype != MD_DTYPE_NONE && want->dtype != io->dtype)
        return md_fail(err, MD_INVALID,
                       "configuration of '%s': data type %s given, the "
                       "model's is %s",
                       io->name, md_dtype_name(want->dtype),
                       md_dtype_name(io->dtype));
    if (want->dims.n == 0)
        return MD_OK;
    MD_TRY(md_serve_config_shape(&shape, c, want, err));
    md_shape_format(ours, sizeof(ours), &io->shape);
    if (agree(io, &shape))
        return MD_OK;
    return md_fail(err, MD_INVALID,
                   "configuration of '%s': shape %s given%s, the model's is "
                   "%s",
                   io->name, md_shape_format(theirs, sizeof(theirs), &shape),
                   c->max_batch_size ? ", batch dimension included" : "", ours);
}

static md_status configure_ios(md_serve_io *ios, uint32_t n,
                               const md_model_config *c,
                               const md_config_ios *list, const char *what,
                               md_error *err)
{
    for (uint32_t i = 0; i < list->n; i++) {
        uint32_t k = 0;

        while (k < n && strcmp(ios[k].name, list->v[i].name) != 0)
            k++;
        if (k == n)
            return md_fail(err, MD_INVALID,
                           "configuration: the model has no %s '%.100s'", what,
                           list->v[i].name);
        MD_TRY(configure_io(&ios[k], c, &list->v[i], err));
    }
    return MD_OK;
}

/* A batch is the first axis of everything. */
static md_status check_batched(const md_serve_io *ios, uint32_t n,
                               const char *what, md_error *err)
{
    char text[MD_SHAPE_TEXT];

    for (uint32_t i = 0; i < n; i++)
        if (ios[i].has_rank &&
            (ios[i].shape.rank == 0 || ios[i].shape.dim[0] != -1))
            return md_fail(err, MD_INVALID,
                           "configuration: max_batch_size is given, but the "
                           "first dimension of %s '%s' %s is not free",
                           what, ios[i].name,
                           md_shape_format(text, sizeof(text), &ios[i].shape));
    return MD_OK;
}

/* Copies that can be narrowed: a session's are its model's. */
static md_status copy(md_serve_io **out, md_serve_model *m,
                      const md_serve_io *ios, uint32_t n, md_error *err)
{
    *out = md_arena_calloc(&m->arena, (size_t)n + 1, sizeof(**out));
    if (!*out)
        return md_fail_nomem(err, n * sizeof(**out));
    if (n)
        memcpy(*out, ios, n * sizeof(**out));
    return MD_OK;
}

md_status md_serve_model_configure(md_serve_model *m, const md_model_config *c,
                                   md_error *err)
{
    md_serve_io *in = NULL;
    md_serve_io *out = NULL;

    MD_TRY(copy(&in, m, m->inputs, m->n_inputs, err));
    MD_TRY(copy(&out, m, m->outputs, m->n_outputs, err));
    MD_TRY(configure_ios(in, m->n_inputs, c, &c->inputs, "input", err));
    MD_TRY(configure_ios(out, m->n_outputs, c, &c->outputs, "output", err));
    if (c->max_batch_size > 0) {
        MD_TRY(check_batched(in, m->n_inputs, "input", err));
        MD_TRY(check_batched(out, m->n_outputs, "output", err));
    }
    m->inputs = in;
    m->outputs = out;
    m->config = c;
    m->max_batch = c->max_batch_size;
    m->batching = c->batching;
    m->n_instances = c->n_instances;
    if (c->platform)
        m->platform = c->platform;
    for (uint32_t i = 0; i < m->n_outputs; i++) {
        const md_config_io *io = md_config_find(&c->outputs, out[i].name);

        if (io && io->label_filename && m->n_labels)
            m->labelled = i;
    }
    return MD_OK;
}

bool md_serve_model_waits(const md_serve_model *m)
{
    return (m->batching.on && m->max_batch > 0) || m->n_instances > 0;
}

void md_serve_model_batch(md_serve_model *m, int64_t max_batch,
                          int64_t delay_us)
{
    if (m->config || max_batch == 0 || m->n_inputs == 0)
        return;
    for (uint32_t i = 0; i < m->n_inputs; i++)
        if (!m->inputs[i].has_rank)
            return;
    for (uint32_t i = 0; i < m->n_outputs; i++)
        if (!m->outputs[i].has_rank)
            return;
    if (check_batched(m->inputs, m->n_inputs, "", NULL) != MD_OK ||
        check_batched(m->outputs, m->n_outputs, "", NULL) != MD_OK)
        return;
    m->max_batch = max_batch;
    m->batching.on = true;
    m->batching.delay_us = delay_us;
}
