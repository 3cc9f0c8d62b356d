/*
 * The models in service, by name and version: looked up by every thread,
 * changed by one, the loader.
 *
 * A version in service is counted.  The table holds one reference for as long
 * as requests may find it, and each request one until it is answered; so a
 * version that has been replaced goes on for those who hold it, and nobody
 * else finds it.  What the last one lets go is not freed there, since that may
 * be the event loop, but kept for md_models_reap.
 */
#ifndef MD_SERVE_MODELS_H
#define MD_SERVE_MODELS_H

#include "serve/lane.h"
#include "serve/model.h"
#include "serve/model_stats.h"

typedef struct md_models md_models;

/* One version of a model in service. */
typedef struct md_served {
    md_serve_model *model;
    md_model_stats stats;
    md_lane *lane; /* where its calls wait for each other; NULL: they do not */
    uint64_t id;   /* of no other one, ever */
    md_models *home;
    _Atomic uint32_t refs;
    struct md_served *next; /* to be reaped */
} md_served;

typedef enum md_model_state {
    MD_MODEL_UNKNOWN, /* not asked for yet */
    MD_MODEL_LOADING,
    MD_MODEL_READY,
    MD_MODEL_UNLOADING, /* requests still hold it */
    MD_MODEL_UNAVAILABLE
} md_model_state;

/* What the index tells of a version. */
typedef struct md_model_row {
    const char *name;
    int64_t number;
    const char *version; /* `number` as text; "" for MD_MODEL_WHOLE */
    md_model_state state;
    const char *reason; /* ""; why it is not ready, or why what is there now
                         * has not replaced it */
    md_served *served;  /* READY only; who keeps it takes a reference */
} md_model_row;

/* `wake` (may be NULL) is called, by any thread, when there is something to
 * reap.  queue_max: calls that may wait in a lane whose policy says nothing. */
md_status md_models_new(md_models **out, void (*wake)(void *ctx), void *ctx,
                        uint32_t queue_max, const md_alloc *alloc,
                        md_error *err);

/* With all versions; none may be held. */
void md_models_free(md_models *ms);

/* "READY"; of the protocol. */
const char *md_model_state_name(md_model_state s);

/* ---- any thread ---- */

/*
 * Take a reference to the version called so, or to the highest that is ready
 * when `version` is NULL or "".  name NULL: the model that was added first
 * among those that are ready.  MD_NOT_FOUND tells which part is unknown.
 */
md_status md_models_find(md_models *ms, md_served **out, const char *name,
                         const char *version, md_error *err);
void md_served_unref(md_served *v);

/* One more reference, for who has one. */
void md_served_ref(md_served *v);

/* Call fn for each row, in the order of names' first appearance and rising
 * versions; of one model only unless name is NULL.  The table waits
 * meanwhile. */
void md_models_each(md_models *ms, const char *name,
                    void (*fn)(void *ctx, const md_model_row *row), void *ctx);

/* Versions that are ready. */
uint32_t md_models_n_ready(md_models *ms);

/* Free what nobody holds any more. */
void md_models_reap(md_models *ms);

/* ---- the thread that changes it ---- */

/* A version to be installed; the model is taken over on success. */
md_status md_served_new(md_served **out, md_models *ms, md_serve_model *model,
                        md_error *err);

/* One that was not installed. */
void md_served_drop(md_served *v);

/* The version number that stands for the model as a whole, for what is wrong
 * with it before its versions are known.  It is never ready. */
enum {
    MD_MODEL_WHOLE = -1
};

/* The row of that model and version, made when it is not there, so that
 * md_models_install cannot fail. */
md_status md_models_begin(md_models *ms, const char *name, int64_t number,
                          md_error *err);

/* It could not be loaded: what is ready stays so. */
void md_models_fail(md_models *ms, const char *name, int64_t number,
                    const char *reason);

typedef struct md_models_new_one {
    int64_t number;
    md_served *served; /* NULL: as it is */
} md_models_new_one;

/*
 * At once: each of n versions that has a `served` is that from now on, and
 * with `only` every other version of this model is retired.  Rows of all n
 * must have begun.
 */
void md_models_install(md_models *ms, const char *name,
                       const md_models_new_one *list, uint32_t n, bool only);

/* The stamp (registry/repository.h) with which a version was last tried. */
void md_models_set_stamp(md_models *ms, const char *name, int64_t number,
                         uint64_t stamp);
bool md_models_has_stamp(md_models *ms, const char *name, int64_t number,
                         uint64_t stamp, bool *ready);

/* Retire all versions.  False: there is no such model. */
bool md_models_retire(md_models *ms, const char *name);

#endif
