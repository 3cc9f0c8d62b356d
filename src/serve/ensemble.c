#include "serve/ensemble.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "serve/ensemble_impl.h"

enum {
    VERSION_SIZE = 24
};

/* ---- tensors ---- */

static md_ensemble_tensor *find_tensor(const md_ensemble *e, const char *name)
{
    for (uint32_t i = 0; i < e->n_tensors; i++)
        if (strcmp(e->tensors[i].io.name, name) == 0)
            return &e->tensors[i];
    return NULL;
}

static const char *writer_of(const md_ensemble *e, const md_ensemble_tensor *t)
{
    return t->from < 0 ? "the ensemble's inputs"
                       : e->steps[t->from].config->model;
}

/* Has the array room?  It has: one for each name that is written. */
static md_status add_tensor(md_ensemble *e, const md_serve_io *io,
                            const char *name, int64_t from, md_error *err)
{
    const md_ensemble_tensor *there = find_tensor(e, name);
    md_ensemble_tensor *t = &e->tensors[e->n_tensors];

    if (there)
        return md_fail(err, MD_INVALID,
                       "tensor '%.80s' is written by '%.80s' and by '%.80s', "
                       "one of them expected",
                       name, writer_of(e, there), e->steps[from].config->model);
    *t = (md_ensemble_tensor){ .io = *io, .from = from };
    t->io.name = name;
    e->n_tensors++;
    return MD_OK;
}

/* May a tensor be both?  Sizes that are open fit any. */
static bool fits(const md_serve_io *a, const md_serve_io *b)
{
    if (a->dtype != b->dtype)
        return false;
    if (!a->has_rank || !b->has_rank)
        return true;
    if (a->shape.rank != b->shape.rank)
        return false;
    for (int i = 0; i < a->shape.rank; i++)
        if (a->shape.dim[i] != -1 && b->shape.dim[i] != -1 &&
            a->shape.dim[i] != b->shape.dim[i])
            return false;
    return true;
}

static const char *shape_of(char *text, size_t size, const md_serve_io *io)
{
    return io->has_rank ? md_shape_format(text, size, &io->shape) : "of any";
}

/* Tensor `name` is read as `io`, by a step's model or as an output. */
static md_status read_tensor(md_ensemble *e, uint32_t *out, const char *name,
                             const md_serve_io *io, const char *reader,
                             md_error *err)
{
    md_ensemble_tensor *t = find_tensor(e, name);
    char given[MD_SHAPE_TEXT];
    char taken[MD_SHAPE_TEXT];

    if (!t)
        return md_fail(err, MD_INVALID,
                       "tensor '%.80s', which '%.80s' reads, is written by no "
                       "step and is no input of the ensemble",
                       name, reader);
    if (!fits(&t->io, io))
        return md_fail(err, MD_INVALID,
                       "tensor '%.50s' is %s %s from '%.50s', '%.50s' takes "
                       "%s %s",
                       name, md_dtype_v2_name(t->io.dtype),
                       shape_of(given, sizeof(given), &t->io), writer_of(e, t),
                       reader, md_dtype_v2_name(io->dtype),
                       shape_of(taken, sizeof(taken), io));
    t->is_read = true;
    *out = (uint32_t)(t - e->tensors);
    return MD_OK;
}

/* ---- steps ---- */

md_served *md_ensemble_step_of(md_models *models, const md_config_step *step,
                               md_error *err)
{
    char text[VERSION_SIZE];
    md_served *v = NULL;

    (void)snprintf(text, sizeof(text), "%lld", (long long)step->version);
    return md_models_find(models, &v, step->model,
                          step->version < 0 ? NULL : text, err) == MD_OK
               ? v
               : NULL;
}

static md_status find_step(md_ensemble *e, md_ensemble_step *step,
                           int64_t max_batch, md_error *err)
{
    const md_config_step *c = step->config;
    md_error why = MD_ERROR_INIT;
    const md_serve_model *m;

    step->served = md_ensemble_step_of(e->models, c, &why);
    if (!step->served)
        return md_fail(err, why.status, "step '%.80s': %s", c->model, why.msg);
    m = step->served->model;
    /* Without a configuration it is not told how many rows it takes. */
    if (m->max_batch < max_batch && (m->config || m->max_batch > 0))
        return md_fail(err, MD_INVALID,
                       "max_batch_size is %lld, but step '%.80s' takes "
                       "batches of at most %lld",
                       (long long)max_batch, c->model, (long long)m->max_batch);
    return MD_OK;
}

static md_status unknown(const md_config_step *step, const char *what,
                         const char *name, md_error *err)
{
    return md_fail(err, MD_INVALID, "step '%.80s': the model has no %s '%.80s'",
                   step->model, what, name);
}

static md_status write_outputs(md_ensemble *e, uint32_t k, md_arena *ar,
                               md_error *err)
{
    md_ensemble_step *step = &e->steps[k];
    const md_serve_model *m = step->served->model;

    step->outputs =
        md_arena_calloc(ar, (size_t)m->n_outputs + 1, sizeof(*step->outputs));
    if (!step->outputs)
        return md_fail_nomem(err, sizeof(*step->outputs));
    for (uint32_t i = 0; i < m->n_outputs; i++)
        step->outputs[i] = MD_ENSEMBLE_UNUSED;
    for (uint32_t i = 0; i < step->config->outputs.n; i++) {
        const md_config_pair *p = &step->config->outputs.v[i];
        const int at =
            md_serve_model_find_output(m, (md_str){ p->own, strlen(p->own) });

        if (at < 0)
            return unknown(step->config, "output", p->own, err);
        step->outputs[at] = e->n_tensors;
        MD_TRY(add_tensor(e, &m->outputs[at], p->tensor, k, err));
    }
    return MD_OK;
}

static md_status read_inputs(md_ensemble *e, md_ensemble_step *step,
                             md_arena *ar, md_error *err)
{
    const md_serve_model *m = step->served->model;

    step->inputs =
        md_arena_calloc(ar, (size_t)m->n_inputs + 1, sizeof(*step->inputs));
    if (!step->inputs)
        return md_fail_nomem(err, sizeof(*step->inputs));
    for (uint32_t i = 0; i < m->n_inputs; i++)
        step->inputs[i] = MD_ENSEMBLE_UNUSED;
    for (uint32_t i = 0; i < step->config->inputs.n; i++) {
        const md_config_pair *p = &step->config->inputs.v[i];
        const int at =
            md_serve_model_find_input(m, (md_str){ p->own, strlen(p->own) });

        if (at < 0)
            return unknown(step->config, "input", p->own, err);
        MD_TRY(read_tensor(e, &step->inputs[at], p->tensor, &m->inputs[at],
                           step->config->model, err));
    }
    for (uint32_t i = 0; i < m->n_inputs; i++)
        if (step->inputs[i] == MD_ENSEMBLE_UNUSED)
            return md_fail(err, MD_INVALID,
                           "step '%.80s': input '%.80s' of the model is in no "
                           "input_map",
                           step->config->model, m->inputs[i].name);
    return MD_OK;
}

/* ---- order ---- */

/* Is everything written that the step reads?  done[k]: step k has its place. */
static bool is_ready(const md_ensemble *e, const md_ensemble_step *step,
                     const bool *done)
{
    for (uint32_t i = 0; i < step->served->model->n_inputs; i++) {
        const int64_t from = e->tensors[step->inputs[i]].from;

        if (from >= 0 && !done[from])
            return false;
    }
    return true;
}

/* Steps in an order in which each finds its tensors, that of the
 * configuration where it is free. */
static md_status sort_steps(md_ensemble *e, md_arena *ar, md_error *err)
{
    md_ensemble_step *sorted = md_arena_calloc(ar, e->n_steps, sizeof(*sorted));
    uint32_t *place = md_arena_calloc(ar, e->n_steps, sizeof(*place));
    bool *done = md_arena_calloc(ar, e->n_steps, sizeof(*done));
    uint32_t n = 0;

    if (!sorted || !place || !done)
        return md_fail_nomem(err, e->n_steps * sizeof(*sorted));
    while (n < e->n_steps) {
        uint32_t k = 0;

        while (k < e->n_steps && (done[k] || !is_ready(e, &e->steps[k], done)))
            k++;
        if (k == e->n_steps)
            break;
        done[k] = true;
        place[k] = n;
        sorted[n++] = e->steps[k];
    }
    for (uint32_t k = 0; k < e->n_steps; k++)
        if (!done[k])
            return md_fail(err, MD_INVALID,
                           "step '%.80s' waits for a tensor that cannot be "
                           "written before it: the steps form a cycle",
                           e->steps[k].config->model);
    for (uint32_t i = 0; i < e->n_tensors; i++)
        if (e->tensors[i].from >= 0)
            e->tensors[i].from = place[e->tensors[i].from];
    e->steps = sorted;
    return MD_OK;
}

/* When is each step's run needed no longer? */
static void find_last(md_ensemble *e, uint32_t n_outputs)
{
    for (uint32_t k = 0; k < e->n_steps; k++) {
        const md_ensemble_step *step = &e->steps[k];

        e->steps[k].last = k;
        for (uint32_t i = 0; i < step->served->model->n_inputs; i++) {
            const int64_t from = e->tensors[step->inputs[i]].from;

            if (from >= 0)
                e->steps[from].last = k;
        }
    }
    for (uint32_t i = 0; i < n_outputs; i++)
        if (e->tensors[e->outputs[i]].from >= 0)
            e->steps[e->tensors[e->outputs[i]].from].last = e->n_steps;
    for (uint32_t k = 0; k < e->n_steps; k++)
        if (e->steps[k].served->model->engine->ran)
            e->steps[k].last = e->n_steps; /* it is counted at the end */
}

/* ---- the whole ---- */

static md_status take_ios(md_serve_io **out, const md_config_ios *list,
                          const md_model_config *c, const char *what,
                          md_arena *ar, md_error *err)
{
    md_serve_io *ios = md_arena_calloc(ar, (size_t)list->n + 1, sizeof(*ios));

    if (!ios)
        return md_fail_nomem(err, sizeof(*ios));
    if (list->n == 0)
        return md_fail(err, MD_INVALID, "the ensemble has no %s", what);
    for (uint32_t i = 0; i < list->n; i++) {
        ios[i] = (md_serve_io){ .name = list->v[i].name,
                                .dtype = list->v[i].dtype,
                                .has_rank = true };
        if (ios[i].dtype == MD_DTYPE_NONE)
            return md_fail(err, MD_INVALID,
                           "%s '%.100s' of the ensemble has no data_type", what,
                           ios[i].name);
        MD_TRY(md_serve_config_shape(&ios[i].shape, c, &list->v[i], err));
    }
    *out = ios;
    return MD_OK;
}

static md_status alloc_parts(md_ensemble *e, const md_model_config *c,
                             md_arena *ar, md_error *err)
{
    size_t n = c->inputs.n;

    for (uint32_t k = 0; k < c->ensemble.n; k++)
        n += c->ensemble.v[k].outputs.n;
    e->tensors = md_arena_calloc(ar, n, sizeof(*e->tensors));
    e->steps = md_arena_calloc(ar, c->ensemble.n, sizeof(*e->steps));
    e->outputs =
        md_arena_calloc(ar, (size_t)c->outputs.n + 1, sizeof(*e->outputs));
    if (!e->tensors || !e->steps || !e->outputs)
        return md_fail_nomem(err, n * sizeof(*e->tensors));
    e->n_steps = c->ensemble.n;
    e->n_inputs = c->inputs.n;
    for (uint32_t k = 0; k < e->n_steps; k++)
        e->steps[k].config = &c->ensemble.v[k];
    return MD_OK;
}

static md_status connect(md_ensemble *e, const md_serve_model *m, md_arena *ar,
                         md_error *err)
{
    for (uint32_t i = 0; i < m->n_inputs; i++)
        MD_TRY(add_tensor(e, &m->inputs[i], m->inputs[i].name, -1, err));
    for (uint32_t k = 0; k < e->n_steps; k++) {
        MD_TRY(find_step(e, &e->steps[k], m->max_batch, err));
        MD_TRY(write_outputs(e, k, ar, err));
    }
    for (uint32_t k = 0; k < e->n_steps; k++)
        MD_TRY(read_inputs(e, &e->steps[k], ar, err));
    for (uint32_t i = 0; i < m->n_outputs; i++)
        MD_TRY(read_tensor(e, &e->outputs[i], m->outputs[i].name,
                           &m->outputs[i], "the ensemble's outputs", err));
    for (uint32_t i = 0; i < e->n_tensors; i++)
        if (!e->tensors[i].is_read)
            return md_fail(err, MD_INVALID,
                           "tensor '%.80s' of '%.80s' is read by no step and "
                           "is no output of the ensemble",
                           e->tensors[i].io.name, writer_of(e, &e->tensors[i]));
    return MD_OK;
}

/* How its calls are run together and how often at once: as its steps are. */
static void schedule(md_serve_model *m, const md_ensemble *e)
{
    bool together = m->max_batch > 0;

    for (uint32_t k = 0; k < e->n_steps; k++) {
        const md_serve_model *step = e->steps[k].served->model;

        together = together && step->max_batch > 0;
        if (step->batching.on && !m->batching.on)
            m->batching = step->batching;
        if (step->n_instances > 0 &&
            (m->n_instances == 0 || step->n_instances < m->n_instances))
            m->n_instances = step->n_instances;
    }
    if (!together)
        m->batching = (md_config_batching){ .on = false };
}

static void find_labelled(md_serve_model *m, const md_model_config *c)
{
    for (uint32_t i = 0; i < m->n_outputs; i++)
        if (c->outputs.v[i].label_filename)
            m->labelled = i;
}

/* What it is made from, kept to make it again. */
static md_status keep_source(md_ensemble *e, const md_repo_model *from,
                             const char *labels, md_arena *ar, md_error *err)
{
    e->from = (md_repo_model){ .name = md_arena_strdup(ar, from->name),
                               .config_size = from->config_size,
                               .config_is_json = from->config_is_json };
    e->from.config_text =
        md_arena_strndup(ar, from->config_text, from->config_size);
    e->labels = md_arena_strdup(ar, labels ? labels : "");
    if (!e->from.name || !e->from.config_text || !e->labels)
        return md_fail_nomem(err, from->config_size);
    return MD_OK;
}

static md_status fill(md_serve_model *m, md_ensemble *e,
                      const md_model_config *c, int64_t number, md_error *err)
{
    md_serve_io *inputs;
    md_serve_io *outputs;

    m->name = e->from.name;
    m->version = md_arena_printf(&m->arena, "%lld", (long long)number);
    if (!m->version)
        return md_fail_nomem(err, VERSION_SIZE);
    m->platform = "ensemble";
    m->config = c;
    m->max_batch = c->max_batch_size;
    MD_TRY(take_ios(&inputs, &c->inputs, c, "input", &m->arena, err));
    MD_TRY(take_ios(&outputs, &c->outputs, c, "output", &m->arena, err));
    m->inputs = inputs;
    m->outputs = outputs;
    m->n_inputs = c->inputs.n;
    m->n_outputs = c->outputs.n;
    MD_TRY(alloc_parts(e, c, &m->arena, err));
    MD_TRY(connect(e, m, &m->arena, err));
    MD_TRY(sort_steps(e, &m->arena, err));
    find_last(e, m->n_outputs);
    schedule(m, e);
    MD_TRY(md_serve_model_set_labels(m, e->labels, err));
    find_labelled(m, c);
    md_serve_image_guess(m);
    return MD_OK;
}

md_status md_ensemble_new(md_serve_model **out, md_models *models,
                          const md_repo_model *from, int64_t number,
                          const char *labels, const md_alloc *alloc,
                          md_error *err)
{
    md_model_config *c;
    md_serve_model *m;
    md_ensemble *e;
    md_arena ar;
    md_status s;

    md_arena_init(&ar, alloc, 0);
    m = md_arena_calloc(&ar, 1, sizeof(*m));
    e = md_arena_calloc(&ar, 1, sizeof(*e));
    c = md_arena_calloc(&ar, 1, sizeof(*c));
    if (!m || !e || !c) {
        md_arena_release(&ar);
        return md_fail_nomem(err, sizeof(*m));
    }
    m->arena = ar;
    m->engine = &md_ensemble__engine;
    m->ctx = e;
    e->alloc = alloc;
    e->models = models;
    s = keep_source(e, from, labels, &m->arena, err);
    if (s == MD_OK)
        s = md_repo_config(c, &e->from, &m->arena, err);
    if (s == MD_OK)
        s = fill(m, e, c, number, err);
    if (s != MD_OK) {
        md_serve_model_free(m);
        return s;
    }
    *out = m;
    return MD_OK;
}

bool md_ensemble_is(const md_serve_model *m)
{
    return m->engine == &md_ensemble__engine;
}

bool md_ensemble_is_current(const md_serve_model *m, const char **gone)
{
    const md_ensemble *e = m->ctx;
    bool same = true;

    *gone = NULL;
    for (uint32_t k = 0; k < e->n_steps && !*gone; k++) {
        const md_config_step *c = e->steps[k].config;
        md_served *now = md_ensemble_step_of(e->models, c, NULL);

        same = same && now == e->steps[k].served;
        if (now)
            md_served_unref(now);
        else
            *gone = c->model;
    }
    return same;
}

md_status md_ensemble_again(md_serve_model **out, const md_serve_model *m,
                            md_error *err)
{
    const md_ensemble *e = m->ctx;

    return md_ensemble_new(out, e->models, &e->from,
                           strtoll(m->version, NULL, 10), e->labels, e->alloc,
                           err);
}
