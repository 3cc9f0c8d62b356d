/* Running a model over a data set. */
#ifndef MD_OPTIMIZE_RUNNER_H
#define MD_OPTIMIZE_RUNNER_H

#include "engine/session.h"
#include "optimize/dataset.h"

/* An independent copy, through its ONNX form. */
md_status md_model_copy(md_model **out, const md_model *model, md_error *err);

/* Called after each execution with the samples [from, from + n) in it. */
typedef md_status md_visit_fn(void *ctx, const md_run *r, int64_t from,
                              int64_t n, md_error *err);

/* Execute s on all samples, at most `batch` at a time, or as many as the
 * model's batch is fixed to; MD_INVALID when that does not divide them. */
md_status md_run_over(md_session *s, const md_dataset *data, int64_t batch,
                      md_visit_fn *visit, void *ctx, md_error *err);

/* Share of samples whose largest output (of the last axis of output 0) is the
 * label.  MD_INVALID without labels, and for labels that are no class. */
md_status md_accuracy(double *out, const md_model *model,
                      const md_dataset *data, md_pool *pool, md_error *err);

#endif
