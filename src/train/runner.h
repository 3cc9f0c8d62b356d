/* Running a model over a data set. */
#ifndef MD_TRAIN_RUNNER_H
#define MD_TRAIN_RUNNER_H

#include "data/subset.h"
#include "engine/session.h"

/* An independent copy, through its ONNX form. */
md_status md_model_copy(md_model **out, const md_model *model, md_error *err);

/* A hash of its ONNX form, which names it as a parent. */
md_status md_model_hash(uint64_t *out, const md_model *model, md_error *err);

/* Write into the metadata that m was made of the model of this hash. */
md_status md_model_set_origin(md_model *m, uint64_t parent, const char *recipe,
                              md_error *err);

/* Write into the metadata that m was made of `parent` by `recipe`.  A parent
 * that was made itself, and is no file of its own, is passed over: NULL goes on
 * from what m has, with this recipe behind the other. */
md_status md_model_set_lineage(md_model *m, const md_model *parent,
                               const char *recipe, md_error *err);

/* A session over a copy of the model whose outputs are the values called
 * names[0], ..., names[n - 1]. */
md_status md_taps_open(md_session **out, const md_model *model,
                       const char *const *names, uint32_t n, md_pool *pool,
                       md_error *err);

/* What a model is run on. */
typedef struct md_sweep {
    const md_dataset *data;
    const md_subset *which; /* NULL: all samples */
    int64_t batch;          /* at most so many at a time, or as many as the
                             * model's batch is fixed to */
    md_pool *pool;          /* for reading; NULL: one thread */
} md_sweep;

/* How many samples it has, and the one at place i. */
static inline int64_t md_sweep_n(const md_sweep *w)
{
    return w->which ? w->which->n : w->data->n;
}

static inline int64_t md_sweep_sample(const md_sweep *w, int64_t i)
{
    return w->which ? w->which->at[i] : i;
}

/* Called after each execution with the places [from, from + n) in it. */
typedef md_status md_visit_fn(void *ctx, const md_run *r, int64_t from,
                              int64_t n, md_error *err);

/* Execute s on all samples; MD_INVALID when a batch that the model fixes does
 * not divide them. */
md_status md_run_over(md_session *s, const md_sweep *sweep, md_visit_fn *visit,
                      void *ctx, md_error *err);

/* A run of s that was executed on the places [from, from + n) of the sweep;
 * for the caller to release. */
md_status md_run_batch(md_run **out, md_session *s, const md_sweep *sweep,
                       int64_t from, int64_t n, md_error *err);

/* Samples that one execution takes: sweep->batch or what the model fixes. */
md_status md_sweep_batch(int64_t *out, const md_sweep *sweep,
                         const md_session *s, md_error *err);

#endif
