/* The ensembles in service, when the models that they are made of change; for
 * the thread that changes them. */
#ifndef MD_SERVE_ENSEMBLES_H
#define MD_SERVE_ENSEMBLES_H

#include "serve/ensemble.h"

/* `stamp`, and which models serve the steps now. */
uint64_t md_ensembles_stamp(md_models *models, const md_config_steps *steps,
                            uint64_t stamp);

/*
 * Retire ensembles one of whose steps is served no more, and with `renew` make
 * those anew whose steps are other models by now.  One that cannot be made
 * goes on with the models it has, which is logged and told by the index.
 */
void md_ensembles_follow(md_models *models, bool renew);

/* Models of the steps of all versions of an ensemble in service, each once;
 * the arena's.  None when it is no ensemble, or not served. */
md_status md_ensembles_steps(md_models *models, const char *name,
                             const char ***out, uint32_t *n, md_arena *ar,
                             md_error *err);

#endif
