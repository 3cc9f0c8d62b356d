/* Running an ensemble: one step after the other, tensors by reference. */
#include "base/clock.h"
#include "serve/ensemble_impl.h"

typedef struct step_run {
    void *run; /* NULL: not there, or given back */
    int64_t rows;
    int64_t ns;
} step_run;

/* One block: steps and tensors follow. */
typedef struct ensemble_run {
    const md_ensemble *e;
    md_tensor *tensors; /* of the ensemble, by number */
    step_run *steps;
    md_shape *shapes; /* room for the inputs of any step */
    uint32_t n_ran;   /* steps that have been tried */
    bool failed;      /* the last one of them has */
} ensemble_run;

static uint32_t most_inputs(const md_ensemble *e)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < e->n_steps; i++)
        if (e->steps[i].served->model->n_inputs > n)
            n = e->steps[i].served->model->n_inputs;
    return n;
}

static md_status acquire(void *ctx, void **run_out, const md_shape *shapes,
                         md_error *err)
{
    const md_ensemble *e = ctx;
    const size_t size =
        sizeof(ensemble_run) + e->n_tensors * sizeof(md_tensor) +
        e->n_steps * sizeof(step_run) + most_inputs(e) * sizeof(md_shape);
    ensemble_run *r = md_calloc(e->alloc, 1, size);

    if (!r)
        return md_fail_nomem(err, size);
    r->e = e;
    r->tensors = (md_tensor *)(r + 1);
    r->steps = (step_run *)(r->tensors + e->n_tensors);
    r->shapes = (md_shape *)(r->steps + e->n_steps);
    for (uint32_t i = 0; i < e->n_inputs; i++)
        r->tensors[i] =
            (md_tensor){ .dtype = e->tensors[i].io.dtype, .shape = shapes[i] };
    *run_out = r;
    return MD_OK;
}

/* Inputs are only read; a tensor has no other place for them. */
static void bind(void *run, uint32_t i, const void *data)
{
    ((ensemble_run *)run)->tensors[i].data = (void *)(uintptr_t)data;
}

/* Does the step's model take what comes, rows included? */
static md_status check_step(ensemble_run *r, const md_ensemble_step *step,
                            int64_t *rows, md_error *err)
{
    const md_serve_model *m = step->served->model;

    *rows = 1;
    for (uint32_t i = 0; i < m->n_inputs; i++) {
        r->shapes[i] = r->tensors[step->inputs[i]].shape;
        MD_TRY(md_serve_io_check(m, &m->inputs[i], &r->shapes[i], err));
    }
    for (uint32_t i = 0; m->max_batch > 0 && i < m->n_inputs; i++) {
        *rows = r->shapes[i].dim[0];
        if (*rows > m->max_batch || *rows != r->shapes[0].dim[0])
            return md_fail(err, MD_INVALID,
                           "input '%s' of '%s': a batch of %lld given, %lld "
                           "expected, at most %lld",
                           m->inputs[i].name, m->name, (long long)*rows,
                           (long long)r->shapes[0].dim[0],
                           (long long)m->max_batch);
    }
    return MD_OK;
}

static md_status run_step(ensemble_run *r, uint32_t k, int width, md_error *err)
{
    const md_ensemble_step *step = &r->e->steps[k];
    const md_serve_model *m = step->served->model;
    const md_serve_engine *engine = m->engine;
    step_run *run = &r->steps[k];

    MD_TRY(check_step(r, step, &run->rows, err));
    MD_TRY(engine->acquire(m->ctx, &run->run, r->shapes, err));
    for (uint32_t i = 0; i < m->n_inputs; i++)
        engine->bind(run->run, i, r->tensors[step->inputs[i]].data);
    MD_TRY(engine->execute(run->run, width, err));
    for (uint32_t i = 0; i < m->n_outputs; i++) {
        md_tensor *t;

        if (step->outputs[i] == MD_ENSEMBLE_UNUSED)
            continue;
        t = &r->tensors[step->outputs[i]];
        *t = *engine->output(run->run, i);
        t->owner = NULL; /* it stays the run's */
    }
    return MD_OK;
}

static void give_back(ensemble_run *r, uint32_t k)
{
    if (r->steps[k].run)
        r->e->steps[k].served->model->engine->release(r->steps[k].run);
    r->steps[k].run = NULL;
}

static md_status execute(void *run, int width, md_error *err)
{
    ensemble_run *r = run;
    const md_ensemble *e = r->e;

    r->n_ran = 0;
    for (uint32_t k = 0; k < e->n_steps; k++) {
        const int64_t start = md_clock_ns();
        md_status s = run_step(r, k, width, err);

        r->n_ran = k + 1;
        r->steps[k].ns = md_clock_ns() - start;
        r->failed = s != MD_OK;
        if (r->failed)
            return md_wrap(err, s, "step '%s': ", e->steps[k].config->model);
        for (uint32_t i = 0; i <= k; i++)
            if (e->steps[i].last <= k)
                give_back(r, i);
    }
    return MD_OK;
}

static const md_tensor *output(const void *run, uint32_t i)
{
    const ensemble_run *r = run;

    return &r->tensors[r->e->outputs[i]];
}

static void release(void *run)
{
    ensemble_run *r = run;

    for (uint32_t k = 0; k < r->e->n_steps; k++)
        give_back(r, k);
    md_free(r->e->alloc, r);
}

static void ran(const void *run, uint32_t n_calls)
{
    const ensemble_run *r = run;

    for (uint32_t k = 0; k < r->n_ran; k++) {
        const md_serve_model *m = r->e->steps[k].served->model;
        const bool ok = k + 1 < r->n_ran || !r->failed;

        md_model_stats_step(&r->e->steps[k].served->stats, n_calls,
                            r->steps[k].rows, r->steps[k].ns, ok);
        if (m->engine->ran && r->steps[k].run)
            m->engine->ran(r->steps[k].run, n_calls);
    }
}

/* The ensemble itself lies in its model's arena. */
static void free_steps(void *ctx)
{
    const md_ensemble *e = ctx;

    for (uint32_t i = 0; i < e->n_steps; i++)
        if (e->steps[i].served)
            md_served_unref(e->steps[i].served);
}

const md_serve_engine md_ensemble__engine = { .acquire = acquire,
                                              .bind = bind,
                                              .execute = execute,
                                              .output = output,
                                              .release = release,
                                              .ran = ran,
                                              .free = free_steps };
