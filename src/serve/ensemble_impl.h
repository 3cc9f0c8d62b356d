/* An ensemble's inside, for its two halves: how it is made, how it is run. */
#ifndef MD_SERVE_ENSEMBLE_IMPL_H
#define MD_SERVE_ENSEMBLE_IMPL_H

#include "serve/ensemble.h"

/* A tensor of the ensemble, written once. */
typedef struct md_ensemble_tensor {
    md_serve_io io;
    int64_t from; /* the step; -1: an input */
    bool is_read;
} md_ensemble_tensor;

#define MD_ENSEMBLE_UNUSED UINT32_MAX

typedef struct md_ensemble_step {
    md_served *served; /* a reference */
    const md_config_step *config;
    uint32_t *inputs;  /* tensor for each of the model's */
    uint32_t *outputs; /* the same; MD_ENSEMBLE_UNUSED: nobody asks for it */
    uint32_t last; /* the step after which its run is not needed; n_steps: it
                    * has outputs of the ensemble */
} md_ensemble_step;

typedef struct md_ensemble {
    const md_alloc *alloc;
    md_models *models;
    md_repo_model from; /* what it was made from: configuration and name */
    const char *labels;
    md_ensemble_step *steps; /* in the order in which they are run */
    uint32_t n_steps;
    md_ensemble_tensor *tensors; /* the inputs first */
    uint32_t n_tensors;
    uint32_t *outputs; /* tensor of each */
    uint32_t n_inputs;
} md_ensemble;

extern const md_serve_engine md_ensemble__engine; /* ctx: md_ensemble */

#endif
