#include "optimize/stopwatch.h"

#include <math.h>

#include "base/clock.h"
#include "train/runner.h"

enum {
    ROUNDS_MIN = 30,
    ROUNDS_MAX = 2000
};

#define SECONDS 0.3 /* about, of one comparison */

/* A model ready to be run again and again. */
typedef struct runner {
    md_session *session;
    md_run *run;
    double best;
} runner;

static void release(runner *r)
{
    if (r->run)
        md_run_release(r->run);
    md_session_free(r->session);
}

static md_status acquire(runner *r, const md_alloc *alloc, md_error *err)
{
    const uint32_t n = md_session_n_inputs(r->session);
    md_shape *shapes = md_calloc(alloc, n + 1u, sizeof(*shapes));
    md_status s;

    if (!shapes)
        return md_fail_nomem(err, n * sizeof(*shapes));
    for (uint32_t i = 0; i < n; i++) {
        const md_type *t = &md_session_input(r->session, i)->type;

        shapes[i].rank = t->rank;
        for (int d = 0; d < t->rank; d++)
            shapes[i].dim[d] = t->dim[d].sym ? 1 : t->dim[d].k;
    }
    s = md_run_acquire(&r->run, r->session, shapes, err);
    md_free(alloc, shapes);
    for (uint32_t i = 0; i < n && s == MD_OK; i++)
        md_session_sample(r->session, i, 1, md_run_input(r->run, i));
    return s;
}

static md_status open_runner(runner *r, const md_model *m, md_pool *pool,
                             md_error *err)
{
    const md_session_opts o = { .pool = pool };
    md_model *copy;
    md_status s;

    *r = (runner){ .best = INFINITY };
    MD_TRY(md_model_copy(&copy, m, err));
    s = md_session_new(&r->session, copy, &o, err);
    if (s != MD_OK) {
        md_model_free(copy);
        return s;
    }
    MD_TRY(md_session_check_tensors(r->session, err));
    MD_TRY(acquire(r, m->alloc, err));
    return md_run_execute(r->run, 0, err); /* to warm up */
}

static md_status lap(runner *r, md_error *err)
{
    const int64_t start = md_clock_ns();

    MD_TRY(md_run_execute(r->run, 0, err));
    r->best = fmin(r->best, (double)(md_clock_ns() - start) * 1e-9);
    return MD_OK;
}

md_status md_stopwatch(double *a, double *b, const md_model *first,
                       const md_model *second, md_pool *pool, md_error *err)
{
    runner x = { .session = NULL }, y = { .session = NULL };
    const int64_t start = md_clock_ns();
    md_status s = open_runner(&x, first, pool, err);

    if (s == MD_OK)
        s = open_runner(&y, second, pool, err);
    for (int i = 0; i < ROUNDS_MAX && s == MD_OK; i++) {
        if (i >= ROUNDS_MIN && (double)(md_clock_ns() - start) * 1e-9 > SECONDS)
            break;
        s = lap(&x, err);
        if (s == MD_OK)
            s = lap(&y, err);
    }
    *a = x.best;
    *b = y.best;
    release(&x);
    release(&y);
    return s;
}
