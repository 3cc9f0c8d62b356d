/*
 * A model that is made of others (Triton's ensembles): which model takes which
 * tensors from where is checked and put in order when it is loaded, and a run
 * of it is one run of each, in the thread that runs it.  Tensors between steps
 * are not copied, and each run is given back as soon as nothing needs its
 * outputs.
 *
 * It holds its steps' models, so they stay until it has gone, whatever is
 * loaded meanwhile.  The highest version that a step asks for is that of the
 * time when the ensemble was made; the loader makes it anew when there is
 * another (serve/loader.h).
 *
 * With max_batch_size its calls are run together when all steps take batches
 * and one of them has dynamic_batching, whose policy becomes the ensemble's;
 * it is run at most as often at once as the step with the fewest instances.
 */
#ifndef MD_SERVE_ENSEMBLE_H
#define MD_SERVE_ENSEMBLE_H

#include "registry/repository.h"
#include "serve/models.h"

/*
 * The version `number` of the ensemble that the configuration of `from` tells
 * of; its steps must be in service.  The caller frees the model, before the
 * models.  MD_NOT_FOUND names a step that is not served, MD_INVALID what does
 * not fit together.
 */
md_status md_ensemble_new(md_serve_model **out, md_models *models,
                          const md_repo_model *from, int64_t number,
                          const char *labels, const md_alloc *alloc,
                          md_error *err);

bool md_ensemble_is(const md_serve_model *m);

/* A reference to what serves the step now; NULL with the reason. */
md_served *md_ensemble_step_of(md_models *models, const md_config_step *step,
                               md_error *err);

/* Are its steps what md_models_find finds now?  *gone is the name
 * of one that is served no more, or NULL. */
bool md_ensemble_is_current(const md_serve_model *m, const char **gone);

/* The same ensemble of what is served now. */
md_status md_ensemble_again(md_serve_model **out, const md_serve_model *m,
                            md_error *err);

#endif
