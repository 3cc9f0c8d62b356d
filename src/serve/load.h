/* A version of a model from its files to what serves it. */
#ifndef MD_SERVE_LOAD_H
#define MD_SERVE_LOAD_H

#include "convert/convert.h"
#include "registry/repository.h"
#include "serve/models.h"

typedef struct md_serve_load_opts {
    md_models *models; /* where ensembles find their steps */
    md_pool *pool;     /* borrowed; NULL: runs use one thread */
    md_precision precision;
    const char *weight_cache; /* as in md_session_opts */
    md_convert_how how;       /* of files of other frameworks */
    int run_width;
    int64_t max_batch; /* of models without a configuration; 0: no batches */
    int64_t delay_us;  /* that their calls may wait for others */
} md_serve_load_opts;

#define MD_SERVE_LOAD_OPTS_INIT                                                \
    {                                                                          \
        .precision = MD_PRECISION_FP32, .run_width = 1                         \
    }

/*
 * Read the files, make a session, compare it with its configuration, and run
 * it once with made-up inputs, so that the first request finds memory and
 * plan.  A model that cannot digest those is served all the same.  Of an
 * ensemble (serve/ensemble.h) the steps are in service by now.
 *
 * Takes long, so not on the event loop.  The caller frees the model.
 */
md_status md_serve_load(md_serve_model **out, const md_repo_model *model,
                        const md_repo_version *version,
                        const md_serve_load_opts *opts, md_error *err);

#endif
