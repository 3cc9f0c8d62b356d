/*
 * The thread that changes which models are served: it answers the calls that
 * load and unload, looks for changes on disk, and frees what nobody uses.
 *
 * A model's new versions are loaded and warmed up while the old ones serve,
 * then take their place at once; the old ones are freed when their last
 * request is answered.  What cannot be loaded changes nothing: the reason is
 * in the index (serve/models.h).
 *
 * An ensemble is loaded after the models of its steps, which are loaded with
 * it when they are not there; it is made anew when one of them has been
 * replaced, and unloaded when one has gone.
 */
#ifndef MD_SERVE_LOADER_H
#define MD_SERVE_LOADER_H

#include "serve/load.h"
#include "serve/models.h"

typedef struct md_loader md_loader;

/* Who decides what is loaded after the start? */
typedef enum md_model_control {
    MD_CONTROL_NONE,    /* nobody */
    MD_CONTROL_POLL,    /* the files, looked at every poll_ms */
    MD_CONTROL_EXPLICIT /* clients */
} md_model_control;

typedef struct md_loader_opts {
    const char *repository; /* folder of models; NULL: none */
    md_model_control control;
    uint32_t poll_ms;
    /* EXPLICIT: names, separated by commas, to be loaded at the start; "*":
     * all.  NULL: none. */
    const char *at_start;
    md_serve_load_opts load;
} md_loader_opts;

#define MD_LOADER_OPTS_INIT                                                    \
    {                                                                          \
        .control = MD_CONTROL_NONE, .poll_ms = 15000,                          \
        .load = MD_SERVE_LOAD_OPTS_INIT                                        \
    }

/* opts is copied, its texts are not.  `run` answers a call on the loader's
 * thread. */
md_status md_loader_new(md_loader **out, const md_loader_opts *opts,
                        md_models *models, void (*run)(md_call *c),
                        const md_alloc *alloc, md_error *err);

/* Not while it runs; NULL is allowed. */
void md_loader_free(md_loader *l);

/* Before it runs: another model, at a path of its own.  MD_EXISTS. */
md_status md_loader_add(md_loader *l, const char *name, const char *path,
                        md_error *err);

/*
 * Before it runs, on the caller's thread: load what is to be served from the
 * start.  Fails when a model that was added cannot be loaded; others are
 * logged and told by the index.  MD_NOT_FOUND when none can be loaded and none
 * ever will be.
 */
md_status md_loader_begin(md_loader *l, md_error *err);

md_status md_loader_start(md_loader *l, md_error *err);

/* Answer the calls that wait, and end. */
void md_loader_stop(md_loader *l);

/* Hand it a call; MD_BUSY when too many wait, MD_UNAVAILABLE when it ends.
 * From any thread. */
md_status md_loader_push(md_loader *l, md_call *c, md_error *err);

/* There is something to reap; from any thread. */
void md_loader_wake(md_loader *l);

/* ---- on its thread ---- */

/* Load what is on disk now, with another configuration unless that is NULL.
 * MD_UNSUPPORTED unless control is EXPLICIT. */
md_status md_loader_load(md_loader *l, const char *name,
                         const char *config_json, md_error *err);

/* `with_steps`: of an ensemble also the models that it is made of.  Ensembles
 * that are made of what goes go with it. */
md_status md_loader_unload(md_loader *l, const char *name, bool with_steps,
                           md_error *err);

/* ---- any thread ---- */

/* Names of all models that could be loaded, sorted; the arena's.  Reads the
 * disk. */
md_status md_loader_names(const md_loader *l, const char ***out, uint32_t *n,
                          md_arena *ar, md_error *err);

#endif
